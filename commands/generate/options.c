/* Reads the command line of `sluice generate`: each option into its place, checked, then what is
 * not given. */
#include "commands/generate/options.h"

#include "commands/generate/metrics.h"
#include "commands/generate/traces.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
#define START_DEFAULT (UINT64_C(1757930400) * SECOND_NS) /* 2025-09-15T10:00:00Z */
#define TRACES_PER_SECOND 100

struct arguments {
    char **at;
    int n;
    int next;
    sl_error *error;
};

__attribute__((format(printf, 2, 3))) static enum sl_status fail(sl_error *error,
                                                                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->code = SL_ERR_INVALID;
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return SL_ERR_INVALID;
}

/* The value of the option just read. */
static const char *value(struct arguments *a, const char *option)
{
    if (a->next == a->n) {
        (void)fail(a->error, "%s needs a value", option);
        return NULL;
    }
    return a->at[a->next++];
}

static bool is_number(const char *text)
{
    return text && *text && strspn(text, "0123456789") == strlen(text);
}

static enum sl_status number(struct arguments *a, const char *option, uint64_t least, uint64_t most,
                             uint64_t *out)
{
    const char *text = value(a, option);
    if (!text) {
        return SL_ERR_INVALID;
    }
    errno = 0;
    uint64_t n = is_number(text) ? strtoull(text, NULL, 10) : 0;
    if (!is_number(text) || errno || n < least || n > most) {
        return fail(a->error, "%s %s: not a whole number from %llu to %llu", option, text,
                    (unsigned long long)least, (unsigned long long)most);
    }
    *out = n;
    return SL_OK;
}

static enum sl_status number32(struct arguments *a, const char *option, uint32_t least,
                               uint32_t most, uint32_t *out)
{
    uint64_t n = 0;
    enum sl_status status = number(a, option, least, most, &n);
    if (status == SL_OK) {
        *out = (uint32_t)n;
    }
    return status;
}

/* A number behind --traces and --logs may be left out. */
static enum sl_status number_maybe(struct arguments *a, const char *option, uint64_t *out)
{
    return a->next < a->n && is_number(a->at[a->next])
               ? number(a, option, 1, UINT64_C(1000000000), out)
               : SL_OK;
}

static enum sl_status real(struct arguments *a, const char *option, double most, double *out)
{
    const char *text = value(a, option);
    if (!text) {
        return SL_ERR_INVALID;
    }
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x) || x < 0 || x > most) {
        return fail(a->error, "%s %s: not a number from 0 to %.0f", option, text, most);
    }
    *out = x;
    return SL_OK;
}

static enum sl_status duration(struct arguments *a, const char *option, bool zero, uint64_t *out)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
    const char *text = value(a, option);
    if (!text) {
        return SL_ERR_INVALID;
    }
    char *end;
    double x = strtod(text, &end);
    double ns = -1;
    for (size_t i = 0; end != text && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            ns = x * units[i].ns;
        }
    }
    if (zero && end != text && *end == '\0' && x == 0) {
        ns = 0;
    }
    if (!(ns >= (zero ? 0 : 1) && ns <= 366 * 86400e9)) {
        return fail(a->error,
                    "%s %s: not a duration such as 500ms, 90s, 10m, 1h, 2d (a year at most)",
                    option, text);
    }
    *out = (uint64_t)ns;
    return SL_OK;
}

static enum sl_status start_time(struct arguments *a, uint64_t *out)
{
    const char *text = value(a, "--start");
    if (!text) {
        return SL_ERR_INVALID;
    }
    if (strcmp(text, "now") == 0) {
        *out = (uint64_t)time(NULL) * SECOND_NS;
        return SL_OK;
    }
    struct tm tm;
    memset(&tm, 0, sizeof(tm));
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    uint64_t seconds = end && !*end      ? (uint64_t)timegm(&tm)
                       : is_number(text) ? strtoull(text, NULL, 10)
                                         : 0;
    if (seconds < 86400 * 366 || seconds > UINT64_C(9000000000)) {
        return fail(
            a->error,
            "--start %s: not a time such as 2025-09-15T10:00:00Z, seconds since 1970, or now",
            text);
    }
    *out = seconds * SECOND_NS;
    return SL_OK;
}

static enum sl_status choice(struct arguments *a, const char *option, const char *const *names,
                             int *out)
{
    const char *text = value(a, option);
    if (!text) {
        return SL_ERR_INVALID;
    }
    char known[128] = "";
    for (int i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return SL_OK;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", names[i]);
    }
    return fail(a->error, "%s %s: not one of %s", option, text, known);
}

static enum sl_status header(struct arguments *a, struct options *o)
{
    if (a->next == a->n) {
        return fail(a->error, "--header needs a value");
    }
    char *text = a->at[a->next++];
    char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        return fail(a->error, "--header %s: not NAME=VALUE", text);
    }
    if (o->send.header_count == HEADERS_MAX) {
        return fail(a->error, "--header: more than %d", HEADERS_MAX);
    }
    *equals = '\0';
    o->headers[o->send.header_count].name = text;
    o->headers[o->send.header_count++].value = equals + 1;
    return SL_OK;
}

