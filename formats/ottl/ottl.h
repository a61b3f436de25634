/* Conditions in OTTL, the OpenTelemetry Transformation Language: parsed once to a compact program,
 * evaluated on records as they lie on the wire. README.md lists the paths and functions that there
 * are; everything else is refused with its place. Compiled conditions are read-only and shared by
 * all threads; each thread brings a machine. Nothing recurses and, once the machine's memory has
 * grown, nothing is allocated when a condition is evaluated.
 * Source: pkg/ottl/LANGUAGE.md of opentelemetry-collector-contrib. */
#ifndef SLUICE_FORMATS_OTTL_H
#define SLUICE_FORMATS_OTTL_H
#include "formats/otlp/parts.h"

enum ottl_context {
    OTTL_RESOURCE,
    OTTL_SCOPE,
    OTTL_SPAN,
    OTTL_SPANEVENT,
    OTTL_METRIC,
    OTTL_DATAPOINT,
    OTTL_LOG,
    OTTL_CONTEXTS
};

const char *ottl_context_name(enum ottl_context context);

/* What a condition looks at: what its context and those around it have; the rest is ignored. */
struct ottl_subject {
    sl_bytes resource; /* Resource message */
    sl_bytes scope;    /* InstrumentationScope message */
    const sl_span *span;
    const sl_event *event;
    uint32_t event_index;
    uint32_t metric_type; /* of the point: enum sl_metric_type */
    const sl_log_record *log;
    sl_bytes metric; /* Metric message */
    sl_bytes point;  /* data point's message */
    int64_t now_ns;  /* wall clock, for Now() */
};

struct ottl;

/* SL_ERR_INVALID: the text says what is wrong and at which character, counted from 1; `*at` gets the
 * offset in bytes. SL_ERR_NOMEM. */
int32_t ottl_compile(enum ottl_context context, sl_bytes text, struct ottl **condition, size_t *at,
                     sl_error *error);
void ottl_free(struct ottl *condition);

/* The lowest context whose paths the text names with their prefix ("datapoint.", "span.", ...);
 * OTTL_CONTEXTS: none. For conditions that are given without a context. */
enum ottl_context ottl_infer(sl_bytes text);

struct ottl_machine;
struct ottl_machine *ottl_machine_create(void); /* NULL: no memory */
void ottl_machine_free(struct ottl_machine *machine);

/* Between two calls of this, the bytes that subjects refer to stay where and as they are: what was found
 * in a large map, or is a field of a resource, scope or metric, is known then, as many records ask for the
 * same of one resource. */
void ottl_machine_forget(struct ottl_machine *machine);

enum ottl_result { OTTL_ERROR = -1, OTTL_FALSE = 0, OTTL_TRUE = 1 };

/* OTTL_ERROR: operands do not go together, as `error` says: the condition is neither. */
int32_t ottl_eval(const struct ottl *condition, struct ottl_machine *machine,
                  const struct ottl_subject *subject, sl_error *error);

#endif
