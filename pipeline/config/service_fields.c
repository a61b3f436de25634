/* The field tables of `service`: the collector's keys, and Sluice's own (memory, shutdown, lanes,
 * journal). Control thread only. */
#include "pipeline/config/scalar.h"
#include "pipeline/config/service_internal.h"

#define NO_OWN_EXPORT                                                                              \
    "Sluice shows its own telemetry on the Prometheus endpoint and on stderr; it sends none of "   \
    "it."

static const char *const log_levels[] = {"debug",  "info",  "warn",  "error",
                                         "dpanic", "panic", "fatal", NULL};
static const char *const log_encodings[] = {"console", "json", NULL};
static const char *const metrics_levels[] = {"none", "basic", "normal", "detailed", NULL};

static const sl_field sampling_fields[] = {
    SL_BOOL(struct service_sampling, enabled, "Limit how often the same message is logged.",
            .def.u = 1),
    SL_DURATION(struct service_sampling, tick, "The period in which messages are counted.",
                .def.i = 10000000000, SL_RANGE(i, 1000000, 3600000000000)),
    SL_U32(struct service_sampling, initial, "So many of the same message are logged in a period.",
           .def.u = 10),
    SL_U32(struct service_sampling, thereafter, "Then every so-manieth of them; 0: none.",
           .def.u = 100),
    SL_END};
static const sl_struct sampling_struct = {sizeof(struct service_sampling), 0, sampling_fields};

static const sl_field logs_fields[] = {
    SL_ENUM(struct service_logs, level, log_levels, "What is less grave is not logged.",
            .def.u = SERVICE_INFO),
    SL_ENUM(struct service_logs, encoding, log_encodings, "How log lines are written.",
            .def.u = SERVICE_CONSOLE),
    SL_BOOL(struct service_logs, development, "Log more, as developers like it.", .def.u = 0),
    SL_BOOL(struct service_logs, disable_caller, "Leave out the place in the code.", .def.u = 0),
    SL_BOOL(struct service_logs, disable_stacktrace, "Leave out stack traces.", .def.u = 0),
    SL_STRUCT(struct service_logs, sampling, &sampling_struct, "Protects against floods."),
    SL_TEXTS(struct service_logs, output_paths, "stdout, stderr or files; stderr if empty."),
    SL_TEXTS(struct service_logs, error_output_paths, "Where the logger reports its own errors."),
    SL_RAW(struct service_logs, initial_fields, "Fields that every line carries."),
    SL_IGNORE("disable_zap_resource", "The resource is not repeated in every line."),
    SL_IGNORE("processors", NO_OWN_EXPORT),
    SL_END};
static const sl_struct logs_struct = {sizeof(struct service_logs), 0, logs_fields};

static const sl_field prometheus_fields[] = {
    SL_TEXT(struct service_prometheus, host, "Address of the endpoint.", .text = "localhost"),
    SL_U32(struct service_prometheus, port, "Port of the endpoint; 0: a free one.", .def.u = 8888,
           SL_RANGE(u, 0, 65535)),
    SL_BOOL(struct service_prometheus, without_units, "Leave units out of names.", .def.u = 1),
    SL_BOOL(struct service_prometheus, without_type_suffix, "Leave _total out of names.",
            .def.u = 1),
    SL_BOOL(struct service_prometheus, without_scope_info, "Leave out the scope's labels.",
            .def.u = 1),
    SL_IGNORE("with_resource_constant_labels", "Resource attributes stand in target_info."),
    SL_IGNORE("translation_strategy", "Names are written as the without_ keys say."),
    SL_END};
static const sl_struct prometheus_struct = {sizeof(struct service_prometheus), 0,
                                            prometheus_fields};

static const sl_field pull_exporter_fields[] = {
    {.key = "prometheus",
     .kind = SL_FIELD_STRUCT,
     .offset = offsetof(struct service_reader, pull.exporter.prometheus),
     .present = offsetof(struct service_reader, pull.exporter.prometheus_present) + 1,
     .help = "The Prometheus endpoint.",
     .of = &prometheus_struct},
    {.key = "prometheus/development",
     .kind = SL_FIELD_STRUCT,
     .offset = offsetof(struct service_reader, pull.exporter.development),
     .present = offsetof(struct service_reader, pull.exporter.development_present) + 1,
     .help = "The same, by the name that the Collector has for it today.",
     .of = &prometheus_struct},
    SL_END};
static const sl_struct pull_exporter_struct = {sizeof(struct service_reader), 0,
                                               pull_exporter_fields};

static const sl_field pull_fields[] = {{.key = "exporter",
                                        .kind = SL_FIELD_STRUCT,
                                        .flags = SL_REQUIRED,
                                        .help = "How the metrics are shown.",
                                        .of = &pull_exporter_struct},
                                       SL_IGNORE("producers", NO_OWN_EXPORT),
                                       SL_IGNORE("cardinality_limits", NO_OWN_EXPORT),
                                       SL_END};
static const sl_struct pull_struct = {sizeof(struct service_reader), 0, pull_fields};

