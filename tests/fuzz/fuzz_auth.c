/* Fuzz target: what strangers may say before they are let in. The input holds, separated by lines of
 * "%%%", a URL's query, headers ("name: value" lines), and an htpasswd file. The headers go through
 * basicauth, and become metadata; browsers' questions are answered. One thread. */
#include "extensions/basicauth/basicauth.h"
#include "formats/sender/sender.h"
#include "receivers/otlp/cors.h"
#include "tests/support/auth_host.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const sl_plugin sluice_plugin_basicauth;

enum { LARGEST = 1 << 15, HEADERS_MAX = 100 };

static sl_bytes cut(sl_bytes *rest, const char *separator)
{
    const size_t n = strlen(separator);
    const uint8_t *end = rest->n >= n ? memmem(rest->p, rest->n, separator, n) : NULL;
    const sl_bytes part = end ? sl_slice(rest->p, (size_t)(end - rest->p)) : *rest;
    const size_t used = end ? part.n + n : part.n;
    *rest = sl_slice(rest->p + used, rest->n - used);
    return part;
}

static uint32_t split_headers(sl_bytes text, struct http_header *out)
{
    uint32_t n = 0;
    while (text.n > 0 && n < HEADERS_MAX) {
        sl_bytes line = cut(&text, "\n");
        const sl_bytes name = cut(&line, ": ");
        out[n++] = (struct http_header){name, line};
    }
    return n;
}

/* Slow hashes are the C library's; one a run would leave no time for the rest. */
static char *without_crypt(sl_bytes text)
{
    char *copy = malloc(text.n + 1);
    if (!copy)
        abort();
    if (text.n)
        memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    for (char *p = copy; p + 2 <= copy + text.n; p++)
        if (p[0] == ':' && p[1] == '$' && strncmp(p + 1, "$apr1$", 6) != 0)
            p[1] = '_';
    return copy;
}

/* Nothing that could be a secret, and nothing that only the authenticator may say. */
static void check_metadata(const sl_metadata *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        const sl_bytes key = m->at[i].key;
        if (memmem(key.p, key.n, "authorization", 13) || memmem(key.p, key.n, "cookie", 6))
            abort();
        if (key.n >= 5 && memcmp(key.p, "auth.", 5) == 0 && i > 0)
            abort();
        for (size_t k = 0; k < key.n; k++)
            if (key.p[k] >= 'A' && key.p[k] <= 'Z')
                abort();
    }
}

static void admit(const sl_auth_server *auth, sl_bytes query, const struct http_header *headers,
                  uint32_t n)
{
    static const sl_bytes names[] = {{(const uint8_t *)"authorization", 13},
                                     {(const uint8_t *)"Key", 3}};
    static const sl_list params = {names, 2, sizeof *names};
    const struct sender_rules rules = {
        .host = auth_host(), .auth = auth, .request_params = &params, .include_metadata = true};
    struct sender_headers *h = malloc(sizeof *h);
    const sl_metadata *m;
    sl_error error = {.size = sizeof error};
    if (!h)
        abort();
    sender_headers_init(h);
    for (uint32_t i = 0; i < n; i++)
        sender_add_header(h, headers[i].name, headers[i].value);
    const int32_t status = sender_admit(&rules, h, query, &m, &error);
    if ((status == SL_OK) != (m != NULL) || (status == SL_ERR_DENIED && !error.text[0]))
        abort();
    if (m) {
        check_metadata(m);
        sl_metadata_unref(auth_host(), m);
    }
    free(h);
}

static void ask_as_a_page(const struct http_header *headers, uint32_t n)
{
    static const sl_bytes origins[] = {{(const uint8_t *)"https://*.example", 17},
                                       {(const uint8_t *)"http://a.example", 16}};
    static const sl_bytes allowed[] = {{(const uint8_t *)"x-one", 5}};
    static const struct cors_config config = {.allowed_origins = {origins, 2, sizeof *origins},
                                              .allowed_headers = {allowed, 1, sizeof *allowed},
                                              .max_age = 5};
    const struct http_request rq = {.method = "OPTIONS", .n_headers = n, .headers = headers};
    struct http_header out[CORS_HEADERS_MAX];
    struct cors cors;
    if (cors_init(&cors, &config) != SL_OK)
        abort();
    (void)cors_is_preflight(&rq);
    if (cors_preflight(&cors, &rq, out) > CORS_HEADERS_MAX ||
        cors_answer(&cors, &rq, out) > CORS_HEADERS_MAX)
        abort();
    cors_deinit(&cors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LARGEST)
        return 0;
    sl_bytes rest = sl_slice(data, size);
    const sl_bytes query = cut(&rest, "\n%%%\n"), head = cut(&rest, "\n%%%\n");
    struct http_header headers[HEADERS_MAX];
    const uint32_t n = split_headers(head, headers);
    const sl_type *type = sluice_plugin_basicauth.types[0];
    struct basicauth config = {.htpasswd_given = 1};
    char *users = without_crypt(rest);
    void *component;
    config.htpasswd.inline_ = sl_slice(users, rest.n);
    const sl_auth_server *auth = auth_open(type, &config, &component);
    if (auth) {
        admit(auth, query, headers, n);
        admit(auth, query, headers, n); /* known now */
        type->destroy(component);
    } else {
        admit(NULL, query, headers, n);
    }
    ask_as_a_page(headers, n);
    free(users);
    return 0;
}
