/* memory_limiter: refuses data, in a way that senders try again, while the process uses more memory
 * than it should. It looks when data comes and the last look is check_interval old: an idle process
 * is left alone. Any lane; what changes is atomic. */
#include "sluice/plugin.h"

#include <stdatomic.h>

enum { SIGNALS = 3 };

static const uint64_t MIB = 1024 * 1024;

struct memory_limiter {
    sl_base base;
    int64_t check_interval;
    int64_t min_gc_interval_when_soft_limited, min_gc_interval_when_hard_limited;
    uint32_t limit_mib, spike_limit_mib, limit_percentage, spike_limit_percentage;

    /* set by start */
    const sl_memory *memory;
    const sl_metrics *metrics; /* NULL: the host shows none */
    sl_metric *accepted[SIGNALS], *refused[SIGNALS];
    uint64_t hard, soft; /* bytes */

    _Atomic int64_t looked_ns, trimmed_ns;
    _Atomic bool refusing, trimming;
};

/* ---- deciding ---- */

static void decide(struct memory_limiter *m)
{
    const sl_host *h = sl_host_of(m);
    const uint64_t used = m->memory->used(h);
    const bool above = used >= m->soft;
    if (atomic_exchange(&m->refusing, above) == above)
        return;
    sl_log(h, above ? SL_LOG_WARN : SL_LOG_INFO,
           above ? "Memory usage is above soft limit. Refusing data. cur_mem_mib: %llu"
                 : "Memory usage back within limits. Resuming normal operation. cur_mem_mib: %llu",
           (unsigned long long)(used / MIB));
}

static void trim(void *arg)
{
    struct memory_limiter *m = arg;
    m->memory->trim(sl_host_of(m));
    decide(m);
    atomic_store(&m->trimming, false);
}

/* What is freed may still be with the allocator. Giving it back takes time, so it is done on another
 * thread, and not again and again. */
static void look(struct memory_limiter *m, int64_t now)
{
    const sl_host *h = sl_host_of(m);
    decide(m);
    const int64_t pause = m->memory->used(h) >= m->hard ? m->min_gc_interval_when_hard_limited
                                                        : m->min_gc_interval_when_soft_limited;
    if (!atomic_load(&m->refusing) || now - atomic_load(&m->trimmed_ns) < pause ||
        atomic_exchange(&m->trimming, true))
        return;
    atomic_store(&m->trimmed_ns, now);
    if (sl_blocking(h, trim, NULL, m) != SL_OK)
        atomic_store(&m->trimming, false);
}

static int32_t process(void *component, sl_delivery *d)
{
    struct memory_limiter *m = component;
    const sl_host *h = sl_host_of(m);
    const int64_t now = sl_now(h);
    int64_t last = atomic_load_explicit(&m->looked_ns, memory_order_relaxed);
    if (now - last >= m->check_interval &&
        atomic_compare_exchange_strong(&m->looked_ns, &last, now))
        look(m, now);
    const bool refuse = atomic_load_explicit(&m->refusing, memory_order_relaxed);
    const unsigned signal = d->payload ? (unsigned)__builtin_ctz(d->payload->signal) : SIGNALS;
    if (m->metrics && signal < SIGNALS)
        m->metrics->add(refuse ? m->refused[signal] : m->accepted[signal], d->items);
    if (refuse)
        sl_finish(h, d, SL_FAILED, "memory_limiter");
    else
        (void)sl_forward(h, d);
    return SL_OK;
}

/* ---- life ---- */

static int32_t prepare(void *component, sl_error *error)
{
    const struct memory_limiter *m = component;
    if (m->check_interval <= 0)
        return sl_fail(error, SL_ERR_INVALID,
                       "check_interval must be greater than zero, such as 1s");
    if (m->min_gc_interval_when_soft_limited < m->min_gc_interval_when_hard_limited)
        return sl_fail(error, SL_ERR_INVALID,
                       "min_gc_interval_when_soft_limited must not be less than "
                       "min_gc_interval_when_hard_limited");
    if (m->limit_mib == 0 && m->limit_percentage == 0)
        return sl_fail(error, SL_ERR_INVALID,
                       "limit_mib or limit_percentage must be greater than zero");
    if (m->limit_mib > 0 && m->limit_mib <= m->spike_limit_mib)
        return sl_fail(error, SL_ERR_INVALID,
                       "spike_limit_mib (%u) must be smaller than limit_mib (%u)",
                       m->spike_limit_mib, m->limit_mib);
    if (m->limit_percentage > 0 && m->limit_percentage <= m->spike_limit_percentage)
        return sl_fail(error, SL_ERR_INVALID,
                       "spike_limit_percentage (%u) must be smaller than limit_percentage (%u)",
                       m->spike_limit_percentage, m->limit_percentage);
    return SL_OK;
}

