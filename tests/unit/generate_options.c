/* The command line of `sluice generate`: what it sets, and what it says about mistakes. */
#include "commands/generate/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PARSE(o, ...) parse(o, (const char *[]){"sluice", __VA_ARGS__, NULL})

static sl_error error;

/* Arguments are copied: headers are cut where they stand. */
static enum sl_status parse(struct options *o, const char *const *args)
{
    static char text[32][128];
    static char *argv[32];
    int argc = 0;
    for (; args[argc]; argc++) {
        (void)snprintf(text[argc], sizeof(text[argc]), "%s", args[argc]);
        argv[argc] = text[argc];
    }
    memset(&error, 0, sizeof(error));
    return options_parse(o, argc, argv, &error);
}

static void test_defaults(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, "--out", "dir"), SL_OK);
    assert_int_equal(o.stream.signals, SL_TRACES | SL_METRICS | SL_LOGS);
    assert_int_equal(o.stream.traces, 1000);
    assert_int_equal(o.stream.series, 500);
    assert_int_equal(o.stream.duration, UINT64_C(60000000000));
    assert_int_equal(o.stream.seed, 1);
    assert_int_equal(o.stream.batch, 1000);
    assert_string_equal(o.folder, "dir");
}

static void test_sizes(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, "--traces", "50000", "--file", "-"), SL_OK);
    assert_int_equal(o.stream.signals, SL_TRACES);
    assert_int_equal(o.stream.traces, 50000);
    assert_int_equal(o.stream.duration, UINT64_C(500000000000)); /* 100 a second */
    assert_int_equal(PARSE(&o, "--traces", "medium", "--file", "x"), SL_OK);
    assert_int_equal(o.stream.traces, 20000);
    assert_int_equal(PARSE(&o, "--series", "70", "--duration", "1.5h", "--out", "x"), SL_OK);
    assert_int_equal(o.stream.signals, SL_METRICS);
    assert_int_equal(o.stream.series, 70);
    assert_int_equal(o.stream.duration, UINT64_C(5400000000000));
    assert_int_equal(PARSE(&o, "--logs", "90000", "--file", "x"), SL_OK);
    assert_int_equal(o.stream.logs, 90000);
    assert_int_equal(o.stream.traces, 90000);
    assert_int_equal(PARSE(&o, "big", "--start", "2025-01-02T03:04:05Z", "--out", "x"), SL_OK);
    assert_int_equal(o.stream.start, UINT64_C(1735787045000000000));
    assert_int_equal(PARSE(&o, "--start", "1735787045", "--out", "x"), SL_OK);
    assert_int_equal(o.stream.start, UINT64_C(1735787045000000000));
}

static void test_sending(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, "--to", "grpc://h:4317", "--rate", "1000", "--requests", "5",
                           "--for", "30s", "--connections", "2", "--in-flight", "3", "--gzip",
                           "--header", "a=b=c", "--timeout", "250ms", "--retries", "4"),
                     SL_OK);
    assert_int_equal(o.send.protocol, SEND_GRPC);
    assert_string_equal(o.send.endpoint, "grpc://h:4317");
    assert_true(o.send.items_per_second == 1000);
    assert_int_equal(o.send.requests, 5);
    assert_int_equal(o.send.duration_ns, UINT64_C(30000000000));
    assert_int_equal(o.send.timeout_ns, 250000000);
    assert_int_equal(o.send.retries, 4);
    assert_true(o.send.gzip);
    assert_int_equal(o.send.header_count, 1);
    assert_string_equal(o.send.headers[0].name, "a");
    assert_string_equal(o.send.headers[0].value, "b=c");
    assert_int_equal(PARSE(&o, "--to", "http://h:4318/base", "--from", "f"), SL_OK);
    assert_int_equal(o.send.protocol, SEND_HTTP);
    assert_int_equal(o.from_count, 1);
    assert_int_equal(o.stream.signals, 0);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *args[8];
        const char *says;
    } cases[] = {
        {{"--traces"}, "say where to: --out DIR, --file FILE or --to URL"},
        {{"--out", "a", "--to", "http://h:1"}, "give only one of --out, --file and --to"},
        {{"--file", "a"},
         "--file takes one signal: choose --traces, --metrics or --logs, or use --out DIR"},
        {{"--out"}, "--out needs a value"},
        {{"--out", "a", "--bach", "5"}, "unknown option \"--bach\" (see sluice generate --help)"},
        {{"--out", "a", "huge"}, "unknown option \"huge\" (see sluice generate --help)"},
        {{"--out", "a", "--batch", "0"}, "--batch 0: not a whole number from 1 to 1000000"},
        {{"--out", "a", "--batch", "-3"}, "--batch -3: not a whole number from 1 to 1000000"},
        {{"--out", "a", "--traces", "0"}, "--traces 0: not a whole number from 1 to 1000000000"},
        {{"--out", "a", "--seed", "99999999999999999999"},
         "--seed 99999999999999999999: not a whole number from 0 to 18446744073709551615"},
        {{"--out", "a", "--format", "xml"}, "--format xml: not one of otlp, json, ndjson"},
        {{"--out", "a", "--group", "all"}, "--group all: not one of service, mixed"},
        {{"--out", "a", "--duration", "5"},
         "--duration 5: not a duration such as 500ms, 90s, 10m, 1h, 2d (a year at most)"},
        {{"--out", "a", "--start", "soon"},
         "--start soon: not a time such as 2025-09-15T10:00:00Z, seconds since 1970, or now"},
        {{"--out", "a", "--errors", "nan"}, "--errors nan: not a number from 0 to 1000"},
        {{"--to", "h:4317"}, "--to h:4317: not grpc://HOST:PORT or http://HOST:PORT"},
        {{"--to", "http://h", "--format", "json"},
         "--format json is for files: --to sends OTLP protobuf"},
        {{"--out", "a", "--rate", "5"},
         "--rate, --requests, --for, --gzip, --connections, --in-flight and --header need --to "
         "URL"},
        {{"--to", "http://h", "--header", "novalue"}, "--header novalue: not NAME=VALUE"},
        {{"--from", "f", "--traces", "--out", "a"},
         "--from replaces what is generated: leave out --traces, --metrics, --logs and sizes"},
        {{"--from", "f", "--format", "ndjson", "--out", "a"},
         "--format ndjson needs generated telemetry: with --from use otlp or json"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *args[10] = {"sluice"};
        for (int k = 0; k < 8 && cases[i].args[k]; k++) {
            args[k + 1] = cases[i].args[k];
        }
        struct options o;
        assert_int_equal(parse(&o, args), SL_ERR_INVALID);
        assert_string_equal(error.text, cases[i].says);
    }
}

static void test_help(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, "--help"), SL_OK);
    assert_true(o.help);
    static const char *const documented[] = {
        "--traces",     "--logs",       "--metrics", "--series",      "--from",      "--duration",
        "--start",      "--seed",       "--errors",  "--batch",       "--group",     "--delay",
        "--attributes", "--span-bytes", "--out",     "--file",        "--format",    "--to",
        "--rate",       "--requests",   "--for",     "--connections", "--in-flight", "--gzip",
        "--retries",    "--timeout",    "--header",  "--json",        "--progress",  "small",
        "medium",       "big"};
    for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++) {
        assert_non_null(strstr(options_usage, documented[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sending),  cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
