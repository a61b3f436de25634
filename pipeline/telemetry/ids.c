/* The table of the runtime's metrics: names, units and help texts. Constant. */
#include "pipeline/telemetry/ids.h"

#define PER_SIGNAL(name, help_before, help_after)                                                  \
    {                                                                                              \
        {name "_spans", "{span}", help_before " spans " help_after, SL_COUNTER, 1, NULL, 0},       \
            {name "_metric_points",                                                                \
             "{datapoint}",                                                                        \
             help_before " metric points " help_after,                                             \
             SL_COUNTER,                                                                           \
             1,                                                                                    \
             NULL,                                                                                 \
             0},                                                                                   \
            {name "_log_records",                                                                  \
             "{record}",                                                                           \
             help_before " log records " help_after,                                               \
             SL_COUNTER,                                                                           \
             1,                                                                                    \
             NULL,                                                                                 \
             0},                                                                                   \
        {                                                                                          \
            name "_profile_samples", "{sample}", help_before " profile samples " help_after,       \
                SL_COUNTER, 1, NULL, 0                                                             \
        }                                                                                          \
    }

static const struct metric_def of_signal[METRICS_OF_SIGNAL][4] = {
    [METRIC_RECEIVER_ACCEPTED] = PER_SIGNAL("otelcol_receiver_accepted", "Number of",
                                            "successfully pushed into the pipeline."),
    [METRIC_RECEIVER_REFUSED] = PER_SIGNAL("otelcol_receiver_refused", "Number of",
                                           "that could not be pushed into the pipeline."),
    [METRIC_RECEIVER_FAILED] =
        PER_SIGNAL("otelcol_receiver_failed", "Number of",
                   "that failed to be processed by the receiver due to internal errors."),
    [METRIC_EXPORTER_SENT] =
        PER_SIGNAL("otelcol_exporter_sent", "Number of", "successfully sent to destination."),
    [METRIC_EXPORTER_SEND_FAILED] = PER_SIGNAL("otelcol_exporter_send_failed", "Number of",
                                               "in failed attempts to send to destination."),
    [METRIC_EXPORTER_ENQUEUE_FAILED] = PER_SIGNAL("otelcol_exporter_enqueue_failed", "Number of",
                                                  "failed to be added to the sending queue."),
};

/* 100 us to 10 s */
static const int64_t sync_bounds[] = {100000,     300000,     1000000,    3000000,
                                      10000000,   30000000,   100000000,  300000000,
                                      1000000000, 3000000000, 10000000000};

