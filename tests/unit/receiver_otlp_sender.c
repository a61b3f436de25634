/* What the OTLP receiver makes of a request's headers: who sends, what goes with the data, and what
 * browsers are told. */
#include "formats/sender/sender.h"
#include "receivers/otlp/cors.h"

#include <setjmp.h>
#include <stdlib.h>
#include <strings.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

/* ---- a host that makes metadata, and an authenticator that writes down what it is given ---- */

enum { SEEN_MAX = 4096 };

struct made {
    sl_metadata pub;
    sl_meta_entry at[64];
};

static uint32_t live; /* metadata */

static const sl_metadata *make(const sl_host *h, const sl_metadata *base,
                               const sl_meta_entry *entries, uint32_t n)
{
    struct made *m = calloc(1, sizeof *m);
    (void)h;
    assert_non_null(m);
    m->pub.size = sizeof m->pub;
    m->pub.at = m->at;
    for (uint32_t i = 0; base && i < base->n; i++)
        m->at[m->pub.n++] = base->at[i];
    for (uint32_t i = 0; i < n; i++)
        m->at[m->pub.n++] = entries[i];
    live++;
    return &m->pub;
}

static void unref(const sl_host *h, const sl_metadata *m)
{
    (void)h;
    live--;
    free((void *)(uintptr_t)m);
}

static const sl_host_table table = {
    .size = sizeof table, .metadata_make = make, .metadata_unref = unref};
static const sl_host host = {&table};

struct authenticator {
    int32_t answer;
    char seen[SEEN_MAX];
};

static int32_t authenticate(void *self, const sl_meta_entry *headers, uint32_t n,
                            const sl_metadata **identity, sl_error *error)
{
    struct authenticator *a = self;
    size_t used = 0;
    for (uint32_t i = 0; i < n; i++)
        used += (size_t)snprintf(a->seen + used, sizeof a->seen - used, "%.*s=%.*s;",
                                 (int)headers[i].key.n, (const char *)headers[i].key.p,
                                 (int)headers[i].value.n, (const char *)headers[i].value.p);
    *identity = NULL;
    if (a->answer != SL_OK)
        return sl_fail(error, a->answer, "no");
    const sl_meta_entry entry = {sl_str("auth.username"), sl_str("ann")};
    *identity = make(&host, NULL, &entry, 1);
    return SL_OK;
}

static struct authenticator authenticator;
static const sl_auth_server auth = {.size = sizeof auth,
                                    .self = &authenticator,
                                    .header = "x-credential",
                                    .authenticate = authenticate};

static int set_up(void **state)
{
    (void)state;
    memset(&authenticator, 0, sizeof authenticator);
    live = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(live, 0);
    return 0;
}

/* "A=b;C=d" */
static void add_all(struct sender_headers *h, const char *text)
{
    sender_headers_init(h);
    while (*text) {
        const size_t n = strcspn(text, ";"), name = strcspn(text, "=");
        sender_add_header(h, sl_slice(text, name), sl_slice(text + name + 1, n - name - 1));
        text += n + (text[n] == ';');
    }
}

static void expect_metadata(const struct sender_rules *rules, const char *headers,
                            const char *wanted)
{
    struct sender_headers h;
    const sl_metadata *m = NULL;
    sl_error error = {.size = sizeof error};
    char text[SEEN_MAX] = "";
    size_t used = 0;
    add_all(&h, headers);
    assert_int_equal(sender_admit(rules, &h, sl_str(""), &m, &error), SL_OK);
    for (uint32_t i = 0; m && i < m->n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s=%.*s", i ? ";" : "",
                                 (int)m->at[i].key.n, (const char *)m->at[i].key.p,
                                 (int)m->at[i].value.n, (const char *)m->at[i].value.p);
    if (m)
        unref(&host, m);
    assert_string_equal(text, wanted);
}

/* ---- metadata ---- */

