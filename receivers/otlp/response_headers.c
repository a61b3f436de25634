/* See response_headers.h. */
#include "receivers/otlp/response_headers.h"

#include <strings.h>

static bool named(sl_bytes name, const char *other)
{
    return name.n == strlen(other) && strncasecmp((const char *)name.p, other, name.n) == 0;
}

static bool is_the_servers(sl_bytes name)
{
    static const char *const names[] = {"connection", "content-length",    "date",
                                        "keep-alive", "transfer-encoding", "trailer",
                                        "upgrade"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (named(name, names[i]))
            return true;
    }
    return false;
}

int32_t response_headers_init(struct response_headers *h, const sl_list *map, sl_error *error)
{
    h->n = 0;
    for (uint32_t i = 0; i < map->n; i++) {
        const sl_meta_entry *entry = SL_LIST_AT(sl_meta_entry, *map, i);
        const int shown = (int)(entry->key.n < 60 ? entry->key.n : 60);
        const char *name = (const char *)entry->key.p;
        if (!http_is_name(entry->key))
            return sl_fail(error, SL_ERR_INVALID,
                           "protocols.http.response_headers: \"%.*s\" cannot be a header's name",
                           shown, name);
        if (!http_is_value(entry->value))
            return sl_fail(error, SL_ERR_INVALID,
                           "protocols.http.response_headers: the value of \"%.*s\" has characters "
                           "that a header cannot have",
                           shown, name);
        if (is_the_servers(entry->key))
            return sl_fail(error, SL_ERR_INVALID,
                           "protocols.http.response_headers: \"%.*s\" is the server's own to set; "
                           "remove it",
                           shown, name);
        if (named(entry->key, "content-type"))
            continue;
        if (h->n == RESPONSE_HEADERS_MAX)
            return sl_fail(error, SL_ERR_TOO_LARGE,
                           "protocols.http.response_headers: there are %u; at most %u are possible",
                           map->n, (unsigned)RESPONSE_HEADERS_MAX);
        h->at[h->n++] = (struct http_header){entry->key, entry->value};
    }
    return SL_OK;
}
