/* The OTLP receiver over HTTP on a scripted host, and a client of it, for its unit tests. Assertions
 * are cmocka's. */
#ifndef SLUICE_TESTS_RECEIVER_OTLP_HTTP_SUPPORT_H
#define SLUICE_TESTS_RECEIVER_OTLP_HTTP_SUPPORT_H
#include "formats/otlp/status.h"
#include "receivers/otlp/receiver.h"
#include "tests/support/receiver_host.h"

#include <setjmp.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define PROTO "Content-Type: application/x-protobuf\r\n"
#define GZIP PROTO "Content-Encoding: gzip\r\n"
#define JSON "Content-Type: application/json\r\n"
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

/* One span, with everything (wire-format golden vector). */
extern const uint8_t one_span[101];
/* A gauge with one point, a log record: the least that counts. */
extern const uint8_t one_point[10], one_log[6];
/* What gzip makes of nothing. */
extern const uint8_t empty_gzip[20];

struct fixture {
    struct receiver_host *host;
    const sl_type *type;
    struct receiver config;
    void *component;
};

int fixture_set_up(void **state);
int fixture_tear_down(void **state);
/* The config as it is where nothing is given, with a limit of 100000 bytes. */
void fixture_defaults(struct fixture *f);
void fixture_start(struct fixture *f);
extern _Atomic bool decoder_is_missing; /* while it is set, the host has none to load */
int64_t metric_of(struct fixture *f, const char *name);
int64_t refusals_of(struct fixture *f, const char *reason);

struct reply {
    char text[4096];
    size_t n;
    int status;
    sl_bytes body;
};

int client_open(struct fixture *f);
void client_send(int fd, const void *p, size_t n);
void client_post(int fd, const char *path, const char *headers, const void *body, size_t n);
/* Reads one answer to its end. */
void client_read(int fd, struct reply *r);
/* All of it over a connection of its own. */
void client_post_once(struct fixture *f, const char *path, const char *headers, const void *body,
                      size_t n, struct reply *r);
/* Is it an answer in JSON with this text? */
bool reply_is(const struct reply *r, const char *text);
/* Answers with errors carry a google.rpc.Status. */
struct otlp_status status_of(const struct reply *r);

#endif
