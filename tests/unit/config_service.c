/* The top level: components, pipelines, references, and what stands under `service`. */
#include "config_support.h"
#include "pipeline/config/service.h"

struct served {
    struct loaded l;
    struct service_config s;
    int32_t status;
};

static struct served serve(const char *yaml)
{
    struct served v = {.l = parse(yaml)};
    if (v.l.status)
        fail_msg("%s", said(&v.l));
    v.status = service_init(&v.s, &v.l.tree, NULL, &v.l.d);
    assert_int_equal(v.status == SL_OK, !diagnostics_failed(&v.l.d));
    return v;
}

static void unserve(struct served *v)
{
    service_deinit(&v->s);
    unload(&v->l);
}

#define PIPELINE                                                                                   \
    "receivers: {otlp: }\nexporters: {debug: }\n"                                                  \
    "service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}"

static void resolves_pipelines(void **state)
{
    (void)state;
    struct served v =
        serve("receivers:\n  otlp:\n  otlp / in:\n    protocols: {grpc: }\n"
              "processors: {batch: , batch/é: {timeout: 1s}}\n"
              "exporters: {debug: {x: 1}, nop: }\n"
              "connectors: {forward: }\n"
              "extensions: {health_check: , zpages/2: }\n"
              "service:\n"
              "  extensions: [zpages/2, health_check]\n"
              "  pipelines:\n"
              "    traces: {receivers: [otlp, otlp/in], processors: [batch/é, batch],\n"
              "             exporters: [debug, forward], lanes: 4, journal: {storage: zpages/2, "
              "max_age: 1h}}\n"
              "    traces/out: {receivers: [forward], exporters: nop}\n"
              "    profiles: {receivers: [otlp], exporters: [debug]}\n");
    assert_int_equal(v.status, SL_OK);
    assert_silent(&v.l);
    assert_int_equal(v.s.n_components, 9);
    const struct service_component *in = service_find(&v.s, SL_KIND_receiver, "otlp/in");
    assert_non_null(in);
    assert_string_equal(in->type, "otlp");
    assert_string_equal(in->name, "in");
    assert_int_equal(in->at.line, 3);
    assert_non_null(config_find(in->node, sl_str("protocols")));
    assert_null(service_find(&v.s, SL_KIND_exporter, "otlp/in"));
    assert_int_equal(v.s.n_extensions, 2);
    assert_string_equal(v.s.extensions[0].component->id, "zpages/2");
    assert_int_equal(v.s.n_pipelines, 3);
    const struct service_pipeline *p = &v.s.pipelines[0];
    assert_string_equal(p->id, "traces");
    assert_string_equal(p->name, "");
    assert_int_equal(p->signal, SL_TRACES);
    assert_int_equal(p->n_receivers, 2);
    assert_ptr_equal(p->receivers[1].component, in);
    assert_int_equal(p->receivers[1].at.line, 12);
    assert_int_equal(p->receivers[1].at.column, 32);
    assert_int_equal(p->n_processors, 2);
    assert_string_equal(p->processors[0].component->id, "batch/é");
    assert_int_equal(p->exporters[1].component->kind, SL_KIND_connector);
    assert_int_equal(p->lanes, 4);
    assert_true(p->has_journal);
    assert_string_equal(p->journal.storage.p, "zpages/2");
    assert_int_equal(p->journal.max_age, INT64_C(3600000000000));
    assert_int_equal(p->journal.max_bytes, UINT64_C(2) << 30);
    assert_int_equal(p->journal.durability, SERVICE_SURVIVES_PROCESS);
    assert_int_equal(p->journal.on_full, SERVICE_REFUSE);
    p = &v.s.pipelines[1];
    assert_string_equal(p->name, "out");
    assert_int_equal(p->lanes, 1);
    assert_false(p->has_journal);
    assert_string_equal(p->exporters[0].component->id, "nop"); /* text for a list of one */
    assert_int_equal(v.s.pipelines[2].signal, SL_PROFILES);
    unserve(&v);
}

static void has_the_collector_s_defaults(void **state)
{
    (void)state;
    struct served v = serve(PIPELINE "}\n");
    assert_silent(&v.l);
    assert_int_equal(v.s.logs.level, SERVICE_INFO);
    assert_int_equal(v.s.logs.encoding, SERVICE_CONSOLE);
    assert_int_equal(v.s.logs.sampling.enabled, 1);
    assert_int_equal(v.s.logs.sampling.tick, 10000000000);
    assert_int_equal(v.s.logs.sampling.thereafter, 100);
    assert_int_equal(v.s.metrics.enabled, 1);
    assert_int_equal(v.s.metrics.level, SERVICE_NORMAL);
    assert_string_equal(v.s.metrics.host.p, "localhost");
    assert_int_equal(v.s.metrics.port, 8888);
    assert_int_equal(v.s.metrics.without_units, 1);
    assert_true(v.s.memory_limit == 0);
    assert_int_equal(v.s.shutdown_timeout_ns, 30000000000);
    assert_int_equal(v.s.n_resource, 0);
    unserve(&v);
}

