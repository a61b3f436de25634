/* basicauth and bearertokenauth in a real graph: what receivers and exporters get through their
 * interfaces, with files that change and a clock that the test moves. */
#include "pipeline/graph/component.h"
#include "pipeline/telemetry/log.h"
#include "tests/support/graph_fixture.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define LOG_ROOM 16384

static struct fixture f;
static char path[64];
static char logged[LOG_ROOM];
static size_t logged_n;

/* `extension`: its id; the rest its config, as a YAML flow map. */
static char *config_of(const char *extension, const char *config)
{
    char *yaml = NULL;
    assert_true(asprintf(&yaml,
                         "receivers: {test_source: {}}\nexporters: {nop: {}}\n"
                         "extensions:\n  %s: %s\n"
                         "service:\n  extensions: [%s]\n  pipelines:\n"
                         "    traces: {receivers: [test_source], exporters: [nop]}\n",
                         extension, config, extension) > 0);
    return yaml;
}

static void keep_line(void *ctx, sl_bytes line)
{
    (void)ctx;
    if (line.n < LOG_ROOM - logged_n) {
        memcpy(logged + logged_n, line.p, line.n);
        logged_n += line.n;
        logged[logged_n] = 0;
    }
}

static void start(const char *extension, const char *config)
{
    char *yaml = config_of(extension, config);
    struct log_options o;
    fixture_start(&f, yaml, 0);
    free(yaml);
    log_options_init(&o);
    o.sampling.enabled = false;
    o.sink = keep_line;
    assert_int_equal(log_configure(f.runtime.log, &o), SL_OK);
    logged_n = 0;
    logged[0] = 0;
}

static void end(void)
{
    assert_int_equal(fixture_end(&f), 0);
}

