/* The receivers' side of basicauth: checks names and passwords. Slow hashes (bcrypt may take a
 * tenth of a second) are computed once for each user's right password, and once for a wrong one that comes
 * again and again; different wrong ones may use a tenth of a thread's time. So whoever guesses
 * cannot keep the thread from those who know. [any], but the life calls. */
#include "extensions/basicauth/basicauth.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum {
    FILE_MAX = 4 * 1024 * 1024,
    CREDENTIALS_MAX = 2048, /* name, colon and password */
    GUESSING_PARTS = 10     /* wrong guesses get one part of the time in so many */
};

/* ---- the users ---- */

static void say_bad_lines(const struct basicauth *b, uint32_t bad, uint32_t first)
{
    if (bad)
        sl_log(
            b->base.host, SL_LOG_WARN,
            "htpasswd: lines that are not \"name:hash\" are left out; there are %u, the first is "
            "line %u of the file with inline behind it",
            bad, first);
}

/* From the file's text and the inline one behind it, which so counts more. Takes `text`. */
static int32_t take_users(struct basicauth *b, char *text, size_t n, sl_error *error)
{
    const sl_bytes inline_ = b->htpasswd.inline_;
    struct htpasswd *users = NULL;
    uint32_t bad, first;
    const size_t head = n ? n + 1 : 0; /* with a line's end */
    char *all = malloc(head + inline_.n + 1);
    if (!all) {
        secret_free(text, n);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the users");
    }
    if (n) {
        memcpy(all, text, n);
        all[n] = '\n';
    }
    if (inline_.n)
        memcpy(all + head, inline_.p, inline_.n);
    secret_free(text, n);
    if (htpasswd_create(all, head + inline_.n, &users, &bad, &first) != SL_OK)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the users");
    say_bad_lines(b, bad, first);
    if (users->n == 0) {
        htpasswd_destroy(users);
        return sl_fail(error, SL_ERR_INVALID, "htpasswd names no user");
    }
    /* What is known of those whose hash is still the same stays true. */
    struct htpasswd *before = b->server.users;
    if (before)
        memcpy(users->salt, before->salt, sizeof users->salt);
    for (uint32_t i = 0; before && i < users->n; i++) {
        const struct htpasswd_user *old = htpasswd_find(before, users->users[i].name);
        if (old && sl_eq(old->hash, users->users[i].hash)) {
            users->users[i].has_verified = old->has_verified;
            memcpy(users->users[i].verified, old->verified, sizeof old->verified);
        }
    }
    htpasswd_destroy(before);
    b->server.users = users;
    return SL_OK;
}

static int32_t refresh(struct basicauth *b, sl_error *error)
{
    char *text;
    size_t n;
    int32_t status = SL_OK;
    switch (watched_file_look(&b->server.file, sl_now(b->base.host), &text, &n, error)) {
    case WATCHED_FAILED:
        return SL_ERR_IO;
    case WATCHED_CHANGED:
        status = take_users(b, text, n, error);
        if (status == SL_ERR_NOMEM)
            watched_file_forget(&b->server.file);
        break;
    case WATCHED_SAME:
        break;
    }
    return status;
}

/* ---- what a request says ---- */

