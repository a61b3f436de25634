/* The key response_headers: what the operator wants to stand in every answer. Read-only once it is
 * made; any thread. */
#ifndef SLUICE_RECEIVERS_OTLP_RESPONSE_HEADERS_H
#define SLUICE_RECEIVERS_OTLP_RESPONSE_HEADERS_H
#include "formats/http/server.h"

enum { RESPONSE_HEADERS_MAX = 32 };

struct response_headers {
    struct http_header at[RESPONSE_HEADERS_MAX];
    uint32_t n;
};

/* Of a map of the config's, whose texts stay in use. Without Content-Type, which every answer sets
 * by itself. Refuses what HTTP does not allow, and what the server decides: where an answer ends
 * and whether its connection does. The error shows no value. [control] */
int32_t response_headers_init(struct response_headers *, const sl_list *map, sl_error *);
#endif
