#include "formats/trace/shapes.h"

static uint32_t intern(struct shapes *s, uint32_t class, const uint32_t *children, uint32_t n)
{
    const uint64_t hash =
        hash_mix(hash_bytes((uintptr_t)s, sl_slice(children, n * sizeof *children)), class);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&s->map, hash, &at)) != TRACE_NONE) {
        const struct shape *shape = &s->at[i];
        if (shape->class == class && shape->n == n &&
            (n == 0 ||
             memcmp(s->children.at + shape->first, children, n * sizeof *children) == 0)) {
            return i;
        }
    }
    void *shapes = s->at;
    if (!array_room(&shapes, s->n, &s->room, 1, sizeof *s->at)) {
        return TRACE_NONE;
    }
    s->at = shapes;
    s->at[s->n] = (struct shape){.class = class, .first = s->children.n, .n = n};
    for (uint32_t k = 0; k < n; k++) {
        if (!indices_add(&s->children, children[k])) {
            return TRACE_NONE;
        }
    }
    return map_add(&s->map, hash, s->n) ? s->n++ : TRACE_NONE;
}

/* Replaces the last n open shapes by the one whose children they are. They lie last child first. */
static bool close(struct shapes *s, uint32_t class, uint32_t n)
{
    uint32_t *children = n > 0 ? s->open.at + s->open.n - n : NULL;
    for (uint32_t i = 0; i < n / 2; i++) {
        const uint32_t child = children[i];
        children[i] = children[n - 1 - i];
        children[n - 1 - i] = child;
    }
    const uint32_t shape = intern(s, class, children, n);
    s->open.n -= n;
    return shape != TRACE_NONE && indices_add(&s->open, shape);
}

bool shapes_add(struct shapes *s, const struct span_set *set, const uint32_t *classes,
                uint32_t n_classes)
{
    for (uint32_t t = 0; t < set->n_traces; t++) {
        const struct set_trace *trace = &set->traces[t];
        s->open.n = 0;
        /* Backwards, so that all below a span has been closed when it is met. */
        for (uint32_t i = trace->first + trace->n; i-- > trace->first;) {
            if (!close(s, classes[i], set->places[i].children)) {
                return false;
            }
        }
        if ((s->open.n > 1 && !close(s, n_classes, s->open.n)) ||
            !numbers_add(&s->of_trace, s->open.at[0])) {
            return false;
        }
    }
    return true;
}

bool shapes_write(const struct shapes *s, struct number_writer *w)
{
    struct numbers classes = {0}, counts = {0}, children = {0};
    bool fine = true;
    for (uint32_t i = 0; fine && i < s->n; i++) {
        fine = numbers_add(&classes, s->at[i].class) && numbers_add(&counts, s->at[i].n);
        for (uint32_t k = 0; fine && k < s->at[i].n; k++) {
            fine = numbers_add(&children, i - 1 - (int64_t)s->children.at[s->at[i].first + k]);
        }
    }
    write_number(&w->about, s->n);
    fine = fine && numbers_write(w, classes.at, classes.n) &&
           numbers_write(w, counts.at, counts.n) && numbers_write(w, children.at, children.n) &&
           numbers_write(w, s->of_trace.at, s->of_trace.n);
    free(classes.at);
    free(counts.at);
    free(children.at);
    return fine;
}

void shapes_free(struct shapes *s)
{
    free(s->at);
    free(s->children.at);
    free(s->of_trace.at);
    free(s->open.at);
    map_free(&s->map);
}
