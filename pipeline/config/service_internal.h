/* Between service.c, which resolves components and pipelines, and service_fields.c, which has the
 * tables of everything under `service`. */
#ifndef SLUICE_CONFIG_SERVICE_INTERNAL_H
#define SLUICE_CONFIG_SERVICE_INTERNAL_H
#include "pipeline/config/service.h"

struct service_prometheus {
    sl_bytes host;
    uint32_t port;
    uint8_t without_units, without_type_suffix, without_scope_info;
};

struct service_reader {
    struct {
        struct {
            struct service_prometheus prometheus, development;
            uint8_t prometheus_present, development_present;
        } exporter;
    } pull;
    uint8_t pull_present;
    const sl_raw *periodic;
};

/* What is bound from `service`. */
struct service_settings {
    sl_list extensions;
    const sl_raw *pipelines;
    struct {
        struct service_logs logs;
        struct {
            uint32_t level;
            sl_list readers; /* of service_reader */
            uint8_t readers_present;
            sl_bytes address;
        } metrics;
        const sl_raw *resource; /* read by service_settle_resource */
    } telemetry;
    struct {
        uint64_t limit;
    } memory;
    struct {
        int64_t timeout;
    } shutdown;
};

struct service_pipeline_settings {
    sl_list receivers, processors, exporters;
    uint32_t lanes;
    struct service_journal journal;
    uint8_t has_journal;
};

/* Fills s->metrics, s->logs and the like from what was bound. */
void service_settle(struct service_config *s, const struct service_settings *bound,
                    const struct config_node *service, struct config_diagnostics *d);
/* Fills s->resource; `resource` may be NULL. */
void service_settle_resource(struct service_config *s, const struct config_node *resource,
                             struct config_diagnostics *d);

#endif
