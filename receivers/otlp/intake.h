/* What both transports do alike: offer a payload, and turn what became of it into OTLP's answer and
 * into metrics. Any thread. */
#ifndef SLUICE_RECEIVERS_OTLP_INTAKE_H
#define SLUICE_RECEIVERS_OTLP_INTAKE_H
#include "formats/otlp/status.h"

enum { INTAKE_SIGNALS = 3 };

/* Why a request was refused before its items were known. */
enum intake_refusal {
    REFUSED_MALFORMED,
    REFUSED_TOO_LARGE,
    REFUSED_UNSUPPORTED, /* path, method, content type or encoding */
    REFUSED_NO_MEMORY,
    REFUSED_UNAUTHENTICATED, /* no credentials, or wrong ones */
    REFUSALS
};

struct intake {
    const sl_host *host;
    const sl_metrics *metrics; /* NULL: the host has none */
    sl_metric *accepted[INTAKE_SIGNALS], *refused[INTAKE_SIGNALS], *failed[INTAKE_SIGNALS];
    sl_metric *requests[REFUSALS];
};

/* What to answer. */
struct verdict {
    int32_t code; /* enum otlp_code */
    int http;
    int64_t retry_delay_ns; /* OTLP_NO_DELAY: not to be sent again, or nothing to say */
    int64_t rejected;       /* with OTLP_CODE_OK: items of a partial success */
    char text[240];         /* empty with a plain success */
};

/* [control] `transport`: "grpc" or "http". */
void intake_init(struct intake *, const sl_host *, const char *transport);

/* 0, 1, 2 for traces, metrics, logs; the signal's bit is 1 << index. */
static inline uint32_t intake_signal(uint32_t index)
{
    return 1u << index;
}

void verdict_success(struct verdict *);
/* For a request that was not taken: a status of plugin.h, and what there is to say. */
void verdict_of_status(int32_t status, const char *text, struct verdict *);
/* For a request that the authenticator did not let in. */
void verdict_of_authenticator(int32_t status, const char *text, struct verdict *);
/* For an offer that has been taken or settled. */
void verdict_of_result(const sl_result *, struct verdict *);

/* Counts an answered offer. */
void intake_count(const struct intake *, uint32_t index, uint32_t items, const struct verdict *);
/* Counts an offer that answered `status`: refused by the pipelines, or failed before them. */
void intake_count_untaken(const struct intake *, uint32_t index, uint32_t items, int32_t status);
void intake_count_refusal(const struct intake *, enum intake_refusal);
/* The refusal that a status stands for. */
enum intake_refusal intake_refusal_of(int32_t status);

#endif
