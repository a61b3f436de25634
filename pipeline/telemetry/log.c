/* Writes log lines. One line is formatted and written at a time, in a buffer of the log's own and
 * under its lock: lines are rare, and outputs take one at a time anyway. Any thread. */
#include "pipeline/telemetry/log.h"
#include "pipeline/telemetry/recent.h"
#include "pipeline/telemetry/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
    SAMPLES = 512,    /* texts that share a slot are sampled together */
    LINE_RESERVE = 64 /* room to end a line that was cut */
};

struct sample {
    int64_t until_ns;
    uint64_t lines;
};

struct log {
    _Atomic int32_t level;
    _Atomic uint64_t sampled_out, lost;
    pthread_mutex_t lock;
    struct log_options options;
    sl_log_field *initial; /* copies of the options' initial fields, in one block */
    struct sample samples[SAMPLES];
    struct recent recent;
    char line[LOG_LINE_MAX];
};

/* A line that is being written; once something did not fit, nothing more is put but the end. */
struct line {
    char *at;
    size_t used, limit;
    bool cut;
};

static void put(struct line *line, const void *bytes, size_t n)
{
    if (line->cut || n > line->limit - line->used) {
        line->cut = true;
        return;
    }
    memcpy(line->at + line->used, bytes, n);
    line->used += n;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* What closes a string or the line; fits in the reserve. */
static void put_end(struct line *line, const char *text)
{
    size_t n = strlen(text);
    memcpy(line->at + line->used, text, n);
    line->used += n;
}

/* The text without control characters, so that what a sender wrote cannot look like a line of ours
 * or steer a terminal. In JSON quotes and backslashes are escaped too. */
static void put_escaped(struct line *line, sl_bytes text, bool json)
{
    size_t i = 0;
    while (i < text.n && !line->cut) {
        const uint8_t *p = text.p + i;
        size_t n = utf8_sequence(p, text.n - i);
        char escape[8];
        if (n == 0) {
            put_text(line, UTF8_REPLACEMENT);
            n = 1;
        } else if (n == 1 && (*p == '\n' || *p == '\t' || *p == '\r')) {
            put_text(line, *p == '\n' ? "\\n" : *p == '\t' ? "\\t" : "\\r");
        } else if ((n == 1 && (*p < 0x20 || *p == 0x7f)) || (n == 2 && *p == 0xc2 && p[1] < 0xa0)) {
            (void)snprintf(escape, sizeof escape, "\\u%04x", n == 1 ? *p : p[1]);
            put_text(line, escape);
        } else if (json && n == 1 && (*p == '"' || *p == '\\')) {
            escape[0] = '\\';
            escape[1] = (char)*p;
            put(line, escape, 2);
        } else {
            put(line, p, n);
        }
        i += n;
    }
}

static void put_string(struct line *line, sl_bytes text)
{
    put_text(line, "\"");
    if (line->cut)
        return;
    put_escaped(line, text, true);
    put_end(line, "\"");
}

static void put_time(struct line *line, int64_t wall_ns)
{
    int64_t ms = wall_ns / 1000000;
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[64];
    if (!gmtime_r(&seconds, &tm))
        memset(&tm, 0, sizeof tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ms % 1000));
    put_text(line, text);
}

static const char *level_name(int32_t level)
{
    if (level < SL_LOG_INFO)
        return "debug";
    if (level < SL_LOG_WARN)
        return "info";
    return level < SL_LOG_ERROR ? "warn" : "error";
}

/* `first`: what stands in front of the first field written here. */
static bool put_fields(struct line *line, struct log_fields fields, const char *first,
                       const char *between, const char *colon)
{
    bool any = false;
    for (uint32_t i = 0; i < fields.n && !line->cut; i++) {
        const sl_log_field *field = &fields.at[i];
        size_t before = line->used;
        put_text(line, any ? between : first);
        put_string(line, sl_str(field->key));
        put_text(line, colon);
        put_text(line, "\"");
        if (line->cut) { /* not even an empty value fits: leave the field out */
            line->used = before;
            break;
        }
        line->used--;
        put_string(line, field->value);
        any = true;
    }
    return any;
}

