/* Who sends: a request's headers as an authenticator wants them, and what of them goes with the data
 * as metadata. For servers of any protocol; any thread. */
#ifndef SLUICE_FORMATS_SENDER_H
#define SLUICE_FORMATS_SENDER_H
#include <sluice/plugin.h>

enum { SENDER_HEADERS_MAX = 512, SENDER_TEXT_MAX = 16 * 1024 };

/* What the config asks for. */
struct sender_rules {
    const sl_host *host;
    const sl_auth_server *auth;    /* NULL: whoever wants may send */
    const sl_list *request_params; /* sl_bytes: of the query, in place of headers; NULL: none */
    bool include_metadata;
};

/* The authenticator of a config's key `path`.authenticator, such as "protocols.http.auth". The
 * error is about `name`. [control] */
int32_t sender_authenticator(const sl_host *, const sl_bytes *name, const char *path,
                             const sl_auth_server **, sl_error *);

/* Does anything have to be done for a request? */
static inline bool sender_matters(const struct sender_rules *r)
{
    return r->auth || r->include_metadata;
}

/* A request's headers; the caller's storage, made empty by sender_headers_init. Values, and names
 * that were in lower case, are not copied. */
struct sender_headers {
    uint32_t n;
    bool overflow; /* there was more than fits */
    size_t used;
    sl_meta_entry at[SENDER_HEADERS_MAX];
    uint8_t text[SENDER_TEXT_MAX];
};

void sender_headers_init(struct sender_headers *);
void sender_add_header(struct sender_headers *, sl_bytes name, sl_bytes value);

/* May the request come in? `query`: of its URL; may be empty. SL_OK: *metadata is what goes with its
 * data, or NULL; the caller unrefs it. SL_ERR_DENIED: it may not. SL_ERR_UNAVAILABLE,
 * SL_ERR_NOMEM: that cannot be told now. SL_ERR_TOO_LARGE: too many headers. */
int32_t sender_admit(const struct sender_rules *, struct sender_headers *, sl_bytes query,
                     const sl_metadata **metadata, sl_error *);
#endif