static const sl_field reader_fields[] = {
    {.key = "pull",
     .kind = SL_FIELD_STRUCT,
     .present = offsetof(struct service_reader, pull_present) + 1,
     .help = "Metrics that others fetch.",
     .of = &pull_struct},
    SL_RAW(struct service_reader, periodic, "Metrics that are sent; Sluice does not.",
           .flags = SL_SECRET),
    SL_END};
static const sl_struct reader_struct = {sizeof(struct service_reader), 0, reader_fields};

static const sl_field metrics_fields[] = {
    {.key = "level",
     .kind = SL_FIELD_ENUM,
     .offset = offsetof(struct service_settings, telemetry.metrics.level),
     .help = "How much is measured; none: no endpoint.",
     .names = metrics_levels,
     .def.u = SERVICE_NORMAL},
    {.key = "readers",
     .kind = SL_FIELD_LIST,
     .offset = offsetof(struct service_settings, telemetry.metrics.readers),
     .present = offsetof(struct service_settings, telemetry.metrics.readers_present) + 1,
     .help = "Where the metrics can be had; Prometheus on localhost:8888 if not given.",
     .of = &reader_struct},
    {.key = "address",
     .kind = SL_FIELD_TEXT,
     .flags = SL_DEPRECATED,
     .offset = offsetof(struct service_settings, telemetry.metrics.address),
     .help = "write readers: [{pull: {exporter: {prometheus: {host: , port: }}}}] instead."},
    SL_IGNORE("views", "Every metric is shown as it is."),
    SL_END};
static const sl_struct metrics_struct = {sizeof(struct service_settings), 0, metrics_fields};

static const sl_field telemetry_fields[] = {
    {.key = "logs",
     .kind = SL_FIELD_STRUCT,
     .offset = offsetof(struct service_settings, telemetry.logs),
     .help = "The process's own log.",
     .of = &logs_struct},
    {.key = "metrics",
     .kind = SL_FIELD_STRUCT,
     .help = "The process's own metrics.",
     .of = &metrics_struct},
    {.key = "resource",
     .kind = SL_FIELD_RAW,
     .offset = offsetof(struct service_settings, telemetry.resource),
     .help =
         "Attributes of the process itself, as a map in which null takes one away, or as a list "
         "`attributes` of names and values."},
    SL_IGNORE("traces", NO_OWN_EXPORT),
    SL_END};
static const sl_struct telemetry_struct = {sizeof(struct service_settings), 0, telemetry_fields};

static const sl_field memory_fields[] = {
    {.key = "limit",
     .kind = SL_FIELD_SIZE,
     .offset = offsetof(struct service_settings, memory.limit),
     .help = "Bytes that all data in the process may take; 0: 512 MiB, or half of what there is."},
    SL_END};
static const sl_struct memory_struct = {sizeof(struct service_settings), 0, memory_fields};

static const sl_field shutdown_fields[] = {
    {.key = "timeout",
     .kind = SL_FIELD_DURATION,
     .offset = offsetof(struct service_settings, shutdown.timeout),
     .help = "How long SIGTERM waits for data to leave.",
     .def.i = 30000000000,
     SL_RANGE(i, 0, 86400000000000)},
    SL_END};
static const sl_struct shutdown_struct = {sizeof(struct service_settings), 0, shutdown_fields};

static const sl_field all_fields[] = {
    SL_TEXTS(struct service_settings, extensions, "Extensions to start, in this order."),
    SL_RAW(struct service_settings, pipelines, "A map of signal[/name] to a pipeline.",
           .flags = SL_REQUIRED),
    {.key = "telemetry",
     .kind = SL_FIELD_STRUCT,
     .help = "The process's own logs and metrics.",
     .of = &telemetry_struct},
    {.key = "memory",
     .kind = SL_FIELD_STRUCT,
     .help = "The process's memory budget.",
     .of = &memory_struct},
    {.key = "shutdown",
     .kind = SL_FIELD_STRUCT,
     .help = "How the process ends.",
     .of = &shutdown_struct},
    SL_END};

static const char *const durabilities[] = {"process", "power", NULL};
static const char *const when_full[] = {"refuse", "drop_oldest", NULL};

static const sl_field journal_fields[] = {
    SL_TEXT(struct service_journal, storage,
            "Extension whose directory it lies in, such as file_storage.", .flags = SL_REQUIRED),
    SL_ENUM(struct service_journal, durability, durabilities,
            "What acknowledged data survives: the end of the process, or a loss of power, too; for "
            "that, senders wait until the disk has it. A storage with fsync: true means power."),
    SL_SIZE(struct service_journal, max_bytes, "Most bytes on disk.", .def.u = UINT64_C(2) << 30,
            SL_RANGE(u, 1 << 20, UINT64_C(1) << 50)),
    SL_DURATION(struct service_journal, max_age,
                "Data that could not be delivered for so long is dropped.",
                .def.i = INT64_C(86400000000000), SL_RANGE(i, 1000000000, INT64_MAX)),
    SL_ENUM(struct service_journal, on_full, when_full,
            "What happens at max_bytes: senders are told to try again later, or the oldest data is "
            "dropped."),
    SL_END};
