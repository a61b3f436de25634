/* See exporter_memory.h. */
#include "tests/support/exporter_memory.h"
#include "tests/support/failing_memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

static int32_t send_one(const sl_type *type, void *exporter, sl_delivery *d, sl_send *send)
{
    const sl_host *h = sl_host_of(exporter);
    *send = (sl_send){.size = sizeof *send, .deadline_ns = sl_now(h) + INT64_C(20000000000)};
    const bool async = type->interface_of && type->interface_of(exporter, SL_ASYNC_SEND);
    return (async ? plugin_host_begin : plugin_host_send)(type, exporter, d, send);
}

static bool one_failure(const struct exporter_trial *t, uint64_t n, bool goes_on)
{
    struct plugin_host *h = plugin_host_create();
    void *exporter = t->configure(h);
    sl_delivery *first = plugin_host_delivery_of(h, SL_TRACES, t->segments, 2, 2);
    sl_delivery *second = plugin_host_delivery_of(h, SL_TRACES, t->segments, 2, 2);
    sl_error error = {.size = sizeof error};
    sl_send send = {.size = sizeof send};
    failing_memory_at(n, goes_on);
    int32_t status = t->type->prepare(exporter, &error);
    if (status == SL_OK)
        status = t->type->start(exporter, &error);
    const bool started = status == SL_OK;
    if (started)
        status = send_one(t->type, exporter, first, &send);
    const bool failed = failing_memory_has_failed();
    failing_memory_at(0, false);
    if (status != SL_OK && (!failed || !(started ? send.error.text : error.text)[0]))
        fail_msg("allocation %lu: %s answers %d without a reason", (unsigned long)n,
                 started ? "send" : "start", status);
    if (started && send_one(t->type, exporter, second, &send) != SL_OK)
        fail_msg("allocation %lu: nothing is sent afterwards: %s", (unsigned long)n,
                 send.error.text);
    if (started)
        t->type->stop(exporter);
    t->type->destroy(exporter);
    assert_int_equal(plugin_host_count(h, SL_REJECTED), 0);
    if (t->look)
        t->look(plugin_host_count(h, SL_DELIVERED) / 2);
    plugin_host_end(h, first, SL_FAILED, NULL);
    plugin_host_end(h, second, SL_FAILED, NULL);
    plugin_host_destroy(h);
    return failed;
}

void exporter_trial_run(const struct exporter_trial *t)
{
    for (int goes_on = 0; goes_on <= 1; goes_on++) {
        uint64_t n = 1;
        while (one_failure(t, n, goes_on))
            n++;
        print_message("%lu allocations\n", (unsigned long)n - 1);
        assert_true(n > 2);
    }
}

int exporter_trial_serve(int (*serve)(void))
{
    int ends[2], port = 0;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        port = serve();
        if (write(ends[1], &port, sizeof port) == sizeof port)
            for (;;)
                (void)pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &port, sizeof port), sizeof port);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return port;
}
