/* The exporters' side of basicauth: the header that proves who sends, made anew when a file that
 * holds the name or the password has changed. [any], but the life calls. */
#include "extensions/basicauth/basicauth.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { FILE_MAX = 64 * 1024 };

static sl_bytes effective(const char *from_file, sl_bytes from_config)
{
    return from_file ? sl_str(from_file) : from_config;
}

/* "Basic " and base64 of name, colon, password. */
static int32_t make_value(struct basicauth *b, sl_error *error)
{
    static const char scheme[] = "Basic ";
    struct basic_client *c = &b->client;
    const sl_bytes name = effective(c->username, b->client_auth.username);
    const sl_bytes password = effective(c->password, b->client_auth.password);
    if (name.n && memchr(name.p, ':', name.n))
        return sl_fail(error, SL_ERR_INVALID, "the user's name has a colon, which it must not");
    const size_t n = name.n + 1 + password.n, room = sizeof scheme + (n + 2) / 3 * 4;
    uint8_t *plain = malloc(n);
    char *value = malloc(room);
    if (!plain || !value) {
        free(plain);
        free(value);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the credentials");
    }
    if (name.n)
        memcpy(plain, name.p, name.n);
    plain[name.n] = ':';
    if (password.n)
        memcpy(plain + name.n + 1, password.p, password.n);
    memcpy(value, scheme, sizeof scheme);
    (void)EVP_EncodeBlock((uint8_t *)value + sizeof scheme - 1, plain, (int)n);
    secret_free((char *)plain, n);
    if (c->value)
        secret_free(c->value, strlen(c->value));
    c->value = value;
    return SL_OK;
}

/* Takes over what the file holds, without white space around it. */
static int32_t look(struct basicauth *b, struct watched_file *file, char **kept, bool *changed,
                    sl_error *error)
{
    char *text;
    size_t n;
    if (!file->path)
        return SL_OK;
    switch (watched_file_look(file, sl_now(b->base.host), &text, &n, error)) {
    case WATCHED_SAME:
        return SL_OK;
    case WATCHED_FAILED:
        return SL_ERR_IO;
    case WATCHED_CHANGED:
        break;
    }
    const sl_bytes trimmed = secret_trim(sl_slice(text, n));
    char *copy = strndup((const char *)trimmed.p, trimmed.n);
    secret_free(text, n);
    if (!copy)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for \"%s\"", file->path);
    if (*kept)
        secret_free(*kept, strlen(*kept));
    *kept = copy;
    *changed = true;
    return SL_OK;
}

static int32_t refresh(struct basicauth *b, sl_error *error)
{
    struct basic_client *c = &b->client;
    bool changed = !c->value;
    int32_t status = look(b, &c->username_file, &c->username, &changed, error);
    if (status == SL_OK)
        status = look(b, &c->password_file, &c->password, &changed, error);
    if (status == SL_OK && changed)
        status = make_value(b, error);
    if (status == SL_ERR_NOMEM) { /* the header is of before still */
        watched_file_forget(&c->username_file);
        watched_file_forget(&c->password_file);
    }
    return status;
}

static int32_t client_headers(void *self, const sl_metadata **out, sl_error *error)
{
    struct basicauth *b = self;
    const sl_host *h = b->base.host;
    sl_error file_error = {.size = sizeof file_error};
    pthread_mutex_lock(&b->mutex);
    if (refresh(b, &file_error) != SL_OK)
        sl_log(h, SL_LOG_ERROR, "%s; the credentials read before stay in use", file_error.text);
    const sl_meta_entry entry = {sl_str("authorization"), sl_str(b->client.value)};
    *out = sl_metadata_make(h, NULL, &entry, 1);
    pthread_mutex_unlock(&b->mutex);
    return *out ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "no memory for the credentials");
}

int32_t basic_client_prepare(struct basicauth *b, sl_error *error)
{
    const struct client_config *c = &b->client_auth;
    const sl_raw *aws = c->aws_secrets_manager;
    b->client.api =
        (sl_auth_client){.size = sizeof b->client.api, .self = b, .headers = client_headers};
    if (aws && (aws->kind == 1 || aws->n > 0))
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "client_auth.aws_secrets_manager is not supported by Sluice; use "
                       "password_file");
    if (!c->username.n && !c->username_file.n && !c->password.n && !c->password_file.n)
        return sl_fail(error, SL_ERR_INVALID, "client_auth names no user and no password");
    if (c->username_file.n)
        watched_file_init(&b->client.username_file, (const char *)c->username_file.p, FILE_MAX);
    if (c->password_file.n)
        watched_file_init(&b->client.password_file, (const char *)c->password_file.p, FILE_MAX);
    return refresh(b, error);
}

void basic_client_deinit(struct basicauth *b)
{
    struct basic_client *c = &b->client;
    char *const all[] = {c->username, c->password, c->value};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        secret_free(all[i], all[i] ? strlen(all[i]) : 0);
}
