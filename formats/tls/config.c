/* See config.h. The names and defaults are those of the Collector's config/configtls and of Go's
 * crypto/tls (its cipher_suites.go). */
#include "formats/tls/config.h"

#define TIME_MAX (INT64_C(365) * 86400 * 1000000000)

static const char *const versions[] = {"", "1.0", "1.1", "1.2", "1.3", NULL};
static const char *const curves[] = {"X25519", "P256", "P384", "P521", "X25519MLKEM768", NULL};

const struct tls_suite tls_suites[] = {
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", false, true},
    {"TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", false, true},
    {"TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", false, true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", false, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", false, false},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", false, false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", false,
     false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA", false, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA", false, false},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256", true, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256", true, false},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256", true, false},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384", true, false},
    {"TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256", true, false},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA", true, false},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA", true, false},
    {"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", NULL, true, false},
    {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", NULL, true, false},
    {"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", NULL, true, false},
    {"TLS_ECDHE_RSA_WITH_RC4_128_SHA", NULL, true, false},
    {"TLS_RSA_WITH_RC4_128_SHA", NULL, true, false},
    {NULL, NULL, false, false}};

const struct tls_suite *tls_suite_find(sl_bytes name)
{
    for (const struct tls_suite *s = tls_suites; s->name; s++) {
        if (sl_eq(name, sl_str(s->name)))
            return s;
    }
    return NULL;
}

/* ---- tables ---- */

#define NO_TPM "Without meaning while the TPM is not enabled."

static const sl_field tpm_fields[] = {
    SL_BOOL(struct tls_tpm, enabled, "Not in Sluice: refused when true."),
    SL_TEXT(struct tls_tpm, path, NO_TPM),
    SL_TEXT(struct tls_tpm, owner_auth, NO_TPM, .flags = SL_SECRET),
    SL_TEXT(struct tls_tpm, auth, NO_TPM, .flags = SL_SECRET), SL_END};
static const sl_struct tpm_struct = {sizeof(struct tls_tpm), 0, tpm_fields};

static const sl_field common_fields[] = {
    SL_TEXT(struct tls_config, cert_file,
            "PEM file with the certificate, followed by those that lead to its issuer."),
    SL_TEXT(struct tls_config, cert_pem, "The same as text.", .flags = SL_SECRET),
    SL_TEXT(struct tls_config, key_file, "PEM file with the certificate's key."),
    SL_TEXT(struct tls_config, key_pem, "The same as text.", .flags = SL_SECRET),
    SL_BOOL(struct tls_config, include_system_ca_certs_pool,
            "The system's certificate authorities count beside those that are named."),
    SL_BOOL(struct tls_config, include_insecure_cipher_suites,
            "cipher_suites may name suites that Go calls insecure."),
    SL_ENUM(struct tls_config, min_version, versions, "The oldest version; empty: 1.2."),
    SL_ENUM(struct tls_config, max_version, versions, "The newest version; empty: 1.3."),
    SL_TEXTS(struct tls_config, cipher_suites,
             "Suites for TLS 1.2 and older, by Go's names; empty: those that Go calls secure. TLS "
             "1.3 has its own always."),
    SL_TEXTS(struct tls_config, curve_preferences,
             "Groups for the key exchange: X25519, P256, P384, P521, X25519MLKEM768 (passed over "
             "where OpenSSL does not have it); empty: OpenSSL's own choice."),
    SL_DURATION(struct tls_config, reload_interval,
                "Certificate and key are read again when a connection comes and so much time has "
                "passed; 0: never.",
                SL_RANGE(i, 0, TIME_MAX)),
    SL_STRUCT(struct tls_config, tpm, &tpm_struct,
              "Keys in a trusted platform module: not in Sluice, refused when enabled."),
    SL_END};
static const sl_struct common_struct = {sizeof(struct tls_config), 0, common_fields};

static const sl_field client_fields[] = {
    SL_TEXT(struct tls_client_config, ca_file,
            "PEM file with the authorities that may have signed the server's certificate; empty: "
            "the system's."),
    SL_TEXT(struct tls_client_config, ca_pem, "The same as text.", .flags = SL_SECRET),
    SL_BOOL(struct tls_client_config, insecure,
            "Plain text over gRPC, unless a certificate authority is given; over HTTP the "
            "endpoint's scheme decides."),
    SL_BOOL(struct tls_client_config, insecure_skip_verify,
            "The server's certificate is not checked."),
    SL_TEXT(struct tls_client_config, server_name_override,
            "The name that the server's certificate must have; empty: the endpoint's host."),
    SL_STRUCT(struct tls_client_config, common, &common_struct, "Keys of both sides.",
              .flags = SL_INLINE),
    SL_END};
const sl_struct tls_client_struct = {sizeof(struct tls_client_config), 0, client_fields};

#define CA_IGNORED "A server checks clients with client_ca_file; this key is for clients."

