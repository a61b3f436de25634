/* Where the receiver's config has TLS: loads it and reads the certificates. [control] */
#include "receivers/otlp/receiver.h"

int32_t receiver_secure_grpc(const sl_host *h, const struct grpc_config *c,
                             struct tls_security *out, sl_error *error)
{
    *out = (struct tls_security){NULL, NULL};
    return c->tls_on ? tls_server_secure(h, &c->tls, "protocols.grpc.tls", "h2", true, out, error)
                     : SL_OK;
}

int32_t receiver_secure_http(const sl_host *h, const struct http_config *c,
                             struct tls_security *out, sl_error *error)
{
    *out = (struct tls_security){NULL, NULL};
    return c->tls_on
               ? tls_server_secure(h, &c->tls, "protocols.http.tls", "http/1.1", false, out, error)
               : SL_OK;
}
