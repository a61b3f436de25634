/* TLS on connected, non-blocking sockets, by OpenSSL, for servers. It is a plugin of its own, "tls",
 * loaded through sl_plugins, so that a process without TLS neither loads nor holds OpenSSL. Whoever
 * drives the sockets (formats/http/secure.c, receivers/otlp/grpc_secure.c) polls them as the calls
 * say and calls again.
 *
 * A server keeps the certificates. It looks for new ones when a connection comes: after
 * `reload_interval` at its certificate and key, with `client_ca_file_reload` at the clients'
 * authorities. Connections that are open keep what they have; when the new files cannot be used, the
 * old ones stay in use and the log says why. */
#ifndef SLUICE_FORMATS_TLS_TLS_H
#define SLUICE_FORMATS_TLS_TLS_H
#include "formats/tls/config.h"

#include <sys/types.h>

#define TLS_PLUGIN "tls"
#define TLS_API "sluice.tls/1"

struct tls_server;
struct tls_conn;

/* What calls answer, beside numbers of bytes. After the last three the connection is of no use. */
enum tls_result {
    TLS_DONE = 0,        /* of handshake */
    TLS_WANT_READ = -1,  /* again when the socket can be read */
    TLS_WANT_WRITE = -2, /* again when it can be written */
    TLS_CLOSED = -3,     /* the peer has ended the connection */
    TLS_BROKEN = -4,     /* it, or the network, broke a rule */
    TLS_PLAIN_HTTP = -5  /* of handshake: the peer speaks HTTP without TLS */
};

typedef struct tls_api {
    uint32_t size;
    uint32_t reserved;
    /* [control, blocking] Reads the files. The config stays valid until destroy. `path` is where it
     * stands, for messages ("protocols.http.tls"); `alpn` the protocol to agree on ("h2"), which a
     * client that knows about ALPN must offer, and every client where `alpn_required`. */
    int32_t (*server_create)(const sl_host *, const struct tls_server_config *, const char *path,
                             const char *alpn, bool alpn_required, struct tls_server **,
                             sl_error *);
    /* [control] When its connections have been freed; NULL is legal. */
    void (*server_destroy)(struct tls_server *);

    /* All of these: one thread at a time for each connection, never block. */
    /* The socket stays the caller's. NULL: no memory. Reads changed files, which are local. */
    struct tls_conn *(*accept)(struct tls_server *, int fd);
    int32_t (*handshake)(struct tls_conn *); /* an enum tls_result; logs why it failed */
    /* Bytes, or an enum tls_result; at least one record's worth where `n` is large enough. */
    ssize_t (*read)(struct tls_conn *, void *at, size_t n);
    ssize_t (*write)(struct tls_conn *, const void *at, size_t n);
    /* Have bytes been read from the socket that `read` has not given yet? Polling does not tell of
     * them. True also for a part of a record, of which nothing can be given. */
    bool (*has_pending)(const struct tls_conn *);
    /* Tells the peer that nothing more will be written, as far as the socket takes it now. */
    void (*say_goodbye)(struct tls_conn *);
    void (*free)(struct tls_conn *);
} tls_api;

/* What secures the connections that a listener accepts; all NULL: nothing, plain text. */
struct tls_security {
    const tls_api *api;
    struct tls_server *server;
};

/* load.c, in whoever serves: loads the plugin and reads the files. `out` is all NULL after a
 * failure. Parameters as of server_create. [control] */
int32_t tls_server_secure(const sl_host *, const struct tls_server_config *, const char *path,
                          const char *alpn, bool alpn_required, struct tls_security *out,
                          sl_error *);
void tls_server_unsecure(struct tls_security *);

#endif