static void expect_refused(const char *extension, const char *config, const char *why)
{
    char *yaml = config_of(extension, config);
    char *errors = fixture_errors(yaml);
    if (!errors || !strstr(errors, why))
        fail_msg("%s: expected \"%s\", got %s", config, why, errors ? errors : "no error");
    free(errors);
    free(yaml);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_file(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/sluice-auth-XXXXXX");
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

/* A config with %s for the file. */
static void start_with_file(const char *extension, const char *config)
{
    char *full = NULL;
    /* The format is a constant of the test. */
    const char *mark = strstr(config, "%s");
    assert_non_null(mark);
    assert_true(asprintf(&full, "%.*s%s%s", (int)(mark - config), config, path, mark + 2) > 0);
    start(extension, full);
    free(full);
}

/* ---- as receivers ask ---- */

/* The status for one header; "user:password" is coded where the value begins with "basic:". `who`
 * gets auth.username, or "". */
static int32_t ask(const char *extension, const char *header, const char *value, char who[64],
                   sl_error *error)
{
    const sl_auth_server *s = fixture_interface(&f, SL_KIND_extension, extension, SL_AUTH_SERVER);
    char coded[4096];
    const sl_metadata *identity = NULL;
    if (value && strncmp(value, "basic:", 6) == 0) {
        (void)snprintf(coded, sizeof coded, "Basic ");
        (void)EVP_EncodeBlock((unsigned char *)coded + 6, (const unsigned char *)value + 6,
                              (int)strlen(value + 6));
        value = coded;
    }
    const sl_meta_entry headers[] = {{sl_str("host"), sl_str("x")},
                                     {sl_str(header), sl_str(value)}};
    const int32_t status = s->authenticate(s->self, headers, value ? 2 : 1, &identity, error);
    who[0] = 0;
    if (status == SL_OK && identity) {
        assert_int_equal(identity->n, 1);
        assert_true(sl_eq(identity->at[0].key, sl_str("auth.username")));
        (void)snprintf(who, 64, "%.*s", (int)identity->at[0].value.n,
                       (const char *)identity->at[0].value.p);
    }
    if (identity) {
        struct component *c = graph_component(f.graph, SL_KIND_extension, extension);
        c->host.pub.table->metadata_unref(&c->host.pub, identity);
    } else {
        assert_true(status != SL_OK || strcmp(extension, "bearertokenauth") == 0);
    }
    return status;
}

static void expect_in(const char *extension, const char *header, const char *value,
                      const char *name)
{
    sl_error error = {.size = sizeof error};
    char who[64];
    const int32_t status = ask(extension, header, value, who, &error);
    if (status != SL_OK)
        fail_msg("%s is refused: %s", value, error.text);
    assert_string_equal(who, name);
}

static void expect_out(const char *extension, const char *header, const char *value,
                       const char *why)
{
    sl_error error = {.size = sizeof error};
    char who[64];
    assert_int_equal(ask(extension, header, value, who, &error), SL_ERR_DENIED);
    assert_string_equal(error.text, why);
    assert_string_equal(who, "");
}

/* ---- as exporters ask ---- */

static void expect_header(const char *extension, const char *key, const char *value)
{
    const sl_auth_client *client =
        fixture_interface(&f, SL_KIND_extension, extension, SL_AUTH_CLIENT);
    struct component *c = graph_component(f.graph, SL_KIND_extension, extension);
    const sl_metadata *m = NULL;
    sl_error error = {.size = sizeof error};
    if (client->headers(client->self, &m, &error) != SL_OK)
        fail_msg("%s", error.text);
    assert_int_equal(m->n, 1);
    assert_true(sl_eq(m->at[0].key, sl_str(key)));
    if (!sl_eq(m->at[0].value, sl_str(value)))
        fail_msg("%.*s, not %s", (int)m->at[0].value.n, (const char *)m->at[0].value.p, value);
    c->host.pub.table->metadata_unref(&c->host.pub, m);
}

static void advance(void)
{
    clock_advance(f.runtime.clock, SECOND);
}

/* ---- basicauth ---- */

#define BASIC "basicauth"
#define AUTHORIZATION "authorization"

static void every_kind_of_hash(void **state)
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data data;
    char config[4096];
    (void)state;
    memset(&data, 0, sizeof data);
    assert_non_null(crypt_gensalt_rn("$y$", 1, NULL, 0, salt, sizeof salt));
    const char *yescrypt = crypt_r("secret", salt, &data);
    assert_int_equal(strncmp(yescrypt, "$y$", 3), 0);
    /* Made by openssl passwd, Python's crypt and hashlib. */
    (void)snprintf(config, sizeof config,
                   "{htpasswd: {inline: \"# users\\n\\nplain:secret\\n"
                   "apr1:$apr1$r31jvPtL$TexdonCb8To4IvkqoO1Mx0\\n"
                   "apr1long:$apr1$abcdefgh$7h4098paklNpzdB9KwCdh/\\n"
                   "md5:$1$saltsalt$9xy1btjgzLYfb7hivXtC//\\n"
                   "sha256:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA\\n"
                   "sha512:$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wi"
                   "OQSpT0Y77vwPZN.Pq.H91p5hVO1\\n"
                   "bcrypt:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\\n"
                   "sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\\n"
                   "ssha:{SSHA}D4kSuvPIF4rZzl+dW9Km/1788fBwZXBwZXI=\\n"
                   "yescrypt:%s\\r\\n\"}}",
                   yescrypt);
    start(BASIC, config);
    static const char *const names[] = {"plain", "md5",  "sha256",   "sha512", "bcrypt",
                                        "sha",   "ssha", "yescrypt", "apr1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *password = strcmp(names[i], "apr1") == 0 ? "open sesame" : "secret";
        char value[128];
        for (int again = 0; again < 2; again++) {
            (void)snprintf(value, sizeof value, "basic:%s:%s", names[i], password);
            expect_in(BASIC, AUTHORIZATION, value, names[i]);
            (void)snprintf(value, sizeof value, "basic:%s:%sx", names[i], password);
            expect_out(BASIC, AUTHORIZATION, value, "invalid credentials");
            (void)snprintf(value, sizeof value, "basic:%s:", names[i]);
            advance(); /* guessing is slowed down */
            expect_out(BASIC, AUTHORIZATION, value, "invalid credentials");
            advance();
        }
    }
    expect_in(BASIC, AUTHORIZATION, "basic:apr1long:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
              "apr1long");
    expect_out(BASIC, AUTHORIZATION, "basic:nobody:secret", "invalid credentials");
    advance();
    expect_out(BASIC, AUTHORIZATION, "basic:# users:secret", "invalid credentials");
    assert_string_equal(logged, "");
    end();
}

static void what_is_no_credential(void **state)
{
    (void)state;
    start(BASIC, "{htpasswd: {inline: 'ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='}}");
    expect_out(BASIC, AUTHORIZATION, NULL, "no basic auth provided");
    expect_out(BASIC, AUTHORIZATION, "", "no basic auth provided");
    expect_out(BASIC, "authorisation", "basic:ann:secret", "no basic auth provided");
    expect_out(BASIC, AUTHORIZATION, "Bearer x", "invalid authorization scheme prefix");
    expect_out(BASIC, AUTHORIZATION, "Basic", "invalid authorization scheme prefix");
    expect_out(BASIC, AUTHORIZATION, "Basic ", "invalid authorization format");
    expect_out(BASIC, AUTHORIZATION, "Basic ====", "invalid authorization format");
    expect_out(BASIC, AUTHORIZATION, "Basic YW5u", "invalid authorization format"); /* "ann" */
    expect_out(BASIC, AUTHORIZATION, "Basic YW5uOnNlY3JldA", "invalid authorization format");
    expect_out(BASIC, AUTHORIZATION, "Basic YW5u OnNlY3JldA==", "invalid authorization format");
    expect_out(BASIC, AUTHORIZATION, "Basic  YW5uOnNlY3JldA==", "invalid authorization format");
    expect_out(BASIC, AUTHORIZATION, "Basic YW5uOnNlY3JldAA=", /* with a NUL behind it */
               "invalid credentials");
    expect_in(BASIC, AUTHORIZATION, "Basic YW5uOnNlY3JldA==", "ann");
    expect_in(BASIC, AUTHORIZATION, "bASIC YW5uOnNlY3JldA==", "ann");
    char *long_one = malloc(8001);
    memset(long_one, 'A', 8000);
    memcpy(long_one, "Basic ", 6);
    long_one[8000] = 0;
    expect_out(BASIC, AUTHORIZATION, long_one, "invalid authorization format");
    free(long_one);
    end();
}

static void the_file_and_inline(void **state)
{
    (void)state;
    write_file("ann:old\nbob:b\nbob:bb\nno colon\n:x\ny:\n");
    start_with_file(BASIC, "{htpasswd: {file: %s, inline: 'ann:new'}}");
    expect_in(BASIC, AUTHORIZATION, "basic:ann:new", "ann");
    expect_out(BASIC, AUTHORIZATION, "basic:ann:old", "invalid credentials");
    expect_in(BASIC, AUTHORIZATION, "basic:bob:bb", "bob"); /* the last line counts */
    expect_out(BASIC, AUTHORIZATION, "basic:y:", "invalid credentials");
    write_file("eve:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
    expect_out(BASIC, AUTHORIZATION, "basic:eve:secret", "invalid credentials"); /* not yet seen */
    advance();
    expect_in(BASIC, AUTHORIZATION, "basic:eve:secret", "eve");
    expect_out(BASIC, AUTHORIZATION, "basic:bob:bb", "invalid credentials");
    assert_int_equal(unlink(path), 0);
    advance();
    expect_in(BASIC, AUTHORIZATION, "basic:eve:secret", "eve"); /* what was read stays */
    assert_non_null(strstr(logged, "the users read before stay in use"));
    assert_null(strstr(logged, "secret"));
    end();
}

/* Guessing costs a tenth of a thread at most, and who is known does not feel it. */
static void guessing_is_slowed_down(void **state)
{
    sl_error error = {.size = sizeof error};
    char who[64];
    (void)state;
    start(BASIC, "{htpasswd: {inline: 'ann:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/"
                 "oeuTqixKmWdcYUh4Hjl0a'}}");
    expect_in(BASIC, AUTHORIZATION, "basic:ann:secret", "ann");
    expect_out(BASIC, AUTHORIZATION, "basic:ann:guess", "invalid credentials");
    expect_out(BASIC, AUTHORIZATION, "basic:ann:guess", "invalid credentials"); /* known */
    assert_int_equal(ask(BASIC, AUTHORIZATION, "basic:ann:other", who, &error), SL_ERR_UNAVAILABLE);
    assert_string_equal(error.text, "too many wrong credentials; try again");
    assert_int_equal(ask(BASIC, AUTHORIZATION, "basic:nobody:other", who, &error),
                     SL_ERR_UNAVAILABLE);
    expect_in(BASIC, AUTHORIZATION, "basic:ann:secret", "ann");
    advance();
    expect_out(BASIC, AUTHORIZATION, "basic:ann:other", "invalid credentials");
    end();
}

static void basic_client(void **state)
{
    (void)state;
    start(BASIC, "{client_auth: {username: Aladdin, password: 'open sesame'}}");
    expect_header(BASIC, AUTHORIZATION, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617 */
    end();
    write_file("  open sesame\n");
    start_with_file(BASIC, "{client_auth: {username: Aladdin, password: no, password_file: %s}}");
    expect_header(BASIC, AUTHORIZATION, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    write_file("a");
    advance();
    expect_header(BASIC, AUTHORIZATION, "Basic QWxhZGRpbjph");
    assert_int_equal(unlink(path), 0);
    advance();
    expect_header(BASIC, AUTHORIZATION, "Basic QWxhZGRpbjph");
    assert_non_null(strstr(logged, "the credentials read before stay in use"));
    end();
    write_file("Aladdin");
    start_with_file(BASIC, "{client_auth: {username_file: %s}}");
    expect_header(BASIC, AUTHORIZATION, "Basic QWxhZGRpbjo=");
    write_file("Ala:din");
    advance();
    expect_header(BASIC, AUTHORIZATION, "Basic QWxhZGRpbjo=");
    assert_non_null(strstr(logged, "has a colon"));
    end();
}

static void basic_configs_that_are_wrong(void **state)
{
    (void)state;
    expect_refused(BASIC, "{}", "htpasswd (for receivers) or client_auth");
    expect_refused(BASIC, "{htpasswd: {inline: 'a:b'}, client_auth: {username: a}}",
                   "only one of htpasswd and client_auth");
    expect_refused(BASIC, "{htpasswd: {}}", "htpasswd wants file, inline, or both");
    expect_refused(BASIC, "{htpasswd: {inline: 'nobody'}}", "htpasswd names no user");
    expect_refused(BASIC, "{htpasswd: {file: /nowhere/htpasswd}}",
                   "cannot open \"/nowhere/htpasswd\"");
    expect_refused(BASIC, "{client_auth: {}}", "names no user and no password");
    expect_refused(BASIC, "{client_auth: {username: 'a:b'}}", "colon");
    expect_refused(BASIC, "{client_auth: {aws_secrets_manager: {secret_arn: x}}}",
                   "not supported by Sluice");
    expect_refused(BASIC, "{client_auth: {username: a, password_file: /nowhere/p}}",
                   "cannot open \"/nowhere/p\"");
}

/* ---- bearertokenauth ---- */

#define BEARER "bearertokenauth"
#define WRONG "scheme or token does not match"

static void tokens_of_the_config(void **state)
{
    (void)state;
    start(BEARER, "{token: secret}");
    expect_in(BEARER, AUTHORIZATION, "Bearer secret", "");
    expect_in(BEARER, AUTHORIZATION, "bearer secret", "");
    expect_out(BEARER, AUTHORIZATION, "Bearer secre", WRONG);
    expect_out(BEARER, AUTHORIZATION, "Bearer secret1", WRONG);
    expect_out(BEARER, AUTHORIZATION, "Bearer Secret", WRONG);
    expect_out(BEARER, AUTHORIZATION, "Bearer  secret", WRONG);
    expect_out(BEARER, AUTHORIZATION, "Bearer ", WRONG);
    expect_out(BEARER, AUTHORIZATION, "secret", WRONG);
    expect_out(BEARER, AUTHORIZATION, "Basic secret", WRONG);
    expect_out(BEARER, AUTHORIZATION, "", "missing or empty authorization header: Authorization");
    expect_out(BEARER, AUTHORIZATION, NULL, "missing or empty authorization header: Authorization");
    expect_header(BEARER, AUTHORIZATION, "Bearer secret");
    end();
    start(BEARER, "{tokens: [one, two], header: X-Api-Key, scheme: ''}");
    expect_in(BEARER, "x-api-key", "one", "");
    expect_in(BEARER, "x-api-key", "two", "");
    expect_out(BEARER, "x-api-key", "onetwo", WRONG);
    expect_out(BEARER, AUTHORIZATION, "one", "missing or empty authorization header: X-Api-Key");
    expect_header(BEARER, "x-api-key", "one");
    const sl_auth_server *s = fixture_interface(&f, SL_KIND_extension, BEARER, SL_AUTH_SERVER);
    assert_string_equal(s->header, "x-api-key");
    end();
}

static void tokens_of_a_file(void **state)
{
    (void)state;
    write_file("one\n\n two \r\n");
    start_with_file(BEARER, "{filename: %s, token: unused}");
    expect_in(BEARER, AUTHORIZATION, "Bearer one", "");
    expect_in(BEARER, AUTHORIZATION, "Bearer two", "");
    expect_out(BEARER, AUTHORIZATION, "Bearer ", WRONG);
    expect_out(BEARER, AUTHORIZATION, "Bearer unused", WRONG);
    expect_header(BEARER, AUTHORIZATION, "Bearer one");
    write_file("three");
    advance();
    expect_header(BEARER, AUTHORIZATION, "Bearer three");
    expect_in(BEARER, AUTHORIZATION, "Bearer three", "");
    expect_out(BEARER, AUTHORIZATION, "Bearer one", WRONG);
    assert_string_equal(logged, "");
    write_file("\n\n");
    advance();
    expect_in(BEARER, AUTHORIZATION, "Bearer three", "");
    assert_non_null(strstr(logged, "holds no token; the tokens read before stay in use"));
    write_file("fo\x01ur");
    advance();
    expect_header(BEARER, AUTHORIZATION, "Bearer three");
    assert_non_null(strstr(logged, "control characters"));
    assert_null(strstr(logged, "three"));
    end();
}

static void bearer_configs_that_are_wrong(void **state)
{
    (void)state;
    expect_refused(BEARER, "{}", "one of token, tokens and filename");
    expect_refused(BEARER, "{token: a, tokens: [b]}", "only one of token and tokens");
    expect_refused(BEARER, "{token: \"a\\nb\"}", "token has control characters");
    expect_refused(BEARER, "{tokens: [a, '']}", "tokens[1] is empty");
    expect_refused(BEARER, "{token: a, header: 'a b'}", "header is not a name");
    expect_refused(BEARER, "{token: a, scheme: \"a\\r\\nb\"}", "scheme must be a word");
    expect_refused(BEARER, "{filename: /nowhere/token}", "cannot open \"/nowhere/token\"");
    expect_refused(BEARER, "{filename: /tmp}", "\"/tmp\" is not a regular file");
}

/* ---- both, from several threads ---- */

enum { THREADS = 4, CHANGES = 50, ASKED_BETWEEN = 40 };

struct asker {
    const char *extension, *right;
    _Atomic uint32_t asked, wrong_answers;
    _Atomic bool stop;
};

static void *ask_many(void *arg)
{
    struct asker *a = arg;
    const sl_auth_server *s =
        fixture_interface(&f, SL_KIND_extension, a->extension, SL_AUTH_SERVER);
    struct component *c = graph_component(f.graph, SL_KIND_extension, a->extension);
    for (uint32_t i = 0; !atomic_load(&a->stop); i++) {
        const bool is_right = i % 2 != 0;
        const sl_meta_entry header = {sl_str(AUTHORIZATION),
                                      sl_str(is_right ? a->right : "Basic YW5uOm5v")};
        const sl_metadata *identity = NULL;
        sl_error error = {.size = sizeof error};
        const int32_t status = s->authenticate(s->self, &header, 1, &identity, &error);
        if (status == SL_OK && identity)
            c->host.pub.table->metadata_unref(&c->host.pub, identity);
        if (status == (is_right ? SL_ERR_DENIED : SL_OK)) /* it may have to wait for a guesser */
            atomic_fetch_add(&a->wrong_answers, 1);
        atomic_fetch_add(&a->asked, 1);
    }
    return NULL;
}

/* The right credential is in both texts. */
static void ask_while_the_file_changes(const char *extension, const char *config, const char *right,
                                       const char *const texts[2])
{
    pthread_t threads[THREADS];
    struct asker asker = {.extension = extension, .right = right};
    write_file(texts[0]);
    start_with_file(extension, config);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, &asker), 0);
    for (int i = 0; i < CHANGES; i++) {
        char other[80];
        (void)snprintf(other, sizeof other, "%s.new", path);
        FILE *file = fopen(other, "w");
        assert_non_null(file);
        assert_true(fputs(texts[i % 2], file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(rename(other, path), 0);
        advance();
        const uint32_t asked = atomic_load(&asker.asked);
        while (atomic_load(&asker.asked) - asked < ASKED_BETWEEN)
            sched_yield();
    }
    atomic_store(&asker.stop, true);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(asker.wrong_answers, 0);
    end();
}

static void many_threads(void **state)
{
    static const char *const users[2] = {"ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
                                         "bob:x\nann:$1$saltsalt$9xy1btjgzLYfb7hivXtC//\neve:y\n"};
    static const char *const tokens[2] = {"secret\n", "other\nsecret\n"};
    (void)state;
    ask_while_the_file_changes(BASIC, "{htpasswd: {file: %s}}", "Basic YW5uOnNlY3JldA==", users);
    ask_while_the_file_changes(BEARER, "{filename: %s}", "Bearer secret", tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_hash),
        cmocka_unit_test(what_is_no_credential),
        cmocka_unit_test_setup_teardown(the_file_and_inline, make_file, remove_file),
        cmocka_unit_test(guessing_is_slowed_down),
        cmocka_unit_test_setup_teardown(basic_client, make_file, remove_file),
        cmocka_unit_test(basic_configs_that_are_wrong),
        cmocka_unit_test(tokens_of_the_config),
        cmocka_unit_test_setup_teardown(tokens_of_a_file, make_file, remove_file),
        cmocka_unit_test(bearer_configs_that_are_wrong),
        cmocka_unit_test_setup_teardown(many_threads, make_file, remove_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