static sl_bytes format(struct log *log, int64_t wall_ns, int32_t level, sl_bytes text,
                       const struct log_fields lists[3])
{
    struct line line = {log->line, 0, LOG_LINE_MAX - LINE_RESERVE, false};
    bool json = log->options.encoding == LOG_JSON;
    const char *between = json ? "," : ", ", *colon = json ? ":" : ": ";
    bool any = json;
    if (json) {
        put_text(&line, "{\"level\":\"");
        put_text(&line, level_name(level));
        put_text(&line, "\",\"ts\":\"");
        put_time(&line, wall_ns);
        put_text(&line, "\",\"msg\":");
        put_string(&line, text);
    } else {
        put_time(&line, wall_ns);
        put_text(&line, "\t");
        put_text(&line, level_name(level));
        put_text(&line, "\t");
        put_escaped(&line, text, false);
    }
    for (int i = 0; i < 3; i++)
        any = put_fields(&line, lists[i], any ? between : "\t{", between, colon) || any;
    if (line.cut) {
        put_end(&line, any ? between : "\t{");
        put_end(&line, json ? "\"truncated\":\"true\"" : "\"truncated\": \"true\"");
        any = true;
    }
    put_end(&line, any ? "}\n" : "\n");
    return sl_slice(log->line, line.used);
}

/* Counted as zap's sampler counts. */
static bool sample(struct log *log, int64_t now, int32_t level, sl_bytes text)
{
    const struct log_sampling *rule = &log->options.sampling;
    if (!rule->enabled || rule->tick_ns <= 0)
        return true;
    uint64_t hash = (UINT64_C(14695981039346656037) ^ (uint32_t)level) * UINT64_C(1099511628211);
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ text.p[i]) * UINT64_C(1099511628211);
    struct sample *slot = &log->samples[(hash ^ (hash >> 32)) % SAMPLES];
    /* A slot further ahead than one tick was set before the clock was set back. */
    if (now >= slot->until_ns || slot->until_ns - now > rule->tick_ns) {
        if (__builtin_add_overflow(now, rule->tick_ns, &slot->until_ns))
            slot->until_ns = INT64_MAX;
        slot->lines = 0;
    }
    slot->lines++;
    return slot->lines <= rule->initial ||
           (rule->thereafter && (slot->lines - rule->initial) % rule->thereafter == 0);
}

static bool write_all(int fd, sl_bytes line)
{
    while (line.n > 0) {
        ssize_t n = write(fd, line.p, line.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        line.p += n;
        line.n -= (size_t)n;
    }
    return true;
}

static int64_t system_wall_clock(void *ctx)
{
    struct timespec t;
    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void log_options_init(struct log_options *options)
{
    memset(options, 0, sizeof *options);
    options->level = SL_LOG_INFO;
    options->encoding = LOG_CONSOLE;
    options->sampling = (struct log_sampling){true, INT64_C(10000000000), 10, 100};
    options->outputs[0] = STDERR_FILENO;
    options->n_outputs = 1;
}

int32_t log_level_parse(sl_bytes text, int32_t *level)
{
    static const struct {
        const char *name;
        int32_t level;
    } names[] = {{"debug", SL_LOG_DEBUG}, {"info", SL_LOG_INFO},    {"warn", SL_LOG_WARN},
                 {"error", SL_LOG_ERROR}, {"dpanic", SL_LOG_ERROR}, {"panic", SL_LOG_ERROR},
                 {"fatal", SL_LOG_ERROR}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].name) == text.n &&
            strncasecmp(names[i].name, (const char *)text.p, text.n) == 0) {
            *level = names[i].level;
            return SL_OK;
        }
    }
    return SL_ERR_INVALID;
}

int32_t log_output_open(const char *path, int *fd, bool *owned, sl_error *error)
{
    *owned = false;
    if (strcmp(path, "stderr") == 0) {
        *fd = STDERR_FILENO;
        return SL_OK;
    }
    if (strcmp(path, "stdout") == 0) {
        *fd = STDOUT_FILENO;
        return SL_OK;
    }
    const char *file = path;
    if (strncmp(path, "file://", 7) == 0)
        file = path + 7;
    else if (strstr(path, "://"))
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "log output \"%s\": give stderr, stdout or the path of a file", path);
    *fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (*fd < 0)
        return sl_fail(error, SL_ERR_IO, "log output \"%s\": cannot open it: %s", path,
                       strerror(errno));
    *owned = true;
    return SL_OK;
}