/* The decoded "name:password", NUL-terminated; false: it is not base64. */
static bool decode(sl_bytes coded, uint8_t *out, size_t *n)
{
    if (coded.n == 0 || coded.n % 4 != 0 || coded.n / 4 * 3 > CREDENTIALS_MAX)
        return false;
    size_t padding = 0;
    while (padding < 2 && coded.p[coded.n - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < coded.n - padding; i++) {
        const uint8_t c = coded.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false; /* the decoder overlooks white space */
    }
    const int decoded = EVP_DecodeBlock(out, coded.p, (int)coded.n);
    if (decoded < (int)padding)
        return false;
    *n = (size_t)decoded - padding;
    out[*n] = 0;
    return true;
}

static int32_t read_credentials(const sl_meta_entry *headers, uint32_t n, uint8_t *out,
                                sl_bytes *name, sl_bytes *password, sl_error *error)
{
    static const char scheme[] = "Basic ";
    const size_t skipped = sizeof scheme - 1;
    sl_bytes value = {NULL, 0};
    size_t used = 0;
    for (uint32_t i = 0; i < n && !value.p; i++)
        if (sl_eq(headers[i].key, sl_str("authorization")))
            value = headers[i].value;
    if (!value.p || value.n == 0)
        return sl_fail(error, SL_ERR_DENIED, "no basic auth provided");
    if (value.n < skipped || strncasecmp((const char *)value.p, scheme, skipped) != 0)
        return sl_fail(error, SL_ERR_DENIED, "invalid authorization scheme prefix");
    const bool decoded = decode(sl_slice(value.p + skipped, value.n - skipped), out, &used);
    const uint8_t *colon = decoded ? memchr(out, ':', used) : NULL;
    if (!colon)
        return sl_fail(error, SL_ERR_DENIED, "invalid authorization format");
    *name = sl_slice(out, (size_t)(colon - out));
    *password = sl_slice(colon + 1, used - name->n - 1);
    return SL_OK;
}

/* ---- checking ---- */

enum known { KNOWN_RIGHT, KNOWN_WRONG, KNOWN_NOT };

static int64_t thread_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool is_digest(const uint8_t *a, const uint8_t *b)
{
    return secret_equal(sl_slice(a, HTPASSWD_DIGEST), sl_slice(b, HTPASSWD_DIGEST));
}

/* What becomes of one request's name and password. */
struct check {
    sl_bytes name, password;
    bool exists; /* somebody is called so; else another user's hash is computed, to take as long */
    bool slow;
    uint8_t digest[HTPASSWD_DIGEST];  /* of slow ones */
    char hash[HTPASSWD_HASH_MAX + 1]; /* a copy: the table may change meanwhile */
    size_t hash_n;
};

/* With the mutex held. */
static enum known look_up(struct basicauth *b, struct check *c)
{
    struct htpasswd *users = b->server.users;
    const struct htpasswd_user *u = htpasswd_find(users, c->name);
    c->exists = u != NULL;
    if (!u)
        u = &users->users[users->decoy];
    if (u->hash.n > HTPASSWD_HASH_MAX)
        return KNOWN_WRONG;
    memcpy(c->hash, u->hash.p, u->hash.n);
    c->hash_n = u->hash.n;
    c->slow = htpasswd_is_slow(u->hash);
    if (!c->slow)
        return KNOWN_NOT;
    htpasswd_digest(users->salt, c->name, c->password, c->digest);
    if (u->has_verified && is_digest(u->verified, c->digest))
        return c->exists ? KNOWN_RIGHT : KNOWN_WRONG;
    return u->has_denied && is_digest(u->denied, c->digest) ? KNOWN_WRONG : KNOWN_NOT;
}

/* With the mutex held. */
static void remember(struct basicauth *b, const struct check *c, bool right, int64_t took_ns)
{
    struct htpasswd *users = b->server.users;
    struct htpasswd_user *u =
        c->exists ? htpasswd_find(users, c->name) : &users->users[users->decoy];
    if (!right)
        b->server.next_slow_ns = sl_now(b->base.host) + took_ns * (GUESSING_PARTS - 1);
    if (!u || !sl_eq(u->hash, sl_slice(c->hash, c->hash_n)))
        return; /* the file has changed */
    memcpy(right ? u->verified : u->denied, c->digest, HTPASSWD_DIGEST);
    if (right)
        u->has_verified = true;
    else
        u->has_denied = true;
}

static int32_t check(struct basicauth *b, struct check *c, sl_error *error)
{
    sl_error file_error = {.size = sizeof file_error};
    pthread_mutex_lock(&b->mutex);
    if (b->htpasswd.file.n && refresh(b, &file_error) != SL_OK)
        sl_log(b->base.host, SL_LOG_ERROR, "%s; the users read before stay in use",
               file_error.text);
    const enum known known = look_up(b, c);
    const bool wait =
        known == KNOWN_NOT && c->slow && sl_now(b->base.host) < b->server.next_slow_ns;
    pthread_mutex_unlock(&b->mutex);
    if (wait)
        return sl_fail(error, SL_ERR_UNAVAILABLE, "too many wrong credentials; try again");
    bool right = known == KNOWN_RIGHT;
    if (known == KNOWN_NOT) {
        const int64_t before = c->slow ? thread_ns() : 0;
        right = htpasswd_match(sl_slice(c->hash, c->hash_n), c->password) && c->exists;
        if (c->slow) {
            pthread_mutex_lock(&b->mutex);
            remember(b, c, right, thread_ns() - before);
            pthread_mutex_unlock(&b->mutex);
        }
    }
    return right ? SL_OK : sl_fail(error, SL_ERR_DENIED, "invalid credentials");
}

static int32_t authenticate(void *self, const sl_meta_entry *headers, uint32_t n,
                            const sl_metadata **identity, sl_error *error)
{
    struct basicauth *b = self;
    const sl_host *h = b->base.host;
    uint8_t text[CREDENTIALS_MAX + 1];
    struct check c;
    *identity = NULL;
    int32_t status = read_credentials(headers, n, text, &c.name, &c.password, error);
    if (status == SL_OK)
        status = check(b, &c, error);
    if (status == SL_OK) {
        const sl_meta_entry entry = {sl_str("auth.username"), c.name};
        *identity = sl_metadata_make(h, NULL, &entry, 1);
        if (!*identity)
            status = sl_fail(error, SL_ERR_NOMEM, "no memory for who it is; try again");
    }
    explicit_bzero(text, sizeof text);
    return status;
}

/* ---- life ---- */

int32_t basic_server_prepare(struct basicauth *b, sl_error *error)
{
    b->server.api = (sl_auth_server){.size = sizeof b->server.api,
                                     .self = b,
                                     .header = "authorization",
                                     .challenge = "Basic realm=\"sluice\", charset=\"UTF-8\"",
                                     .authenticate = authenticate};
    if (!b->htpasswd.file.n && !b->htpasswd.inline_.n)
        return sl_fail(error, SL_ERR_INVALID, "htpasswd wants file, inline, or both");
    if (!b->htpasswd.file.n)
        return take_users(b, NULL, 0, error);
    watched_file_init(&b->server.file, (const char *)b->htpasswd.file.p, FILE_MAX);
    return refresh(b, error);
}

void basic_server_deinit(struct basicauth *b)
{
    htpasswd_destroy(b->server.users);
}
