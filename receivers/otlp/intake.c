/* Answers and metrics that OTLP/HTTP and OTLP/gRPC share. Any thread. */
#include "receivers/otlp/intake.h"

#include <inttypes.h>

/* After which a client that was pushed back should come again, where nobody says better. */
#define RETRY_DELAY_NS INT64_C(1000000000)

void intake_init(struct intake *in, const sl_host *host, const char *transport)
{
    static const char *const items[INTAKE_SIGNALS] = {"spans", "metric_points", "log_records"};
    static const char *const reasons[REFUSALS] = {"malformed", "too_large", "unsupported",
                                                  "no_memory", "unauthenticated"};
    memset(in, 0, sizeof *in);
    in->host = host;
    in->metrics = (const sl_metrics *)sl_interface(host, SL_METRICS_INTERFACE);
    if (!in->metrics)
        return;
    static const struct {
        const char *name, *help;
    } kinds[] = {
        {"accepted", "Items that were taken into the pipelines."},
        {"refused", "Items that the pipelines did not take."},
        {"failed", "Items that the receiver itself could not hand on."},
    };
    sl_metric **const where[] = {in->accepted, in->refused, in->failed};
    char name[80];
    for (uint32_t k = 0; k < 3; k++) {
        for (uint32_t i = 0; i < INTAKE_SIGNALS; i++) {
            (void)snprintf(name, sizeof name, "otelcol_receiver_%s_%s", kinds[k].name, items[i]);
            where[k][i] =
                in->metrics->metric(host, SL_COUNTER, name, kinds[k].help, "transport", transport);
        }
    }
    for (uint32_t r = 0; r < REFUSALS; r++) {
        (void)snprintf(name, sizeof name, "sluice_receiver_refused_%s_requests", transport);
        in->requests[r] = in->metrics->metric(
            host, SL_COUNTER, name, "Requests that were refused unread or undecoded, by reason.",
            "reason", reasons[r]);
    }
}

static void verdict_set(struct verdict *v, int32_t code, int http, int64_t retry_delay_ns)
{
    v->code = code;
    v->http = http;
    v->retry_delay_ns = retry_delay_ns;
    v->rejected = 0;
    v->text[0] = 0;
}

void verdict_success(struct verdict *v)
{
    verdict_set(v, OTLP_CODE_OK, 200, OTLP_NO_DELAY);
}

static void verdict_of_code(struct verdict *v, int32_t code, int64_t retry_delay_ns)
{
    verdict_set(v, code, otlp_http_of_code(code), retry_delay_ns);
}

void verdict_of_status(int32_t status, const char *text, struct verdict *v)
{
    const char *otherwise = "";
    switch (status) {
    case SL_OK:
        verdict_success(v);
        return;
    case SL_ERR_INVALID:
        verdict_of_code(v, OTLP_CODE_INVALID_ARGUMENT, OTLP_NO_DELAY);
        otherwise = "the request is malformed";
        break;
    case SL_ERR_TOO_LARGE: /* without a RetryInfo it is final */
        verdict_set(v, OTLP_CODE_RESOURCE_EXHAUSTED, 413, OTLP_NO_DELAY);
        otherwise = "the request is too large";
        break;
    case SL_ERR_DENIED:
        verdict_of_code(v, OTLP_CODE_PERMISSION_DENIED, OTLP_NO_DELAY);
        otherwise = "permission denied";
        break;
    case SL_ERR_UNSUPPORTED:
        verdict_of_code(v, OTLP_CODE_UNIMPLEMENTED, OTLP_NO_DELAY);
        otherwise = "no pipeline takes this signal";
        break;
    case SL_ERR_REJECTED:
        verdict_of_code(v, OTLP_CODE_INTERNAL, OTLP_NO_DELAY);
        otherwise = "the data was refused for good";
        break;
    case SL_ERR_NOMEM:
        verdict_of_code(v, OTLP_CODE_UNAVAILABLE, RETRY_DELAY_NS);
        otherwise = "out of memory now; try again";
        break;
    case SL_ERR_FULL:
        verdict_of_code(v, OTLP_CODE_UNAVAILABLE, RETRY_DELAY_NS);
        otherwise = "queues are full now; try again";
        break;
    case SL_ERR_SHUTDOWN:
        verdict_of_code(v, OTLP_CODE_UNAVAILABLE, RETRY_DELAY_NS);
        otherwise = "shutting down; try again";
        break;
    default: /* nobody said that it is for good */
        verdict_of_code(v, OTLP_CODE_UNAVAILABLE, RETRY_DELAY_NS);
        otherwise = "cannot be handled now; try again";
        break;
    }
    (void)snprintf(v->text, sizeof v->text, "%s", text && text[0] ? text : otherwise);
}

