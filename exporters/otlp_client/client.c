/* See client.h. */
#include "exporters/otlp_client/client.h"

#define CERTIFICATE(i, key_)                                                                       \
    {                                                                                              \
        .key = (key_), .kind = SL_FIELD_RAW,                                                       \
        .offset = (uint32_t)(offsetof(struct client_tls, certificates) + (i) * sizeof(sl_raw *)),  \
        .help = "Not in this version: TLS."                                                        \
    }

static const sl_field tls_fields[] = {
    SL_BOOL(struct client_tls, insecure, "Plain text. This version has no TLS: must be true."),
    SL_BOOL(struct client_tls, insecure_skip_verify, "Without effect as long as there is no TLS."),
    CERTIFICATE(0, "ca_file"),
    CERTIFICATE(1, "ca_pem"),
    CERTIFICATE(2, "cert_file"),
    CERTIFICATE(3, "cert_pem"),
    CERTIFICATE(4, "key_file"),
    CERTIFICATE(5, "key_pem"),
    CERTIFICATE(6, "min_version"),
    CERTIFICATE(7, "max_version"),
    CERTIFICATE(8, "cipher_suites"),
    CERTIFICATE(9, "curve_preferences"),
    CERTIFICATE(10, "include_system_ca_certs_pool"),
    CERTIFICATE(11, "reload_interval"),
    CERTIFICATE(12, "server_name_override"),
    CERTIFICATE(13, "tpm"),
    SL_END};

const sl_struct client_tls_struct = {sizeof(struct client_tls), 0, tls_fields};

enum { RAW_NULL = 0, RAW_SCALAR = 1 };

int32_t client_refuse(const sl_raw *raw, const char *key, sl_error *error)
{
    if (!raw || raw->kind == RAW_NULL || (raw->kind != RAW_SCALAR && raw->n == 0) ||
        (raw->kind == RAW_SCALAR && raw->text.n == 0))
        return SL_OK;
    return sl_fail(error, SL_ERR_UNSUPPORTED,
                   "%s:%u:%u: key \"%s\" is not supported by this version; remove it",
                   raw->file ? raw->file : "config", raw->line, raw->column, key);
}

int32_t client_check_tls(const struct client_tls *tls, sl_error *error)
{
    for (size_t i = 0; i < CLIENT_TLS_KEYS; i++) {
        char key[64];
        /* the first two fields are no certificates */
        (void)snprintf(key, sizeof key, "tls.%s", tls_fields[i + 2].key);
        const int32_t status = client_refuse(tls->certificates[i], key, error);
        if (status != SL_OK)
            return status;
    }
    return SL_OK;
}

void client_text(char *at, size_t room, sl_bytes text)
{
    size_t n = text.n < room - 1 ? text.n : room - 1;
    while (n < text.n && n > 0 && (text.p[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    for (size_t i = 0; i < n; i++) {
        const uint8_t c = text.p[i];
        at[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    at[n] = '\0';
}

void client_settle_success(const sl_host *host, sl_delivery *delivery, sl_bytes body)
{
    struct otlp_response response;
    char text[CLIENT_TEXT_MAX];
    if (otlp_response_decode(body, &response) != SL_OK) {
        sl_log(host, SL_LOG_WARN,
               "the destination took the data, but its answer is no OTLP "
               "response (%zu bytes)",
               body.n);
        return;
    }
    client_text(text, sizeof text, response.message);
    if (response.rejected <= 0) {
        if (response.message.n)
            sl_log(host, SL_LOG_WARN, "the destination warns: %s", text);
        return;
    }
    const uint32_t n = response.rejected < (int64_t)delivery->unclaimed
                           ? (uint32_t)response.rejected
                           : delivery->unclaimed;
    sl_log(host, SL_LOG_WARN, "the destination rejected %u of %u items: %s", n, delivery->unclaimed,
           text[0] ? text : "it does not say why");
    (void)host->table->settle_some(host, delivery, n, SL_REJECTED, "partial_success");
}

int64_t client_retry_after(int64_t ns)
{
    if (ns < 0)
        return 0;
    return ns == 0 ? 1 : ns < CLIENT_RETRY_MAX_NS ? ns : CLIENT_RETRY_MAX_NS;
}
