/* probabilistic_sampler: keeps a share of spans and log records, decided item by item from the trace
 * id or an attribute, and says in what it keeps how large the share was. Only records in which that
 * changes something are written anew. Any lane; the config is read-only. */
#include "processors/probabilistic_sampler/sampler.h"

#include <math.h>

/* What a delivery becomes. */
struct plan {
    const sl_host *host;
    sl_delivery *delivery;
    sl_writer records; /* those that are written anew, one after another */
    sl_piece *pieces;  /* .with.p: an offset until all is written, plus 1 */
    uint32_t n, room;
    uint32_t kept, changed;
    uint32_t counts[POLICIES][2];
};

static void *grown(const sl_host *h, void *at, size_t used, size_t room)
{
    void *more = sl_allocate(h, room);
    if (more && used)
        memcpy(more, at, used);
    if (more)
        sl_release(h, at);
    return more;
}

static bool grow_records(sl_writer *w, size_t more)
{
    enum { FIRST = 65536 };
    struct plan *p = w->ctx;
    size_t room = w->room ? 2 * w->room : FIRST;
    while (room - w->used < more) {
        if (__builtin_mul_overflow(room, 2, &room))
            return false;
    }
    uint8_t *at = grown(p->host, w->at, w->used, room);
    if (!at)
        return false;
    w->at = at;
    w->room = room;
    return true;
}

/* Item i goes on: as it is, joined to what is before it, or written anew from `from` on. */
static bool keep(struct plan *p, uint32_t i, bool changed, size_t from)
{
    enum { FIRST = 64 };
    sl_piece *last = p->n ? &p->pieces[p->n - 1] : NULL;
    p->kept++;
    if (!changed && last && !last->with.p && last->first + last->count == i) {
        last->count++;
        return true;
    }
    if (p->n == p->room) {
        const uint32_t room = p->room ? 2 * p->room : FIRST;
        sl_piece *pieces = grown(p->host, p->pieces, p->n * sizeof *pieces, room * sizeof *pieces);
        if (!pieces)
            return false;
        p->pieces = pieces;
        p->room = room;
    }
    p->pieces[p->n++] = (sl_piece){
        .from = p->delivery,
        .first = i,
        .count = 1,
        .with = changed ? sl_slice((const uint8_t *)(uintptr_t)(from + 1), p->records.used - from)
                        : sl_slice(NULL, 0)};
    p->changed += changed;
    return true;
}

static bool decide_all(const struct sampler *s, struct plan *p, const sl_view *view)
{
    const bool logs = view->signal == SL_LOGS;
    for (uint32_t i = 0; i < view->items.n; i++) {
        const sl_log_record *log = logs ? sl_log_at(view, i) : NULL;
        const sl_span *span = logs ? NULL : sl_span_at(view, i);
        char scratch[32];
        struct item item;
        if (logs)
            log_read(s, log, &item, scratch);
        else
            span_read(span, &item);
        sampler_decide(s, &item);
        p->counts[item.policy][item.sampled]++;
        if (!item.sampled)
            continue;
        const size_t from = p->records.used;
        if (item.changed && logs)
            log_write(log, &item, &p->records);
        else if (item.changed)
            span_write(span, &item, &p->records);
        if (p->records.failed || !keep(p, i, item.changed, from))
            return false;
    }
    return true;
}

static void place_records(struct plan *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        sl_bytes *with = &p->pieces[i].with;
        if (with->p)
            with->p = p->records.at + ((uintptr_t)with->p - 1);
    }
}

static void count(const struct sampler *s, const struct plan *p, bool logs)
{
    for (int policy = 0; s->metrics && policy < POLICIES; policy++) {
        for (int sampled = 0; sampled < 2; sampled++) {
            if (p->counts[policy][sampled])
                s->metrics->add(s->counts[logs][policy][sampled], p->counts[policy][sampled]);
        }
    }
}

/* Hands on what is kept. On any status but SL_OK nothing is claimed. */
static int32_t hand_on(struct plan *p)
{
    static const char why[] = "sampled_out";
    sl_delivery *d = p->delivery, *child;
    if (p->kept == 0) {
        sl_finish(p->host, d, SL_DROPPED, why);
        return SL_OK;
    }
    if (p->kept == d->items && p->changed == 0) {
        (void)sl_forward(p->host, d);
        return SL_OK;
    }
    place_records(p);
    const int32_t status = sl_derive(p->host, p->pieces, p->n, &child);
    if (status != SL_OK)
        return status;
    sl_finish(p->host, d, SL_DROPPED, why);
    (void)sl_forward(p->host, child);
    return SL_OK;
}

