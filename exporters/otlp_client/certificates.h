/* What a client's TLS config names, read into memory: connections are made from it whatever happens
 * to the files meanwhile. When reload_interval has passed, the files are read again; what cannot be
 * used then is reported, and what was there before stays in use. Under the caller's lock. */
#ifndef SLUICE_EXPORTERS_OTLP_CLIENT_CERTIFICATES_H
#define SLUICE_EXPORTERS_OTLP_CLIENT_CERTIFICATES_H
#include "formats/tls/context.h"

#include <stdatomic.h>

enum { CERTIFICATES_TEXTS = 3 };

struct client_certificates {
    const sl_host *host;
    const struct tls_client_config *given;
    struct tls_client_config now; /* the same with texts in place of files */
    char *texts[CERTIFICATES_TEXTS];
    _Atomic int64_t due_ns; /* when they are to be read again; INT64_MAX: never */
};

/* [control, blocking] Reads the files, and checks that OpenSSL takes them. The config stays valid
 * until deinit. */
int32_t client_certificates_init(struct client_certificates *, const sl_host *,
                                 const struct tls_client_config *, sl_error *);
void client_certificates_deinit(struct client_certificates *); /* a zeroed one needs no init */

/* [any] Without the lock: is it time to read again? */
bool client_certificates_are_due(const struct client_certificates *);
/* Reads again; true: something is new. */
bool client_certificates_renew(struct client_certificates *);

/* PEM of those that may have signed the server's certificate, the system's among them where they
 * count; malloc. */
int32_t client_authorities(const struct client_certificates *, char **pem, sl_error *);

#endif