static enum sl_status from(struct arguments *a, struct options *o)
{
    const char *path = value(a, "--from");
    if (!path) {
        return SL_ERR_INVALID;
    }
    if (o->from_count == FROM_MAX) {
        return fail(a->error, "--from: more than %d files", FROM_MAX);
    }
    o->from[o->from_count++] = path;
    return SL_OK;
}

static enum sl_status text(struct arguments *a, const char *option, const char **out)
{
    *out = value(a, option);
    return *out ? SL_OK : SL_ERR_INVALID;
}

/* What is generated, and how much. SL_ERR_NOT_FOUND: another kind of option. */
static enum sl_status parse_what(struct arguments *a, const char *option, struct options *o)
{
    struct stream_options *s = &o->stream;
    if (strcmp(option, "--traces") == 0) {
        s->signals |= SL_TRACES;
        return number_maybe(a, option, &s->traces);
    }
    if (strcmp(option, "--logs") == 0) {
        s->signals |= SL_LOGS;
        return number_maybe(a, option, &s->logs);
    }
    if (strcmp(option, "--metrics") == 0) {
        s->signals |= SL_METRICS;
        return SL_OK;
    }
    if (strcmp(option, "--series") == 0) {
        s->signals |= SL_METRICS;
        return number32(a, option, 1, METRICS_SERIES_MAX, &s->series);
    }
    if (strcmp(option, "--from") == 0) {
        return from(a, o);
    }
    if (strcmp(option, "--duration") == 0) {
        return duration(a, option, false, &s->duration);
    }
    if (strcmp(option, "--start") == 0) {
        return start_time(a, &s->start);
    }
    if (strcmp(option, "--seed") == 0) {
        return number(a, option, 0, UINT64_MAX, &s->seed);
    }
    if (strcmp(option, "--errors") == 0) {
        return real(a, option, 1000, &s->errors);
    }
    return SL_ERR_NOT_FOUND;
}

static enum sl_status parse_shape(struct arguments *a, const char *option, struct options *o)
{
    static const char *const groups[] = {"service", "mixed", NULL};
    static const char *const formats[] = {"otlp", "json", "ndjson", NULL};
    struct stream_options *s = &o->stream;
    int chosen = 0;
    enum sl_status status;
    if (strcmp(option, "--batch") == 0) {
        return number32(a, option, 1, 1000000, &s->batch);
    }
    if (strcmp(option, "--group") == 0) {
        status = choice(a, option, groups, &chosen);
        s->mixed = chosen == 1;
        return status;
    }
    if (strcmp(option, "--delay") == 0) {
        return duration(a, option, true, &s->delay);
    }
    if (strcmp(option, "--attributes") == 0) {
        return number32(a, option, 0, TRACES_ATTRIBUTES_MAX, &s->attributes);
    }
    if (strcmp(option, "--span-bytes") == 0) {
        return number32(a, option, 0, STREAM_SPAN_BYTES_MAX, &s->span_bytes);
    }
    if (strcmp(option, "--out") == 0) {
        return text(a, option, &o->folder);
    }
    if (strcmp(option, "--file") == 0) {
        return text(a, option, &o->file);
    }
    if (strcmp(option, "--format") == 0) {
        status = choice(a, option, formats, &chosen);
        o->format = (enum output_format)chosen;
        return status;
    }
    return SL_ERR_NOT_FOUND;
}

static enum sl_status parse_send(struct arguments *a, const char *option, struct options *o)
{
    struct send_options *s = &o->send;
    if (strcmp(option, "--to") == 0) {
        return text(a, option, &o->to);
    }
    if (strcmp(option, "--rate") == 0) {
        return real(a, option, 1e12, &s->items_per_second);
    }
    if (strcmp(option, "--requests") == 0) {
        return number(a, option, 1, UINT64_MAX, &s->requests);
    }
    if (strcmp(option, "--for") == 0) {
        return duration(a, option, false, &s->duration_ns);
    }
    if (strcmp(option, "--connections") == 0) {
        return number32(a, option, 1, 1024, &s->connections);
    }
    if (strcmp(option, "--in-flight") == 0) {
        return number32(a, option, 1, 1024, &s->in_flight);
    }
    if (strcmp(option, "--gzip") == 0) {
        s->gzip = true;
        return SL_OK;
    }
    if (strcmp(option, "--retries") == 0) {
        return number32(a, option, 0, 1000, &s->retries);
    }
    if (strcmp(option, "--timeout") == 0) {
        return duration(a, option, false, &s->timeout_ns);
    }
    if (strcmp(option, "--header") == 0) {
        return header(a, o);
    }
    return SL_ERR_NOT_FOUND;
}