static const sl_field server_fields[] = {
    SL_TEXT(struct tls_server_config, client_ca_file,
            "PEM file with the authorities that may have signed clients' certificates; if set, a "
            "client must show one."),
    SL_BOOL(struct tls_server_config, client_ca_file_reload,
            "client_ca_file is read again when a connection comes and it has changed."),
    SL_STRUCT(struct tls_server_config, common, &common_struct, "Keys of both sides.",
              .flags = SL_INLINE),
    SL_IGNORE("ca_file", CA_IGNORED),
    SL_IGNORE("ca_pem", CA_IGNORED),
    SL_END};
const sl_struct tls_server_struct = {sizeof(struct tls_server_config), 0, server_fields};

/* ---- checks ---- */

static int shown(sl_bytes text)
{
    return (int)(text.n < 60 ? text.n : 60);
}

static int32_t check_pair(sl_bytes file, sl_bytes pem, const char *name, const char *path,
                          sl_error *error)
{
    if (file.n > 0 && pem.n > 0)
        return sl_fail(error, SL_ERR_INVALID, "%s: give %s_file or %s_pem, not both", path, name,
                       name);
    return SL_OK;
}

static int32_t check_versions(const struct tls_config *c, const char *path, sl_error *error)
{
    const uint32_t low = c->min_version ? c->min_version : TLS_VERSION_1_2;
    const uint32_t high = c->max_version ? c->max_version : TLS_VERSION_1_3;
    if (low > high)
        return sl_fail(error, SL_ERR_INVALID,
                       "%s: min_version \"%s\" is newer than max_version \"%s\"", path,
                       versions[low], versions[high]);
    return SL_OK;
}

static int32_t check_suites(const struct tls_config *c, const char *path, sl_error *error)
{
    for (uint32_t i = 0; i < c->cipher_suites.n; i++) {
        const sl_bytes name = *SL_LIST_AT(sl_bytes, c->cipher_suites, i);
        const struct tls_suite *suite = tls_suite_find(name);
        if (!suite)
            return sl_fail(error, SL_ERR_INVALID,
                           "%s.cipher_suites: \"%.*s\" is no cipher suite; they have Go's names, "
                           "such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                           path, shown(name), (const char *)name.p);
        if (suite->insecure && !c->include_insecure_cipher_suites)
            return sl_fail(error, SL_ERR_INVALID,
                           "%s.cipher_suites: %s is insecure; leave it out, or set "
                           "include_insecure_cipher_suites: true",
                           path, suite->name);
        if (!suite->openssl)
            return sl_fail(error, SL_ERR_UNSUPPORTED,
                           "%s.cipher_suites: OpenSSL has %s no more; leave it out", path,
                           suite->name);
    }
    return SL_OK;
}

static int32_t check_curves(const struct tls_config *c, const char *path, sl_error *error)
{
    for (uint32_t i = 0; i < c->curve_preferences.n; i++) {
        const sl_bytes name = *SL_LIST_AT(sl_bytes, c->curve_preferences, i);
        uint32_t k = 0;
        while (curves[k] && !sl_eq(name, sl_str(curves[k])))
            k++;
        if (!curves[k])
            return sl_fail(error, SL_ERR_INVALID,
                           "%s.curve_preferences: \"%.*s\" is none of X25519, P256, P384, P521, "
                           "X25519MLKEM768",
                           path, shown(name), (const char *)name.p);
    }
    return SL_OK;
}

static int32_t check_common(const struct tls_config *c, const char *path, sl_error *error)
{
    int32_t status = check_pair(c->cert_file, c->cert_pem, "cert", path, error);
    if (status == SL_OK)
        status = check_pair(c->key_file, c->key_pem, "key", path, error);
    if (status != SL_OK)
        return status;
    const bool certificate = c->cert_file.n > 0 || c->cert_pem.n > 0;
    const bool key = c->key_file.n > 0 || c->key_pem.n > 0;
    if (certificate != key)
        return sl_fail(error, SL_ERR_INVALID, "%s has a %s, but no %s; a certificate needs its key",
                       path, certificate ? "certificate" : "key", key ? "certificate" : "key");
    if (c->tpm.enabled)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "%s.tpm.enabled: Sluice does not read keys from a trusted platform module; "
                       "give key_file",
                       path);
    status = check_versions(c, path, error);
    if (status == SL_OK)
        status = check_suites(c, path, error);
    return status == SL_OK ? check_curves(c, path, error) : status;
}

int32_t tls_client_check(const struct tls_client_config *c, const char *path, sl_error *error)
{
    const int32_t status = check_pair(c->ca_file, c->ca_pem, "ca", path, error);
    return status == SL_OK ? check_common(&c->common, path, error) : status;
}

int32_t tls_server_check(const struct tls_server_config *c, const char *path, sl_error *error)
{
    const int32_t status = check_common(&c->common, path, error);
    if (status == SL_OK && c->common.cert_file.n == 0 && c->common.cert_pem.n == 0)
        return sl_fail(error, SL_ERR_INVALID,
                       "%s has no certificate; a server needs cert_file and key_file", path);
    return status;
}

bool tls_client_is_plain(const struct tls_client_config *c)
{
    return c->insecure && c->ca_file.n == 0 && c->ca_pem.n == 0;
}
