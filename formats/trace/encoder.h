/* A block that is being encoded. Internal. */
#ifndef SLUICE_FORMATS_TRACE_ENCODER_H
#define SLUICE_FORMATS_TRACE_ENCODER_H
#include "formats/trace/class_set.h"
#include "formats/trace/shapes.h"
#include "formats/trace/trace_block.h"

struct encoder {
    const struct trace_options *options;
    struct span_set spans;
    struct class_set classes;
    struct shapes shapes;
    uint32_t *class_of; /* of each place */
    uint32_t *trace_of;
    uint32_t *by_class;    /* places, class by class */
    uint32_t *class_start; /* of each class and behind the last: in by_class */
    struct number_writer values;
    struct number_writer ids;
    sl_writer text;
    sl_writer span_ids;
    struct numbers a, b; /* scratch */
    sl_bytes *texts;     /* scratch */
    uint32_t room_texts;
};

/* Appends the starts of traces, and the starts and ends of spans. False: no memory. */
bool write_times(struct encoder *e);

#endif
