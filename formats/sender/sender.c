/* Headers for authenticators, and for metadata; see sender.h. Credentials are left out of metadata,
 * which may be written to a journal and shown in logs, and so is what belongs to the connection and
 * not to the data (RFC 9110 7.6.1). */
#include "formats/sender/sender.h"

int32_t sender_authenticator(const sl_host *host, const sl_bytes *authenticator, const char *path,
                             const sl_auth_server **out, sl_error *error)
{
    const char *name = (const char *)authenticator->p;
    if (!authenticator->n)
        return sl_fail_at(error, SL_ERR_INVALID, authenticator, "%s names no authenticator", path);
    *out = (const sl_auth_server *)sl_component(host, name, SL_AUTH_SERVER);
    if (*out)
        return SL_OK;
    return sl_fail_at(error, SL_ERR_NOT_FOUND, authenticator, "%s.authenticator is \"%.100s\", %s",
                      path, name,
                      sl_component(host, name, SL_AUTH_CLIENT)
                          ? "which proves who sends but does not check it"
                          : "which is no extension of service.extensions that checks who sends");
}

void sender_headers_init(struct sender_headers *h)
{
    h->n = 0;
    h->used = 0;
    h->overflow = false;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool has_upper(sl_bytes t)
{
    for (size_t i = 0; i < t.n; i++)
        if (lower(t.p[i]) != t.p[i])
            return true;
    return false;
}

/* Room for `n` more bytes of text; NULL: too much. */
static uint8_t *take_text(struct sender_headers *h, size_t n)
{
    if (n > sizeof h->text - h->used) {
        h->overflow = true;
        return NULL;
    }
    uint8_t *at = h->text + h->used;
    h->used += n;
    return at;
}

static sl_bytes lowered(struct sender_headers *h, sl_bytes name)
{
    uint8_t *at = take_text(h, name.n);
    for (size_t i = 0; at && i < name.n; i++)
        at[i] = lower(name.p[i]);
    return sl_slice(at, at ? name.n : 0);
}

void sender_add_header(struct sender_headers *h, sl_bytes name, sl_bytes value)
{
    if (h->n == SENDER_HEADERS_MAX) {
        h->overflow = true;
        return;
    }
    h->at[h->n].key = has_upper(name) ? lowered(h, name) : name;
    h->at[h->n++].value = value;
}

/* ---- the query ---- */

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %41 and +; .p NULL: damaged, or too much. */
static sl_bytes decoded(struct sender_headers *h, sl_bytes part)
{
    uint8_t *at = take_text(h, part.n);
    size_t n = 0;
    for (size_t i = 0; at && i < part.n; i++) {
        uint8_t c = part.p[i];
        if (c == '%') {
            const int high = i + 2 < part.n ? hex(part.p[i + 1]) : -1;
            const int low = i + 2 < part.n ? hex(part.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return sl_slice(NULL, 0);
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        at[n++] = c;
    }
    return sl_slice(at, n);
}

static void remove_named(struct sender_headers *h, sl_bytes name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->n; i++)
        if (!sl_eq(h->at[i].key, name))
            h->at[kept++] = h->at[i];
    h->n = kept;
}

static void add_param(struct sender_headers *h, sl_bytes param, sl_bytes query)
{
    bool first = true;
    sl_bytes name = {NULL, 0};
    for (size_t at = 0; at < query.n;) {
        const uint8_t *end = memchr(query.p + at, '&', query.n - at);
        const sl_bytes pair =
            sl_slice(query.p + at, end ? (size_t)(end - query.p) - at : query.n - at);
        at += pair.n + 1;
        const uint8_t *equals = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
        const size_t key = equals ? (size_t)(equals - pair.p) : pair.n, used = h->used;
        const bool same = sl_eq(decoded(h, sl_slice(pair.p, key)), param);
        h->used = used;
        if (!same)
            continue;
        const sl_bytes value =
            decoded(h, equals ? sl_slice(equals + 1, pair.n - key - 1) : sl_slice("", 0));
        if (!value.p)
            continue;
        if (first) {
            name = lowered(h, param);
            remove_named(h, name);
        }
        first = false;
        sender_add_header(h, name, value);
    }
}

/* Puts each of the parameters that stands in the query in the place of the header of its name. */
static void add_query(struct sender_headers *h, const sl_list *params, sl_bytes query)
{
    for (uint32_t i = 0; params && i < params->n && query.n; i++)
        add_param(h, *SL_LIST_AT(sl_bytes, *params, i), query);
}

/* ---- metadata ---- */

static bool begins(sl_bytes t, const char *prefix)
{
    const size_t n = strlen(prefix);
    return t.n >= n && memcmp(t.p, prefix, n) == 0;
}

static bool is_one_of(sl_bytes name, const char *const *names)
{
    while (*names && !sl_eq(name, sl_str(*names)))
        names++;
    return *names != NULL;
}

/* Of the connection, of how the message is framed, or of gRPC itself. */
static bool is_of_connection(sl_bytes name)
{
    static const char *const names[] = {
        "connection", "keep-alive",        "proxy-connection", "te", "trailer", "upgrade",
        "expect",     "transfer-encoding", "content-length",   NULL};
    return is_one_of(name, names) || begins(name, ":") || begins(name, "grpc-");
}

/* Does one of the words that names of secrets have begin here? Better one too many. */
static bool begins_secret(sl_bytes t)
{
    switch (t.p[0]) {
    case 'a':
        return begins(t, "authorization") || begins(t, "api-key") || begins(t, "api_key") ||
               begins(t, "apikey");
    case 'c':
        return begins(t, "cookie");
    case 'p':
        return begins(t, "password");
    case 's':
        return begins(t, "secret");
    case 't':
        return begins(t, "token");
    default:
        return false;
    }
}

static bool is_credential(sl_bytes name)
{
    for (size_t i = 0; i < name.n; i++)
        if (begins_secret(sl_slice(name.p + i, name.n - i)))
            return true;
    return false;
}

/* What only the receiver itself may say. */
static bool is_reserved(sl_bytes name)
{
    return begins(name, "auth.") || begins(name, "client.");
}

/* Does a Connection header name it? */
static bool is_named_by_connection(const struct sender_headers *h, sl_bytes name)
{
    for (uint32_t i = 0; i < h->n; i++) {
        if (!sl_eq(h->at[i].key, sl_str("connection")))
            continue;
        const sl_bytes list = h->at[i].value;
        for (size_t at = 0; at < list.n;) {
            size_t n = 0;
            while (at < list.n && (list.p[at] == ' ' || list.p[at] == '\t' || list.p[at] == ','))
                at++;
            while (at + n < list.n && list.p[at + n] != ',' && list.p[at + n] != ' ' &&
                   list.p[at + n] != '\t')
                n++;
            bool same = n == name.n && n > 0;
            for (size_t k = 0; same && k < n; k++)
                same = lower(list.p[at + k]) == name.p[k];
            if (same)
                return true;
            at += n;
        }
    }
    return false;
}

/* The headers that may go with the data; returns their number. */
static uint32_t select_headers(const struct sender_rules *r, const struct sender_headers *h,
                               sl_meta_entry *kept)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        const sl_bytes name = h->at[i].key;
        if (!is_of_connection(name) && !is_credential(name) && !is_reserved(name) &&
            !(r->auth && r->auth->header && sl_eq(name, sl_str(r->auth->header))) &&
            !is_named_by_connection(h, name))
            kept[n++] = h->at[i];
    }
    return n;
}

int32_t sender_admit(const struct sender_rules *r, struct sender_headers *h, sl_bytes query,
                     const sl_metadata **metadata, sl_error *error)
{
    const sl_host *host = r->host;
    const sl_metadata *identity = NULL;
    sl_meta_entry kept[SENDER_HEADERS_MAX];
    /* Before the query is added, which is for the authenticator alone. */
    const uint32_t n = r->include_metadata ? select_headers(r, h, kept) : 0;
    *metadata = NULL;
    if (r->auth)
        add_query(h, r->request_params, query);
    if (h->overflow)
        return sl_fail(error, SL_ERR_TOO_LARGE, "the request has too many headers");
    if (r->auth) {
        const int32_t status = r->auth->authenticate(r->auth->self, h->at, h->n, &identity, error);
        if (status == SL_ERR_DENIED || status == SL_ERR_NOMEM)
            return status;
        if (status != SL_OK)
            return SL_ERR_UNAVAILABLE;
    }
    if (!r->include_metadata) {
        *metadata = identity;
        return SL_OK;
    }
    *metadata = sl_metadata_make(host, identity, kept, n);
    if (identity)
        sl_metadata_unref(host, identity);
    return *metadata ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "out of memory now; try again");
}
