/* debug: shows data to people. A line with counts for each request goes to the log; with more
 * verbosity, text follows. `send` runs on consumer threads, one after the other under a mutex. */
#include "exporters/debug/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum verbosity { BASIC, NORMAL, DETAILED };
enum { SIGNALS = 3, OUTPUTS_MAX = 8 };

static const int64_t SAMPLING_TICK_NS = 1000000000;

struct sampled {
    int64_t until_ns;
    uint64_t n; /* requests in this tick */
};

struct exporter;

struct printer {
    const struct exporter *exporter;
    const sl_host *host;
    pthread_mutex_t mutex;
    struct sampled sampled[SIGNALS];
    struct decimal_powers powers;
    int outputs[OUTPUTS_MAX];
    uint32_t n_outputs;
    int failed; /* errno of the first write that failed, and was reported */
};

struct exporter {
    sl_base base;
    uint32_t verbosity;
    uint64_t sampling_initial, sampling_thereafter;
    uint8_t use_internal_logger;
    sl_list output_paths; /* sl_bytes */

    struct printer *printer; /* set by start */
};

static const char *const verbosities[] = {"basic", "normal", "detailed", NULL};

static const sl_field fields[] = {
    SL_ENUM(struct exporter, verbosity, verbosities,
            "basic: counts; normal: a line for each item; detailed: every field."),
    SL_U64(struct exporter, sampling_initial, "Requests shown in each second, for each signal.",
           .def.u = 2),
    SL_U64(struct exporter, sampling_thereafter,
           "After those, every so manieth is shown; 1: all, 0: none.", .def.u = 1),
    SL_BOOL(struct exporter, use_internal_logger,
            "Counts go to the log and text to stderr; false: both go to output_paths.", .def.u = 1),
    SL_TEXTS(struct exporter, output_paths,
             "stdout, stderr or files that are appended to, without the internal logger; stdout if "
             "empty."),
    SL_END};

/* ---- counts ---- */

struct counts {
    uint32_t resources, metrics;
};

static void count_metrics(sl_bytes resource, struct counts *counts)
{
    sl_repeated scopes = sl_repeated_of(resource, 2);
    sl_bytes scope, metric;
    while (sl_repeated_next(&scopes, &scope)) {
        sl_repeated metrics = sl_repeated_of(scope, 2);
        while (sl_repeated_next(&metrics, &metric))
            counts->metrics++;
    }
}

static struct counts count(const sl_payload *payload)
{
    struct counts counts = {0, 0};
    for (uint32_t i = 0; i < payload->n_segments; i++) {
        sl_repeated resources = sl_repeated_of(payload->segments[i], 1);
        sl_bytes resource;
        while (sl_repeated_next(&resources, &resource)) {
            counts.resources++;
            if (payload->signal == SL_METRICS)
                count_metrics(resource, &counts);
        }
    }
    return counts;
}

static uint32_t count_fields(const sl_payload *payload, sl_log_field fields_of[3],
                             char numbers[3][12])
{
    const struct counts counts = count(payload);
    const bool metrics = payload->signal == SL_METRICS;
    uint32_t n = 0;
    (void)snprintf(numbers[0], sizeof numbers[0], "%u", counts.resources);
    (void)snprintf(numbers[1], sizeof numbers[1], "%u", counts.metrics);
    (void)snprintf(numbers[2], sizeof numbers[2], "%u", payload->items);
    fields_of[n++] = (sl_log_field){payload->signal == SL_TRACES ? "resource spans"
                                    : metrics                    ? "resource metrics"
                                                                 : "resource logs",
                                    sl_str(numbers[0])};
    if (metrics)
        fields_of[n++] = (sl_log_field){"metrics", sl_str(numbers[1])};
    fields_of[n++] = (sl_log_field){payload->signal == SL_TRACES ? "spans"
                                    : metrics                    ? "data points"
                                                                 : "log records",
                                    sl_str(numbers[2])};
    return n;
}

/* ---- showing ---- */

/* As zap's sampler: within each second the first ones, then every so manieth. */
static bool is_shown(const struct exporter *e, struct sampled *s, int64_t now_ns)
{
    if (now_ns >= s->until_ns) {
        s->until_ns = now_ns + SAMPLING_TICK_NS;
        s->n = 0;
    }
    s->n++;
    return s->n <= e->sampling_initial ||
           (e->sampling_thereafter && (s->n - e->sampling_initial) % e->sampling_thereafter == 0);
}

static int32_t write_outputs(void *ctx, const uint8_t *at, size_t n)
{
    struct printer *p = ctx;
    for (uint32_t i = 0; i < p->n_outputs; i++) {
        for (size_t done = 0; done < n;) {
            const ssize_t wrote = write(p->outputs[i], at + done, n - done);
            if (wrote > 0) {
                done += (size_t)wrote;
            } else if (errno != EINTR) { /* what nobody can read is no reason to hold up the data */
                if (!p->failed)
                    sl_log(p->host, SL_LOG_WARN, "cannot write to an output: %s", strerror(errno));
                p->failed = errno;
                break;
            }
        }
    }
    return SL_OK;
}

