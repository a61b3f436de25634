/* file: writes each request to a file, as a line of OTLP JSON or as protobuf with its length. A
 * request counts as delivered when the kernel has it, or, with fsync: always, the disk; so a killed
 * process loses nothing that it has acknowledged. `send` runs on consumer threads, one for each
 * signal. */
#include "exporters/file/file.h"

/* How long a send waits for the component's forerunner to end, before it is tried again later. */
static const int64_t FORERUNNER_NS = INT64_C(5000000000), WAIT_NS = INT64_C(50000000);

/* Tells the host when writing begins to fail, and when it works again. Mutex held. */
static void report(struct exporter *e, int32_t status, const char *text)
{
    const bool trouble = status == SL_ERR_IO || status == SL_ERR_STATE;
    if (trouble && !e->in_trouble)
        sl_report(sl_host_of(e), SL_STATUS_RECOVERABLE, text);
    else if (status == SL_OK && e->in_trouble)
        sl_report(sl_host_of(e), SL_STATUS_OK, "writes again");
    e->in_trouble = trouble || (e->in_trouble && status != SL_OK);
}

static int32_t find_output(struct exporter *e, const sl_bytes *group, struct output **o,
                           sl_error *error)
{
    char clean[PLACE_VALUE_MAX];
    *o = e->output;
    return group ? files_get(e, clean, place_clean(*group, clean), o, error) : SL_OK;
}

int32_t exporter_write(struct exporter *e, const struct request *r, const sl_bytes *group,
                       sl_send *send)
{
    struct encoder *c = &e->encoders[__builtin_ctz(r->signal)];
    struct output *o;
    pthread_mutex_lock(&c->mutex);
    int32_t status = encode_prepare(e, c, r, &send->error);
    for (int64_t waited = 0; status == SL_OK || status == SL_ERR_UNAVAILABLE; waited += WAIT_NS) {
        pthread_mutex_lock(&e->mutex);
        status = find_output(e, group, &o, &send->error);
        if (status == SL_OK)
            status = encode_write(e, c, r, o, send->deadline_ns, &send->error);
        report(e, status, send->error.text);
        pthread_mutex_unlock(&e->mutex);
        if (status != SL_ERR_UNAVAILABLE || waited >= FORERUNNER_NS || atomic_load(&e->stopping))
            break;
        lock_wait(WAIT_NS);
    }
    encode_done(c);
    pthread_mutex_unlock(&c->mutex);
    return status;
}

static int32_t send_whole(struct exporter *e, sl_delivery *d, sl_send *send)
{
    const sl_payload *payload = d->payload;
    struct request r = {.signal = payload->signal,
                        .segments = payload->segments,
                        .n = payload->n_segments,
                        .bytes = payload->bytes};
    sl_bytes whole;
    if (!(payload->flags & SL_PAYLOAD_ALIGNED)) { /* such as what was split */
        const int32_t status = sl_payload_flatten(sl_host_of(e), payload, &whole);
        if (status != SL_OK)
            return status;
        r.segments = &whole;
        r.n = 1;
    }
    return e->files ? groups_send(e, d, &r, send) : exporter_write(e, &r, NULL, send);
}

static int32_t send_to_file(void *component, sl_delivery *delivery, sl_send *send)
{
    struct exporter *e = component;
    const sl_payload *payload = delivery->payload;
    if (!e->started || atomic_load(&e->stopping))
        return sl_fail(&send->error, SL_ERR_SHUTDOWN, "the exporter has stopped");
    if (!payload)
        return sl_fail(&send->error, SL_ERR_STATE, "the delivery has no payload");
    if (payload->signal != SL_TRACES && payload->signal != SL_METRICS && payload->signal != SL_LOGS)
        return sl_fail(&send->error, SL_ERR_UNSUPPORTED, "this signal cannot be written to files");
    const int32_t status = send_whole(e, delivery, send);
    if (status != SL_OK) {
        send->why = status == SL_ERR_INVALID ? "invalid" : "io";
        if (!send->error.text[0])
            (void)sl_fail(&send->error, status, "cannot write a request of %llu bytes",
                          (unsigned long long)payload->bytes);
    }
    return status;
}

/* ---- life ---- */

static int32_t open_first(struct exporter *e, sl_error *error)
{
    if (e->group_by.enabled) {
        e->files = files_create(e->group_by.max_open_files);
        return e->files ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "no memory for open files");
    }
    int32_t status = output_create(e, (const char *)e->path.p, e->path.n, NULL, &e->output, error);
    if (status != SL_OK)
        return status;
    status = output_open(e->output, error);
    if (status == SL_ERR_UNAVAILABLE) /* the forerunner drains; the first record waits for it */
        return SL_OK;
    if (status == SL_OK && e->rotating && e->output->regular)
        rotate_prune(e->output);
    return status;
}

static void stop(void *component)
{
    struct exporter *e = component;
    atomic_store(&e->stopping, true);
    if (e->started)
        lock_wake();
}

static void destroy(void *component)
{
    struct exporter *e = component;
    if (!e->started)
        return;
    syncer_stop(e);
    output_destroy(e->output);
    files_destroy(e->files);
    e->output = NULL;
    e->files = NULL;
    for (size_t i = 0; i < SIGNALS; i++)
        encoder_deinit(&e->encoders[i]);
    pthread_mutex_destroy(&e->mutex);
    e->started = false;
}

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    if (!e->calls)
        e->calls = &file_calls_of_system;
    atomic_store(&e->stopping, false);
    if (pthread_mutex_init(&e->mutex, NULL))
        return sl_fail(error, SL_ERR_NOMEM, "no memory to start");
    for (size_t i = 0; i < SIGNALS; i++)
        (void)encoder_init(&e->encoders[i]);
    e->started = true;
    int32_t status = open_first(e, error);
    if (status == SL_OK && e->fsync == FSYNC_INTERVAL)
        status = syncer_start(e, error);
    if (status != SL_OK)
        destroy(e);
    return status;
}

SL_TYPE(exporter, file, .signals = SL_TRACES | SL_METRICS | SL_LOGS, .flags = SL_RETRY,
        .stability = SL_BETA, SL_CONFIG(struct exporter, exporter_fields),
        .prepare = exporter_prepare, .start = start, .stop = stop, .destroy = destroy,
        .send = send_to_file,
        .help = "Writes traces, metrics and logs to files, as lines of OTLP JSON or as protobuf, "
                "compressed, rotated, and apart by an attribute, as asked for.");
SL_PLUGIN("0.1.0", &sl_type_file);
