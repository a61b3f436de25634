/* Sending through libcurl: TLS, proxies, cookies, and endpoints on several hosts. It is a plugin of
 * its own, loaded through sl_plugins by the first config that needs it: libcurl brings thirty other
 * libraries along, and a process that does nothing takes 3 MiB without and 11 MiB with them. */
#ifndef SLUICE_EXPORTERS_OTLPHTTP_CURL_H
#define SLUICE_EXPORTERS_OTLPHTTP_CURL_H
#include "exporters/otlphttp/exporter.h"

#define OTLPHTTP_CURL_PLUGIN "otlphttp_curl"
#define OTLPHTTP_CURL "sluice.otlphttp_curl/1"

typedef struct curl_api {
    uint32_t size;
    uint32_t reserved;
    /* [control, blocking] Can this config secure connections? Reads its files. */
    int32_t (*check_tls)(const sl_host *, const struct tls_client_config *, sl_error *);
    /* [control, blocking] With the client's routes, authenticator and schemas, which stay valid
     * until destroy. */
    int32_t (*create)(struct client *, struct curl_way **, sl_error *);
    /* [control] The client is stopping: nobody waits for a connection any more. Running transfers
     * look at `stopping` at least once a second. */
    void (*stop)(struct curl_way *);
    /* [control] When all sends have returned. */
    void (*destroy)(struct curl_way *);
    /* [blocking] Several threads at once. */
    int32_t (*send)(struct curl_way *, sl_delivery *, sl_send *);
} curl_api;

#endif