static void headers_become_metadata(void **state)
{
    const struct sender_rules rules = {.host = &host, .include_metadata = true};
    (void)state;
    expect_metadata(&rules, "Host=a:1;X-Tenant=One;x-tenant=two;User-Agent=u;Content-Type=c",
                    "host=a:1;x-tenant=One;x-tenant=two;user-agent=u;content-type=c");
    /* of the connection, of the message's frame, of gRPC */
    expect_metadata(&rules,
                    "Connection=X-Gone , Keep-Alive, x-too;X-Gone=1;X-Too=1;X-Stays=1;"
                    "Keep-Alive=1;TE=t;Trailer=t;Transfer-Encoding=chunked;Upgrade=h2c;"
                    "Content-Length=5;Expect=100-continue;Proxy-Connection=x;:authority=a;"
                    "grpc-timeout=1S",
                    "x-stays=1");
    /* credentials, and what only the receiver may say */
    expect_metadata(&rules,
                    "Authorization=Basic x;Proxy-Authorization=x;Cookie=a;Set-Cookie=b;X-Api-Key=k;"
                    "DD-API-KEY=k;x-apikey=k;X-Auth-Token=t;client-secret=s;x-password=p;"
                    "auth.username=eve;client.address=1.2.3.4;X-Author=kept",
                    "x-author=kept");
    expect_metadata(&rules, "", "");
}

static void nothing_is_kept_unless_asked_for(void **state)
{
    const struct sender_rules rules = {.host = &host, .auth = &auth};
    const struct sender_rules none = {.host = &host};
    (void)state;
    assert_true(sender_matters(&rules));
    assert_false(sender_matters(&none));
    expect_metadata(&rules, "X-Tenant=one", "auth.username=ann");
}

/* ---- authenticators ---- */

static void authenticators_see_all_headers(void **state)
{
    const struct sender_rules rules = {.host = &host, .auth = &auth, .include_metadata = true};
    (void)state;
    expect_metadata(&rules,
                    "Authorization=Basic x;X-Credential=secret;X-Tenant=1;auth.username=eve",
                    "auth.username=ann;x-tenant=1");
    assert_string_equal(authenticator.seen,
                        "authorization=Basic x;x-credential=secret;x-tenant=1;auth.username=eve;");
}

static void what_authenticators_answer(void **state)
{
    static const struct {
        int32_t answer, status;
    } cases[] = {{SL_ERR_DENIED, SL_ERR_DENIED},
                 {SL_ERR_NOMEM, SL_ERR_NOMEM},
                 {SL_ERR_UNAVAILABLE, SL_ERR_UNAVAILABLE},
                 {SL_ERR_FAILED, SL_ERR_UNAVAILABLE},
                 {12345, SL_ERR_UNAVAILABLE}};
    const struct sender_rules rules = {.host = &host, .auth = &auth, .include_metadata = true};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sender_headers h;
        const sl_metadata *m = (const sl_metadata *)(const void *)&h;
        sl_error error = {.size = sizeof error};
        authenticator.answer = cases[i].answer;
        add_all(&h, "X-Tenant=one");
        assert_int_equal(sender_admit(&rules, &h, sl_str(""), &m, &error), cases[i].status);
        assert_null(m);
        assert_string_equal(error.text, "no");
    }
}

static void more_headers_than_fit(void **state)
{
    const struct sender_rules rules = {.host = &host, .auth = &auth};
    struct sender_headers h;
    const sl_metadata *m;
    sl_error error = {.size = sizeof error};
    (void)state;
    sender_headers_init(&h);
    for (int i = 0; i < SENDER_HEADERS_MAX + 1; i++)
        sender_add_header(&h, sl_str("a"), sl_str("b"));
    assert_int_equal(sender_admit(&rules, &h, sl_str(""), &m, &error), SL_ERR_TOO_LARGE);
    assert_string_equal(authenticator.seen, ""); /* half of the headers decide nothing */
    static uint8_t name[SENDER_TEXT_MAX + 1];
    memset(name, 'A', sizeof name);
    sender_headers_init(&h);
    sender_add_header(&h, sl_slice(name, sizeof name), sl_str("b"));
    assert_int_equal(sender_admit(&rules, &h, sl_str(""), &m, &error), SL_ERR_TOO_LARGE);
}

