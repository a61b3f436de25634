/* Starts and ends as columns: see times.h. */
#include "formats/trace/encoder.h"
#include "formats/trace/times.h"
#include <math.h>

static struct span_times times_of(const struct encoder *e, uint32_t place)
{
    const struct set_span *span = &e->spans.spans[e->spans.places[place].span];
    return (struct span_times){span->start, span->end};
}

/* What one span's values are by all references. */
struct time_values {
    int64_t start[START_REFERENCES], end[END_REFERENCES];
};

static struct time_values values_of(const struct encoder *e, uint32_t place, uint64_t unit)
{
    const struct set_place *at = &e->spans.places[place];
    const struct span_times own = times_of(e, place);
    struct span_times parent, sibling;
    struct time_values values;
    if (at->parent != TRACE_NONE) {
        parent = times_of(e, at->parent);
    } else {
        parent.start = parent.end = e->spans.traces[e->trace_of[place]].start;
    }
    if (at->sibling != TRACE_NONE) {
        sibling = times_of(e, at->sibling);
    }
    for (uint32_t i = 0; i < START_REFERENCES; i++) {
        const uint64_t reference =
            start_reference(i, &parent, at->sibling != TRACE_NONE ? &sibling : NULL);
        values.start[i] = start_to_value(own.start, reference, unit);
    }
    for (uint32_t i = 0; i < END_REFERENCES; i++) {
        values.end[i] = end_to_value(i, own.start, own.end, &parent);
    }
    return values;
}

/* The largest unit of which all starts are multiples. */
static uint32_t unit_of(const struct encoder *e, const uint32_t *places, uint32_t n)
{
    uint32_t code = TIME_UNITS - 1;
    for (uint32_t i = 0; i < n && code > 0; i++) {
        const uint64_t start = times_of(e, places[i]).start;
        while (start % time_unit(code) != 0) {
            code--;
        }
    }
    return code;
}

enum { TIME_SAMPLE = 512 };

/* The references by which a sample of the spans is cheapest. */
static void choose_references(struct encoder *e, const uint32_t *places, uint32_t n, uint64_t unit,
                              uint32_t *start, uint32_t *end)
{
    int64_t starts[START_REFERENCES][TIME_SAMPLE], ends[END_REFERENCES][TIME_SAMPLE];
    double best = INFINITY;
    const uint32_t n_sample = n < TIME_SAMPLE ? n : TIME_SAMPLE;
    for (uint32_t i = 0; i < n_sample; i++) {
        const uint32_t at = (uint32_t)((uint64_t)n * i / n_sample);
        const struct time_values values = values_of(e, places[at], unit);
        for (uint32_t k = 0; k < START_REFERENCES; k++) {
            starts[k][i] = values.start[k];
        }
        for (uint32_t k = 0; k < END_REFERENCES; k++) {
            ends[k][i] = values.end[k];
        }
    }
    *start = *end = 0;
    for (uint32_t k = 0; k < START_REFERENCES; k++) {
        const double cost = numbers_cost(&e->values, starts[k], n_sample);
        if (cost < best) {
            best = cost;
            *start = k;
        }
    }
    best = INFINITY;
    for (uint32_t k = 0; k < END_REFERENCES; k++) {
        const double cost = numbers_cost(&e->values, ends[k], n_sample);
        if (cost < best) {
            best = cost;
            *end = k;
        }
    }
}

static bool write_times_of(struct encoder *e, const uint32_t *places, uint32_t n)
{
    uint32_t start, end;
    const uint32_t unit = unit_of(e, places, n);
    if (n == 0) {
        return true;
    }
    choose_references(e, places, n, time_unit(unit), &start, &end);
    write_number(&e->values.about, unit | start << 2 | end << 4);
    e->a.n = e->b.n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct time_values values = values_of(e, places[i], time_unit(unit));
        if (!numbers_add(&e->a, values.start[start]) || !numbers_add(&e->b, values.end[end])) {
            return false;
        }
    }
    return numbers_write(&e->values, e->a.at, n) && numbers_write(&e->values, e->b.at, n);
}

/* Class by class, then those of all small classes. */
bool write_times(struct encoder *e)
{
    struct indices small = {0};
    bool fine = true;
    e->a.n = 0;
    uint64_t before = 0;
    for (uint32_t i = 0; fine && i < e->spans.n_traces; i++) {
        fine = numbers_add(&e->a, (int64_t)(e->spans.traces[i].start - before));
        before = e->spans.traces[i].start;
    }
    fine = fine && numbers_write(&e->values, e->a.at, e->a.n);
    for (uint32_t i = 0; fine && i < e->classes.n; i++) {
        const uint32_t *places = e->by_class + e->class_start[i];
        const uint32_t n = e->classes.classes[i].n;
        const bool is_small = n < CLASS_SMALL;
        if (!is_small) {
            fine = write_times_of(e, places, n);
        }
        for (uint32_t k = 0; fine && is_small && k < n; k++) {
            fine = indices_add(&small, places[k]);
        }
    }
    fine = fine && write_times_of(e, small.at, small.n);
    free(small.at);
    return fine;
}
