/* The keys of TLS: names, defaults, and what is refused. */
#include "config_support.h"
#include "formats/tls/config.h"

struct both {
    sl_base base;
    struct tls_client_config client;
    struct tls_server_config server;
    uint8_t server_on;
};

static const sl_field fields[] = {SL_STRUCT(struct both, client, &tls_client_struct, "A client."),
                                  SL_STRUCT(struct both, server, &tls_server_struct, "A server.",
                                            SL_PRESENT(struct both, server_on)),
                                  SL_END};

struct bound {
    struct loaded l;
    struct config_bound *owner;
    const struct both *c;
};

static struct bound bind(const char *yaml)
{
    char config[2000];
    (void)snprintf(config, sizeof config, "yaml:%s", yaml);
    struct bound b = {.l = load(.configs = {config})};
    assert_int_equal(b.l.status, SL_OK);
    struct config_part part = {fields, sizeof(struct both), NULL};
    const int32_t status =
        config_bind("receiver \"x\"", b.l.tree.root, (struct config_place){"a", 1, 1}, &part, 1,
                    NULL, &b.l.d, &b.owner);
    if (status)
        fail_msg("%s", said(&b.l));
    b.c = part.out;
    return b;
}

static void unbind(struct bound *b)
{
    config_free(b->owner);
    unload(&b->l);
}

static void tables_are_sound(void **state)
{
    (void)state;
    sl_error error = {.size = sizeof error};
    assert_int_equal(config_check_table(fields, sizeof(struct both), &error), SL_OK);
}

static void fills_all_keys(void **state)
{
    (void)state;
    struct bound b = bind("client: {ca_file: a, cert_file: b, key_pem: c, insecure: true, "
                          "insecure_skip_verify: true, server_name_override: d, min_version: 1.3, "
                          "max_version: \"1.3\", include_system_ca_certs_pool: true, "
                          "cipher_suites: [TLS_AES_128_GCM_SHA256], curve_preferences: [P256], "
                          "reload_interval: 5m, tpm: {enabled: false, path: e}}\n"
                          "server: {client_ca_file: f, client_ca_file_reload: true, cert_pem: g, "
                          "key_file: h}");
    assert_silent(&b.l);
    const struct tls_client_config *c = &b.c->client;
    assert_string_equal(c->ca_file.p, "a");
    assert_string_equal(c->common.cert_file.p, "b");
    assert_string_equal(c->common.key_pem.p, "c");
    assert_true(c->insecure && c->insecure_skip_verify && c->common.include_system_ca_certs_pool);
    assert_string_equal(c->server_name_override.p, "d");
    assert_int_equal(c->common.min_version, TLS_VERSION_1_3);
    assert_int_equal(c->common.max_version, TLS_VERSION_1_3);
    assert_int_equal(c->common.cipher_suites.n, 1);
    assert_int_equal(c->common.curve_preferences.n, 1);
    assert_int_equal(c->common.reload_interval, 300000000000);
    assert_string_equal(b.c->server.client_ca_file.p, "f");
    assert_string_equal(b.c->server.common.cert_pem.p, "g");
    assert_true(b.c->server.client_ca_file_reload);
    assert_int_equal(b.c->server.common.min_version, TLS_VERSION_DEFAULT);
    unbind(&b);
}

static void a_servers_ca_file_is_said_to_have_no_effect(void **state)
{
    (void)state;
    struct bound b = bind("server: {ca_file: a, cert_file: b, key_file: c}");
    assert_non_null(strstr(said(&b.l), "\"server.ca_file\" of receiver \"x\" has no effect"));
    assert_non_null(strstr(said(&b.l), "client_ca_file"));
    unbind(&b);
}

/* NULL: it is taken. */
static void check(bool server, const char *keys, int32_t expected, const char *text)
{
    char yaml[600];
    sl_error error = {.size = sizeof error};
    (void)snprintf(yaml, sizeof yaml, "%s: {%s}", server ? "server" : "client", keys);
    struct bound b = bind(yaml);
    const int32_t status = server ? tls_server_check(&b.c->server, "http.tls", &error)
                                  : tls_client_check(&b.c->client, "tls", &error);
    if (status != expected || (text && !strstr(error.text, text)))
        fail_msg("%s: %d \"%s\"", yaml, status, error.text);
    unbind(&b);
}

static void checks_clients(void **state)
{
    (void)state;
    check(false, "", SL_OK, NULL);
    check(false, "insecure: true", SL_OK, NULL);
    check(false, "ca_file: a, ca_pem: b", SL_ERR_INVALID, "give ca_file or ca_pem, not both");
    check(false, "cert_file: a", SL_ERR_INVALID, "has a certificate, but no key");
    check(false, "key_pem: a", SL_ERR_INVALID, "has a key, but no certificate");
    check(false, "min_version: \"1.3\", max_version: \"1.2\"", SL_ERR_INVALID, "is newer than");
    check(false, "max_version: \"1.1\"", SL_ERR_INVALID, "min_version \"1.2\"");
    check(false, "tpm: {enabled: true}", SL_ERR_UNSUPPORTED, "tls.tpm.enabled");
    check(false, "curve_preferences: [P256, X448]", SL_ERR_INVALID, "\"X448\" is none of");
    check(false, "curve_preferences: [X25519MLKEM768, X25519]", SL_OK, NULL);
}

static void checks_servers(void **state)
{
    (void)state;
    check(true, "", SL_ERR_INVALID, "http.tls has no certificate");
    check(true, "cert_file: a, key_file: b", SL_OK, NULL);
    check(true, "cert_file: a, cert_pem: b, key_file: c", SL_ERR_INVALID,
          "give cert_file or cert_pem");
    check(true, "cert_file: a, key_file: b, key_pem: c", SL_ERR_INVALID,
          "give key_file or key_pem");
    check(true, "client_ca_file: a", SL_ERR_INVALID, "has no certificate");
}

static void checks_suites(void **state)
{
    (void)state;
    check(false, "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", SL_OK, NULL);
    check(false, "cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]", SL_ERR_INVALID, "Go's names");
    check(false, "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]", SL_ERR_INVALID,
          "include_insecure_cipher_suites");
    check(false,
          "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA], "
          "include_insecure_cipher_suites: true",
          SL_OK, NULL);
    check(false, "cipher_suites: [TLS_RSA_WITH_RC4_128_SHA], include_insecure_cipher_suites: true",
          SL_ERR_UNSUPPORTED, "OpenSSL has");
}

static void plain_text_is_asked_for(void **state)
{
    (void)state;
    struct tls_client_config c = {.insecure = 0};
    assert_false(tls_client_is_plain(&c));
    c.insecure = 1;
    assert_true(tls_client_is_plain(&c));
    c.ca_file = sl_str("ca.pem"); /* as in the Collector, an authority asks for TLS */
    assert_false(tls_client_is_plain(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(fills_all_keys),
        cmocka_unit_test(a_servers_ca_file_is_said_to_have_no_effect),
        cmocka_unit_test(checks_clients),
        cmocka_unit_test(checks_servers),
        cmocka_unit_test(checks_suites),
        cmocka_unit_test(plain_text_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
