/* See exporter_otlphttp_support.h. */
#include "tests/unit/exporter_otlphttp_support.h"

#include <signal.h>

bool over_the_loop, without_waiting;

struct exporter exporter_defaults(const struct plugin_host *h, const char *endpoint)
{
    return (struct exporter){.base.host = h ? &h->host : NULL,
                             .endpoint = sl_str(endpoint),
                             .compression = COMPRESS_NONE,
                             .cookies.enabled = !over_the_loop, /* which takes libcurl */
                             .write_buffer_size = 524288,
                             .idle_conn_timeout = 90 * S};
}

void fixture_open_with(struct fixture *f, int port, const struct exporter *changed,
                       const sl_meta_entry *header, const sl_auth_client *auth)
{
    sl_error error = {.size = sizeof error};
    *f = (struct fixture){.h = plugin_host_create(), .type = sluice_plugin.types[0]};
    snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%d", port);
    f->exporter = changed ? *changed : exporter_defaults(f->h, f->endpoint);
    f->exporter.base.host = &f->h->host;
    f->h->loadable[0] = &sluice_plugin_http_loop;
    f->h->loadable[1] = &sluice_plugin_otlphttp_curl;
    if (!f->exporter.endpoint.n)
        f->exporter.endpoint = sl_str(f->endpoint);
    const sl_meta_entry headers[] = {
        {sl_str("X-Test"), sl_str("a value")}, {sl_str("X-Empty"), sl_str("")}, *header};
    memcpy(f->headers, headers, sizeof headers);
    f->exporter.headers = (sl_list){f->headers, 3, sizeof *headers};
    f->h->extension_name = "bearertokenauth";
    f->h->extension_id = SL_AUTH_CLIENT;
    f->h->extension = auth;
    assert_int_equal(f->type->prepare(&f->exporter, &error), SL_OK);
    assert_int_equal(f->type->start(&f->exporter, &error), SL_OK);
}

void fixture_open_on(struct fixture *f, int port, const struct exporter *changed)
{
    const sl_meta_entry header = {sl_str("X-Third"), sl_str("3")};
    fixture_open_with(f, port, changed, &header, NULL);
}

void fixture_open_sink(struct fixture *f, const struct exporter *changed)
{
    struct http_sink *sink = http_sink_create(0);
    fixture_open_on(f, http_sink_port(sink), changed);
    f->sink = sink;
}

void fixture_close(struct fixture *f)
{
    f->type->stop(&f->exporter);
    f->type->stop(&f->exporter);
    f->type->destroy(&f->exporter);
    if (f->sink)
        http_sink_destroy(f->sink);
    plugin_host_destroy(f->h);
}

sl_delivery *fixture_delivery(struct fixture *f, uint32_t signal, uint32_t items)
{
    static const char text[] = "bytes of a request";
    const sl_bytes segments[] = {sl_slice(text, 5), sl_slice(text + 5, 4), sl_slice(NULL, 0),
                                 sl_slice(text + 9, sizeof text - 1 - 9)};
    return plugin_host_delivery_of(f->h, signal, segments, 4, items);
}

int32_t fixture_send_until(struct fixture *f, sl_delivery *d, int64_t deadline_ns)
{
    f->send.deadline_ns = deadline_ns;
    return (without_waiting ? plugin_host_begin : plugin_host_send)(f->type, &f->exporter, d,
                                                                    &f->send);
}

int32_t fixture_send(struct fixture *f, sl_delivery *d)
{
    return fixture_send_until(f, d, sl_now(&f->h->host) + 20 * S);
}

int32_t fixture_send_two(struct fixture *f)
{
    sl_delivery *d = fixture_delivery(f, SL_TRACES, 2);
    const int32_t status = fixture_send(f, d);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    return status;
}

void fixture_answer(struct fixture *f, const char *text)
{
    http_sink_script(f->sink, (struct http_sink_answer){.bytes = sl_str(text)});
}

int run_each_way(const struct CMUnitTest *tests, size_t n)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    int failed = _cmocka_run_group_tests("through libcurl", tests, n, NULL, NULL);
    over_the_loop = true;
    failed += _cmocka_run_group_tests("over the loop, waiting", tests, n, NULL, NULL);
    without_waiting = true;
    return failed + _cmocka_run_group_tests("over the loop", tests, n, NULL, NULL);
}