static int32_t process(void *component, sl_delivery *d)
{
    const struct sampler *s = component;
    const sl_host *h = sl_host_of(s);
    struct plan p = {.host = h, .delivery = d};
    const bool logs = d->payload && d->payload->signal == SL_LOGS;
    sl_view view;
    int32_t status = sl_view_of(h, d, &view);
    p.records = sl_writer_growing(grow_records, &p);
    if (status == SL_OK)
        status = decide_all(s, &p, &view) ? hand_on(&p) : SL_ERR_NOMEM;
    if (status == SL_OK)
        count(s, &p, logs);
    sl_release(h, p.pieces);
    sl_release(h, p.records.at);
    return status;
}

/* ---- life ---- */

static int32_t prepare(void *component, sl_error *error)
{
    const struct sampler *s = component;
    const double percentage = s->sampling_percentage;
    if (!isfinite(percentage) || !isfinite((float)percentage))
        return sl_fail(error, SL_ERR_INVALID, "sampling_percentage is not a number: %g",
                       percentage);
    if (percentage < 0)
        return sl_fail(error, SL_ERR_INVALID, "sampling_percentage is negative: %g", percentage);
    if (percentage > 0 && percentage / 100 < PROBABILITY_MIN)
        return sl_fail(error, SL_ERR_INVALID, "sampling_percentage is too small: %g", percentage);
    return SL_OK;
}

static void make_metrics(struct sampler *s)
{
    static const char *const names[2] = {
        "otelcol_processor_probabilistic_sampler_count_traces_sampled",
        "otelcol_processor_probabilistic_sampler_count_logs_sampled"};
    static const char *const policies[POLICIES] = {"missing_randomness", "trace_id_hash",
                                                   "trace_id_w3c",       "sampling_randomness",
                                                   "sampling_priority",  ""};
    const sl_host *h = sl_host_of(s);
    s->metrics = sl_interface(h, SL_METRICS_INTERFACE);
    if (!s->metrics || !SL_HAS(s->metrics, sl_metrics, labelled)) {
        s->metrics = NULL;
        return;
    }
    for (int logs = 0; logs < 2; logs++) {
        for (int policy = 0; policy < POLICIES; policy++) {
            const sl_bytes name =
                policy == POLICY_ATTRIBUTE ? s->from_attribute : sl_str(policies[policy]);
            for (int sampled = 0; sampled < 2 && name.n; sampled++) {
                const sl_log_field labels[] = {{"policy", name},
                                               {"sampled", sl_str(sampled ? "true" : "false")}};
                s->counts[logs][policy][sampled] = s->metrics->labelled(
                    h, SL_COUNTER, names[logs], "Items that were sampled or not.", labels, 2);
            }
        }
    }
}

static int32_t start(void *component, sl_error *error)
{
    struct sampler *s = component;
    (void)error;
    sampler_prepare(s);
    make_metrics(s);
    return SL_OK;
}

static const char *const modes[] = {"hash_seed", "proportional", "equalizing", NULL};
static const char *const sources[] = {"traceID", "record", NULL};

static const sl_field fields[] = {
    SL_F64(struct sampler, sampling_percentage,
           "Share of items that are kept; 100 and more: all, 0: none.", .unit = "%"),
    SL_ENUM(struct sampler, mode, modes,
            "hash_seed: by a hash of the trace id; proportional: by the trace id's randomness, a "
            "share of what comes; equalizing: the same, but what was sampled before counts."),
    SL_U32(struct sampler, hash_seed,
           "Goes into the hash; alike in all collectors of a tier, different in each tier."),
    SL_BOOL(struct sampler, fail_closed,
            "Leave out items whose sampling information is malformed, false or missing.",
            .def.u = 1),
    SL_U32(struct sampler, sampling_precision,
           "Hex digits of the threshold that is written into what is kept.", .def.u = 4,
           SL_RANGE(u, 1, HEX_DIGITS)),
    SL_ENUM(struct sampler, attribute_source, sources,
            "Logs: what is hashed; traceID: the trace id, and from_attribute where there is none; "
            "record: from_attribute."),
    SL_TEXT(struct sampler, from_attribute, "Logs: key of the attribute that is hashed."),
    SL_TEXT(struct sampler, sampling_priority,
            "Logs: key of an attribute whose number is the percentage for this record."),
    SL_END};

SL_TYPE(processor, probabilistic_sampler, .signals = SL_TRACES | SL_LOGS, .flags = SL_MUTATES,
        .stability = SL_BETA, SL_CONFIG(struct sampler, fields), .prepare = prepare, .start = start,
        .process = process,
        .help = "Keeps a share of spans and log records, by their trace ids, and writes into them "
                "how large the share was.");
SL_PLUGIN("0.1.0", &sl_type_probabilistic_sampler);