static void reads_telemetry(void **state)
{
    (void)state;
    struct served v = serve(
        PIPELINE
        ",\n telemetry: {logs: {level: ERROR, encoding: json, development: true, initial_fields: "
        "{a: 1},\n   output_paths: [stdout, /tmp/x], sampling: {enabled: false}},\n"
        "  metrics: {level: Detailed, readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, "
        "port: "
        "9999, without_units: false}}}}]},\n"
        "  resource: {service.name: x, service.version: ~}},\n"
        " memory: {limit: 512MiB}, shutdown: {timeout: 5s}}\n");
    assert_silent(&v.l);
    assert_int_equal(v.s.logs.level, SERVICE_ERROR);
    assert_int_equal(v.s.logs.encoding, SERVICE_JSON);
    assert_int_equal(v.s.logs.development, 1);
    assert_int_equal(v.s.logs.sampling.enabled, 0);
    assert_int_equal(v.s.logs.output_paths.n, 2);
    assert_string_equal(v.s.logs.initial_fields->children[0].key.p, "a");
    assert_int_equal(v.s.metrics.level, SERVICE_DETAILED);
    assert_string_equal(v.s.metrics.host.p, "0.0.0.0");
    assert_int_equal(v.s.metrics.port, 9999);
    assert_int_equal(v.s.metrics.without_units, 0);
    assert_int_equal(v.s.metrics.without_scope_info, 1);
    assert_int_equal(v.s.n_resource, 2);
    assert_string_equal(v.s.resource[0].name, "service.name");
    assert_string_equal(v.s.resource[0].value, "x");
    assert_null(v.s.resource[1].value);
    assert_true(v.s.memory_limit == 512u << 20);
    assert_int_equal(v.s.shutdown_timeout_ns, 5000000000);
    unserve(&v);
    v = serve(PIPELINE
              ", telemetry: {logs: {level: dpanic}, metrics: {level: none, readers: []}}}\n");
    assert_int_equal(v.status, SL_OK);
    assert_int_equal(v.s.logs.level, SERVICE_FATAL);
    assert_int_equal(v.s.metrics.enabled, 0);
    unserve(&v);
    v = serve(PIPELINE ", telemetry: {metrics: {address: '[::1]:77'}, traces: {level: none}}}\n");
    assert_int_equal(v.status, SL_OK);
    assert_string_equal(v.s.metrics.host.p, "[::1]");
    assert_int_equal(v.s.metrics.port, 77);
    assert_said(&v.l, "warning: \"telemetry.metrics.address\" of service is deprecated");
    assert_said(&v.l, "note: \"telemetry.traces\" of service has no effect in Sluice");
    unserve(&v);
    v = serve(PIPELINE
              ", telemetry: {metrics: {readers: [{pull: {exporter: {prometheus/development: {port: "
              "7}}}}]},\n"
              "  resource: {a: 1, attributes: [{name: team, value: x}, {name: a, value: 2}],\n"
              "   detection/development: {detectors: [host: ]}, schema_url: y}}}\n");
    assert_int_equal(v.status, SL_OK);
    assert_int_equal(v.s.metrics.port, 7);
    assert_int_equal(v.s.n_resource, 2);
    assert_string_equal(v.s.resource[0].name, "a");
    assert_string_equal(v.s.resource[0].value, "2");
    assert_string_equal(v.s.resource[1].name, "team");
    assert_string_equal(v.s.resource[1].value, "x");
    assert_said(&v.l,
                "note: \"telemetry.resource.detection/development\" of service has no effect");
    assert_said(&v.l, "note: \"telemetry.resource.schema_url\" of service has no effect");
    unserve(&v);
    v = serve(PIPELINE ", telemetry: {metrics: {readers: [{periodic: {x: 1}}, {pull: {exporter: "
                       "{prometheus: }}}]}}}\n");
    assert_int_equal(v.status, SL_OK);
    assert_int_equal(v.s.metrics.port, 8888);
    assert_said(&v.l, "warning: Sluice does not send its own metrics");
    unserve(&v);
}

