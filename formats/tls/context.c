/* See context.h. */
#include "formats/tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { NAMES_MAX = 1024, READ_AT_ONCE = 64 * 1024 };

/* The latest complaint of OpenSSL's, in words; the queue is empty afterwards. */
static const char *complaint(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "OpenSSL does not say why";
}

/* Keys with a passphrase are not taken: nobody is there to type it. */
static int no_passphrase(char *buffer, int size, int writing, void *ctx)
{
    (void)buffer;
    (void)size;
    (void)writing;
    *(bool *)ctx = true;
    return -1;
}

/* ---- certificates and keys ---- */

/* Calls `take` for each certificate of a PEM text; the number of them, or -1: one is damaged, or
 * not taken. */
static int each_certificate(const char *text, bool (*take)(void *ctx, X509 *, int index), void *ctx)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    int n = 0;
    bool good = bio != NULL;
    while (good) {
        X509 *x = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
        if (!x) {
            const unsigned long last = ERR_peek_last_error();
            good = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
            if (good)
                ERR_clear_error(); /* the end of the text */
            break;
        }
        good = take(ctx, x, n++);
        X509_free(x);
    }
    BIO_free(bio);
    return good ? n : -1;
}

static bool take_own(void *ctx, X509 *x, int index)
{
    SSL_CTX *c = (SSL_CTX *)ctx;
    return index == 0 ? SSL_CTX_use_certificate(c, x) == 1 : SSL_CTX_add1_chain_cert(c, x) == 1;
}

static int32_t use_key(SSL_CTX *ctx, const char *text, const char *path, sl_error *error)
{
    bool encrypted = false;
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted) : NULL;
    BIO_free(bio);
    if (!key) {
        const char *why = complaint();
        return sl_fail(error, SL_ERR_INVALID, "%s: the key cannot be read: %s", path,
                       encrypted ? "it has a passphrase; give it without one" : why);
    }
    int good = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    return good ? SL_OK
                : sl_fail(error, SL_ERR_INVALID,
                          "%s: the key does not belong to the certificate: %s", path, complaint());
}

static int32_t use_own(SSL_CTX *ctx, const struct tls_config *c, const char *path, sl_error *error)
{
    char *text = NULL;
    int32_t status = tls_pem_read(c->cert_file, c->cert_pem, path, "cert", &text, error);
    if (status == SL_ERR_NOT_FOUND)
        return SL_OK; /* a client without one */
    if (status != SL_OK)
        return status;
    const int n = each_certificate(text, take_own, ctx);
    tls_pem_free(text);
    if (n <= 0)
        return sl_fail(error, SL_ERR_INVALID, "%s: the certificate cannot be read: %s", path,
                       n == 0 ? "there is none in the PEM text" : complaint());
    status = tls_pem_read(c->key_file, c->key_pem, path, "key", &text, error);
    if (status != SL_OK)
        return status;
    status = use_key(ctx, text, path, error);
    tls_pem_free(text);
    return status;
}

/* ---- whom to trust ---- */

static bool take_authority(void *ctx, X509 *x, int index)
{
    SSL_CTX *c = (SSL_CTX *)ctx;
    (void)index;
    /* A server names them to clients, which choose their certificate by it. */
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x) == 1 &&
           SSL_CTX_add_client_CA(c, x) == 1;
}

static int32_t trust(SSL_CTX *ctx, sl_bytes file, sl_bytes pem, bool system, const char *path,
                     const char *what, sl_error *error)
{
    char *text = NULL;
    const int32_t status = tls_pem_read(file, pem, path, what, &text, error);
    if (status != SL_OK && status != SL_ERR_NOT_FOUND)
        return status;
    if ((system || !text) && SSL_CTX_set_default_verify_paths(ctx) != 1) {
        tls_pem_free(text);
        return sl_fail(error, SL_ERR_IO, "%s: the system's certificate authorities: %s", path,
                       complaint());
    }
    const int n = text ? each_certificate(text, take_authority, ctx) : 1;
    tls_pem_free(text);
    if (n <= 0)
        return sl_fail(error, SL_ERR_INVALID, "%s.%s_%s: no certificate authority: %s", path, what,
                       file.n ? "file" : "pem",
                       n == 0 ? "there is no certificate in the PEM text" : complaint());
    /* As in Go, whatever stands there is trusted, not only what signed itself; and a name in the
     * subject counts for nothing. */
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SL_OK;
}

/* ---- versions, suites, groups ---- */

