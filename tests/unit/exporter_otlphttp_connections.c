/* How the OTLP/HTTP exporter reaches its destination: names and addresses, sockets, how many connections
 * and for how long, deadlines, many sends at once, and stopping. */
#include "tests/unit/exporter_otlphttp_support.h"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void deadline_passes(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open_sink(&f, NULL);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
    sl_delivery *d = fixture_delivery(&f, SL_TRACES, 1);
    const int64_t begun = sl_now(&f.h->host);
    assert_int_equal(fixture_send_until(&f, d, begun + S / 5), SL_ERR_TIMEOUT);
    assert_string_equal(f.send.why, "timeout");
    assert_in_range(sl_now(&f.h->host) - begun, S / 5 - S / 100, 10 * S); /* clocks tick in ms */
    assert_int_equal(fixture_send_until(&f, d, 1), SL_ERR_TIMEOUT);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    fixture_close(&f);
}

static void dead_destination_comes_back(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    const int port = http_sink_port(sink);
    struct fixture f;
    (void)state;
    http_sink_destroy(sink);
    fixture_open_on(&f, port, NULL);
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    f.sink = http_sink_create(port);
    assert_int_equal(fixture_send_two(&f), SL_OK);
    http_sink_destroy(f.sink);
    f.sink = http_sink_create(port); /* the kept connection is dead: a new one is made */
    assert_int_equal(fixture_send_two(&f), SL_OK);
    fixture_close(&f);
}

static void *send_in_thread(void *arg)
{
    struct fixture *f = arg;
    sl_delivery *d = fixture_delivery(f, SL_TRACES, 1);
    const int32_t status = fixture_send_until(f, d, sl_now(&f->h->host) + 60 * S);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    return (void *)(intptr_t)status;
}

static void *send_large_in_thread(void *arg)
{
    struct fixture *f = arg;
    const size_t n = 32 << 20;
    uint8_t *bytes = calloc(1, n);
    const sl_bytes segment = sl_slice(bytes, n);
    sl_delivery *d = plugin_host_delivery_of(f->h, SL_TRACES, &segment, 1, 1);
    const int32_t status = fixture_send(f, d);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    free(bytes);
    return (void *)(intptr_t)status;
}

/* ---- names with several addresses ---- */

/* "two.test" is at 127.0.0.2, where nobody listens, and at 127.0.0.1. Stands in for the C library's,
 * also for libuv and curl. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *port,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!name || strcmp(name, "two.test") != 0)
        return real(name, port, hints, found);
    const int failed = real("127.0.0.2", port, hints, found);
    return failed ? failed : real("127.0.0.1", port, hints, &(*found)->ai_next);
}

static void a_dead_address_is_passed_over(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    char endpoint[64];
    struct fixture f;
    (void)state;
    snprintf(endpoint, sizeof endpoint, "http://two.test:%d", http_sink_port(sink));
    struct exporter e = exporter_defaults(NULL, endpoint);
    fixture_open_on(&f, http_sink_port(sink), &e);
    f.sink = sink;
    for (int i = 0; i < 3; i++)
        assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_non_null(strstr(http_sink_seen(sink)->head, "\r\nHost: two.test:"));
    assert_int_equal(http_sink_seen(sink)->connections, 1);
    fixture_close(&f);
}

/* ---- sockets of other kinds, and their number ---- */

static void unix_sockets(void **state)
{
    char folder[] = "/tmp/sluice-unit-XXXXXX", path[64], endpoint[80];
    struct fixture f;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/otlp.sock", folder);
    snprintf(endpoint, sizeof endpoint, "unix://%s", path);
    struct exporter e = exporter_defaults(NULL, endpoint);
    fixture_open_on(&f, 0, &e);
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "connection");
    f.sink = http_sink_create_unix(path);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_memory_equal(http_sink_seen(f.sink)->head, "POST /v1/traces HTTP/1.1\r\n", 26);
    assert_non_null(strstr(http_sink_seen(f.sink)->head, "\r\nHost: localhost\r\n"));
    assert_int_equal(http_sink_seen(f.sink)->connections, 1);
    fixture_close(&f);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

enum { SENDERS = 8 };