static void make_metrics(struct memory_limiter *m)
{
    static const char *const accepted[SIGNALS] = {"otelcol_processor_accepted_spans",
                                                  "otelcol_processor_accepted_metric_points",
                                                  "otelcol_processor_accepted_log_records"};
    static const char *const refused[SIGNALS] = {"otelcol_processor_refused_spans",
                                                 "otelcol_processor_refused_metric_points",
                                                 "otelcol_processor_refused_log_records"};
    const sl_host *h = sl_host_of(m);
    m->metrics = sl_interface(h, SL_METRICS_INTERFACE);
    for (size_t i = 0; m->metrics && i < SIGNALS; i++) {
        m->accepted[i] = m->metrics->metric(h, SL_COUNTER, accepted[i],
                                            "Items that were handed on.", NULL, NULL);
        m->refused[i] = m->metrics->metric(
            h, SL_COUNTER, refused[i], "Items that were refused for lack of memory.", NULL, NULL);
    }
}

static int32_t start(void *component, sl_error *error)
{
    struct memory_limiter *m = component;
    const sl_host *h = sl_host_of(m);
    uint64_t spike = m->spike_limit_mib * MIB;
    m->memory = sl_interface(h, SL_MEMORY);
    if (!m->memory)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "this host does not tell how much memory it uses");
    m->hard = m->limit_mib * MIB;
    if (!m->hard) {
        const uint64_t hundredth = m->memory->granted(h) / 100;
        m->hard = hundredth * m->limit_percentage;
        spike = hundredth * m->spike_limit_percentage;
    }
    m->soft = m->hard - (spike ? spike : m->hard / 5);
    atomic_store(&m->looked_ns, sl_now(h) - m->check_interval);
    atomic_store(&m->trimmed_ns, sl_now(h) - m->min_gc_interval_when_soft_limited);
    make_metrics(m);
    sl_log(h, SL_LOG_INFO, "Memory limiter configured. limit_mib: %llu, spike_limit_mib: %llu",
           (unsigned long long)(m->hard / MIB), (unsigned long long)((m->hard - m->soft) / MIB));
    return SL_OK;
}

static const sl_field fields[] = {
    SL_DURATION(struct memory_limiter, check_interval,
                "How old the last look at the memory may be; required, 1s is usual.",
                SL_RANGE(i, 0, INT64_C(86400000000000))),
    SL_U32(struct memory_limiter, limit_mib,
           "The hard limit; goes before limit_percentage. Data is refused from "
           "limit_mib - spike_limit_mib on.",
           .unit = "MiB"),
    SL_U32(struct memory_limiter, spike_limit_mib,
           "What may come in between two looks; 0: a fifth of the limit.", .unit = "MiB"),
    SL_U32(struct memory_limiter, limit_percentage,
           "The hard limit, of what the container or the machine has.", .unit = "%",
           SL_RANGE(u, 0, 100)),
    SL_U32(struct memory_limiter, spike_limit_percentage,
           "What may come in between two looks, of the same; 0: a fifth of the limit.", .unit = "%",
           SL_RANGE(u, 0, 100)),
    SL_DURATION(struct memory_limiter, min_gc_interval_when_soft_limited,
                "Above the soft limit, what is kept for reuse is given back to the system at most "
                "so often.",
                .def.i = INT64_C(10000000000), SL_RANGE(i, 0, INT64_C(86400000000000))),
    SL_DURATION(struct memory_limiter, min_gc_interval_when_hard_limited,
                "The same above the hard limit.", SL_RANGE(i, 0, INT64_C(86400000000000))),
    SL_IGNORE("max_gc_interval_when_soft_limited", "Nothing grows between collections here."),
    SL_IGNORE("max_gc_interval_when_hard_limited", "Nothing grows between collections here."),
    SL_END};

SL_TYPE(processor, memory_limiter, .signals = SL_TRACES | SL_METRICS | SL_LOGS | SL_PROFILES,
        .flags = SL_ANY_ENCODING, .stability = SL_BETA, SL_CONFIG(struct memory_limiter, fields),
        .prepare = prepare, .start = start, .process = process,
        .help = "Refuses data, so that senders try again, while the process uses more memory than "
                "it should. Stands first among the processors.");
SL_PLUGIN("0.1.0", &sl_type_memory_limiter);
