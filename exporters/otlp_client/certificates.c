/* See certificates.h. */
#include "exporters/otlp_client/certificates.h"

#include <stdlib.h>

enum { BUNDLE_MAX = 16 << 20 };

static int32_t read_texts(struct client_certificates *c, sl_error *error)
{
    struct tls_client_config *now = &c->now;
    const struct {
        const char *name;
        sl_bytes file, pem;
        sl_bytes *to_file, *to_pem;
    } texts[CERTIFICATES_TEXTS] = {
        {"ca", c->given->ca_file, c->given->ca_pem, &now->ca_file, &now->ca_pem},
        {"cert", c->given->common.cert_file, c->given->common.cert_pem, &now->common.cert_file,
         &now->common.cert_pem},
        {"key", c->given->common.key_file, c->given->common.key_pem, &now->common.key_file,
         &now->common.key_pem}};
    *now = *c->given;
    for (size_t i = 0; i < CERTIFICATES_TEXTS; i++) {
        const int32_t status =
            tls_pem_read(texts[i].file, texts[i].pem, "tls", texts[i].name, &c->texts[i], error);
        if (status != SL_OK && status != SL_ERR_NOT_FOUND)
            return status;
        *texts[i].to_file = sl_slice(NULL, 0);
        *texts[i].to_pem = sl_str(c->texts[i]);
    }
    return SL_OK;
}

/* Whether they fit together is OpenSSL's to say. */
static int32_t try_texts(const struct client_certificates *c, sl_error *error)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return sl_fail(error, SL_ERR_NOMEM, "tls: no memory");
    const int32_t status = tls_client_apply(&c->now, "tls", ctx, error);
    SSL_CTX_free(ctx);
    return status;
}

int32_t client_certificates_init(struct client_certificates *c, const sl_host *host,
                                 const struct tls_client_config *given, sl_error *error)
{
    const int64_t interval = given->common.reload_interval;
    memset(c, 0, sizeof *c);
    c->host = host;
    c->given = given;
    atomic_init(&c->due_ns, interval ? sl_now(host) + interval : INT64_MAX);
    int32_t status = read_texts(c, error);
    if (status == SL_OK)
        status = try_texts(c, error);
    if (status != SL_OK)
        client_certificates_deinit(c);
    return status;
}

void client_certificates_deinit(struct client_certificates *c)
{
    for (size_t i = 0; i < CERTIFICATES_TEXTS; i++) {
        tls_pem_free(c->texts[i]);
        c->texts[i] = NULL;
    }
}

bool client_certificates_are_due(const struct client_certificates *c)
{
    const int64_t due = atomic_load_explicit(&c->due_ns, memory_order_relaxed);
    return due != INT64_MAX && sl_now(c->host) >= due;
}

static bool same(const struct client_certificates *a, const struct client_certificates *b)
{
    for (size_t i = 0; i < CERTIFICATES_TEXTS; i++) {
        if (!sl_eq(sl_str(a->texts[i]), sl_str(b->texts[i])))
            return false;
    }
    return true;
}

bool client_certificates_renew(struct client_certificates *c)
{
    struct client_certificates next;
    sl_error error = {.size = sizeof error};
    if (!client_certificates_are_due(c))
        return false;
    atomic_store(&c->due_ns, sl_now(c->host) + c->given->common.reload_interval);
    if (client_certificates_init(&next, c->host, c->given, &error) != SL_OK) {
        sl_log(c->host, SL_LOG_ERROR, "What was read before stays in use: %s", error.text);
        return false;
    }
    if (same(c, &next)) {
        client_certificates_deinit(&next);
        return false;
    }
    client_certificates_deinit(c);
    c->now = next.now;
    memcpy(c->texts, next.texts, sizeof c->texts);
    sl_log(c->host, SL_LOG_INFO, "Certificates have been read again; new connections use them.");
    return true;
}

/* ---- the system's ---- */

/* The file of OpenSSL's environment variable, which Go honours too, or where distributions keep
 * them: the list of Go's crypto/x509 (root_linux.go). */
static FILE *open_bundle(void)
{
    static const char *const paths[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem",
                                        "/etc/pki/tls/cacert.pem",
                                        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                        "/etc/ssl/cert.pem"};
    const char *named = getenv("SSL_CERT_FILE");
    if (named && *named)
        return fopen(named, "rbe");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        FILE *file = fopen(paths[i], "rbe");
        if (file)
            return file;
    }
    return NULL;
}

/* Behind `before`, which may be NULL. */
static int32_t read_bundle(const char *before, char **pem, sl_error *error)
{
    const size_t n = before ? strlen(before) : 0, room = n + 1 + BUNDLE_MAX + 1;
    FILE *file = open_bundle();
    if (!file)
        return sl_fail(error, SL_ERR_NOT_FOUND,
                       "tls: the system has no file of certificate authorities; install "
                       "ca-certificates, or give ca_file");
    char *text = malloc(room);
    int32_t status = SL_ERR_NOMEM;
    if (text) {
        memcpy(text, before ? before : "", n);
        text[n] = '\n';
        const size_t got = fread(text + n + 1, 1, BUNDLE_MAX, file);
        text[n + 1 + got] = '\0';
        status = ferror(file) ? SL_ERR_IO : feof(file) ? SL_OK : SL_ERR_TOO_LARGE;
    }
    (void)fclose(file);
    if (status == SL_OK) {
        char *fitting = realloc(text, strlen(text) + 1);
        *pem = fitting ? fitting : text;
        return SL_OK;
    }
    free(text);
    return sl_fail(error, status, "tls: the system's certificate authorities cannot be read");
}

int32_t client_authorities(const struct client_certificates *c, char **pem, sl_error *error)
{
    const char *own = c->texts[0];
    *pem = NULL;
    if (!own || c->given->common.include_system_ca_certs_pool)
        return read_bundle(own, pem, error);
    *pem = strdup(own);
    return *pem ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "tls: no memory");
}