struct sender {
    struct fixture *f;
    pthread_t thread;
    sl_delivery *d;
    sl_send send;
    int32_t status;
};

static void *send_its_own(void *arg)
{
    struct sender *s = arg;
    s->status = (without_waiting ? plugin_host_begin
                                 : plugin_host_send)(s->f->type, &s->f->exporter, s->d, &s->send);
    return NULL;
}

static void senders_start(struct fixture *f, struct sender senders[SENDERS], int64_t within_ns)
{
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.f = f, .d = fixture_delivery(f, SL_TRACES, 1)};
        senders[i].send.deadline_ns = sl_now(&f->h->host) + within_ns;
    }
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_its_own, &senders[i]), 0);
}

static void senders_end(struct fixture *f, struct sender senders[SENDERS], int32_t status)
{
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(senders[i].status, status);
        plugin_host_end(f->h, senders[i].d, SL_FAILED, NULL);
    }
}

static void send_many(struct fixture *f)
{
    struct sender senders[SENDERS];
    senders_start(f, senders, 20 * S);
    senders_end(f, senders, SL_OK);
}

static void connections_are_limited(void **state)
{
    static const uint32_t limits[] = {1, 3};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct exporter e = exporter_defaults(NULL, "");
        struct fixture f;
        e.max_conns_per_host = limits[i];
        fixture_open_sink(&f, &e);
        for (int k = 0; k < 5; k++)
            send_many(&f);
        assert_in_range(http_sink_seen(f.sink)->at_one_time, 1, limits[i]);
        assert_int_equal(http_sink_seen(f.sink)->requests, 5 * SENDERS);
        fixture_close(&f);
    }
}

/* All wait for one connection whose answer does not come. */
static void waiting_for_a_connection_ends(void **state)
{
    struct exporter e = exporter_defaults(NULL, "");
    struct sender senders[SENDERS];
    struct fixture f;
    (void)state;
    e.max_conns_per_host = 1;
    fixture_open_sink(&f, &e);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
    senders_start(&f, senders, S / 5);
    senders_end(&f, senders, SL_ERR_TIMEOUT);
    for (int i = 0; i < SENDERS; i++)
        assert_string_equal(senders[i].send.why, "timeout");
    senders_start(&f, senders, 60 * S);
    f.type->stop(&f.exporter);
    senders_end(&f, senders, SL_ERR_SHUTDOWN);
    fixture_close(&f);
}

static void idle_connections_are_limited(void **state)
{
    struct exporter e = exporter_defaults(NULL, "");
    struct fixture f;
    (void)state;
    e.max_idle_conns = 100;
    e.max_idle_conns_per_host = 1;
    fixture_open_sink(&f, &e);
    assert_int_equal(exporter_idle_max(&e), 1);
    for (int i = 0; i < 4; i++) { /* one is kept, and used again */
        send_many(&f);
        const uint32_t before = http_sink_seen(f.sink)->connections;
        assert_int_equal(fixture_send_two(&f), SL_OK);
        assert_int_equal(http_sink_seen(f.sink)->connections, before);
    }
    fixture_close(&f);
    e.max_idle_conns = 0;
    e.max_idle_conns_per_host = 0;
    assert_int_equal(exporter_idle_max(&e), 0);
    e.max_idle_conns = 5;
    assert_int_equal(exporter_idle_max(&e), 5);
}

static void stop_ends_a_send(void **state)
{
    struct fixture f;
    pthread_t thread;
    void *status;
    (void)state;
    fixture_open_sink(&f, NULL);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
    const int64_t begun = sl_now(&f.h->host);
    assert_int_equal(pthread_create(&thread, NULL, send_in_thread, &f), 0);
    f.type->stop(&f.exporter);
    pthread_join(thread, &status);
    assert_int_equal((intptr_t)status, SL_ERR_SHUTDOWN);
    assert_true(sl_now(&f.h->host) - begun < 20 * S);
    fixture_close(&f);
}