static void expect_query(const char *params, const char *query, const char *wanted)
{
    sl_bytes names[8];
    sl_list list = {names, 0, sizeof *names};
    const struct sender_rules rules = {
        .host = &host, .auth = &auth, .request_params = &list, .include_metadata = true};
    struct sender_headers h;
    const sl_metadata *m = NULL;
    sl_error error = {.size = sizeof error};
    for (const char *p = params; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
        names[list.n++] = sl_slice(p, strcspn(p, ","));
    add_all(&h, "X=header");
    memset(authenticator.seen, 0, sizeof authenticator.seen);
    assert_int_equal(sender_admit(&rules, &h, sl_str(query), &m, &error), SL_OK);
    assert_string_equal(authenticator.seen, wanted);
    /* the query does not go with the data */
    assert_int_equal(m->n, 2);
    assert_true(sl_eq(m->at[1].key, sl_str("x")) && sl_eq(m->at[1].value, sl_str("header")));
    unref(&host, m);
}

static void parameters_of_the_query(void **state)
{
    (void)state;
    expect_query("", "X=1", "x=header;");
    expect_query("X", "", "x=header;");
    expect_query("X", "X=1&Y=2", "x=1;");
    expect_query("X", "X=1&X=2", "x=1;x=2;");
    expect_query("X", "x=1", "x=header;"); /* names of parameters have a case */
    expect_query("X,Y", "Y=b&X=a", "x=a;y=b;");
    expect_query("Y", "X=1&Y=Basic+a%3D%3d&Z", "x=header;y=Basic a==;");
    expect_query("Y", "Y", "x=header;y=;");
    expect_query("Y", "%59=1", "x=header;y=1;");
    expect_query("Y", "Y=%", "x=header;");
    expect_query("Y", "Y=%4", "x=header;");
    expect_query("Y", "Y=%zz&Y=ok", "x=header;y=ok;");
    expect_query("Y", "&&=&Y=%41", "x=header;y=A;");
}

/* ---- browsers ---- */

struct cors_case {
    struct cors_config config;
    sl_bytes origins[4], headers[4], exposed[4];
    struct cors cors;
};

static void list_of(sl_list *list, sl_bytes *room, const char *text)
{
    *list = (sl_list){room, 0, sizeof *room};
    for (const char *p = text; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
        room[list->n++] = sl_slice(p, strcspn(p, ","));
}

static void cors_with(struct cors_case *c, const char *origins, const char *headers,
                      const char *exposed, int64_t max_age)
{
    list_of(&c->config.allowed_origins, c->origins, origins);
    list_of(&c->config.allowed_headers, c->headers, headers);
    list_of(&c->config.exposed_headers, c->exposed, exposed);
    c->config.max_age = max_age;
    assert_int_equal(cors_init(&c->cors, &c->config), SL_OK);
}

/* The headers of the answer as "name: value\n"; without "Vary: ..." and "Access-Control-". */
static const char *answered(const struct cors *c, const char *method, const char *headers)
{
    static char text[2048];
    struct http_header in[8], out[CORS_HEADERS_MAX];
    struct http_request rq = {.method = method, .headers = in};
    size_t used = 0;
    while (*headers) {
        const size_t n = strcspn(headers, ";"), name = strcspn(headers, "=");
        in[rq.n_headers++] = (struct http_header){sl_slice(headers, name),
                                                  sl_slice(headers + name + 1, n - name - 1)};
        headers += n + (headers[n] == ';');
    }
    const bool preflight = cors_is_preflight(&rq);
    const uint32_t n = preflight ? cors_preflight(c, &rq, out) : cors_answer(c, &rq, out);
    assert_in_range(n, 1, CORS_HEADERS_MAX);
    assert_true(sl_eq(out[0].name, sl_str("Vary")));
    assert_true(sl_eq(out[0].value, sl_str(preflight ? "Origin, Access-Control-Request-Method, "
                                                       "Access-Control-Request-Headers"
                                                     : "Origin")));
    text[0] = 0;
    for (uint32_t i = 1; i < n; i++) {
        assert_memory_equal(out[i].name.p, "Access-Control-", 15);
        used += (size_t)snprintf(text + used, sizeof text - used, "%.*s: %.*s\n",
                                 (int)out[i].name.n - 15, (const char *)out[i].name.p + 15,
                                 (int)out[i].value.n, (const char *)out[i].value.p);
    }
    return text;
}

#define PREFLIGHT(origin, method) "Origin=" origin ";Access-Control-Request-Method=" method
#define ALLOWED(origin) "Allow-Origin: " origin "\nAllow-Credentials: true\n"

static void origins(void **state)
{
    struct cors_case c;
    (void)state;
    cors_with(&c, "http://a.example,https://*.b.example,http://*", "", "", 0);
    c.config.allowed_origins.n = 2;
    assert_true(cors_is_on(&c.cors));
    assert_string_equal(answered(&c.cors, "POST", "origin=http://a.example"),
                        ALLOWED("http://a.example"));
    assert_string_equal(answered(&c.cors, "POST", "Origin=HTTP://A.example"),
                        ALLOWED("HTTP://A.example"));
    assert_string_equal(answered(&c.cors, "POST", "Origin=https://x.b.example"),
                        ALLOWED("https://x.b.example"));
    static const char *const strangers[] = {"",
                                            "Origin=",
                                            "Origin=http://a.example.evil",
                                            "Origin=http://aXexample",
                                            "Origin=https://b.example",
                                            "Origin=https://x.b.example.evil",
                                            "Origin=https:.b.example",
                                            "Origin=null",
                                            "Origin=http://a.example;Origin=http://a.example"};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        assert_string_equal(answered(&c.cors, "POST", strangers[i]), "");
    assert_string_equal(answered(&c.cors, "DELETE", "Origin=http://a.example"), "");
    assert_string_equal(answered(&c.cors, "OPTIONS", "Origin=http://a.example"),
                        ALLOWED("http://a.example"));
    cors_deinit(&c.cors);
    cors_with(&c, "http://a.example,*", "", "x-one,Grpc-Status", 0);
    assert_string_equal(answered(&c.cors, "POST", "Origin=http://any"),
                        "Allow-Origin: *\nExpose-Headers: X-One, Grpc-Status\n"
                        "Allow-Credentials: true\n");
    cors_deinit(&c.cors);
    cors_with(&c, "", "x", "", 0);
    assert_false(cors_is_on(&c.cors));
    cors_deinit(&c.cors);
}

static void preflights(void **state)
{
    struct cors_case c;
    (void)state;
    cors_with(&c, "http://a.example", "", "x", 600);
    assert_string_equal(answered(&c.cors, "OPTIONS", PREFLIGHT("http://a.example", "POST")),
                        "Allow-Origin: http://a.example\nAllow-Methods: POST\n"
                        "Allow-Credentials: true\nMax-Age: 600\n");
    assert_string_equal(
        answered(&c.cors, "OPTIONS",
                 PREFLIGHT("http://a.example",
                           "POST;Access-Control-Request-Headers=content-type,x-requested-with")),
        "Allow-Origin: http://a.example\nAllow-Methods: POST\n"
        "Allow-Headers: content-type,x-requested-with\nAllow-Credentials: true\nMax-Age: 600\n");
    static const char *const refused[] = {
        PREFLIGHT("http://b.example", "POST"),
        PREFLIGHT("http://a.example", "DELETE"),
        PREFLIGHT("http://a.example", "post"),
        "Access-Control-Request-Method=POST",
        PREFLIGHT("http://a.example", "POST;Access-Control-Request-Headers=x-other"),
        PREFLIGHT("http://a.example", "POST;Access-Control-Request-Headers=accept, x-other")};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_string_equal(answered(&c.cors, "OPTIONS", refused[i]), "");
    cors_deinit(&c.cors);
    cors_with(&c, "*", "X-Other", "", -1);
    assert_string_equal(
        answered(&c.cors, "OPTIONS",
                 PREFLIGHT("http://a", "POST;Access-Control-Request-Headers= x-other ,")),
        "Allow-Origin: *\nAllow-Methods: POST\nAllow-Headers:  x-other ,\n"
        "Allow-Credentials: true\nMax-Age: 0\n");
    assert_string_equal(
        answered(&c.cors, "OPTIONS",
                 PREFLIGHT("http://a", "POST;Access-Control-Request-Headers=content-type")),
        ""); /* the list stands in place of the usual ones */
    cors_deinit(&c.cors);
    cors_with(&c, "*", "x,*", "", 0);
    assert_string_equal(
        answered(&c.cors, "OPTIONS",
                 PREFLIGHT("http://a", "POST;Access-Control-Request-Headers=x-a,x-b")),
        "Allow-Origin: *\nAllow-Methods: POST\nAllow-Headers: x-a,x-b\nAllow-Credentials: true\n");
    cors_deinit(&c.cors);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(headers_become_metadata),
        TEST(nothing_is_kept_unless_asked_for),
        TEST(authenticators_see_all_headers),
        TEST(what_authenticators_answer),
        TEST(more_headers_than_fit),
        TEST(parameters_of_the_query),
        TEST(origins),
        TEST(preflights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
