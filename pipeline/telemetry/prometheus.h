/* The metrics page: Prometheus' text format 0.0.4, named and labelled as the OpenTelemetry
 * Collector's own endpoint does, so that existing dashboards and alerts work. Any thread. */
#ifndef SLUICE_PIPELINE_PROMETHEUS_H
#define SLUICE_PIPELINE_PROMETHEUS_H
#include "pipeline/telemetry/metrics.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Keys of a reader's `pull::exporter::prometheus`. All zero: as in the default reader, that is
 * without units, type suffixes and scope. */
struct prometheus_options {
    bool units;          /* otelcol_process_uptime_seconds */
    bool type_suffix;    /* ..._total for counters */
    bool scope;          /* otel_scope_name, otel_scope_version, otel_scope_schema_url labels */
    const char *version; /* of Sluice; for the scope's version label */
    /* The resource, shown in target_info: service.name, service.instance.id, service.version and
     * what service::telemetry::resource adds. Keys are made into label names. */
    const struct metric_label *resource;
    uint32_t n_resource;
};

/* Calls `write` with the parts of the page; it must neither block nor call the registry. Without
 * options: the defaults, and no target_info. */
void prometheus_write(struct metrics *, const struct prometheus_options *,
                      void (*write)(void *ctx, sl_bytes part), void *ctx);
#endif
