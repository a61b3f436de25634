/* The plugin tls: see tls.h. It has no component types. Connections belong to whoever polls their
 * sockets; what a server holds is under its mutex. */
#include "formats/tls/tls.h"
#include "formats/tls/context.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { FILES = 3, ALPN_MAX = 16, READ_MOST = 1 << 30 };

/* Tells whether a file is still the one that was read. */
struct identity {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec modified, changed;
};

struct tls_server {
    const sl_host *host;
    const struct tls_server_config *config;
    char path[64];
    uint8_t alpn[ALPN_MAX]; /* its length in front, as on the wire */
    bool alpn_required;
    const sl_metrics *metrics;
    sl_metric *good, *failed;

    pthread_mutex_t mutex; /* guards the rest */
    SSL_CTX *context;
    struct identity files[FILES];
    int64_t reload_at; /* of sl_now; 0: never */
};

/* Nothing but a name for OpenSSL's own. */
static SSL *ssl_of(const struct tls_conn *c)
{
    return (SSL *)(uintptr_t)c;
}

/* ---- contexts ---- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                           const unsigned char *in, unsigned int in_n, void *arg)
{
    const struct tls_server *s = (const struct tls_server *)arg;
    unsigned char *chosen = NULL;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_n, s->alpn, s->alpn[0] + 1u, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int32_t context_create(struct tls_server *s, SSL_CTX **out, sl_error *error)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return sl_fail(error, SL_ERR_NOMEM, "%s: no memory for OpenSSL", s->path);
    int32_t status = tls_server_apply(s->config, s->path, ctx, error);
    if (status != SL_OK) {
        SSL_CTX_free(ctx);
        return status;
    }
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, s);
    *out = ctx;
    return SL_OK;
}

/* ---- changed files ---- */

static struct identity identify(sl_bytes name)
{
    struct identity id;
    struct stat st;
    memset(&id, 0, sizeof id);
    if (name.n > 0 && stat((const char *)name.p, &st) == 0) {
        id.device = st.st_dev;
        id.inode = st.st_ino;
        id.bytes = st.st_size;
        id.modified = st.st_mtim;
        id.changed = st.st_ctim;
    }
    return id;
}

static bool note_files(struct tls_server *s, bool own, bool clients)
{
    const struct tls_server_config *c = s->config;
    const sl_bytes names[FILES] = {c->common.cert_file, c->common.key_file, c->client_ca_file};
    bool changed = false;
    for (int i = 0; i < FILES; i++) {
        if (!(i == FILES - 1 ? clients : own))
            continue;
        const struct identity now = identify(names[i]);
        if (memcmp(&now, &s->files[i], sizeof now) != 0) {
            s->files[i] = now;
            changed = true;
        }
    }
    return changed;
}

/* What a new connection is to be met with. */
static void look_for_changes(struct tls_server *s)
{
    const int64_t now = s->reload_at ? sl_now(s->host) : 0;
    const bool own = s->reload_at && now >= s->reload_at;
    const bool clients = s->config->client_ca_file_reload != 0;
    if (own)
        s->reload_at = now + s->config->common.reload_interval;
    if (!(own || clients) || !note_files(s, own, clients))
        return;
    sl_error error = {.size = sizeof error};
    SSL_CTX *fresh = NULL;
    if (context_create(s, &fresh, &error) != SL_OK) {
        sl_log(s->host, SL_LOG_WARN,
               "TLS: new certificates cannot be used, the old ones stay in use: %s", error.text);
        return;
    }
    SSL_CTX_free(s->context); /* open connections hold on to it */
    s->context = fresh;
    sl_log(s->host, SL_LOG_INFO, "TLS: the certificates of %s have been read again", s->path);
}

/* ---- servers ---- */

static void server_destroy(struct tls_server *s)
{
    if (!s)
        return;
    SSL_CTX_free(s->context);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static void metrics_init(struct tls_server *s)
{
    static const char name[] = "sluice_tls_handshakes", help[] = "TLS handshakes of clients.";
    s->metrics = (const sl_metrics *)sl_interface(s->host, SL_METRICS_INTERFACE);
    if (!s->metrics)
        return;
    s->good = s->metrics->metric(s->host, SL_COUNTER, name, help, "result", "done");
    s->failed = s->metrics->metric(s->host, SL_COUNTER, name, help, "result", "failed");
}

static int32_t server_create(const sl_host *host, const struct tls_server_config *config,
                             const char *path, const char *alpn, bool alpn_required,
                             struct tls_server **out, sl_error *error)
{
    struct tls_server *s = (struct tls_server *)calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->mutex, NULL) != 0) {
        free(s);
        return sl_fail(error, SL_ERR_NOMEM, "%s: no memory", path);
    }
    s->host = host;
    s->config = config;
    (void)snprintf(s->path, sizeof s->path, "%s", path);
    s->alpn[0] = (uint8_t)strnlen(alpn, ALPN_MAX - 1);
    memcpy(s->alpn + 1, alpn, s->alpn[0]);
    s->alpn_required = alpn_required;
    (void)note_files(s, true, true);
    const int32_t status = context_create(s, &s->context, error);
    if (status != SL_OK) {
        server_destroy(s);
        return status;
    }
    if (config->common.reload_interval > 0)
        s->reload_at = sl_now(host) + config->common.reload_interval;
    metrics_init(s);
    *out = s;
    return SL_OK;
}

