/* The config keys of TLS as the OpenTelemetry Collector has them (its configtls package), for
 * clients and servers: structs, tables, and the checks that need neither files nor OpenSSL. A
 * plugin puts the struct into its own and the table into its own table:
 *
 *     struct tls_client_config tls;
 *     SL_STRUCT(struct exporter, tls, &tls_client_struct, "How the connection is secured."),
 *
 * All of it is read-only and safe on any thread. context.h makes OpenSSL contexts of it. */
#ifndef SLUICE_FORMATS_TLS_CONFIG_H
#define SLUICE_FORMATS_TLS_CONFIG_H
#include <sluice/plugin.h>

/* As the keys min_version and max_version name them; DEFAULT is 1.2 and 1.3. */
enum tls_version {
    TLS_VERSION_DEFAULT,
    TLS_VERSION_1_0,
    TLS_VERSION_1_1,
    TLS_VERSION_1_2,
    TLS_VERSION_1_3
};

/* Keys in a trusted platform module: known, and refused when enabled. */
struct tls_tpm {
    uint8_t enabled;
    sl_bytes path, owner_auth, auth;
};

/* Keys of both sides. Paths and texts are NUL-terminated, .p is NULL or .n is 0 where not set. */
struct tls_config {
    sl_bytes cert_file, cert_pem; /* one's own certificate, and those that lead to its issuer */
    sl_bytes key_file, key_pem;   /* its key */
    uint8_t include_system_ca_certs_pool, include_insecure_cipher_suites;
    uint32_t min_version, max_version; /* enum tls_version */
    sl_list cipher_suites;             /* sl_bytes: Go's names; for TLS 1.2 and older only */
    sl_list curve_preferences;         /* sl_bytes: Go's names */
    int64_t reload_interval;           /* ns after which files are read again; 0: never */
    struct tls_tpm tpm;
};

struct tls_client_config {
    struct tls_config common;
    sl_bytes ca_file, ca_pem; /* who may sign servers' certificates; neither: the system's */
    uint8_t insecure, insecure_skip_verify;
    sl_bytes server_name_override;
};

struct tls_server_config {
    struct tls_config common;
    sl_bytes client_ca_file; /* who may sign clients' certificates; set: clients must show one */
    uint8_t client_ca_file_reload;
};

extern const sl_struct tls_client_struct, tls_server_struct;

/* What can be said without looking at files. The error names the key below `path`, such as "tls" or
 * "protocols.http.tls". */
int32_t tls_client_check(const struct tls_client_config *, const char *path, sl_error *);
int32_t tls_server_check(const struct tls_server_config *, const char *path, sl_error *);

/* Does a gRPC client with this config speak plain text? As in the Collector: insecure, and no
 * certificate authority named. */
bool tls_client_is_plain(const struct tls_client_config *);

/* ---- cipher suites ---- */

/* A suite by Go's name, which is the one of the IANA registry. */
struct tls_suite {
    const char *name;
    const char *openssl; /* NULL: OpenSSL has it no more */
    bool insecure;       /* wants include_insecure_cipher_suites */
    bool only_1_3;       /* cannot be chosen: TLS 1.3 has its suites always, as in Go */
};
const struct tls_suite *tls_suite_find(sl_bytes name); /* NULL: there is none */
/* All of them, in the order of preference; ends with a NULL name. */
extern const struct tls_suite tls_suites[];

#endif