static int version_of(uint32_t version, int otherwise)
{
    static const int numbers[] = {0, TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    return version ? numbers[version] : otherwise;
}

static size_t join(char *list, size_t used, const char *name)
{
    const int n = snprintf(list + used, NAMES_MAX - used, "%s%s", used ? ":" : "", name);
    return n > 0 && (size_t)n < NAMES_MAX - used ? used + (size_t)n : used;
}

/* Without a choice: those that Go calls secure. TLS 1.3 has its suites always. */
static int32_t use_suites(SSL_CTX *ctx, const struct tls_config *c, const char *path,
                          sl_error *error)
{
    char list[NAMES_MAX] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < c->cipher_suites.n; i++) {
        const struct tls_suite *s = tls_suite_find(*SL_LIST_AT(sl_bytes, c->cipher_suites, i));
        if (s && s->openssl && !s->only_1_3)
            used = join(list, used, s->openssl);
    }
    if (c->cipher_suites.n > 0 && used == 0) /* all of TLS 1.3: nothing is left for older ones */
        return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1
                   ? SL_OK
                   : sl_fail(error, SL_ERR_INVALID, "%s.cipher_suites: %s", path, complaint());
    for (const struct tls_suite *s = tls_suites; c->cipher_suites.n == 0 && s->name; s++) {
        if (!s->insecure && !s->only_1_3)
            used = join(list, used, s->openssl);
    }
    return SSL_CTX_set_cipher_list(ctx, list) == 1
               ? SL_OK
               : sl_fail(error, SL_ERR_INVALID, "%s.cipher_suites: %s", path, complaint());
}

static int32_t use_groups(SSL_CTX *ctx, const struct tls_config *c, const char *path,
                          sl_error *error)
{
    static const struct {
        const char *go, *openssl;
    } names[] = {{"X25519", "X25519"},
                 {"P256", "P-256"},
                 {"P384", "P-384"},
                 {"P521", "P-521"},
                 {"X25519MLKEM768", "X25519MLKEM768"}};
    char list[NAMES_MAX] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < c->curve_preferences.n; i++) {
        const sl_bytes wanted = *SL_LIST_AT(sl_bytes, c->curve_preferences, i);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            /* asked one by one: what this OpenSSL does not have is passed over */
            if (sl_eq(wanted, sl_str(names[k].go)) &&
                SSL_CTX_set1_groups_list(ctx, names[k].openssl) == 1)
                used = join(list, used, names[k].openssl);
        }
    }
    ERR_clear_error();
    if (c->curve_preferences.n == 0)
        return SL_OK;
    return used > 0 && SSL_CTX_set1_groups_list(ctx, list) == 1
               ? SL_OK
               : sl_fail(error, SL_ERR_UNSUPPORTED,
                         "%s.curve_preferences: OpenSSL %s has none of them", path,
                         OpenSSL_version(OPENSSL_VERSION_STRING));
}

static int32_t use_common(SSL_CTX *ctx, const struct tls_config *c, const char *path,
                          sl_error *error)
{
    const int low = version_of(c->min_version, TLS1_2_VERSION);
    const int high = version_of(c->max_version, TLS1_3_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* In Go's order: the cheaper one first. */
    (void)SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                        "TLS_CHACHA20_POLY1305_SHA256");
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* Several records with one system call. */
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AT_ONCE);
    if (low < TLS1_2_VERSION) /* their handshake signs with SHA-1, which levels above 0 forbid */
        SSL_CTX_set_security_level(ctx, 0);
    if (SSL_CTX_set_min_proto_version(ctx, low) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, high) != 1)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "%s: min_version, max_version: %s", path,
                       complaint());
    int32_t status = use_suites(ctx, c, path, error);
    if (status == SL_OK)
        status = use_groups(ctx, c, path, error);
    return status == SL_OK ? use_own(ctx, c, path, error) : status;
}

int32_t tls_server_apply(const struct tls_server_config *c, const char *path, SSL_CTX *ctx,
                         sl_error *error)
{
    ERR_clear_error();
    int32_t status = use_common(ctx, &c->common, path, error);
    if (status != SL_OK)
        return status;
    /* Requests say themselves where they end: a client that just closes has cut nothing off. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, 1);
    if (c->client_ca_file.n == 0)
        return SL_OK;
    status = trust(ctx, c->client_ca_file, sl_slice(NULL, 0),
                   c->common.include_system_ca_certs_pool != 0, path, "client_ca", error);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* A resumed session would not be checked again: its certificate may have expired, or its
     * authority may be trusted no more. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    return status;
}

int32_t tls_client_apply(const struct tls_client_config *c, const char *path, SSL_CTX *ctx,
                         sl_error *error)
{
    ERR_clear_error();
    int32_t status = use_common(ctx, &c->common, path, error);
    if (status == SL_OK)
        status = trust(ctx, c->ca_file, c->ca_pem, c->common.include_system_ca_certs_pool != 0,
                       path, "ca", error);
    SSL_CTX_set_verify(ctx, c->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return status;
}