/* ---- connections ---- */

static struct tls_conn *conn_accept(struct tls_server *s, int fd)
{
    pthread_mutex_lock(&s->mutex);
    look_for_changes(s);
    SSL *ssl = SSL_new(s->context);
    pthread_mutex_unlock(&s->mutex);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_app_data(ssl, s);
    SSL_set_accept_state(ssl);
    return (struct tls_conn *)(void *)ssl;
}

static void conn_free(struct tls_conn *c)
{
    SSL_free(ssl_of(c));
}

/* What an answer of OpenSSL's at or below 0 means. */
static int32_t result_of(SSL *ssl, int answer)
{
    switch (SSL_get_error(ssl, answer)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        return TLS_BROKEN;
    }
}

static void name_peer(SSL *ssl, char *text, size_t room)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    (void)snprintf(text, room, "a client");
    if (getpeername(SSL_get_fd(ssl), (struct sockaddr *)&address, &n) != 0)
        return;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address;
        if (inet_ntop(AF_INET, &in->sin_addr, host, sizeof host))
            (void)snprintf(text, room, "%s:%u", host, ntohs(in->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)&address;
        if (inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host))
            (void)snprintf(text, room, "[%s]:%u", host, ntohs(in->sin6_port));
    }
}

/* The host's log thins out what comes often. */
static int32_t handshake_failed(SSL *ssl, const char *why, int32_t result)
{
    const struct tls_server *s = (const struct tls_server *)SSL_get_app_data(ssl);
    char peer[80];
    name_peer(ssl, peer, sizeof peer);
    sl_log(s->host, SL_LOG_INFO, "TLS: the handshake with %s failed: %s", peer, why);
    if (s->metrics)
        s->metrics->add(s->failed, 1);
    return result;
}

static int32_t conn_handshake(struct tls_conn *c)
{
    SSL *ssl = ssl_of(c);
    const struct tls_server *s = (const struct tls_server *)SSL_get_app_data(ssl);
    ERR_clear_error();
    errno = 0;
    const int answer = SSL_do_handshake(ssl);
    if (answer == 1) {
        const unsigned char *protocol = NULL;
        unsigned int n = 0;
        SSL_get0_alpn_selected(ssl, &protocol, &n);
        if (s->alpn_required && n == 0)
            return handshake_failed(ssl, "the client did not ask for a protocol by ALPN",
                                    TLS_BROKEN);
        if (s->metrics)
            s->metrics->add(s->good, 1);
        return TLS_DONE;
    }
    const int32_t result = result_of(ssl, answer);
    if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
        return result;
    const unsigned long first = ERR_peek_error();
    const char *reason = ERR_reason_error_string(first);
    const long verdict = SSL_get_verify_result(ssl);
    const bool plain =
        ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_HTTP_REQUEST;
    const char *why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                      : plain              ? "it speaks HTTP without TLS"
                      : reason             ? reason
                      : errno              ? strerror(errno)
                                           : "it has closed the connection";
    ERR_clear_error();
    return handshake_failed(ssl, why, plain ? TLS_PLAIN_HTTP : TLS_BROKEN);
}

static ssize_t conn_read(struct tls_conn *c, void *at, size_t n)
{
    ERR_clear_error();
    const int got = SSL_read(ssl_of(c), at, n < READ_MOST ? (int)n : READ_MOST);
    return got > 0 ? got : result_of(ssl_of(c), got);
}

static ssize_t conn_write(struct tls_conn *c, const void *at, size_t n)
{
    ERR_clear_error();
    const int put = SSL_write(ssl_of(c), at, n < READ_MOST ? (int)n : READ_MOST);
    return put > 0 ? put : result_of(ssl_of(c), put);
}

static bool conn_has_pending(const struct tls_conn *c)
{
    return SSL_has_pending(ssl_of(c)) == 1;
}

static void conn_say_goodbye(struct tls_conn *c)
{
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_of(c)))
        (void)SSL_shutdown(ssl_of(c));
    ERR_clear_error();
}

static const tls_api api = {.size = sizeof api,
                            .server_create = server_create,
                            .server_destroy = server_destroy,
                            .accept = conn_accept,
                            .handshake = conn_handshake,
                            .read = conn_read,
                            .write = conn_write,
                            .has_pending = conn_has_pending,
                            .say_goodbye = conn_say_goodbye,
                            .free = conn_free};

static const void *interface_of(const char *id)
{
    return strcmp(id, TLS_API) == 0 ? &api : NULL;
}

SL_PLUGIN_WITH("0.1.0", interface_of);
