/* Routes and headers as libcurl takes them. Control thread; headers also [blocking]. */
#include "exporters/otlphttp/transfer.h"

#include <stdlib.h>

/* Does the certificate have another name than the endpoint? */
static bool has_other_name(const struct exporter *e, const struct route *r)
{
    return r->https && e->tls.server_name_override.n > 0;
}

/* ---- headers ---- */

static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);
    if (more)
        *list = more;
    return more != NULL;
}

/* "name: value", and "name;" where the value is empty. */
static bool add(struct curl_slist **list, sl_bytes name, sl_bytes value)
{
    const size_t size = name.n + value.n + 3;
    char *line = malloc(size);
    if (!line)
        return false;
    (void)snprintf(line, size, value.n ? "%.*s: %.*s" : "%.*s;", (int)name.n, (const char *)name.p,
                   (int)value.n, (const char *)value.p);
    const bool added = add_line(list, line);
    free(line);
    return added;
}

struct curl_slist *curl_headers_make(const struct exporter *e, const struct route *r,
                                     const sl_metadata *auth)
{
    struct curl_slist *list = NULL;
    bool good = add(&list, sl_str("Content-Type"),
                    sl_str(e->encoding == ENCODE_JSON ? CONTENT_JSON : CONTENT_PROTO));
    bool has_host = client_auth_has(auth, sl_str("host"));
    good = good && add_line(&list, "Expect:"); /* announcing the body first costs a round trip */
    if (exporter_compresses(e))
        good = good && add(&list, sl_str("Content-Encoding"),
                           sl_str(exporter_compressions[e->compression]));
    for (uint32_t i = 0; i < e->headers.n && good; i++) {
        const sl_meta_entry *h = SL_LIST_AT(sl_meta_entry, e->headers, i);
        has_host = has_host || client_name_is(h->key, "host");
        if (!client_auth_has(auth, h->key))
            good = add(&list, h->key, h->value);
    }
    for (uint32_t i = 0; auth && i < auth->n && good; i++)
        good = add(&list, auth->at[i].key, auth->at[i].value);
    if (!has_host && has_other_name(e, r)) /* the URL has the name that the certificate must have */
        good = good && add(&list, sl_str("Host"), sl_str(r->authority));
    if (good)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

/* ---- where to ---- */

static char *join(const char *const *texts, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += strlen(texts[i]);
    char *whole = malloc(size), *at = whole;
    for (size_t i = 0; whole && i < n; i++)
        at = stpcpy(at, texts[i]);
    return whole;
}

/* The name that is asked for and that the certificate must have stands in the URL; CONNECT_TO says
 * where that is. */
static bool override_name(struct curl_route *to, const struct route *r, const char *name)
{
    const bool v6 = strchr(r->host, ':') != NULL;
    const char *const url[] = {"https://", name, ":", r->port, r->target};
    const char *const line[] = {"::", v6 ? "[" : "", r->host, v6 ? "]:" : ":", r->port};
    char *text = join(line, sizeof line / sizeof *line);
    to->url = join(url, sizeof url / sizeof *url);
    to->connect_to = text ? curl_slist_append(NULL, text) : NULL;
    free(text);
    return to->url && to->connect_to;
}

int32_t curl_route_init(struct curl_route *to, const struct client *c, const struct route *r)
{
    const struct exporter *e = c->exporter;
    *to = (struct curl_route){.url = NULL};
    if (!r->target)
        return SL_OK;
    bool good;
    if (has_other_name(e, r)) {
        good = override_name(to, r, (const char *)e->tls.server_name_override.p);
    } else {
        const char *const url[] = {r->https ? "https://" : "http://", r->authority, r->target};
        to->url = join(url, sizeof url / sizeof *url);
        good = to->url != NULL;
    }
    if (good && !c->auth) {
        to->headers = curl_headers_make(e, r, NULL);
        good = to->headers != NULL;
    }
    return good ? SL_OK : SL_ERR_NOMEM;
}

void curl_route_deinit(struct curl_route *to)
{
    free(to->url);
    curl_slist_free_all(to->connect_to);
    curl_slist_free_all(to->headers);
    *to = (struct curl_route){.url = NULL};
}
