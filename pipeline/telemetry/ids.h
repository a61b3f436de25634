/* The names of all metrics that the runtime keeps. Those that begin with otelcol_ are the
 * OpenTelemetry Collector's and mean what they mean there; those that begin with sluice_ are ours.
 */
#ifndef SLUICE_PIPELINE_IDS_H
#define SLUICE_PIPELINE_IDS_H
#include "pipeline/telemetry/metrics.h"

/* Metrics that exist once for each signal: ..._spans, _metric_points, _log_records,
 * _profile_samples. */
enum metric_of_signal {
    METRIC_RECEIVER_ACCEPTED, /* labels receiver, transport */
    METRIC_RECEIVER_REFUSED,  /* could not be taken in by the pipeline; may be sent again */
    METRIC_RECEIVER_FAILED,   /* the receiver itself failed on them */
    METRIC_EXPORTER_SENT,     /* label exporter */
    METRIC_EXPORTER_SEND_FAILED,
    METRIC_EXPORTER_ENQUEUE_FAILED,
    METRICS_OF_SIGNAL
};
/* `signal`: one of enum sl_signal; NULL for a signal that the Collector has no name for. */
const struct metric_def *metric_of_signal(enum metric_of_signal, uint32_t signal);

enum metric_id {
    METRIC_EXPORTER_QUEUE_SIZE,         /* gauge; labels exporter, data_type */
    METRIC_EXPORTER_QUEUE_CAPACITY,     /* gauge; labels exporter, data_type */
    METRIC_EXPORTER_IN_FLIGHT_REQUESTS, /* gauge; labels exporter, data_type */
    METRIC_PROCESSOR_INCOMING_ITEMS,    /* labels processor, otel_signal */
    METRIC_PROCESSOR_OUTGOING_ITEMS,    /* labels processor, otel_signal */
    METRIC_BATCH_SIZE_TRIGGER,          /* label processor */
    METRIC_BATCH_TIMEOUT_TRIGGER,       /* label processor */
    METRIC_BATCH_CARDINALITY,           /* gauge; label processor */
    METRIC_PROCESS_UPTIME,              /* ns, shown as seconds */
    METRIC_PROCESS_CPU,                 /* ns, shown as seconds */
    METRIC_PROCESS_RSS,
    METRIC_PROCESS_HEAP_ALLOC,
    METRIC_PROCESS_SYS_MEMORY,
    METRIC_ITEMS,          /* labels component, kind, signal, outcome, reason */
    METRIC_HELD_ITEMS,     /* gauge; labels component, kind, signal */
    METRIC_HELD_BYTES,     /* gauge; labels component, kind, signal */
    METRIC_BUDGET_LIMIT,   /* gauge */
    METRIC_BUDGET_USED,    /* gauge */
    METRIC_BUDGET_POOLED,  /* gauge */
    METRIC_CONFIG_RELOADS, /* label result: ok, failed */
    METRIC_CONFIG_ITEMS_LEFT,
    METRIC_CONFIG_LAST_RELOAD,        /* gauge; wall clock ns, shown as seconds; 0: never */
    METRIC_JOURNAL_UNSETTLED_ITEMS,   /* gauge; label journal, as all that follow */
    METRIC_JOURNAL_UNSETTLED_RECORDS, /* gauge */
    METRIC_JOURNAL_UNSETTLED_BYTES,   /* gauge */
    METRIC_JOURNAL_DISK_BYTES,        /* gauge */
    METRIC_JOURNAL_OLDEST_AGE,        /* gauge; ns, shown as seconds */
    METRIC_JOURNAL_HEALTHY,           /* gauge: 1, or 0 while appends are refused */
    METRIC_JOURNAL_APPENDED_ITEMS,
    METRIC_JOURNAL_APPENDED_BYTES,
    METRIC_JOURNAL_RECOVERED_ITEMS, /* that were there when it was opened */
    METRIC_JOURNAL_ITEMS,           /* label outcome */
    METRIC_JOURNAL_OFFERED_AGAIN_ITEMS,
    METRIC_JOURNAL_QUARANTINED_RECORDS,
    METRIC_JOURNAL_SYNC, /* histogram; ns, shown as seconds */
    METRIC_LOG_SUPPRESSED,
    METRIC_SERIES_REFUSED,
    METRIC_IDS
};
const struct metric_def *metric_id(enum metric_id);

/* "traces", "metrics", "logs", "profiles": the label data_type, otel_signal or signal. */
const char *metric_signal_name(uint32_t signal);
/* "delivered", "absorbed", "dropped", "expired", "failed", "rejected": the label outcome. */
const char *metric_outcome_name(int32_t outcome);
#endif
