/* A small server of pages about the process, for extensions: the config keys of the OpenTelemetry
 * Collector's HTTP servers, and what they do. An extension puts the config into its own, and the
 * table, whose keys stand among its own, into its table:
 *
 *     struct http_pages_config server;
 *     SL_STRUCT(struct zpages, server, &http_pages_struct, "The server.", .flags = SL_INLINE),
 */
#ifndef SLUICE_FORMATS_HTTP_PAGES_H
#define SLUICE_FORMATS_HTTP_PAGES_H
#include "formats/http/server.h"
#include "formats/tls/tls.h"

struct http_pages_config {
    struct tls_server_config tls;
    uint8_t tls_on, auth_on;
    struct http_pages_auth {
        sl_bytes authenticator;
        const sl_raw *request_params;
    } auth;
    const sl_raw *cors, *response_headers, *middlewares; /* refused */
};

extern const sl_struct http_pages_struct;

/* Checks what can be checked before the start, and reads the certificates. [control] */
int32_t http_pages_prepare(const sl_host *, const struct http_pages_config *, sl_error *);

struct http_pages;
/* Listens at the endpoint and serves: `handler` hears of requests that may come in. `name` is the
 * thread's (15 characters). The config stays in use. [control] */
int32_t http_pages_start(const sl_host *, const struct http_pages_config *, sl_bytes endpoint,
                         const struct http_handler *handler, uint32_t connections, const char *name,
                         struct http_pages **, sl_error *);
void http_pages_stop(struct http_pages *); /* NULL is legal. [control] */

#endif
