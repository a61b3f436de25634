/* The trees of a block's traces, each subtree stored once: while it is encoded. One thread. */
#ifndef SLUICE_FORMATS_TRACE_SHAPES_H
#define SLUICE_FORMATS_TRACE_SHAPES_H
#include "formats/trace/number_code.h"
#include "formats/trace/span_set.h"

struct shape {
    uint32_t class
        ; /* of the span at its top; the number of classes: none, a trace's several roots */
    uint32_t first, n; /* its children, in `children` */
};

struct shapes {
    struct shape *at;
    uint32_t n, room;
    struct indices children; /* shapes, all smaller than their parent's */
    struct trace_map map;
    struct numbers of_trace;
    struct indices open; /* scratch */
};

/* Adds the traces of an ordered set; `classes` has the class of each place. False: no memory. */
bool shapes_add(struct shapes *shapes, const struct span_set *set, const uint32_t *classes,
                uint32_t n_classes);

/* Appends the shapes, and the shape of each trace. */
bool shapes_write(const struct shapes *shapes, struct number_writer *w);

void shapes_free(struct shapes *shapes);

#endif
