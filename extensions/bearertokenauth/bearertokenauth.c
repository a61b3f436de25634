/* The extension "bearertokenauth": tokens that receivers ask for and that exporters show, as the
 * OpenTelemetry Collector has it. Life callbacks are [control]; tokens are asked for on any thread,
 * under a lock that is held for a comparison, or while a changed file is read. */
#include "extensions/credentials/watched_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

enum { FILE_MAX = 256 * 1024, TOKENS_MAX = 1024, HEADER_MAX = 128 };

struct bearer {
    sl_base base;
    sl_bytes scheme, header, token, filename;
    sl_list tokens; /* sl_bytes */

    char header_lower[HEADER_MAX + 1];
    char challenge[HEADER_MAX + 1];
    sl_auth_server server;
    sl_auth_client client;
    pthread_mutex_t mutex; /* guards the rest */
    struct watched_file file;
    char *text; /* what the file holds; the tokens lie in it, or in the config */
    size_t text_n;
    sl_bytes *valid;
    uint32_t n_valid;
};

static const sl_field fields[] = {
    SL_TEXT(struct bearer, scheme,
            "What stands before the token; empty: the token is the whole value.", .text = "Bearer"),
    SL_TEXT(struct bearer, header, "The header, or gRPC metadata key, that carries the token.",
            .text = "Authorization"),
    SL_TEXT(struct bearer, token, "The token.", .flags = SL_SECRET),
    SL_TEXTS(struct bearer, tokens,
             "Several tokens: receivers take any of them, exporters show the first.",
             .flags = SL_SECRET),
    SL_TEXT(struct bearer, filename,
            "A file with a token on each line, in place of token and tokens; read again when it "
            "has changed."),
    SL_END};

/* ---- the tokens ---- */

/* What a header's value may be; a token with a line break would end the header. */
static bool is_value(sl_bytes t)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] < ' ' || t.p[i] == 127)
            return false;
    return t.n > 0;
}

/* The lines of a file; they point into `text`. */
static int32_t split(const char *path, char *text, size_t n, sl_bytes **tokens, uint32_t *count,
                     sl_error *error)
{
    sl_bytes *all = calloc(TOKENS_MAX, sizeof *all);
    uint32_t found = 0;
    if (!all)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the tokens of \"%s\"", path);
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t length = end ? (size_t)(end - (text + at)) : n - at;
        const sl_bytes token = secret_trim(sl_slice(text + at, length));
        at += length + 1;
        if (token.n == 0)
            continue; /* an empty token would let everybody in */
        const int32_t status =
            !is_value(token)      ? sl_fail(error, SL_ERR_INVALID,
                                            "\"%s\" has control characters in its tokens", path)
            : found == TOKENS_MAX ? sl_fail(error, SL_ERR_TOO_LARGE,
                                            "\"%s\" has more than %d tokens", path, TOKENS_MAX)
                                  : SL_OK;
        if (status != SL_OK) {
            free(all);
            return status;
        }
        all[found++] = token;
    }
    if (found == 0) {
        free(all);
        return sl_fail(error, SL_ERR_INVALID, "\"%s\" holds no token", path);
    }
    *tokens = all;
    *count = found;
    return SL_OK;
}

/* Takes over what the file holds, if it has changed; else the tokens stay as they are. */
static int32_t refresh(struct bearer *b, sl_error *error)
{
    char *text;
    size_t n;
    uint32_t count = 0;
    if (!b->filename.n)
        return SL_OK;
    switch (watched_file_look(&b->file, sl_now(b->base.host), &text, &n, error)) {
    case WATCHED_SAME:
        return SL_OK;
    case WATCHED_FAILED:
        return SL_ERR_IO;
    case WATCHED_CHANGED:
        break;
    }
    sl_bytes *valid = NULL;
    const int32_t status = split(b->file.path, text, n, &valid, &count, error);
    if (status != SL_OK) {
        secret_free(text, n);
        if (status == SL_ERR_NOMEM)
            watched_file_forget(&b->file);
        return status;
    }
    secret_free(b->text, b->text_n);
    free(b->valid);
    b->text = text;
    b->text_n = n;
    b->valid = valid;
    b->n_valid = count;
    return SL_OK;
}

/* The same on behalf of a request, for which the tokens known so far will do. */
static void refresh_now(struct bearer *b)
{
    sl_error error = {.size = sizeof error};
    if (refresh(b, &error) != SL_OK)
        sl_log(b->base.host, SL_LOG_ERROR, "%s; the tokens read before stay in use", error.text);
}

/* ---- what receivers and exporters ask ---- */

/* The token in a header's value, or .p NULL where the scheme is another one. */
static sl_bytes token_in(const struct bearer *b, sl_bytes value)
{
    const size_t n = b->scheme.n;
    if (n == 0)
        return value;
    if (value.n <= n || value.p[n] != ' ' ||
        strncasecmp((const char *)value.p, (const char *)b->scheme.p, n) != 0)
        return sl_slice(NULL, 0);
    return sl_slice(value.p + n + 1, value.n - n - 1);
}