/* The fields and their strings in one block; *copy is NULL where there are none. */
static int32_t copy_fields(const struct log_options *options, sl_log_field **copy)
{
    *copy = NULL;
    if (options->n_initial_fields == 0)
        return SL_OK;
    size_t bytes = options->n_initial_fields * sizeof(sl_log_field);
    for (uint32_t i = 0; i < options->n_initial_fields; i++)
        bytes += strlen(options->initial_fields[i].key) + 1 + options->initial_fields[i].value.n;
    sl_log_field *fields = malloc(bytes);
    if (!fields)
        return SL_ERR_NOMEM;
    char *at = (char *)(fields + options->n_initial_fields);
    for (uint32_t i = 0; i < options->n_initial_fields; i++) {
        const sl_log_field *from = &options->initial_fields[i];
        size_t key = strlen(from->key) + 1;
        memcpy(at, from->key, key);
        fields[i].key = at;
        at += key;
        if (from->value.n)
            memcpy(at, from->value.p, from->value.n);
        fields[i].value = sl_slice(at, from->value.n);
        at += from->value.n;
    }
    *copy = fields;
    return SL_OK;
}

int32_t log_configure(struct log *log, const struct log_options *options)
{
    sl_log_field *initial, *old;
    if (options->n_outputs > LOG_OUTPUTS_MAX)
        return SL_ERR_TOO_LARGE;
    if (copy_fields(options, &initial) != SL_OK)
        return SL_ERR_NOMEM;
    pthread_mutex_lock(&log->lock);
    old = log->initial;
    log->options = *options;
    log->options.initial_fields = initial;
    log->initial = initial;
    if (!log->options.wall_clock)
        log->options.wall_clock = system_wall_clock;
    memset(log->samples, 0, sizeof log->samples);
    atomic_store_explicit(&log->level, options->level, memory_order_relaxed);
    pthread_mutex_unlock(&log->lock);
    free(old);
    return SL_OK;
}

struct log *log_create(const struct log_options *options)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    pthread_mutex_init(&log->lock, NULL);
    if (log_configure(log, options) != SL_OK) {
        log_destroy(log);
        return NULL;
    }
    return log;
}

void log_destroy(struct log *log)
{
    if (!log)
        return;
    pthread_mutex_destroy(&log->lock);
    free(log->initial);
    free(log);
}

bool log_enabled(const struct log *log, int32_t level)
{
    return log && level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

void log_write(struct log *log, int32_t level, sl_bytes text, struct log_fields of_component,
               struct log_fields of_line)
{
    if (!log_enabled(log, level))
        return;
    pthread_mutex_lock(&log->lock);
    const struct log_options *options = &log->options;
    int64_t now = options->wall_clock(options->ctx);
    recent_add(&log->recent, now, level, text, of_component, of_line);
    if (!sample(log, now, level, text)) {
        atomic_fetch_add_explicit(&log->sampled_out, 1, memory_order_relaxed);
    } else {
        struct log_fields lists[3] = {
            {log->initial, options->n_initial_fields}, of_component, of_line};
        sl_bytes line = format(log, now, level, text, lists);
        if (options->sink) {
            options->sink(options->ctx, line);
        } else {
            bool whole = true;
            for (uint32_t i = 0; i < options->n_outputs; i++)
                whole = write_all(options->outputs[i], line) && whole;
            if (!whole)
                atomic_fetch_add_explicit(&log->lost, 1, memory_order_relaxed);
        }
    }
    pthread_mutex_unlock(&log->lock);
}

void log_line(struct log *log, int32_t level, const char *text_format, ...)
{
    struct log_fields none = {NULL, 0};
    char text[2048];
    va_list args;
    if (!log_enabled(log, level))
        return;
    va_start(args, text_format);
    (void)vsnprintf(text, sizeof text, text_format, args);
    va_end(args);
    log_write(log, level, sl_str(text), none, none);
}

int32_t log_recent(struct log *log, void (*visit)(void *ctx, const struct recent_line *), void *ctx)
{
    struct recent *copy = malloc(sizeof *copy);
    if (!copy)
        return SL_ERR_NOMEM;
    pthread_mutex_lock(&log->lock);
    *copy = log->recent;
    pthread_mutex_unlock(&log->lock);
    const uint32_t n = recent_sort(copy);
    for (uint32_t i = 0; i < n; i++)
        visit(ctx, &copy->at[i]);
    free(copy);
    return SL_OK;
}

uint64_t log_sampled_out(const struct log *log)
{
    return log ? atomic_load_explicit(&log->sampled_out, memory_order_relaxed) : 0;
}

uint64_t log_lost(const struct log *log)
{
    return log ? atomic_load_explicit(&log->lost, memory_order_relaxed) : 0;
}