static const struct size {
    const char *name;
    uint64_t traces;
    uint32_t series;
    uint64_t seconds;
} sizes[] = {{"small", 1000, 500, 60}, {"medium", 20000, 5000, 600}, {"big", 100000, 10000, 3600}};

static void fill_defaults(struct options *o, const struct size *size)
{
    struct stream_options *s = &o->stream;
    if (!s->signals && o->from_count == 0) {
        s->signals = SL_TRACES | SL_METRICS | SL_LOGS;
    }
    if (!s->duration && s->traces) {
        s->duration = s->traces * (SECOND_NS / TRACES_PER_SECOND);
        s->duration = s->duration < 60 * SECOND_NS ? 60 * SECOND_NS : s->duration;
    } else if (!s->duration) {
        s->duration = size->seconds * SECOND_NS;
    }
    /* As many records as were asked for need enough traces; the stream ends with the last of them.
     */
    s->traces = s->traces ? s->traces : s->logs > size->traces ? s->logs : size->traces;
    s->series = s->series ? s->series : size->series;
    o->send.headers = o->headers;
    o->send.endpoint = o->to;
}

static enum sl_status check(const struct options *o, bool sized, sl_error *error)
{
    int targets = (o->folder != NULL) + (o->file != NULL) + (o->to != NULL);
    if (targets != 1) {
        return fail(error, targets ? "give only one of --out, --file and --to"
                                   : "say where to: --out DIR, --file FILE or --to URL");
    }
    if (o->file && (o->stream.signals & (o->stream.signals - 1))) {
        return fail(
            error,
            "--file takes one signal: choose --traces, --metrics or --logs, or use --out DIR");
    }
    if (o->from_count && (o->stream.signals || sized || o->stream.traces || o->stream.duration)) {
        return fail(
            error,
            "--from replaces what is generated: leave out --traces, --metrics, --logs and sizes");
    }
    if (o->to && o->format == OUTPUT_NDJSON) {
        return fail(error, "--format ndjson is for files: --to sends OTLP protobuf");
    }
    if (o->to && o->format == OUTPUT_JSON) {
        return fail(error, "--format json is for files: --to sends OTLP protobuf");
    }
    if (o->from_count && o->format == OUTPUT_NDJSON) {
        return fail(error,
                    "--format ndjson needs generated telemetry: with --from use otlp or json");
    }
    if (!o->to &&
        (o->send.requests || o->send.duration_ns || o->send.items_per_second > 0 || o->send.gzip ||
         o->send.connections || o->send.in_flight || o->send.header_count)) {
        return fail(error, "--rate, --requests, --for, --gzip, --connections, --in-flight and "
                           "--header need --to URL");
    }
    return SL_OK;
}

static enum sl_status protocol(struct options *o, sl_error *error)
{
    if (!o->to) {
        return SL_OK;
    }
    if (strncasecmp(o->to, "grpc://", 7) == 0) {
        o->send.protocol = SEND_GRPC;
    } else if (strncasecmp(o->to, "http://", 7) == 0) {
        o->send.protocol = SEND_HTTP;
    } else {
        return fail(error, "--to %s: not grpc://HOST:PORT or http://HOST:PORT", o->to);
    }
    return SL_OK;
}

enum sl_status options_parse(struct options *o, int argc, char **argv, sl_error *error)
{
    struct arguments a = {argv, argc, 1, error};
    const struct size *size = NULL;
    memset(o, 0, sizeof(*o));
    o->stream.seed = 1;
    o->stream.start = START_DEFAULT;
    o->stream.errors = 1;
    o->stream.batch = 1000;
    o->stream.delay = 5 * SECOND_NS;
    while (a.next < a.n) {
        const char *option = a.at[a.next++];
        enum sl_status status = SL_OK;
        const struct size *named = NULL;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            named = strcmp(option, sizes[i].name) == 0 ? &sizes[i] : named;
        }
        if (named) {
            size = named;
        } else if (strcmp(option, "--json") == 0) {
            o->json = true;
        } else if (strcmp(option, "--progress") == 0) {
            o->progress = true;
        } else if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
            o->help = true;
            return SL_OK;
        } else {
            status = parse_what(&a, option, o);
            status = status == SL_ERR_NOT_FOUND ? parse_shape(&a, option, o) : status;
            status = status == SL_ERR_NOT_FOUND ? parse_send(&a, option, o) : status;
        }
        if (status == SL_ERR_NOT_FOUND) {
            return fail(error, "unknown option \"%s\" (see sluice generate --help)", option);
        }
        if (status != SL_OK) {
            return status;
        }
    }
    enum sl_status status = check(o, size != NULL, error);
    status = status == SL_OK ? protocol(o, error) : status;
    if (status == SL_OK) {
        fill_defaults(o, size ? size : &sizes[0]);
    }
    if (status == SL_OK && o->file && !o->from_count &&
        (o->stream.signals & (o->stream.signals - 1))) {
        return fail(
            error,
            "--file takes one signal: choose --traces, --metrics or --logs, or use --out DIR");
    }
    return status;
}