void verdict_of_authenticator(int32_t status, const char *text, struct verdict *v)
{
    verdict_of_status(status, text, v);
    if (status == SL_ERR_DENIED) { /* it is not known who asks, rather than that he may not */
        v->code = OTLP_CODE_UNAUTHENTICATED;
        v->http = otlp_http_of_code(v->code);
    }
}

void verdict_of_result(const sl_result *r, struct verdict *v)
{
    /* What expired was given up on the operator's word: asking for it again would not help. */
    const uint32_t lost = r->n[SL_REJECTED] + r->n[SL_EXPIRED];
    const char *why = r->why ? r->why : "";
    if (r->n[SL_FAILED] > 0) {
        /* Some may have been delivered: at least once is the promise. */
        verdict_of_status(r->status == SL_ERR_FULL || r->status == SL_ERR_NOMEM ||
                                  r->status == SL_ERR_SHUTDOWN
                              ? r->status
                              : SL_ERR_UNAVAILABLE,
                          NULL, v);
        if (r->retry_after_ns > 0)
            v->retry_delay_ns = r->retry_after_ns;
        if (why[0])
            (void)snprintf(v->text, sizeof v->text, "cannot be handled now (%s); try again", why);
    } else if (lost == 0) {
        verdict_success(v);
    } else if (lost < r->items) {
        verdict_success(v);
        v->rejected = lost;
        (void)snprintf(v->text, sizeof v->text, "%" PRIu32 " of %" PRIu32 " items were refused%s%s",
                       lost, r->items, why[0] ? ": " : "", why);
    } else {
        switch (r->status) {
        case SL_ERR_INVALID:
        case SL_ERR_TOO_LARGE:
        case SL_ERR_DENIED:
        case SL_ERR_UNSUPPORTED:
            verdict_of_status(r->status, NULL, v);
            break;
        default:
            verdict_of_status(SL_ERR_REJECTED, NULL, v);
        }
        if (why[0])
            (void)snprintf(v->text, sizeof v->text, "the data was refused for good: %s", why);
    }
}

void intake_count(const struct intake *in, uint32_t index, uint32_t items, const struct verdict *v)
{
    if (!in->metrics)
        return;
    const uint32_t refused = v->code == OTLP_CODE_OK ? (uint32_t)v->rejected : items;
    if (items > refused)
        in->metrics->add(in->accepted[index], items - refused);
    if (refused)
        in->metrics->add(in->refused[index], refused);
}

void intake_count_untaken(const struct intake *in, uint32_t index, uint32_t items, int32_t status)
{
    if (!in->metrics)
        return;
    bool own = status == SL_ERR_NOMEM || status == SL_ERR_UNSUPPORTED || status == SL_ERR_STATE;
    in->metrics->add(own ? in->failed[index] : in->refused[index], items);
}

void intake_count_refusal(const struct intake *in, enum intake_refusal why)
{
    if (in->metrics)
        in->metrics->add(in->requests[why], 1);
}

enum intake_refusal intake_refusal_of(int32_t status)
{
    switch (status) {
    case SL_ERR_TOO_LARGE:
        return REFUSED_TOO_LARGE;
    case SL_ERR_NOMEM:
        return REFUSED_NO_MEMORY;
    case SL_ERR_IO: /* what reads the encoding cannot be loaded */
        return REFUSED_UNSUPPORTED;
    case SL_ERR_DENIED:
    case SL_ERR_UNAVAILABLE: /* the authenticator's: it cannot tell now */
        return REFUSED_UNAUTHENTICATED;
    default:
        return REFUSED_MALFORMED;
    }
}
