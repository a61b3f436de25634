/* The collector's top level: which components there are, which pipelines join them, and what the
 * process itself is told under `service`. Control thread only; the result is read-only. */
#ifndef SLUICE_CONFIG_SERVICE_H
#define SLUICE_CONFIG_SERVICE_H
#include "pipeline/config/bind.h"

struct service_component {
    const char *id;                 /* "otlp/in" */
    const char *type;               /* "otlp": as written, perhaps an alias */
    const char *name;               /* "in", or "" */
    uint32_t kind;                  /* enum sl_kind */
    bool used;                      /* by a pipeline, or in service.extensions */
    struct config_place at;         /* of the id */
    const struct config_node *node; /* its own config, to be bound; may be of kind null */
};

struct service_ref {
    const struct service_component *component;
    struct config_place at; /* where the pipeline names it */
};

enum service_durability { SERVICE_SURVIVES_PROCESS, SERVICE_SURVIVES_POWER };
enum service_on_full { SERVICE_REFUSE, SERVICE_DROP_OLDEST };

/* A pipeline's journal, as its keys say. */
struct service_journal {
    sl_bytes storage;    /* id of an extension; lives as long as the config */
    uint32_t durability; /* enum service_durability */
    uint32_t on_full;    /* enum service_on_full */
    uint64_t max_bytes;
    int64_t max_age; /* ns */
};

struct service_pipeline {
    const char *id;   /* "traces/in" */
    const char *name; /* "in", or "" */
    uint32_t signal;  /* enum sl_signal */
    struct config_place at;
    /* Receivers and exporters may be connectors. */
    struct service_ref *receivers, *processors, *exporters;
    uint32_t n_receivers, n_processors, n_exporters;
    uint32_t lanes; /* 1..64 */
    bool has_journal;
    struct service_journal journal; /* its defaults where there is none */
    struct config_place journal_at;
};

enum service_log_level { SERVICE_DEBUG, SERVICE_INFO, SERVICE_WARN, SERVICE_ERROR, SERVICE_FATAL };
enum service_log_encoding { SERVICE_CONSOLE, SERVICE_JSON };
enum service_metrics_level { SERVICE_NONE, SERVICE_BASIC, SERVICE_NORMAL, SERVICE_DETAILED };

struct service_logs {
    uint32_t level;    /* enum service_log_level */
    uint32_t encoding; /* enum service_log_encoding */
    uint8_t development, disable_caller, disable_stacktrace;
    struct service_sampling {
        uint8_t enabled;
        int64_t tick; /* ns */
        uint32_t initial, thereafter;
    } sampling;
    sl_list output_paths, error_output_paths; /* of sl_bytes; empty: stderr */
    const sl_raw *initial_fields;             /* a map, or NULL */
};

struct service_metrics {
    uint32_t level;  /* enum service_metrics_level */
    uint8_t enabled; /* an endpoint is to be served: level is not none, and there is one */
    sl_bytes host;   /* "localhost" where nothing else is said */
    uint32_t port;   /* 8888 */
    uint8_t without_units, without_type_suffix, without_scope_info;
};

struct service_config {
    struct service_component *components; /* of all kinds, in the order of the file */
    uint32_t n_components;
    struct service_ref *extensions; /* in the order in which they start */
    uint32_t n_extensions;
    struct service_pipeline *pipelines;
    uint32_t n_pipelines;
    struct service_logs logs;
    struct service_metrics metrics;
    struct service_attribute {
        const char *name, *value; /* value NULL: takes a default away */
    } * resource;                 /* of service.telemetry.resource; each name once */
    uint32_t n_resource;
    uint64_t memory_limit;       /* bytes; 0: the host decides */
    int64_t shutdown_timeout_ns; /* 30 s where nothing else is said */
    struct config_arena arena;   /* of everything here */
    struct config_bound *bound;  /* what the telemetry's texts live in */
};

/* Fills `s` from a merged tree, which must outlive it. `s` is the caller's storage and ends with
 * service_deinit, whatever comes back. SL_OK: references are resolved; whether a type exists is the
 * graph's to find out. Otherwise the reasons are in `d`. */
int32_t service_init(struct service_config *s, const struct config_tree *tree,
                     const struct config_allocator *allocator, struct config_diagnostics *d);
void service_deinit(struct service_config *s);

/* NULL: not there. */
const struct service_component *service_find(const struct service_config *s, uint32_t kind,
                                             const char *id);

/* "receiver", ...; the plural is the section's key. */
const char *service_kind_name(uint32_t kind);
const char *service_section_name(uint32_t kind);
const char *service_signal_name(uint32_t signal); /* "traces", ... */

/* The tables behind `service` and behind each of service.pipelines, for the reference and schema.
 */
const sl_field *service_fields(void);
const sl_field *service_pipeline_fields(void);

#endif