static void refuses_with_a_place(void **state)
{
    static const struct {
        const char *yaml, *said;
    } all[] = {
        {"{}", "a.yaml:1:1: error: missing key \"service\""},
        {"service: {}", "a.yaml:1:10: error: missing key \"pipelines\" in service"},
        {"service: 5", "\"service\" wants a map, found a number"},
        {"service: {pipelines: }", "\"pipelines\" wants a map with at least one pipeline"},
        {"service: {pipelines: {}}", "\"pipelines\" wants a map with at least one pipeline"},
        {"service: {pipeline: {}}", "a.yaml:1:11: error: unknown key \"pipeline\" in service "
                                    "(nearest: \"pipelines\")"},
        {"recievers: {}\n" PIPELINE "}", "a.yaml:1:1: error: unknown key \"recievers\" at the top "
                                         "(nearest: \"receivers\")"},
        {"dashboards: {}\n" PIPELINE "}",
         "unknown key \"dashboards\" at the top (known: receivers,"},
        {"processors: [batch]\n" PIPELINE "}", "\"processors\" wants a map, found a list"},
        {"processors: {'a b': }\n" PIPELINE "}",
         "a.yaml:1:14: error: \"a b\" is not an id: a type"},
        {"processors: {9a: }\n" PIPELINE "}", "\"9a\" is not an id: a type has 1 to 63 letters"},
        {"processors: {a/: }\n" PIPELINE "}", "\"a/\" is not an id: a name behind /"},
        {"processors: {/a: }\n" PIPELINE "}", "\"/a\" is not an id: a type"},
        {"processors: {'a/b c': }\n" PIPELINE "}", "a name has no spaces, control characters"},
        {"processors: {'a/b$c': }\n" PIPELINE "}", "a name has no spaces, control characters"},
        {"processors: {\"a/b\\u2003c\": }\n" PIPELINE "}", "a name has no spaces"},
        {"processors: {\"a/b\\u0085c\": }\n" PIPELINE "}", "a name has no spaces"},
        {"processors: {a/b: , 'a / b': }\n" PIPELINE "}",
         "a.yaml:1:21: error: processor \"a/b\" is already defined at a.yaml:1:14"},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: "
         "[otpl], exporters: [debug]}}}",
         "a.yaml:3:44: error: pipeline \"traces\" wants receiver \"otpl\", which is not defined "
         "(nearest: \"otlp\")"},
        {"receivers: {otlp: }\nservice: {pipelines: {traces: {receivers: [otlp], exporters: "
         "[s3]}}}",
         "wants exporter \"s3\", which is not defined; add it under \"exporters\""},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: "
         "[otlp], processors: [debug], exporters: [debug]}}}",
         "wants processor \"debug\", but \"debug\" is defined under \"exporters\""},
        {"receivers: {otlp: }\nexporters: {debug: }\nprocessors: {batch: }\nservice: {pipelines: "
         "{traces: {receivers: [otlp], processors: [batch, batch], exporters: [debug]}}}",
         "a.yaml:4:71: error: pipeline \"traces\" names \"batch\" twice"},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: [], "
         "exporters: [debug]}}}",
         "pipeline \"traces\" has no receiver"},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: "
         "[otlp], exporters: []}}}",
         "pipeline \"traces\" has no exporter"},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces: }}",
         "missing key \"receivers\" in pipeline \"traces\""},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: "
         "[otlp], exporters: [debug], lanes: 65}}}",
         "\"lanes\" of pipeline \"traces\" must be between 1 and 64, found \"65\""},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {trace: {receivers: "
         "[otlp], exporters: [debug]}}}",
         "a.yaml:3:23: error: the pipeline \"trace\" is of no known signal (nearest: \"traces\")"},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {events: {receivers: "
         "[otlp], exporters: [debug]}}}",
         "of no known signal (known: traces, metrics, logs, profiles)"},
        {"receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces/a: {receivers: "
         "[otlp], exporters: [debug]}, traces / a: {receivers: [otlp], exporters: [debug]}}}",
         "the pipeline \"traces/a\" is already defined at 3:23"},
        {PIPELINE ", extensions: [health]}", "service wants extension \"health\", which is not "
                                             "defined; add it under \"extensions\""},
        {PIPELINE ", telemetry: {metrics: {address: nowhere}}}",
         "\"address\" wants host:port, found \"nowhere\""},
        {PIPELINE ", telemetry: {metrics: {readers: []}}}", "\"readers\" is empty; to serve no"},
        {PIPELINE ", telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: }}}, {pull: "
                  "{exporter: {prometheus: }}}]}}}",
         "a second \"pull\" reader"},
        {PIPELINE ", telemetry: {metrics: {readers: [{pull: }]}}}",
         "missing key \"exporter\" in \"telemetry.metrics.readers[0].pull\" of service"},
        {PIPELINE ", telemetry: {metrics: {readers: [{pull: {exporter: {}}}]}}}",
         "a \"pull\" reader wants one exporter"},
        {PIPELINE ", telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: , "
                  "prometheus/development: }}}]}}}",
         "a \"pull\" reader wants one exporter"},
        {PIPELINE ", telemetry: {resource: [a]}}", "of service wants a map, found a list"},
        {PIPELINE ", telemetry: {resource: {a: [b]}}}",
         "the attribute \"a\" of service.telemetry.resource wants one value, found a list"},
        {PIPELINE ", telemetry: {resource: {attributes: [{name: a}]}}}",
         "wants a \"name\" and a \"value\""},
        {PIPELINE ", telemetry: {logs: {levl: debug}}}",
         "unknown key \"levl\" in \"telemetry.logs\" of service (nearest: \"level\")"},
        {PIPELINE ", shutdown: {timeout: -1s}}", "must be between 0s and 24h, found \"-1s\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct served v = serve(all[i].yaml);
        if (v.status != SL_ERR_INVALID)
            fail_msg("accepted: %s", all[i].yaml);
        assert_said(&v.l, all[i].said);
        unserve(&v);
    }
}

static void connectors_join_pipelines(void **state)
{
    (void)state;
    struct served v = serve("receivers: {otlp: }\nexporters: {debug: , forward: }\n"
                            "connectors: {forward: , count: , idle: , half: }\n"
                            "service: {pipelines: {traces: {receivers: [otlp, half], exporters: "
                            "[debug, count, forward]}}}\n");
    assert_int_equal(v.status, SL_ERR_INVALID);
    assert_said(&v.l, "a.yaml:3:14: error: \"forward\" is both a connector and an exporter; give");
    assert_said(&v.l,
                "a.yaml:3:25: error: connector \"count\" is an exporter of a pipeline, but no");
    assert_said(&v.l, "a.yaml:3:42: error: connector \"half\" is a receiver of a pipeline, but no");
    assert_said(&v.l, "a.yaml:3:34: warning: connector \"idle\" is defined but not used");
    unserve(&v);
}

static void warns_of_what_is_not_used(void **state)
{
    (void)state;
    struct served v =
        serve("receivers: {otlp: }\nexporters: {debug: , nop: }\nextensions: {zpages: }\n"
              "processors: {batch: }\n"
              "service: {pipelines: {traces: {receivers: [otlp, otlp], exporters: "
              "[debug]}}}\n");
    assert_int_equal(v.status, SL_OK);
    assert_string_equal(
        said(&v.l),
        "a.yaml:2:22: warning: exporter \"nop\" is defined but not used; it is not started\n"
        "a.yaml:3:14: warning: extension \"zpages\" is defined but not used; it is not "
        "started\n"
        "a.yaml:4:14: warning: processor \"batch\" is defined but not used; it is not "
        "started\n"
        "a.yaml:5:50: warning: pipeline \"traces\" names \"otlp\" twice; it is used once\n");
    assert_int_equal(v.s.pipelines[0].n_receivers, 1);
    unserve(&v);
    assert_string_equal(service_kind_name(SL_KIND_connector), "connector");
    assert_string_equal(service_section_name(SL_KIND_processor), "processors");
    assert_string_equal(service_kind_name(SL_KIND_codec), "");
    assert_string_equal(service_signal_name(SL_LOGS), "logs");
    assert_string_equal(service_signal_name(99), "");
}

static void bounds_components(void **state)
{
    (void)state;
    char *yaml = malloc(200000);
    assert_non_null(yaml);
    size_t n = (size_t)snprintf(yaml, 200000, "processors: {");
    for (int i = 0; i < 5000; i++)
        n += (size_t)snprintf(yaml + n, 200000 - n, "batch/%d: ,", i);
    (void)snprintf(yaml + n, 200000 - n, "}\n" PIPELINE "}\n");
    struct served v = serve(yaml);
    assert_said(&v.l, "more than 4096 components");
    unserve(&v);
    free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_pipelines),        cmocka_unit_test(has_the_collector_s_defaults),
        cmocka_unit_test(reads_telemetry),           cmocka_unit_test(refuses_with_a_place),
        cmocka_unit_test(connectors_join_pipelines), cmocka_unit_test(warns_of_what_is_not_used),
        cmocka_unit_test(bounds_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
