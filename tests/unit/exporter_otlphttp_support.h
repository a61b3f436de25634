/* An OTLP/HTTP exporter in front of a scripted server, for its unit tests. Each test runs three times:
 * through libcurl, and over the HTTP loop with a thread that waits for the answer, and with none.
 * Assertions are cmocka's. */
#ifndef SLUICE_TESTS_EXPORTER_OTLPHTTP_SUPPORT_H
#define SLUICE_TESTS_EXPORTER_OTLPHTTP_SUPPORT_H
#include "exporters/otlphttp/exporter.h"
#include "tests/support/http_sink.h"
#include "tests/support/plugin_host.h"

#include <setjmp.h>
// clang-format off
#include <cmocka.h>
// clang-format on

extern const sl_plugin sluice_plugin, sluice_plugin_http_loop, sluice_plugin_otlphttp_curl;

extern bool over_the_loop, without_waiting; /* which of the ways is tested */

static const int64_t S = 1000000000;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct exporter exporter;
    char endpoint[64];
    struct http_sink *sink;
    sl_meta_entry headers[3];
    sl_send send;
};

struct exporter exporter_defaults(const struct plugin_host *h, const char *endpoint);
/* Starts it, towards a port of this machine; `changed` NULL: with the defaults. */
void fixture_open_with(struct fixture *f, int port, const struct exporter *changed,
                       const sl_meta_entry *header, const sl_auth_client *auth);
void fixture_open_on(struct fixture *f, int port, const struct exporter *changed);
/* Towards a server that answers as scripted. */
void fixture_open_sink(struct fixture *f, const struct exporter *changed);
void fixture_close(struct fixture *f);
/* Of a few bytes in several segments. */
sl_delivery *fixture_delivery(struct fixture *f, uint32_t signal, uint32_t items);
/* The status of one attempt; the delivery stays the caller's. */
int32_t fixture_send_until(struct fixture *f, sl_delivery *d, int64_t deadline_ns);
int32_t fixture_send(struct fixture *f, sl_delivery *d);
/* Sends one delivery of two items and gives it back. */
int32_t fixture_send_two(struct fixture *f);
/* The next answer of the server. */
void fixture_answer(struct fixture *f, const char *text);

/* Runs a program's tests each way; its exit code. */
int run_each_way(const struct CMUnitTest *tests, size_t n);

#endif
