/* What OTLP's clients share: proxies as Go chooses them, texts fit for logs, headers, authenticators,
 * and how often a destination is heard in the log. */
#include "exporters/otlp_client/client.h"
#include "exporters/otlp_client/proxy.h"
#include "exporters/otlp_client/reply.h"
#include "formats/compress/pack.h"
#include "formats/otlp/proto/status.pb-c.h"
#include "tests/support/plugin_host.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- proxies ---- */

static void no_proxy_rules(void **state)
{
    static const struct {
        const char *list, *host, *port;
        bool listed;
    } cases[] = {
        {"", "a.com", "80", false},
        {"*", "a.com", "80", true},
        {"b.com, * ,c.com", "a.com", "80", true},
        {"a.com", "a.com", "80", true},
        {"A.Com", "a.cOM", "80", true},
        {"a.com", "x.a.com", "80", true},
        {"a.com", "xa.com", "80", false},
        {".a.com", "a.com", "80", false},
        {".a.com", "x.a.com", "80", true},
        {"*.a.com", "x.y.a.com", "80", true},
        {"*.a.com", "a.com", "80", false},
        {"a.com:443", "a.com", "443", true},
        {"a.com:443", "a.com", "80", false},
        {".a.com:80", "x.a.com", "80", true},
        {"10.1.2.3", "10.1.2.3", "80", true},
        {"10.1.2.3", "10.1.2.4", "80", false},
        {"10.1.2.3:80", "10.1.2.3", "80", true},
        {"10.1.2.3:80", "10.1.2.3", "81", false},
        {"10.0.0.0/8", "10.200.1.1", "80", true},
        {"10.0.0.0/8", "11.0.0.1", "80", false},
        {"10.0.0.0/8", "a.com", "80", false},
        {"10.64.0.0/10", "10.127.255.255", "80", true},
        {"10.64.0.0/10", "10.128.0.0", "80", false},
        {"0.0.0.0/0", "1.2.3.4", "80", true},
        {"0.0.0.0/0", "fe80::1", "80", false},
        {"10.0.0.0/33", "10.0.0.1", "80", false},
        {"::1", "::1", "80", true},
        {"[fe80::1]:80", "fe80::1", "80", true},
        {"[fe80::1]:80", "fe80::1", "81", false},
        {"[fe80::1]", "fe80::1", "81", true},
        {"fe80::/10", "fe80::abcd", "80", true},
        {"fe80::/10", "2001::1", "80", false},
        {"  , ,,", "a.com", "80", false},
        {":80", "a.com", "80", false},
        {"[]:80,[", "a.com", "80", false},
        {"com", "a.com", "80", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (client_no_proxy(cases[i].list, cases[i].host, cases[i].port) != cases[i].listed)
            fail_msg("\"%s\" for %s:%s", cases[i].list, cases[i].host, cases[i].port);
    }
    char *large = malloc(100000);
    memset(large, 'x', 99999);
    large[99999] = '\0';
    assert_false(client_no_proxy(large, "a.com", "80"));
    free(large);
}

static void clear_environment(void)
{
    static const char *const names[] = {"HTTP_PROXY",  "http_proxy", "HTTPS_PROXY",
                                        "https_proxy", "NO_PROXY",   "no_proxy"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

static void proxy_of_the_environment(void **state)
{
    (void)state;
    clear_environment();
    assert_null(client_proxy(false, "a.com", "80"));
    setenv("http_proxy", "lower:1", 1);
    assert_string_equal(client_proxy(false, "a.com", "80"), "lower:1");
    assert_null(client_proxy(true, "a.com", "443"));
    setenv("HTTP_PROXY", "upper:1", 1);
    assert_string_equal(client_proxy(false, "a.com", "80"), "upper:1");
    setenv("HTTP_PROXY", "", 1);
    assert_string_equal(client_proxy(false, "a.com", "80"), "lower:1");
    setenv("https_proxy", "http://secure:2", 1);
    assert_string_equal(client_proxy(true, "a.com", "443"), "http://secure:2");
    assert_null(client_proxy(true, "localhost", "443"));
    assert_null(client_proxy(true, "127.8.9.1", "443"));
    assert_null(client_proxy(true, "::1", "443"));
    assert_non_null(client_proxy(true, "128.0.0.1", "443"));
    setenv("no_proxy", "a.com", 1);
    assert_null(client_proxy(true, "a.com", "443"));
    setenv("NO_PROXY", "b.com", 1);
    assert_non_null(client_proxy(true, "a.com", "443"));
    assert_null(client_proxy(true, "b.com", "443"));
    clear_environment();
}

/* ---- texts ---- */

static void urls_without_secrets(void **state)
{
    static const struct {
        const char *url, *shown;
    } cases[] = {{"http://a:4318/v1/traces", "http://a:4318/v1/traces"},
                 {"http://a/x?key=secret", "http://a/x"},
                 {"https://me:secret@a/x", "https://a/x"},
                 {"https://me:sec@ret@a/x?secret", "https://a/x"},
                 {"me:secret@a", "a"},
                 {"http://a\x1b[1m", "http://a [1m"},
                 {"", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CLIENT_URL_MAX];
        client_url_text(text, sizeof text, sl_str(cases[i].url));
        assert_string_equal(text, cases[i].shown);
    }
}

static void texts_are_cut_between_characters(void **state)
{
    char text[6];
    (void)state;
    client_text(text, sizeof text, sl_str("ab\ncd"));
    assert_string_equal(text, "ab cd");
    client_text(text, sizeof text, sl_str("abcd\xc3\xa9"));
    assert_string_equal(text, "abcd");
    client_text(text, sizeof text, sl_slice(NULL, 0));
    assert_string_equal(text, "");
}

/* ---- authenticators ---- */

static const sl_meta_entry *given;
static int32_t given_status;
static sl_metadata list = {.size = sizeof list, .n = 1};

static int32_t give_headers(void *self, const sl_metadata **headers, sl_error *error)
{
    (void)self;
    if (given_status != SL_OK)
        return sl_fail(error, given_status, "no token");
    list.at = given;
    *headers = &list;
    return SL_OK;
}

static void authenticators(void **state)
{
    static const sl_auth_client table = {.size = sizeof table, .headers = give_headers};
    struct plugin_host *h = plugin_host_create();
    const sl_auth_client *found = &table;
    const sl_metadata *headers = NULL;
    sl_error error = {.size = sizeof error};
    sl_send send = {.size = sizeof send, .error.size = sizeof send.error};
    struct client_auth auth = {{NULL, 0}};
    const sl_meta_entry good = {sl_str("authorization"), sl_str("Bearer x")},
                        bad[] = {{sl_str("a"), sl_str("x\r\nb: c")}, {sl_str("a b"), sl_str("x")}};
    (void)state;
    assert_int_equal(client_auth_find(&h->host, &auth, &found, &error), SL_OK);
    assert_null(found);
    auth.authenticator = sl_str("bearer/1");
    assert_int_equal(client_auth_find(&h->host, &auth, &found, &error), SL_ERR_INVALID);
    h->extension_name = "bearer/1";
    h->extension_id = SL_AUTH_CLIENT;
    h->extension = &table;
    assert_int_equal(client_auth_find(&h->host, &auth, &found, &error), SL_OK);
    assert_ptr_equal(found, &table);
    given = &good;
    assert_int_equal(client_auth_headers(found, &headers, &send), SL_OK);
    assert_true(client_auth_has(headers, sl_str("Authorization")));
    assert_false(client_auth_has(headers, sl_str("Author")));
    assert_false(client_auth_has(NULL, sl_str("Authorization")));
    for (size_t i = 0; i < 2; i++) {
        given = &bad[i];
        assert_int_equal(client_auth_headers(found, &headers, &send), SL_ERR_DENIED);
        assert_string_equal(send.why, "auth");
    }
    given_status = SL_ERR_UNAVAILABLE;
    assert_int_equal(client_auth_headers(found, &headers, &send), SL_ERR_UNAVAILABLE);
    assert_non_null(strstr(send.error.text, "no token"));
    given_status = SL_OK;
    plugin_host_destroy(h);
}

/* ---- answers ---- */

static unsigned lines_of(const struct plugin_host *h, const char *text)
{
    unsigned n = 0;
    for (const char *at = h->log; (at = strstr(at, text)); at++)
        n++;
    return n;
}

static void chatter_is_bounded(void **state)
{
    const int64_t s = 1000000000;
    struct plugin_host *h = plugin_host_create();
    struct client_notices notices = {0};
    (void)state;
    h->now_ns = 5 * s;
    for (int i = 0; i < 1000; i++)
        client_bad_answer(&h->host, &notices, "is odd");
    assert_int_equal(lines_of(h, "is odd"), 10);
    assert_int_equal(lines_of(h, "left out"), 0);
    h->now_ns += s;
    client_bad_answer(&h->host, &notices, "is odd");
    client_bad_answer(&h->host, &notices, "is odd");
    assert_int_equal(lines_of(h, "is odd"), 11);
    assert_int_equal(lines_of(h, "(990 lines before this were left out)"), 1);
    h->now_ns += 1000 * s; /* not more at once than in the beginning */
    for (int i = 0; i < 1000; i++)
        client_bad_answer(&h->host, &notices, "is odd");
    assert_int_equal(lines_of(h, "is odd"), 21);
    plugin_host_destroy(h);
}

static void replies_are_bounded(void **state)
{
    static const uint8_t zeros[1 << 20];
    const sl_bytes one = sl_slice(zeros, sizeof zeros);
    struct packer *p = packer_create(PACK_GZIP, PACK_FASTEST);
    struct pack_buffer packed = {0};
    struct client_reply reply;
    (void)state;
    assert_int_equal(packer_pack(p, &one, 1, SIZE_MAX, &packed), SL_OK);
    const sl_bytes in = sl_slice(packed.at, packed.n);
    assert_int_equal(client_reply_inflate(in, sizeof zeros, &reply), SL_OK);
    assert_int_equal(reply.n, sizeof zeros);
    free(reply.at);
    assert_int_equal(client_reply_inflate(in, sizeof zeros - 1, &reply), SL_ERR_TOO_LARGE);
    free(reply.at);
    assert_int_equal(client_reply_inflate(sl_slice(in.p, in.n - 1), SIZE_MAX, &reply),
                     SL_ERR_INVALID);
    free(reply.at);
    packer_destroy(p);
    pack_buffer_deinit(&packed);
}

static void json_becomes_protobuf(void **state)
{
    static const struct {
        const char *text;
        int32_t status;
        const char *message;
    } cases[] = {
        {"{\"code\":3,\"message\":\"bad \\u00e9\"}", SL_OK, "bad \xc3\xa9"},
        {"{}", SL_OK, ""},
        {"{\"details\":[{\"@type\":\"x\",\"retryDelay\":\"3s\"}],\"message\":\"m\"}", SL_OK, "m"},
        {"", SL_ERR_INVALID, NULL},
        {"{\"code\":", SL_ERR_INVALID, NULL},
        {"[]", SL_ERR_INVALID, NULL}};
    struct json_schema *schema = NULL;
    (void)state;
    assert_int_equal(json_schema_create(&google__rpc__status__descriptor, &schema), SL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client_reply reply;
        struct otlp_status decoded;
        assert_int_equal(client_reply_transcode(schema, sl_str(cases[i].text), 1000, &reply),
                         cases[i].status);
        if (cases[i].status == SL_OK) {
            assert_int_equal(otlp_status_decode(sl_slice(reply.at, reply.n), &decoded), SL_OK);
            assert_true(sl_eq(decoded.message, sl_str(cases[i].message)));
        }
        free(reply.at);
    }
    json_schema_destroy(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_proxy_rules),       cmocka_unit_test(proxy_of_the_environment),
        cmocka_unit_test(urls_without_secrets), cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(authenticators),       cmocka_unit_test(chatter_is_bounded),
        cmocka_unit_test(replies_are_bounded),  cmocka_unit_test(json_becomes_protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