static const sl_struct journal_struct = {sizeof(struct service_journal), 0, journal_fields};

static const sl_field pipeline_fields[] = {
    SL_TEXTS(struct service_pipeline_settings, receivers,
             "Ids of receivers, or of connectors that feed this pipeline.", .flags = SL_REQUIRED),
    SL_TEXTS(struct service_pipeline_settings, processors, "Ids of processors, in their order."),
    SL_TEXTS(struct service_pipeline_settings, exporters,
             "Ids of exporters, or of connectors that this pipeline feeds.", .flags = SL_REQUIRED),
    SL_U32(struct service_pipeline_settings, lanes,
           "Threads that run the pipeline's processors side by side.", .def.u = 1,
           SL_RANGE(u, 1, 64)),
    SL_STRUCT(struct service_pipeline_settings, journal, &journal_struct,
              "Keeps what was acknowledged on disk until it has been delivered.",
              SL_PRESENT(struct service_pipeline_settings, has_journal)),
    SL_END};

const sl_field *service_fields(void)
{
    return all_fields;
}

const sl_field *service_pipeline_fields(void)
{
    return pipeline_fields;
}

/* ---- from what was bound to what the runtime wants ------------------------------------------- */

static void settle_address(struct service_config *s, sl_bytes address, struct config_place at,
                           struct config_diagnostics *d)
{
    const uint8_t *colon = address.n ? memrchr(address.p, ':', address.n) : NULL;
    uint64_t port = 0;
    if (!colon ||
        scalar_u64(sl_slice(colon + 1, (size_t)(address.p + address.n - colon - 1)), &port) ||
        port > 65535) {
        diagnostics_add(d, CONFIG_ERROR, at, "\"address\" wants host:port, found \"%.100s\"",
                        (const char *)address.p);
        return;
    }
    s->metrics.host = arena_copy(&s->arena, address.p, (size_t)(colon - address.p));
    s->metrics.port = (uint32_t)port;
    if (!s->metrics.host.p)
        diagnostics_no_memory(d);
}

static void settle_readers(struct service_config *s, const sl_list *readers,
                           const struct config_node *node, struct config_diagnostics *d)
{
    const struct config_node *at = node->first;
    uint32_t served = 0;
    for (uint32_t i = 0; i < readers->n; i++, at = at->next) {
        const struct service_reader *r = SL_LIST_AT(struct service_reader, *readers, i);
        if (r->periodic)
            diagnostics_add(d, CONFIG_WARNING, at->at,
                            "Sluice does not send its own metrics; this reader has no effect");
        if (!r->pull_present)
            continue;
        if (served++)
            diagnostics_add(d, CONFIG_ERROR, at->at,
                            "a second \"pull\" reader: Sluice serves one Prometheus endpoint");
        if (r->pull.exporter.prometheus_present == r->pull.exporter.development_present)
            diagnostics_add(d, CONFIG_ERROR, at->at,
                            "a \"pull\" reader wants one exporter: \"prometheus\", or "
                            "\"prometheus/development\"");
        const struct service_prometheus *p = r->pull.exporter.development_present
                                                 ? &r->pull.exporter.development
                                                 : &r->pull.exporter.prometheus;
        s->metrics.enabled = 1;
        s->metrics.host = p->host;
        s->metrics.port = p->port;
        s->metrics.without_units = p->without_units;
        s->metrics.without_type_suffix = p->without_type_suffix;
        s->metrics.without_scope_info = p->without_scope_info;
    }
    if (readers->n == 0 && s->metrics.level != SERVICE_NONE)
        diagnostics_add(d, CONFIG_ERROR, node->at,
                        "\"readers\" is empty; to serve no metrics write level: none");
}

void service_settle(struct service_config *s, const struct service_settings *bound,
                    const struct config_node *service, struct config_diagnostics *d)
{
    static const char *const metrics_path[] = {"telemetry", "metrics", NULL};
    const struct config_node *metrics = config_at(service, metrics_path);
    s->logs = bound->telemetry.logs;
    if (s->logs.level > SERVICE_FATAL)
        s->logs.level = SERVICE_FATAL;
    static const char *const resource_path[] = {"telemetry", "resource", NULL};
    service_settle_resource(s, config_at(service, resource_path), d);
    s->memory_limit = bound->memory.limit;
    s->shutdown_timeout_ns = bound->shutdown.timeout;
    s->metrics = (struct service_metrics){.level = bound->telemetry.metrics.level,
                                          .enabled = 1,
                                          .host = sl_str("localhost"),
                                          .port = 8888,
                                          .without_units = 1,
                                          .without_type_suffix = 1,
                                          .without_scope_info = 1};
    if (bound->telemetry.metrics.readers_present) {
        s->metrics.enabled = 0;
        settle_readers(s, &bound->telemetry.metrics.readers,
                       config_find(metrics, sl_str("readers")), d);
    } else if (bound->telemetry.metrics.address.n) {
        settle_address(s, bound->telemetry.metrics.address,
                       config_find(metrics, sl_str("address"))->at, d);
    }
    if (s->metrics.level == SERVICE_NONE)
        s->metrics.enabled = 0;
}
