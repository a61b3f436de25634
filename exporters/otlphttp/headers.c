/* The head of requests over the HTTP loop: the headers that follow from the config, and those of an
 * authenticator, which stand in for others of the same name. Any thread. */
#include "exporters/otlphttp/exporter.h"

#include <stdlib.h>

struct text {
    char *at; /* NULL: no memory */
    size_t n, room;
};

static void put(struct text *t, const void *at, size_t n)
{
    if (!t->at)
        return;
    if (n > t->room - t->n) {
        t->room = (t->room + n) * 2;
        char *more = realloc(t->at, t->room);
        if (!more)
            free(t->at);
        t->at = more;
    }
    if (t->at && n)
        memcpy(t->at + t->n, at, n);
    t->n += n;
}

static void put_text(struct text *t, const char *text)
{
    put(t, text, strlen(text));
}

static void put_header(struct text *t, sl_bytes name, sl_bytes value)
{
    put(t, name.p, name.n);
    put_text(t, ": ");
    put(t, value.p, value.n);
    put_text(t, "\r\n");
}

char *head_make(const struct exporter *e, const struct route *r, const sl_metadata *auth)
{
    bool has_host = client_auth_has(auth, sl_str("host"));
    bool has_agent = client_auth_has(auth, sl_str("user-agent"));
    enum { ROOM = 512 };
    struct text t = {malloc(ROOM), 0, ROOM};
    put_text(&t, "POST ");
    put_text(&t, r->target);
    put_text(&t, " HTTP/1.1\r\n");
    for (uint32_t i = 0; i < e->headers.n; i++) {
        const sl_meta_entry *h = SL_LIST_AT(sl_meta_entry, e->headers, i);
        has_host = has_host || client_name_is(h->key, "host");
        has_agent = has_agent || client_name_is(h->key, "user-agent");
        if (!client_auth_has(auth, h->key))
            put_header(&t, h->key, h->value);
    }
    for (uint32_t i = 0; auth && i < auth->n; i++)
        put_header(&t, auth->at[i].key, auth->at[i].value);
    if (!has_host)
        put_header(&t, sl_str("Host"), sl_str(r->authority));
    if (!has_agent)
        put_header(&t, sl_str("User-Agent"), sl_str(USER_AGENT));
    if (e->disable_keep_alives)
        put_text(&t, "Connection: close\r\n");
    put_header(&t, sl_str("Content-Type"),
               sl_str(e->encoding == ENCODE_JSON ? CONTENT_JSON : CONTENT_PROTO));
    if (exporter_compresses(e))
        put_header(&t, sl_str("Content-Encoding"), sl_str(exporter_compressions[e->compression]));
    put(&t, "Content-Length: ", sizeof "Content-Length: "); /* with the NUL */
    return t.at;
}
