/* Structured log lines as the OpenTelemetry Collector writes them: console
 * ("2026-08-01T12:00:00.000Z\tinfo\tmessage\t{"key": "value"}") or one JSON object a line.
 * Each line is one write(2); nothing is allocated after log_create. Any thread. */
#ifndef SLUICE_PIPELINE_LOG_H
#define SLUICE_PIPELINE_LOG_H
#include <sluice/plugin.h>

/* Longest line in bytes, newline included; what does not fit is left out, and the line says so. */
#define LOG_LINE_MAX 16384u
#define LOG_OUTPUTS_MAX 8u

enum log_encoding { LOG_CONSOLE, LOG_JSON };

/* Of the lines with one level and text, the first `initial` in each tick are written, then every
 * `thereafter`th (0: none). */
struct log_sampling {
    bool enabled;
    int64_t tick_ns;
    uint64_t initial, thereafter;
};

struct log_options {
    int32_t level; /* enum sl_log_level: the lowest that is written */
    enum log_encoding encoding;
    struct log_sampling sampling;
    int outputs[LOG_OUTPUTS_MAX]; /* file descriptors; they stay the caller's */
    uint32_t n_outputs;
    const sl_log_field *initial_fields; /* on every line; copied */
    uint32_t n_initial_fields;
    /* Wall clock in ns since 1970; NULL: the system's. Virtual in tests. */
    int64_t (*wall_clock)(void *ctx);
    /* Gets each line, newline included, in place of the outputs; NULL: none. Called under the log's
     * lock: it must not log. */
    void (*sink)(void *ctx, sl_bytes line);
    void *ctx; /* of both */
};

/* Fields that a component puts on each of its lines, and those of one line. */
struct log_fields {
    const sl_log_field *at;
    uint32_t n;
};

struct log;

/* The defaults of service::telemetry::logs: info, console, sampled 10 + every 100th in 10 s, to
 * stderr. */
void log_options_init(struct log_options *);
/* "debug", "INFO", "warn", "error" and zap's "dpanic", "panic", "fatal" (all as error). */
int32_t log_level_parse(sl_bytes text, int32_t *level);
/* What an entry of output_paths names: "stderr", "stdout", or a file that is appended to, which the
 * caller closes (*owned). */
int32_t log_output_open(const char *path, int *fd, bool *owned, sl_error *);

/* NULL: no memory. */
struct log *log_create(const struct log_options *);
/* Takes the options over at once, as after a reload. On SL_ERR_NOMEM nothing has changed. */
int32_t log_configure(struct log *, const struct log_options *);
void log_destroy(struct log *);

/* Cheap. A NULL log writes nothing. */
bool log_enabled(const struct log *, int32_t level);
void log_write(struct log *, int32_t level, sl_bytes text, struct log_fields of_component,
               struct log_fields of_line);
/* Without fields. */
void log_line(struct log *, int32_t level, const char *format, ...) SL_PRINTF_(3, 4);

/* The latest lines that tell of a problem, those included that sampling leaves out; the newest first.
 * SL_ERR_NOMEM: none are visited. `visit` is called without the log's lock. */
struct recent_line;
int32_t log_recent(struct log *, void (*visit)(void *ctx, const struct recent_line *), void *ctx);

uint64_t log_sampled_out(const struct log *); /* lines left out by sampling */
uint64_t log_lost(const struct log *);        /* lines that an output did not take whole */

static inline sl_log_field log_text(const char *key, const char *value)
{
    sl_log_field field = {key, {(const uint8_t *)value, value ? strlen(value) : 0}};
    return field;
}
#endif