static void names_are_resolved(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    char endpoint[64];
    struct fixture f;
    (void)state;
    snprintf(endpoint, sizeof endpoint, "http://localhost:%d", http_sink_port(sink));
    struct exporter e = exporter_defaults(NULL, endpoint);
    fixture_open_on(&f, http_sink_port(sink), &e);
    f.sink = sink;
    assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_non_null(strstr(http_sink_seen(sink)->head, "\r\nHost: localhost:"));
    fixture_close(&f);
    e.endpoint = sl_str("http://name.invalid:4318");
    fixture_open_on(&f, 0, &e);
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "connection");
    fixture_close(&f);
}

static void connections_are_not_kept(void **state)
{
    struct exporter e = exporter_defaults(NULL, "");
    struct fixture f;
    (void)state;
    e.disable_keep_alives = 1;
    fixture_open_sink(&f, &e);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(fixture_send_two(&f), SL_OK);
        assert_int_equal(http_sink_seen(f.sink)->connections, i);
    }
    fixture_close(&f);
}

enum { MANY = 32 };

struct many {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t ended;
    int32_t status[MANY];
};

static void many_ended(void *ctx, int32_t status)
{
    struct many *m = ctx;
    pthread_mutex_lock(&m->mutex);
    m->status[m->ended++] = status;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->mutex);
}

static void wait_ended(struct many *m, uint32_t n)
{
    pthread_mutex_lock(&m->mutex);
    while (m->ended < n)
        pthread_cond_wait(&m->changed, &m->mutex);
    pthread_mutex_unlock(&m->mutex);
}

static void many_at_once_and_stop(void **state)
{
    struct many m = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    sl_delivery *d[MANY];
    sl_send sends[MANY];
    struct fixture f;
    (void)state;
    if (!over_the_loop)
        return; /* through curl, threads wait */
    fixture_open_sink(&f, NULL);
    const sl_async_send *sender = f.type->interface_of(&f.exporter, SL_ASYNC_SEND);
    assert_non_null(sender);
    for (uint32_t i = 0; i < MANY; i++) {
        if (i == MANY / 2) {
            wait_ended(&m, MANY / 2);
            http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
        }
        d[i] = fixture_delivery(&f, SL_TRACES, 1);
        sends[i] = (sl_send){.size = sizeof sends[i], .error.size = sizeof sends[i].error};
        assert_int_equal(sender->begin(&f.exporter, d[i], &sends[i], many_ended, &m), SL_OK);
    }
    f.type->stop(&f.exporter);
    wait_ended(&m, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(m.status[i], i < MANY / 2 ? SL_OK : SL_ERR_SHUTDOWN);
        plugin_host_end(f.h, d[i], SL_FAILED, NULL);
    }
    sl_delivery *late = fixture_delivery(&f, SL_TRACES, 1);
    assert_int_equal(sender->begin(&f.exporter, late, &sends[0], many_ended, &m), SL_ERR_SHUTDOWN);
    plugin_host_end(f.h, late, SL_FAILED, NULL);
    fixture_close(&f);
}

/* A server that has heard enough says so and closes before it has read the body. */
static void refused_midway(void **state)
{
    static const char refusal[] =
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char head[100];
    struct fixture f;
    pthread_t thread;
    void *status;
    (void)state;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    fixture_open_on(&f, ntohs(address.sin_port), NULL);
    assert_int_equal(pthread_create(&thread, NULL, send_large_in_thread, &f), 0);
    const int connection = accept(fd, NULL, NULL);
    assert_true(connection >= 0);
    assert_int_equal(recv(connection, head, sizeof head, MSG_WAITALL), sizeof head);
    assert_int_equal(send(connection, refusal, sizeof refusal - 1, MSG_NOSIGNAL),
                     sizeof refusal - 1);
    (void)shutdown(connection, SHUT_WR);
    pthread_join(thread, &status);
    close(connection);
    close(fd);
    assert_int_equal((intptr_t)status, SL_ERR_TOO_LARGE);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadline_passes),
        cmocka_unit_test(dead_destination_comes_back),
        cmocka_unit_test(a_dead_address_is_passed_over),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(waiting_for_a_connection_ends),
        cmocka_unit_test(idle_connections_are_limited),
        cmocka_unit_test(stop_ends_a_send),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(connections_are_not_kept),
        cmocka_unit_test(many_at_once_and_stop),
        cmocka_unit_test(refused_midway),
    };
    return run_each_way(tests, sizeof tests / sizeof *tests);
}
