/* See client.h. */
#include "exporters/otlp_client/client.h"

#include <strings.h>

enum { RAW_NULL = 0, RAW_SCALAR = 1 };

int32_t client_refuse(const sl_raw *raw, const char *key, sl_error *error)
{
    if (!raw || raw->kind == RAW_NULL || (raw->kind != RAW_SCALAR && raw->n == 0) ||
        (raw->kind == RAW_SCALAR && raw->text.n == 0))
        return SL_OK;
    return sl_fail(error, SL_ERR_UNSUPPORTED, "%s:%u:%u: key \"%s\" is not supported; remove it",
                   raw->file ? raw->file : "config", raw->line, raw->column, key);
}

void client_text(char *at, size_t room, sl_bytes text)
{
    size_t n = text.n < room - 1 ? text.n : room - 1;
    while (n < text.n && n > 0 && (text.p[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    for (size_t i = 0; i < n; i++) {
        const uint8_t c = text.p[i];
        at[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    at[n] = '\0';
}

void client_url_text(char *at, size_t room, sl_bytes url)
{
    const uint8_t *query = url.n ? memchr(url.p, '?', url.n) : NULL;
    const sl_bytes shown = query ? sl_slice(url.p, (size_t)(query - url.p)) : url;
    const uint8_t *path = shown.n ? memmem(shown.p, shown.n, "://", 3) : NULL;
    const size_t scheme = path ? (size_t)(path - shown.p) + 3 : 0;
    const uint8_t *user = shown.n ? memrchr(shown.p, '@', shown.n) : NULL;
    if (!user) {
        client_text(at, room, shown);
        return;
    }
    char rest[CLIENT_URL_MAX];
    client_text(rest, sizeof rest, sl_slice(user + 1, shown.n - (size_t)(user + 1 - shown.p)));
    (void)snprintf(at, room, "%.*s%s", (int)(scheme < 16 ? scheme : 16), (const char *)shown.p,
                   rest);
}

bool client_name_is(sl_bytes name, const char *lower)
{
    return name.n == strlen(lower) && strncasecmp((const char *)name.p, lower, name.n) == 0;
}

/* RFC 9110, 5.6.2 and 5.5. */
bool client_header_name(sl_bytes name)
{
    for (size_t i = 0; i < name.n; i++) {
        const uint8_t c = name.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c))
            return false;
    }
    return name.n > 0;
}

bool client_header_value(sl_bytes value)
{
    for (size_t i = 0; i < value.n; i++) {
        if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
            return false;
    }
    return true;
}

/* ---- authenticators ---- */

static const sl_field auth_fields[] = {
    SL_TEXT(struct client_auth, authenticator,
            "The extension that gives the credentials, such as basicauth/prod."),
    SL_END};
const sl_struct client_auth_struct = {sizeof(struct client_auth), 0, auth_fields};

int32_t client_auth_find(const sl_host *host, const struct client_auth *auth,
                         const sl_auth_client **found, sl_error *error)
{
    *found = NULL;
    if (auth->authenticator.n == 0)
        return SL_OK;
    const char *name = (const char *)auth->authenticator.p;
    *found = sl_component(host, name, SL_AUTH_CLIENT);
    if (*found)
        return SL_OK;
    return sl_fail(error, SL_ERR_INVALID,
                   "auth.authenticator: \"%.100s\" is no extension that gives credentials to "
                   "clients; define it below extensions, and list it in service.extensions",
                   name);
}

int32_t client_auth_headers(const sl_auth_client *auth, const sl_metadata **headers, sl_send *send)
{
    int32_t status = auth->headers(auth->self, headers, &send->error);
    if (status == SL_OK) {
        for (uint32_t i = 0; i < (*headers)->n && status == SL_OK; i++) {
            const sl_meta_entry *h = &(*headers)->at[i];
            if (!client_header_name(h->key) || !client_header_value(h->value))
                status = sl_fail(&send->error, SL_ERR_DENIED,
                                 "the authenticator gives what cannot be a header");
        }
    }
    if (status != SL_OK)
        send->why = "auth";
    return status;
}

bool client_auth_has(const sl_metadata *headers, sl_bytes name)
{
    for (uint32_t i = 0; headers && i < headers->n; i++) {
        const sl_bytes key = headers->at[i].key;
        if (key.n == name.n && strncasecmp((const char *)key.p, (const char *)name.p, name.n) == 0)
            return true;
    }
    return false;
}

/* ---- answers ---- */

enum { NOTICES_AT_ONCE = 10 };
static const int64_t NOTICE_NS = INT64_C(1000000000); /* one more after each */

/* May there be another line? If so, `left_out` tells how many there were not. */
static bool may_notice(const sl_host *host, struct client_notices *n, uint32_t *left_out)
{
    const int64_t now = sl_now(host);
    int64_t due = atomic_load(&n->due_ns), next;
    do {
        if (due - now > (NOTICES_AT_ONCE - 1) * NOTICE_NS) {
            atomic_fetch_add(&n->left_out, 1);
            return false;
        }
        next = (due > now ? due : now) + NOTICE_NS;
    } while (!atomic_compare_exchange_weak(&n->due_ns, &due, next));
    *left_out = atomic_exchange(&n->left_out, 0);
    return true;
}

static void notice(const sl_host *host, struct client_notices *n, const char *text)
{
    uint32_t left_out;
    if (!may_notice(host, n, &left_out))
        return;
    if (left_out)
        sl_log(host, SL_LOG_WARN, "%s (%u lines before this were left out)", text, left_out);
    else
        sl_log(host, SL_LOG_WARN, "%s", text);
}

void client_bad_answer(const sl_host *host, struct client_notices *notices, const char *how)
{
    char line[CLIENT_TEXT_MAX + 100];
    (void)snprintf(line, sizeof line, "the destination took the data, but its answer %s", how);
    notice(host, notices, line);
}

void client_settle_success(const sl_host *host, struct client_notices *notices,
                           sl_delivery *delivery, sl_bytes body)
{
    struct otlp_response response;
    char text[CLIENT_TEXT_MAX], line[CLIENT_TEXT_MAX + 100];
    if (otlp_response_decode(body, &response) != SL_OK) {
        client_bad_answer(host, notices, "is no OTLP response");
        return;
    }
    client_text(text, sizeof text, response.message);
    if (response.rejected <= 0) {
        (void)snprintf(line, sizeof line, "the destination warns: %s", text);
        if (response.message.n)
            notice(host, notices, line);
        return;
    }
    const uint32_t n = response.rejected < (int64_t)delivery->unclaimed
                           ? (uint32_t)response.rejected
                           : delivery->unclaimed;
    (void)snprintf(line, sizeof line, "the destination rejected %u of %u items: %s", n,
                   delivery->unclaimed, text[0] ? text : "it does not say why");
    notice(host, notices, line);
    (void)sl_settle_some(host, delivery, n, SL_REJECTED, "partial_success");
}

int64_t client_retry_after(int64_t ns)
{
    if (ns < 0)
        return 0;
    return ns == 0 ? 1 : ns < CLIENT_RETRY_MAX_NS ? ns : CLIENT_RETRY_MAX_NS;
}