static void show(struct printer *p, const sl_payload *payload, const sl_view *view)
{
    const struct exporter *e = p->exporter;
    const sl_host *h = p->host;
    const char *name = payload->signal == SL_TRACES    ? "Traces"
                       : payload->signal == SL_METRICS ? "Metrics"
                                                       : "Logs";
    sl_log_field counts[3];
    char numbers[3][12];
    const uint32_t n = count_fields(payload, counts, numbers);
    if (e->use_internal_logger && sl_log_enabled(h, SL_LOG_INFO))
        sl_log_with(h, SL_LOG_INFO, name, counts, n);
    struct text t = {.powers = &p->powers};
    if ((e->use_internal_logger && !view) ||
        json_out_init(&t.out, UINT64_MAX, write_outputs, p) != SL_OK)
        return;
    if (!e->use_internal_logger) {
        text_format(&t, "%s\t{", name);
        for (uint32_t i = 0; i < n; i++)
            text_format(&t, "%s\"%s\": %s", i ? ", " : "", counts[i].key,
                        (const char *)counts[i].value.p);
        text_format(&t, "}\n");
    }
    if (view && e->verbosity == NORMAL)
        normal_write(&t, view);
    else if (view)
        detailed_write(&t, view);
    (void)json_out_finish(&t.out);
    json_out_deinit(&t.out);
}

static int32_t send_shown(void *component, sl_delivery *delivery, sl_send *send)
{
    const struct exporter *e = component;
    struct printer *p = e->printer;
    const sl_payload *payload = delivery->payload;
    sl_view view;
    if (!p || !payload)
        return sl_fail(&send->error, SL_ERR_STATE, "the exporter does not run, or has no payload");
    if (payload->signal != SL_TRACES && payload->signal != SL_METRICS && payload->signal != SL_LOGS)
        return sl_fail(&send->error, SL_ERR_UNSUPPORTED, "this signal cannot be shown");
    int32_t status = SL_OK;
    pthread_mutex_lock(&p->mutex);
    if (is_shown(e, &p->sampled[__builtin_ctz(payload->signal)], sl_now(p->host))) {
        if (e->verbosity != BASIC)
            status = sl_view_of(p->host, delivery, &view);
        if (status == SL_OK)
            show(p, payload, e->verbosity != BASIC ? &view : NULL);
    }
    pthread_mutex_unlock(&p->mutex);
    return status == SL_OK ? SL_OK : sl_fail(&send->error, status, "the data cannot be indexed");
}

/* ---- life ---- */

static int32_t open_output(sl_bytes path, int *fd, sl_error *error)
{
    char text[4096];
    if (sl_eq(path, sl_str("stdout")) || sl_eq(path, sl_str("stderr"))) {
        *fd = fcntl(sl_eq(path, sl_str("stdout")) ? STDOUT_FILENO : STDERR_FILENO, F_DUPFD_CLOEXEC,
                    3);
    } else {
        if (path.n == 0 || path.n >= sizeof text || memchr(path.p, '\0', path.n))
            return sl_fail(error, SL_ERR_INVALID, "output_paths: not a path");
        memcpy(text, path.p, path.n);
        text[path.n] = '\0';
        *fd = open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    }
    if (*fd >= 0)
        return SL_OK;
    return sl_fail(error, SL_ERR_IO, "output_paths: cannot open \"%.*s\": %s",
                   (int)(path.n < 300 ? path.n : 300), (const char *)path.p, strerror(errno));
}

static int32_t prepare(void *component, sl_error *error)
{
    const struct exporter *e = component;
    if (e->output_paths.n > OUTPUTS_MAX)
        return sl_fail(error, SL_ERR_TOO_LARGE, "output_paths: at most %d are possible",
                       OUTPUTS_MAX);
    if (e->use_internal_logger && e->output_paths.n)
        sl_log(sl_host_of(e), SL_LOG_WARN,
               "output_paths has no effect with the internal logger; set use_internal_logger: "
               "false");
    return SL_OK;
}

static void destroy(void *component)
{
    struct exporter *e = component;
    struct printer *p = e->printer;
    if (!p)
        return;
    for (uint32_t i = 0; i < p->n_outputs; i++)
        (void)close(p->outputs[i]);
    pthread_mutex_destroy(&p->mutex);
    free(p);
    e->printer = NULL;
}

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    struct printer *p = calloc(1, sizeof *p);
    if (!p)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the debug exporter");
    p->exporter = e;
    p->host = sl_host_of(e);
    pthread_mutex_init(&p->mutex, NULL);
    decimal_powers_init(&p->powers);
    e->printer = p;
    int32_t status = SL_OK;
    if (e->use_internal_logger || e->output_paths.n == 0) {
        status = open_output(sl_str(e->use_internal_logger ? "stderr" : "stdout"), &p->outputs[0],
                             error);
        p->n_outputs = status == SL_OK;
    }
    const uint32_t n = e->use_internal_logger ? 0 : e->output_paths.n;
    for (uint32_t i = 0; i < n && status == SL_OK; i++) {
        status = open_output(*SL_LIST_AT(sl_bytes, e->output_paths, i), &p->outputs[i], error);
        p->n_outputs += status == SL_OK;
    }
    if (status != SL_OK)
        destroy(e);
    return status;
}

SL_TYPE(exporter, debug, .signals = SL_TRACES | SL_METRICS | SL_LOGS, .stability = SL_BETA,
        SL_CONFIG(struct exporter, fields), .prepare = prepare, .start = start, .destroy = destroy,
        .send = send_shown,
        .help = "Shows what arrives: counts in the log, or a line for each item, or every field.");
SL_PLUGIN("0.1.0", &sl_type_debug);