static const struct metric_def ids[METRIC_IDS] = {
    [METRIC_EXPORTER_QUEUE_SIZE] = {"otelcol_exporter_queue_size", "{batch}",
                                    "Current size of the sending queue, in the unit of its sizer.",
                                    SL_GAUGE, 1, NULL, 0},
    [METRIC_EXPORTER_QUEUE_CAPACITY] = {"otelcol_exporter_queue_capacity", "{batch}",
                                        "Capacity of the sending queue, in the unit of its sizer.",
                                        SL_GAUGE, 1, NULL, 0},
    [METRIC_EXPORTER_IN_FLIGHT_REQUESTS] =
        {"otelcol_exporter_in_flight_requests", "{request}",
         "Number of export requests currently in flight, those that wait for a retry included.",
         SL_GAUGE, 1, NULL, 0},
    [METRIC_PROCESSOR_INCOMING_ITEMS] = {"otelcol_processor_incoming_items", "{item}",
                                         "Number of items passed to the processor.", SL_COUNTER, 1,
                                         NULL, 0},
    [METRIC_PROCESSOR_OUTGOING_ITEMS] = {"otelcol_processor_outgoing_items", "{item}",
                                         "Number of items emitted from the processor.", SL_COUNTER,
                                         1, NULL, 0},
    [METRIC_BATCH_SIZE_TRIGGER] = {"otelcol_processor_batch_batch_size_trigger_send", "{time}",
                                   "Number of times the batch was sent due to a size trigger.",
                                   SL_COUNTER, 1, NULL, 0},
    [METRIC_BATCH_TIMEOUT_TRIGGER] =
        {"otelcol_processor_batch_timeout_trigger_send", "{time}",
         "Number of times the batch was sent due to a timeout trigger.", SL_COUNTER, 1, NULL, 0},
    [METRIC_BATCH_CARDINALITY] = {"otelcol_processor_batch_metadata_cardinality", "{combination}",
                                  "Number of distinct metadata value combinations being processed.",
                                  SL_GAUGE, 1, NULL, 0},
    [METRIC_PROCESS_UPTIME] = {"otelcol_process_uptime", "s", "Uptime of the process.", SL_COUNTER,
                               1000000000, NULL, 0},
    [METRIC_PROCESS_CPU] = {"otelcol_process_cpu_seconds", "s",
                            "Total CPU user and system time in seconds.", SL_COUNTER, 1000000000,
                            NULL, 0},
    [METRIC_PROCESS_RSS] = {"otelcol_process_memory_rss", "By",
                            "Total physical memory (resident set size).", SL_GAUGE, 1, NULL, 0},
    [METRIC_PROCESS_HEAP_ALLOC] = {"otelcol_process_runtime_heap_alloc_bytes", "By",
                                   "Bytes that the program holds from malloc.", SL_GAUGE, 1, NULL,
                                   0},
    [METRIC_PROCESS_SYS_MEMORY] = {"otelcol_process_runtime_total_sys_memory_bytes", "By",
                                   "Bytes that malloc obtained from the operating system.",
                                   SL_GAUGE, 1, NULL, 0},
    [METRIC_ITEMS] = {"sluice_items_total", "{item}",
                      "Items that ended, or were handed on, at a component, by outcome and reason.",
                      SL_COUNTER, 1, NULL, 0},
    [METRIC_HELD_ITEMS] = {"sluice_held_items", "{item}",
                           "Items that a component holds: taken in and not yet ended.", SL_GAUGE, 1,
                           NULL, 0},
    [METRIC_HELD_BYTES] = {"sluice_held_bytes", "By", "Payload bytes that a component holds.",
                           SL_GAUGE, 1, NULL, 0},
    [METRIC_BUDGET_LIMIT] = {"sluice_memory_budget_limit_bytes", "By",
                             "The process's memory budget; 0: none.", SL_GAUGE, 1, NULL, 0},
    [METRIC_BUDGET_USED] = {"sluice_memory_budget_used_bytes", "By",
                            "Bytes of the memory budget that are in use.", SL_GAUGE, 1, NULL, 0},
    [METRIC_BUDGET_POOLED] = {"sluice_memory_pooled_bytes", "By",
                              "Bytes in payload buffers that are kept for reuse.", SL_GAUGE, 1,
                              NULL, 0},
    [METRIC_CONFIG_RELOADS] = {"sluice_config_reloads_total", "{reload}",
                               "Reloads of the configuration, by result: ok or failed.", SL_COUNTER,
                               1, NULL, 0},
    [METRIC_CONFIG_ITEMS_LEFT] = {"sluice_config_reload_items_left_total", "{item}",
                                  "Items that failed because what held them was removed by a "
                                  "reload and did not drain in time.",
                                  SL_COUNTER, 1, NULL, 0},
    [METRIC_CONFIG_LAST_RELOAD] =
        {"sluice_config_last_reload_success_timestamp_seconds", "s",
         "When the configuration was last reloaded with success, in seconds since 1970; 0: never.",
         SL_GAUGE, 1000000000, NULL, 0},
    [METRIC_JOURNAL_UNSETTLED_ITEMS] =
        {"sluice_journal_unsettled_items", "{item}",
         "Items in the journal that have not ended, on their way or waiting.", SL_GAUGE, 1, NULL,
         0},
    [METRIC_JOURNAL_UNSETTLED_RECORDS] = {"sluice_journal_unsettled_records", "{record}",
                                          "Records in the journal that have not ended.", SL_GAUGE,
                                          1, NULL, 0},
    [METRIC_JOURNAL_UNSETTLED_BYTES] = {"sluice_journal_unsettled_bytes", "By",
                                        "Bytes of the records that have not ended.", SL_GAUGE, 1,
                                        NULL, 0},
    [METRIC_JOURNAL_DISK_BYTES] = {"sluice_journal_disk_bytes", "By",
                                   "Bytes of the journal's segments.", SL_GAUGE, 1, NULL, 0},
    [METRIC_JOURNAL_OLDEST_AGE] = {"sluice_journal_oldest_age_seconds", "s",
                                   "Time since the oldest record that has not ended came in.",
                                   SL_GAUGE, 1000000000, NULL, 0},
    [METRIC_JOURNAL_HEALTHY] = {"sluice_journal_healthy", "1",
                                "1: data is taken; 0: the journal is full or the disk fails, and "
                                "senders are told to try again later.",
                                SL_GAUGE, 1, NULL, 0},
    [METRIC_JOURNAL_APPENDED_ITEMS] = {"sluice_journal_appended_items_total", "{item}",
                                       "Items that were written to the journal.", SL_COUNTER, 1,
                                       NULL, 0},
    [METRIC_JOURNAL_APPENDED_BYTES] = {"sluice_journal_appended_bytes_total", "By",
                                       "Bytes of records that were written to the journal.",
                                       SL_COUNTER, 1, NULL, 0},
    [METRIC_JOURNAL_RECOVERED_ITEMS] = {"sluice_journal_recovered_items_total", "{item}",
                                        "Items that were in the journal when it was opened.",
                                        SL_COUNTER, 1, NULL, 0},
    [METRIC_JOURNAL_ITEMS] = {"sluice_journal_items_total", "{item}",
                              "Items of the journal that ended, by outcome.", SL_COUNTER, 1, NULL,
                              0},
    [METRIC_JOURNAL_OFFERED_AGAIN_ITEMS] = {"sluice_journal_offered_again_items_total", "{item}",
                                            "Items that failed and were offered again.", SL_COUNTER,
                                            1, NULL, 0},
    [METRIC_JOURNAL_QUARANTINED_RECORDS] = {"sluice_journal_quarantined_records_total", "{record}",
                                            "Records that were damaged and were moved aside.",
                                            SL_COUNTER, 1, NULL, 0},
    [METRIC_JOURNAL_SYNC] = {"sluice_journal_sync_duration_seconds", "s",
                             "How long the disk took to make what was written durable.",
                             METRIC_HISTOGRAM, 1000000000, sync_bounds,
                             sizeof sync_bounds / sizeof *sync_bounds},
    [METRIC_LOG_SUPPRESSED] = {"sluice_log_lines_suppressed_total", "{line}",
                               "Log lines left out by sampling.", SL_COUNTER, 1, NULL, 0},
    [METRIC_SERIES_REFUSED] = {"sluice_metric_series_refused_total", "{series}",
                               "Series that could not be made, above the bound for example.",
                               SL_COUNTER, 1, NULL, 0},
};

static int signal_index(uint32_t signal)
{
    switch (signal) {
    case SL_TRACES:
        return 0;
    case SL_METRICS:
        return 1;
    case SL_LOGS:
        return 2;
    case SL_PROFILES:
        return 3;
    default:
        return -1;
    }
}

const struct metric_def *metric_of_signal(enum metric_of_signal id, uint32_t signal)
{
    int i = signal_index(signal);
    return i < 0 ? NULL : &of_signal[id][i];
}

const struct metric_def *metric_id(enum metric_id id)
{
    return &ids[id];
}

const char *metric_signal_name(uint32_t signal)
{
    static const char *const names[] = {"traces", "metrics", "logs", "profiles"};
    int i = signal_index(signal);
    return i < 0 ? "other" : names[i];
}

const char *metric_outcome_name(int32_t outcome)
{
    static const char *const names[SL_OUTCOMES] = {
        [SL_DELIVERED] = "delivered", [SL_ABSORBED] = "absorbed", [SL_DROPPED] = "dropped",
        [SL_EXPIRED] = "expired",     [SL_FAILED] = "failed",     [SL_REJECTED] = "rejected"};
    return outcome >= 0 && outcome < SL_OUTCOMES ? names[outcome] : "unknown";
}
