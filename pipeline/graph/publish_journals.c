/* From the journals to the metrics page. */
#include "pipeline/graph/publish.h"
#include "pipeline/graph/stream.h"
#include "pipeline/telemetry/ids.h"

static void set(struct runtime *r, enum metric_id id, const struct metric_label *labels, uint32_t n,
                uint64_t value)
{
    metric_set(metrics_series(r->metrics, metric_id(id), labels, n), (int64_t)value);
}

static void publish_stream(void *arg, struct stream *s)
{
    struct runtime *r = arg;
    struct stream_stats st;
    stream_read(s, &st);
    const struct journal_stats *log = &st.log;
    const int64_t age = log->oldest_ns ? clock_wall(r->clock) - log->oldest_ns : 0;
    struct metric_label labels[] = {{"journal", stream_name(s)}, {"outcome", ""}};
    set(r, METRIC_JOURNAL_UNSETTLED_ITEMS, labels, 1, log->items);
    set(r, METRIC_JOURNAL_UNSETTLED_RECORDS, labels, 1, log->records);
    set(r, METRIC_JOURNAL_UNSETTLED_BYTES, labels, 1, log->bytes);
    set(r, METRIC_JOURNAL_DISK_BYTES, labels, 1, log->disk_bytes);
    set(r, METRIC_JOURNAL_OLDEST_AGE, labels, 1, age > 0 ? (uint64_t)age : 0);
    set(r, METRIC_JOURNAL_HEALTHY, labels, 1, log->state == JOURNAL_OK);
    set(r, METRIC_JOURNAL_APPENDED_ITEMS, labels, 1, st.appended_items);
    set(r, METRIC_JOURNAL_APPENDED_BYTES, labels, 1, log->appended_bytes);
    set(r, METRIC_JOURNAL_RECOVERED_ITEMS, labels, 1, log->recovered_items);
    set(r, METRIC_JOURNAL_OFFERED_AGAIN_ITEMS, labels, 1, st.offered_again);
    set(r, METRIC_JOURNAL_QUARANTINED_RECORDS, labels, 1, log->ended_records[JOURNAL_QUARANTINED]);
    for (uint32_t o = 0; o < SL_OUTCOMES; o++) {
        labels[1].value = metric_outcome_name((int32_t)o);
        if (st.ended_items[o])
            set(r, METRIC_JOURNAL_ITEMS, labels, 2, st.ended_items[o]);
    }
}

void publish_journals(struct runtime *r)
{
    streams_each(r, publish_stream, r);
}
