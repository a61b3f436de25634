/* CORS as in the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol); see cors.h. */
#include "receivers/otlp/cors.h"

#include <stdlib.h>
#include <strings.h>

static bool same_text(sl_bytes a, sl_bytes b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0);
}

static bool has_star(const sl_list *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (sl_eq(*SL_LIST_AT(sl_bytes, *list, i), sl_str("*")))
            return true;
    return false;
}

/* As Go writes header names: "x-a" is "X-A". */
static char *put_name(char *to, sl_bytes name)
{
    bool first = true;
    for (size_t i = 0; i < name.n; i++) {
        const char c = (char)name.p[i];
        const bool upper = c >= 'A' && c <= 'Z', low = c >= 'a' && c <= 'z';
        *to++ = first && low ? (char)(c & ~0x20) : !first && upper ? (char)(c | 0x20) : c;
        first = c == '-';
    }
    return to;
}

static char *join_names(const sl_list *list)
{
    size_t room = 1;
    for (uint32_t i = 0; i < list->n; i++)
        room += SL_LIST_AT(sl_bytes, *list, i)->n + 2;
    char *all = malloc(room), *to = all;
    for (uint32_t i = 0; all && i < list->n; i++) {
        if (i > 0) {
            *to++ = ',';
            *to++ = ' ';
        }
        to = put_name(to, *SL_LIST_AT(sl_bytes, *list, i));
    }
    if (all)
        *to = 0;
    return all;
}

int32_t cors_init(struct cors *c, const struct cors_config *config)
{
    memset(c, 0, sizeof *c);
    if (config->allowed_origins.n == 0)
        return SL_OK;
    if (config->exposed_headers.n > 0 && !(c->exposed = join_names(&config->exposed_headers)))
        return SL_ERR_NOMEM;
    c->config = config;
    c->all_origins = has_star(&config->allowed_origins);
    c->all_headers = has_star(&config->allowed_headers);
    if (config->max_age != 0)
        (void)snprintf(c->max_age, sizeof c->max_age, "%lld",
                       config->max_age > 0 ? (long long)config->max_age : 0LL);
    return SL_OK;
}

void cors_deinit(struct cors *c)
{
    free(c->exposed);
}

/* ---- what is allowed ---- */

static bool origin_matches(sl_bytes pattern, sl_bytes origin)
{
    const uint8_t *star = pattern.n ? memchr(pattern.p, '*', pattern.n) : NULL;
    if (!star)
        return same_text(pattern, origin);
    const size_t head = (size_t)(star - pattern.p), tail = pattern.n - head - 1;
    return origin.n >= head + tail &&
           same_text(sl_slice(pattern.p, head), sl_slice(origin.p, head)) &&
           same_text(sl_slice(star + 1, tail), sl_slice(origin.p + origin.n - tail, tail));
}

static bool origin_is_allowed(const struct cors *c, sl_bytes origin)
{
    bool allowed = c->all_origins;
    for (uint32_t i = 0; i < c->config->allowed_origins.n && !allowed; i++)
        allowed = origin_matches(*SL_LIST_AT(sl_bytes, c->config->allowed_origins, i), origin);
    return allowed;
}

static bool method_is_allowed(sl_bytes method)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (sl_eq(method, sl_str(methods[i])))
            return true;
    return false;
}

static bool header_is_allowed(const struct cors *c, sl_bytes name)
{
    static const char *const otherwise[] = {"accept", "content-type", "x-requested-with"};
    const sl_list *list = &c->config->allowed_headers;
    for (uint32_t i = 0; i < list->n; i++)
        if (same_text(*SL_LIST_AT(sl_bytes, *list, i), name))
            return true;
    for (size_t i = 0; list->n == 0 && i < sizeof otherwise / sizeof *otherwise; i++)
        if (same_text(sl_str(otherwise[i]), name))
            return true;
    return false;
}

/* A list with commas, as in Access-Control-Request-Headers. */
static bool headers_are_allowed(const struct cors *c, sl_bytes list)
{
    for (size_t at = 0; !c->all_headers && at < list.n;) {
        size_t n = 0;
        while (at < list.n && (list.p[at] == ' ' || list.p[at] == '\t' || list.p[at] == ','))
            at++;
        while (at + n < list.n && list.p[at + n] != ',')
            n++;
        sl_bytes name = sl_slice(list.p + at, n);
        while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
            name.n--;
        if (name.n > 0 && !header_is_allowed(c, name))
            return false;
        at += n;
    }
    return true;
}

/* ---- answers ---- */

static void put(struct http_header *out, uint32_t *n, const char *name, sl_bytes value)
{
    out[(*n)++] = (struct http_header){sl_str(name), value};
}

static void put_origin(const struct cors *c, sl_bytes origin, struct http_header *out, uint32_t *n)
{
    put(out, n, "Access-Control-Allow-Origin", c->all_origins ? sl_str("*") : origin);
}

bool cors_is_preflight(const struct http_request *rq)
{
    return strcmp(rq->method, "OPTIONS") == 0 &&
           http_header_of(rq, "access-control-request-method", NULL).n > 0;
}

uint32_t cors_preflight(const struct cors *c, const struct http_request *rq,
                        struct http_header *out)
{
    uint32_t n = 0;
    bool repeated[3];
    const sl_bytes origin = http_header_of(rq, "origin", &repeated[0]);
    const sl_bytes method = http_header_of(rq, "access-control-request-method", &repeated[1]);
    const sl_bytes headers = http_header_of(rq, "access-control-request-headers", &repeated[2]);
    put(out, &n, "Vary",
        sl_str("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    if (origin.n == 0 || repeated[0] || repeated[1] || repeated[2] ||
        !origin_is_allowed(c, origin) || !method_is_allowed(method) ||
        !headers_are_allowed(c, headers))
        return n;
    put_origin(c, origin, out, &n);
    put(out, &n, "Access-Control-Allow-Methods", method);
    if (headers.n > 0)
        put(out, &n, "Access-Control-Allow-Headers", headers);
    put(out, &n, "Access-Control-Allow-Credentials", sl_str("true"));
    if (c->max_age[0])
        put(out, &n, "Access-Control-Max-Age", sl_str(c->max_age));
    return n;
}

uint32_t cors_answer(const struct cors *c, const struct http_request *rq, struct http_header *out)
{
    uint32_t n = 0;
    bool repeated;
    const sl_bytes origin = http_header_of(rq, "origin", &repeated);
    put(out, &n, "Vary", sl_str("Origin"));
    if (origin.n == 0 || repeated || !origin_is_allowed(c, origin) ||
        !method_is_allowed(sl_str(rq->method)))
        return n;
    put_origin(c, origin, out, &n);
    if (c->exposed)
        put(out, &n, "Access-Control-Expose-Headers", sl_str(c->exposed));
    put(out, &n, "Access-Control-Allow-Credentials", sl_str("true"));
    return n;
}
