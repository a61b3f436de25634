/* The OTLP/HTTP exporter while memory is short, on each of its ways. */
#include "exporters/otlphttp/exporter.h"
#include "tests/support/exporter_memory.h"
#include "tests/support/http_sink.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin, sluice_plugin_http_loop, sluice_plugin_otlphttp_curl;

static char endpoint[64];
static struct exporter exporter;
static uint32_t compression;
static bool cookies; /* which take libcurl */

static void *configure(struct plugin_host *h)
{
    static const sl_meta_entry header = {{(const uint8_t *)"X-Test", 6},
                                         {(const uint8_t *)"a value", 7}};
    h->loadable[0] = &sluice_plugin_http_loop;
    h->loadable[1] = &sluice_plugin_otlphttp_curl;
    exporter = (struct exporter){.base.host = &h->host,
                                 .endpoint = sl_str(endpoint),
                                 .compression = compression,
                                 .cookies.enabled = cookies,
                                 .headers = {&header, 1, sizeof header}};
    return &exporter;
}

static void run(uint32_t compression_, bool cookies_)
{
    const struct exporter_trial trial = {.type = sluice_plugin.types[0],
                                         .configure = configure,
                                         .segments = {sl_str("first"), sl_str("second")}};
    compression = compression_;
    cookies = cookies_;
    exporter_trial_run(&trial);
}

static void as_it_lies(void **state)
{
    (void)state;
    run(COMPRESS_NONE, false);
}

static void compressed(void **state)
{
    (void)state;
    run(COMPRESS_GZIP, false);
    run(COMPRESS_ZSTD, false);
}

static void through_libcurl(void **state)
{
    (void)state;
    run(COMPRESS_NONE, true);
    run(COMPRESS_GZIP, true);
}

static int serve(void)
{
    return http_sink_port(http_sink_create(0));
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_lies),
        cmocka_unit_test(compressed),
        cmocka_unit_test(through_libcurl),
    };
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", exporter_trial_serve(serve));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
