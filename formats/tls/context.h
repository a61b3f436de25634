/* OpenSSL contexts made of the config, and the files that it names. What plugins that have OpenSSL
 * anyway (libcurl's, gRPC's) link; the others load the plugin "tls" (tls.h). Any thread. */
#ifndef SLUICE_FORMATS_TLS_CONTEXT_H
#define SLUICE_FORMATS_TLS_CONTEXT_H
#include "formats/tls/config.h"

#include <openssl/ssl.h>

/* Puts the config, whose checks have passed, into a context: certificate and key, who is trusted,
 * versions, suites, groups, and the options that a server or client open to a network should have.
 * Reads the files. A client's user still sets the name that the server's certificate must have
 * (SSL_set1_host). The error names the key below `path`, never a secret. */
int32_t tls_server_apply(const struct tls_server_config *, const char *path, SSL_CTX *, sl_error *);
int32_t tls_client_apply(const struct tls_client_config *, const char *path, SSL_CTX *, sl_error *);

/* The PEM text of a file, or of the key beside it; NUL-terminated, at most 1 MiB. `what` names the
 * key without _file and _pem, such as "cert". SL_ERR_NOT_FOUND without an error where neither is
 * set. tls_pem_free wipes it; NULL is legal. */
int32_t tls_pem_read(sl_bytes file, sl_bytes pem, const char *path, const char *what, char **text,
                     sl_error *);
void tls_pem_free(char *text);

#endif
