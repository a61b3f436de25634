/* The OTLP/gRPC exporter while memory is short. */
#include "exporters/otlp/exporter.h"
#include "tests/support/exporter_memory.h"
#include "tests/support/grpc_sink.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin, sluice_plugin_grpc_loop;

static char endpoint[64];
static struct exporter exporter;
static uint32_t compression;

static void *configure(struct plugin_host *h)
{
    static const sl_meta_entry header = {{(const uint8_t *)"X-Test", 6},
                                         {(const uint8_t *)"a value", 7}};
    h->loadable[0] = &sluice_plugin_grpc_loop;
    exporter = (struct exporter){.base.host = &h->host,
                                 .endpoint = sl_str(endpoint),
                                 .user_agent = sl_str("Sluice/0.1"),
                                 .tls.insecure = 1,
                                 .compression = compression,
                                 .headers = {&header, 1, sizeof header}};
    return &exporter;
}

static void run(uint32_t compression_)
{
    const struct exporter_trial trial = {.type = sluice_plugin.types[0],
                                         .configure = configure,
                                         .segments = {sl_str("first"), sl_str("second")}};
    compression = compression_;
    exporter_trial_run(&trial);
}

static void as_it_lies(void **state)
{
    (void)state;
    run(COMPRESS_NONE);
}

static void compressed(void **state)
{
    (void)state;
    run(COMPRESS_GZIP);
}

static int serve(void)
{
    return grpc_sink_port(grpc_sink_create(0));
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_lies),
        cmocka_unit_test(compressed),
    };
    (void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", exporter_trial_serve(serve));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
