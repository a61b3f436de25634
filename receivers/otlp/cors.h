/* Cross-origin requests from browsers, answered as the OpenTelemetry Collector does, which leaves it
 * to the package rs/cors: origins with one wildcard each, credentials allowed. */
#ifndef SLUICE_RECEIVERS_OTLP_CORS_H
#define SLUICE_RECEIVERS_OTLP_CORS_H
#include "formats/http/server.h"

struct cors_config {
    sl_list allowed_origins, allowed_headers, exposed_headers; /* sl_bytes */
    int64_t max_age;                                           /* seconds */
};

enum { CORS_HEADERS_MAX = 6 };

struct cors {
    const struct cors_config *config;
    bool all_origins, all_headers;
    char max_age[24]; /* "": not said */
    char *exposed;    /* "A, B"; NULL: none */
};

/* Off where there are no allowed origins. SL_ERR_NOMEM. [control] */
int32_t cors_init(struct cors *, const struct cors_config *);
void cors_deinit(struct cors *);
static inline bool cors_is_on(const struct cors *c)
{
    return c->config != NULL;
}

/* Does a browser ask whether it may send? Such a request has no credentials. */
bool cors_is_preflight(const struct http_request *);
/* The headers of the answer to that, a 204, and of the answer to any other request. They are valid
 * as long as the request. At most CORS_HEADERS_MAX; returns their number. [any] */
uint32_t cors_preflight(const struct cors *, const struct http_request *, struct http_header *out);
uint32_t cors_answer(const struct cors *, const struct http_request *, struct http_header *out);
#endif
