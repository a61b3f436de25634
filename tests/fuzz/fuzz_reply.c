/* Fuzz target: whatever a destination answers over HTTP. The input goes through the HTTP client as
 * the server's bytes, and through the OTLP/HTTP exporter's judgement. Every exchange must end, once,
 * and every item with it. One thread. */
#include "exporters/otlphttp/exporter.h"
#include "formats/http/client.h"
#include "formats/otlp/proto/status.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include "tests/support/plugin_host.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 << 10, ITEMS = 3, HOST_LASTS = 10000 };

struct world {
    uv_loop_t loop;
    struct http_client *http;
    struct client client;
    struct plugin_host *host;
    int listener;
    uint64_t inputs;
};

struct attempt {
    struct http_exchange exchange;
    struct world *world;
    sl_delivery *delivery;
    sl_send send;
    struct answer answer;
    unsigned ended;
};

static void check(bool good)
{
    if (!good)
        abort();
}

static char folder[] = "/tmp/sluice-fuzz-XXXXXX"; /* for on_exit_remove */

static void on_exit_remove(void)
{
    char path[sizeof folder + 8];
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void world_open(struct world *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct http_client_options options = {.host = "",
                                                .port = "80",
                                                .socket_path = address.sun_path,
                                                .no_keep_alive = true,
                                                .body_max = 32 << 10,
                                                .error_max = 4 << 10,
                                                .header_max = 16 << 10};
    (void)signal(SIGPIPE, SIG_IGN);
    check(mkdtemp(folder) != NULL && atexit(on_exit_remove) == 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(bind(w->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
          listen(w->listener, 4) == 0);
    check(uv_loop_init(&w->loop) == 0);
    check(http_client_create(&w->loop, &options, &w->http) == SL_OK);
    check(json_schema_create(&google__rpc__status__descriptor, &w->client.status_schema) == SL_OK);
    check(
        json_schema_create(
            &opentelemetry__proto__collector__trace__v1__export_trace_service_response__descriptor,
            &w->client.success_schemas[0]) == SL_OK);
    w->client.routes[0].shown = (char *)(uintptr_t) "http://there";
}

/* It keeps an account of every item that it has ever made. */
static void world_renew_host(struct world *w)
{
    if (w->inputs++ % HOST_LASTS)
        return;
    if (w->host)
        plugin_host_destroy(w->host);
    w->host = plugin_host_create();
    w->client.host = &w->host->host;
}

static void on_header(struct http_exchange *x, sl_bytes name, sl_bytes value)
{
    struct attempt *a = (struct attempt *)(void *)x;
    answer_header(&a->answer, a->world->client.host, name, value);
}

static void on_done(struct http_exchange *x)
{
    struct attempt *a = (struct attempt *)(void *)x;
    a->answer.http = x->status;
    a->answer.body = x->body;
    a->answer.too_long = x->too_long;
    a->answer.text = x->error ? uv_strerror(x->error) : NULL;
    const int32_t status = answer_judge(&a->world->client, 0, &a->answer, a->delivery, &a->send);
    check((status == SL_OK) == (x->status >= 200 && x->status <= 299));
    check(a->send.retry_after_ns >= 0 && a->send.retry_after_ns <= CLIENT_RETRY_MAX_NS);
    check(strlen(a->send.error.text) < sizeof a->send.error.text);
    a->ended++;
}

/* The client is connecting, or writes. */
static void answer_with(struct world *w, const uint8_t *data, size_t size)
{
    const int fd = accept(w->listener, NULL, NULL);
    check(fd >= 0);
    while (size > 0) {
        const ssize_t n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (uv_run(&w->loop, UV_RUN_NOWAIT) == 0) {
            break; /* it has heard enough */
        }
        if (n < 0 && errno != EAGAIN)
            break;
    }
    (void)shutdown(fd, SHUT_WR);
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world *w; /* one for all inputs */
    if (!w) {
        w = calloc(1, sizeof *w);
        check(w != NULL);
        world_open(w);
    }
    world_renew_host(w);
    struct attempt a = {.exchange = {.head = sl_str("POST / HTTP/1.1\r\n\r\n"),
                                     .header = on_header,
                                     .done = on_done},
                        .world = w,
                        .delivery = plugin_host_delivery(w->host, ITEMS, NULL),
                        .send = {.size = sizeof a.send, .error.size = sizeof a.send.error}};
    check(http_client_send(w->http, &a.exchange) == SL_OK);
    answer_with(w, data, size < INPUT_MAX ? size : INPUT_MAX);
    while (!a.ended)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    check(a.ended == 1);
    plugin_host_end(w->host, a.delivery, SL_FAILED, NULL);
    return 0;
}
