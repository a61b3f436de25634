/* Reports as text for people and as JSON for scripts. */
#include "commands/generate/report.h"

#include <inttypes.h>

static const struct {
    enum sl_signal signal;
    const char *name;
    const char *item;
} signals[] = {{SL_TRACES, "traces", "spans"},
               {SL_METRICS, "metrics", "points"},
               {SL_LOGS, "logs", "records"}};

static uint64_t items_of(const struct stream_counts *c, enum sl_signal signal)
{
    return signal == SL_TRACES ? c->spans : signal == SL_METRICS ? c->points : c->logs;
}

static void json_text(FILE *to, const char *text)
{
    (void)fputc('"', to);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\') {
            (void)fprintf(to, "\\%c", *p);
        } else if ((unsigned char)*p < 0x20) {
            (void)fprintf(to, "\\u%04x", (unsigned)(unsigned char)*p);
        } else {
            (void)fputc(*p, to);
        }
    }
    (void)fputc('"', to);
}

void report_files(FILE *to, bool json, const struct output *o, const struct stream_counts *counts,
                  double seconds)
{
    const char *separator = "";
    if (json) {
        (void)fprintf(to, "{\"traces\":%" PRIu64 ",\"seconds\":%.3f,\"files\":[", counts->traces,
                      seconds);
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        const char *path = output_path(o, signals[i].signal);
        if (!path) {
            continue;
        }
        uint64_t items = items_of(counts, signals[i].signal);
        uint64_t bytes = output_bytes(o, signals[i].signal);
        if (json) {
            (void)fprintf(to, "%s{\"signal\":\"%s\",\"path\":", separator, signals[i].name);
            json_text(to, path);
            (void)fprintf(to, ",\"items\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", items, bytes);
            separator = ",";
        } else {
            (void)fprintf(to, "%s: %" PRIu64 " %s, %" PRIu64 " bytes (%.1f each)\n", path, items,
                          signals[i].item, bytes, items ? (double)bytes / (double)items : 0);
        }
    }
    if (json) {
        (void)fprintf(to, "],\"requests\":%" PRIu64 "}\n", counts->requests);
    } else {
        if (counts->traces) {
            (void)fprintf(to, "%" PRIu64 " traces, ", counts->traces);
        }
        (void)fprintf(to, "%" PRIu64 " requests in %.2f s\n", counts->requests, seconds);
    }
}

static double rate(uint64_t n, uint64_t ns)
{
    return ns ? (double)n * 1e9 / (double)ns : 0;
}

static void send_json(FILE *to, const struct send_report *r)
{
    (void)fprintf(
        to,
        "{\"requests\":{\"sent\":%" PRIu64 ",\"acknowledged\":%" PRIu64
        ",\"refused_retryable\":%" PRIu64 ",\"refused_permanent\":%" PRIu64 ",\"failed\":%" PRIu64
        ",\"retries\":%" PRIu64 ",\"partial\":%" PRIu64 "},\"items\":{\"sent\":%" PRIu64
        ",\"acknowledged\":%" PRIu64 ",\"refused_retryable\":%" PRIu64
        ",\"refused_permanent\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"rejected\":%" PRIu64 "},",
        r->sent, r->acknowledged, r->refused_retryable, r->refused_permanent, r->failed, r->retries,
        r->partial, r->items_sent, r->items_acknowledged, r->items_refused_retryable,
        r->items_refused_permanent, r->items_failed, r->items_rejected);
    (void)fprintf(to,
                  "\"bytes_acknowledged\":%" PRIu64
                  ",\"seconds\":%.6f,\"items_per_second\":%.1f,\"latency_ms\":"
                  "{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f},\"last_problem\":",
                  r->bytes_acknowledged, (double)r->wall_ns / 1e9,
                  rate(r->items_acknowledged, r->wall_ns), (double)r->p50_ns / 1e6,
                  (double)r->p90_ns / 1e6, (double)r->p99_ns / 1e6, (double)r->max_ns / 1e6);
    json_text(to, r->last_problem);
    (void)fputs("}\n", to);
}

void report_send(FILE *to, bool json, const struct send_report *r)
{
    if (json) {
        send_json(to, r);
        return;
    }
    (void)fprintf(to, "sent          %12" PRIu64 " items in %" PRIu64 " requests\n", r->items_sent,
                  r->sent);
    (void)fprintf(to, "acknowledged  %12" PRIu64 " items in %" PRIu64 " requests",
                  r->items_acknowledged, r->acknowledged);
    (void)fprintf(to, r->items_rejected ? ", of which %" PRIu64 " items were rejected\n" : "\n",
                  r->items_rejected);
    (void)fprintf(to,
                  "refused       %12" PRIu64 " items in %" PRIu64 " requests (%" PRIu64
                  " for now, %" PRIu64 " for good)\n",
                  r->items_refused_retryable + r->items_refused_permanent,
                  r->refused_retryable + r->refused_permanent, r->refused_retryable,
                  r->refused_permanent);
    (void)fprintf(
        to, "failed        %12" PRIu64 " items in %" PRIu64 " requests; %" PRIu64 " retries\n",
        r->items_failed, r->failed, r->retries);
    (void)fprintf(to, "latency       p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n",
                  (double)r->p50_ns / 1e6, (double)r->p90_ns / 1e6, (double)r->p99_ns / 1e6,
                  (double)r->max_ns / 1e6);
    (void)fprintf(to, "rate          %.0f items/s, %.1f MB/s over %.2f s\n",
                  rate(r->items_acknowledged, r->wall_ns),
                  rate(r->bytes_acknowledged, r->wall_ns) / 1e6, (double)r->wall_ns / 1e9);
    if (r->last_problem[0]) {
        (void)fprintf(to, "last problem  %s\n", r->last_problem);
    }
}

void report_progress(const struct send_report *r)
{
    uint64_t refused = r->items_refused_retryable + r->items_refused_permanent;
    (void)fprintf(stderr,
                  "\r%" PRIu64 " items sent, %" PRIu64 " acknowledged, %" PRIu64
                  " refused, %" PRIu64 " failed, %.0f items/s\x1b[K",
                  r->items_sent, r->items_acknowledged, refused, r->items_failed,
                  rate(r->items_acknowledged, r->wall_ns));
    (void)fflush(stderr);
}
