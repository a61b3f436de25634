/* How gRPC's connections are secured. Control thread, or under the client's certificates_mutex. */
#include "exporters/otlp/exporter.h"

#include <grpc/grpc_security.h>
#include <stdlib.h>

bool exporter_is_plain(const struct exporter *e)
{
    return !e->https && tls_client_is_plain(&e->tls);
}

int32_t exporter_check_tls(const struct exporter *e, sl_error *error)
{
    const struct tls_config *c = &e->tls.common;
    int32_t status = tls_client_check(&e->tls, "tls", error);
    if (status != SL_OK || exporter_is_plain(e))
        return status;
    if (c->min_version == TLS_VERSION_1_3 || (c->max_version && c->max_version != TLS_VERSION_1_3))
        return sl_fail(
            error, SL_ERR_UNSUPPORTED,
            "tls: gRPC's C core speaks TLS 1.2 and 1.3 and can be told neither "
            "min_version: \"1.3\" nor an older max_version; let the server decide, or use "
            "the exporter otlphttp");
    if (c->cipher_suites.n || c->curve_preferences.n)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "tls.%s: gRPC's C core cannot be told for one connection; remove it, or use "
                       "the exporter otlphttp",
                       c->cipher_suites.n ? "cipher_suites" : "curve_preferences");
    if (c->min_version == TLS_VERSION_1_0 || c->min_version == TLS_VERSION_1_1)
        sl_log(sl_host_of(e), SL_LOG_WARN,
               "tls.min_version: the oldest that gRPC's C core speaks is 1.2");
    struct client_certificates certificates;
    char *authorities = NULL;
    status = client_certificates_init(&certificates, sl_host_of(e), &e->tls, error);
    if (status == SL_OK && !e->tls.insecure_skip_verify)
        status = client_authorities(&certificates, &authorities, error);
    if (status == SL_OK)
        client_certificates_deinit(&certificates);
    free(authorities);
    return status;
}

static void use_certificates(grpc_tls_credentials_options *options,
                             const struct client_certificates *c, const char *authorities)
{
    const sl_bytes certificate = c->now.common.cert_pem, key = c->now.common.key_pem;
    grpc_tls_identity_pairs *pairs = NULL;
    if (certificate.n) {
        pairs = grpc_tls_identity_pairs_create();
        grpc_tls_identity_pairs_add_pair(pairs, (const char *)key.p, (const char *)certificate.p);
    }
    if (!pairs && !authorities)
        return;
    grpc_tls_certificate_provider *provider =
        grpc_tls_certificate_provider_static_data_create(authorities, pairs);
    grpc_tls_credentials_options_set_certificate_provider(options, provider);
    grpc_tls_certificate_provider_release(provider);
    if (authorities)
        grpc_tls_credentials_options_watch_root_certs(options);
    if (pairs)
        grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
}

int32_t credentials_make(const struct client *c, grpc_channel_credentials **credentials,
                         sl_error *error)
{
    const struct exporter *e = c->exporter;
    char *authorities = NULL;
    if (exporter_is_plain(e)) {
        *credentials = grpc_insecure_credentials_create();
        return SL_OK;
    }
    /* the core wants some also where nobody is checked */
    const int32_t status = client_authorities(&c->certificates, &authorities, error);
    if (status != SL_OK && !e->tls.insecure_skip_verify)
        return status;
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    use_certificates(options, &c->certificates, authorities);
    if (e->tls.insecure_skip_verify) {
        grpc_tls_certificate_verifier *nobody = grpc_tls_certificate_verifier_no_op_create();
        grpc_tls_credentials_options_set_verify_server_cert(options, 0);
        grpc_tls_credentials_options_set_check_call_host(options, 0);
        grpc_tls_credentials_options_set_certificate_verifier(options, nobody);
        grpc_tls_certificate_verifier_release(nobody);
    }
    *credentials = grpc_tls_credentials_create(options);
    free(authorities);
    return *credentials
               ? SL_OK
               : sl_fail(error, SL_ERR_INVALID, "tls: gRPC does not take the certificates");
}