static int32_t authenticate(void *self, const sl_meta_entry *headers, uint32_t n,
                            const sl_metadata **identity, sl_error *error)
{
    struct bearer *b = self;
    const sl_bytes name = sl_str(b->header_lower);
    sl_bytes value = {NULL, 0};
    *identity = NULL;
    for (uint32_t i = 0; i < n && !value.p; i++)
        if (sl_eq(headers[i].key, name))
            value = headers[i].value;
    if (!value.p || value.n == 0)
        return sl_fail(error, SL_ERR_DENIED, "missing or empty authorization header: %s",
                       (const char *)b->header.p);
    const sl_bytes token = token_in(b, value);
    bool found = false;
    pthread_mutex_lock(&b->mutex);
    refresh_now(b);
    for (uint32_t i = 0; token.p && i < b->n_valid; i++)
        found |= secret_equal(token, b->valid[i]);
    pthread_mutex_unlock(&b->mutex);
    return found ? SL_OK : sl_fail(error, SL_ERR_DENIED, "scheme or token does not match");
}

static int32_t client_headers(void *self, const sl_metadata **out, sl_error *error)
{
    struct bearer *b = self;
    const sl_host *h = b->base.host;
    *out = NULL;
    pthread_mutex_lock(&b->mutex);
    refresh_now(b);
    const sl_bytes token = b->valid[0];
    const size_t room = b->scheme.n + 1 + token.n;
    uint8_t *value = malloc(room);
    size_t used = 0;
    if (value && b->scheme.n) {
        memcpy(value, b->scheme.p, b->scheme.n);
        used = b->scheme.n;
        value[used++] = ' ';
    }
    if (value)
        memcpy(value + used, token.p, token.n);
    used += token.n;
    pthread_mutex_unlock(&b->mutex);
    if (value) {
        const sl_meta_entry entry = {sl_str(b->header_lower), sl_slice(value, used)};
        *out = sl_metadata_make(h, NULL, &entry, 1);
        secret_free((char *)value, used);
    }
    return *out ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "no memory for the token");
}

static const void *interface_of(void *component, const char *id)
{
    const struct bearer *b = component;
    if (strcmp(id, SL_AUTH_SERVER) == 0)
        return &b->server;
    return strcmp(id, SL_AUTH_CLIENT) == 0 ? &b->client : NULL;
}

/* ---- life ---- */

static int32_t create(void *config, void **component, sl_error *error)
{
    struct bearer *b = config;
    if (pthread_mutex_init(&b->mutex, NULL) != 0)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    b->server = (sl_auth_server){.size = sizeof b->server,
                                 .self = b,
                                 .header = b->header_lower,
                                 .challenge = b->challenge,
                                 .authenticate = authenticate};
    b->client = (sl_auth_client){.size = sizeof b->client, .self = b, .headers = client_headers};
    *component = b;
    return SL_OK;
}

static void destroy(void *component)
{
    struct bearer *b = component;
    secret_free(b->text, b->text_n);
    free(b->valid);
    pthread_mutex_destroy(&b->mutex);
}

/* RFC 9110's token: what a header's name and a scheme are made of. */
static bool is_token(sl_bytes t)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] >= 127 || strchr("\"(),/:;<=>?@[\\]{}", t.p[i]))
            return false;
    return t.n > 0;
}

static int32_t take_config_tokens(struct bearer *b, sl_error *error)
{
    const uint32_t n = b->token.n ? 1 : b->tokens.n;
    b->valid = calloc(n, sizeof *b->valid);
    if (!b->valid)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the tokens");
    for (uint32_t i = 0; i < n; i++) {
        const sl_bytes token = b->token.n ? b->token : *SL_LIST_AT(sl_bytes, b->tokens, i);
        if (!is_value(token) && b->token.n)
            return sl_fail(error, SL_ERR_INVALID, "token has control characters");
        if (!is_value(token))
            return sl_fail(error, SL_ERR_INVALID, "tokens[%u] is empty or has control characters",
                           i);
        b->valid[b->n_valid++] = token;
    }
    return SL_OK;
}

static int32_t prepare(void *component, sl_error *error)
{
    struct bearer *b = component;
    if (!is_token(b->header) || b->header.n > HEADER_MAX)
        return sl_fail(error, SL_ERR_INVALID, "header is not a name that a header may have");
    if (b->scheme.n && (!is_token(b->scheme) || b->scheme.n > HEADER_MAX))
        return sl_fail(error, SL_ERR_INVALID, "scheme must be a word");
    for (size_t i = 0; i < b->header.n; i++)
        b->header_lower[i] =
            (char)(b->header.p[i] >= 'A' && b->header.p[i] <= 'Z' ? b->header.p[i] | 0x20
                                                                  : b->header.p[i]);
    (void)snprintf(b->challenge, sizeof b->challenge, "%s",
                   b->scheme.n ? (const char *)b->scheme.p : "Bearer");
    if (!b->token.n && !b->tokens.n && !b->filename.n)
        return sl_fail(error, SL_ERR_INVALID, "one of token, tokens and filename must be given");
    if (b->token.n && b->tokens.n)
        return sl_fail(error, SL_ERR_INVALID, "only one of token and tokens may be given");
    if (!b->filename.n)
        return take_config_tokens(b, error);
    if (b->token.n || b->tokens.n)
        sl_log(b->base.host, SL_LOG_WARN,
               "filename is given: token and tokens have no effect beside it");
    watched_file_init(&b->file, (const char *)b->filename.p, FILE_MAX);
    return refresh(b, error);
}

SL_TYPE(extension, bearertokenauth,
        .help = "Tokens in a header: receivers that name it in auth ask for one, exporters that "
                "name it show one.",
        .stability = SL_BETA, SL_CONFIG(struct bearer, fields), .create = create,
        .prepare = prepare, .destroy = destroy, .interface_of = interface_of);
SL_PLUGIN("0.1.0", &sl_type_bearertokenauth);
