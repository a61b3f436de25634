/* Times what a request costs before its body is read: asking an authenticator, and making metadata of
 * its headers. Prints a JSON line for each.
 *     bench_auth [SECONDS] */
#include "extensions/basicauth/basicauth.h"
#include "formats/sender/sender.h"
#include "tests/bench/frames.h"
#include "tests/support/auth_host.h"

#include <stdlib.h>

extern const sl_plugin sluice_plugin_basicauth, sluice_plugin_bearertokenauth;

enum { TIMES = 1000 };

struct bench {
    struct sender_rules rules;
    const sl_meta_entry *headers;
    uint32_t n;
    bool failed;
};

/* As an SDK sends them. */
#define HEADERS(authorization)                                                                     \
    {                                                                                              \
        {{(const uint8_t *)"Host", 4}, {(const uint8_t *)"collector:4318", 14}},                   \
            {{(const uint8_t *)"User-Agent", 10},                                                  \
             {(const uint8_t *)"OTel-OTLP-Exporter-Python/1.45.2", 32}},                           \
            {{(const uint8_t *)"Accept-Encoding", 15}, {(const uint8_t *)"gzip, deflate", 13}},    \
            {{(const uint8_t *)"Accept", 6}, {(const uint8_t *)"*/*", 3}},                         \
            {{(const uint8_t *)"Connection", 10}, {(const uint8_t *)"keep-alive", 10}},            \
            {{(const uint8_t *)"Content-Type", 12},                                                \
             {(const uint8_t *)"application/x-protobuf", 22}},                                     \
            {{(const uint8_t *)"Content-Length", 14}, {(const uint8_t *)"51200", 5}},              \
            {{(const uint8_t *)"X-Tenant", 8}, {(const uint8_t *)"one", 3}},                       \
        {                                                                                          \
            {(const uint8_t *)"Authorization", 13},                                                \
            {                                                                                      \
                (const uint8_t *)(authorization), sizeof(authorization) - 1                        \
            }                                                                                      \
        }                                                                                          \
    }

static void pass(void *ctx)
{
    struct bench *b = ctx;
    for (int i = 0; i < TIMES; i++) {
        struct sender_headers headers;
        const sl_metadata *m = NULL;
        sl_error error = {.size = sizeof error};
        sender_headers_init(&headers);
        for (uint32_t k = 0; k < b->n; k++)
            sender_add_header(&headers, b->headers[k].key, b->headers[k].value);
        if (sender_admit(&b->rules, &headers, sl_slice(NULL, 0), &m, &error) != SL_OK) {
            (void)fprintf(stderr, "%s\n", error.text);
            b->failed = true;
            return;
        }
        if (m)
            sl_metadata_unref(b->rules.host, m);
    }
}

static bool run(const char *what, const sl_auth_server *auth, bool metadata,
                const sl_meta_entry *headers, uint32_t n, double seconds)
{
    struct bench b = {.rules = {.host = auth_host(), .auth = auth, .include_metadata = metadata},
                      .headers = headers,
                      .n = n};
    const double best = best_of(seconds, pass, &b);
    if (!b.failed)
        (void)printf(
            "{\"bench\":\"auth\",\"what\":\"%s\",\"headers\":%u,\"ns_per_request\":%.0f}\n", what,
            n, best * 1e9 / TIMES);
    return !b.failed;
}

/* Sets a text of a config struct by its key. */
static void set(const sl_field *f, void *config, const char *key, const char *value)
{
    while (strcmp(f->key, key) != 0)
        f++;
    *(sl_bytes *)(void *)((uint8_t *)config + f->offset) = sl_str(value);
}

int main(int argc, char **argv)
{
    static const sl_meta_entry basic[] = HEADERS("Basic YW5uOnNlY3JldA=="); /* ann:secret */
    static const sl_meta_entry bearer[] = HEADERS("Bearer 0123456789abcdef0123456789abcdef");
    const uint32_t n = sizeof basic / sizeof *basic;
    const double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    struct basicauth plain = {.htpasswd_given = 1}, bcrypt = {.htpasswd_given = 1};
    const sl_type *type = sluice_plugin_bearertokenauth.types[0];
    void *tokens = calloc(1, type->config_size), *components[3];
    plain.htpasswd.inline_ = sl_str("ann:secret");
    bcrypt.htpasswd.inline_ =
        sl_str("ann:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a");
    if (!tokens)
        return 1;
    set(type->fields, tokens, "scheme", "Bearer");
    set(type->fields, tokens, "header", "Authorization");
    set(type->fields, tokens, "token", "0123456789abcdef0123456789abcdef");
    const sl_type *basics = sluice_plugin_basicauth.types[0];
    const sl_auth_server *servers[] = {auth_open(basics, &plain, &components[0]),
                                       auth_open(basics, &bcrypt, &components[1]),
                                       auth_open(type, tokens, &components[2])};
    const double before = cpu_now();
    const bool slow =
        servers[1] && htpasswd_match(sl_slice(bcrypt.htpasswd.inline_.p + 4, 60), sl_str("secret"));
    (void)printf("{\"bench\":\"auth\",\"what\":\"bcrypt, cost 5, once\",\"ns_per_request\":%.0f}\n",
                 (cpu_now() - before) * 1e9);
    const bool good = slow && servers[0] && servers[2] &&
                      run("metadata", NULL, true, basic, n, seconds) &&
                      run("basicauth, plain text", servers[0], false, basic, n, seconds) &&
                      run("basicauth, bcrypt, known", servers[1], false, basic, n, seconds) &&
                      run("bearertokenauth", servers[2], false, bearer, n, seconds) &&
                      run("bearertokenauth and metadata", servers[2], true, bearer, n, seconds);
    return good ? 0 : 1;
}
