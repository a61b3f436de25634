/* Reads the shapes, ids and times of a block, and places every span in its trace. */
#include "formats/trace/block_read.h"

/* ---- shapes ---- */

static int32_t check_shapes(struct block_reader *b, const int64_t *classes, const int64_t *counts,
                            const int64_t *steps, uint64_t n_children)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < b->n_shapes; i++) {
        struct read_shape *shape = &b->shapes[i];
        const bool forest = classes[i] == b->n_classes;
        uint64_t spans = !forest;
        if ((uint64_t)classes[i] > b->n_classes || (uint64_t)counts[i] > n_children - at) {
            return SL_ERR_INVALID;
        }
        shape->class = (uint32_t)classes[i];
        shape->first = (uint32_t)at;
        shape->n = (uint32_t)counts[i];
        for (uint32_t k = 0; k < shape->n; k++, at++) {
            const uint64_t step = (uint64_t)steps[at];
            if (step >= i) {
                return SL_ERR_INVALID;
            }
            const uint32_t child = i - 1 - (uint32_t)step;
            if (b->shapes[child].class == b->n_classes) {
                return SL_ERR_INVALID;
            }
            b->children[at] = child;
            shape->depth =
                b->shapes[child].depth > shape->depth ? b->shapes[child].depth : shape->depth;
            spans += b->shapes[child].spans;
        }
        shape->depth++;
        shape->spans = spans < UINT32_MAX ? (uint32_t)spans : UINT32_MAX;
    }
    return SL_OK;
}

int32_t read_shapes(struct block_reader *b)
{
    const uint8_t *const from = b->values.bits;
    if (!next_number(b, b->info.n_spans + (uint64_t)b->info.n_traces, &b->n_shapes)) {
        return SL_ERR_INVALID;
    }
    int64_t *classes = arena_get(&b->scratch, b->n_shapes, sizeof *classes);
    int64_t *counts = arena_get(&b->scratch, b->n_shapes, sizeof *counts);
    b->shapes = arena_zeroed(&b->arena, b->n_shapes, sizeof *b->shapes);
    if (!classes || !counts || !b->shapes) {
        return SL_ERR_NOMEM;
    }
    int32_t status = numbers_read(&b->values, classes, b->n_shapes);
    status = status == SL_OK ? numbers_read(&b->values, counts, b->n_shapes) : status;
    uint64_t n_children = 0;
    for (uint32_t i = 0; status == SL_OK && i < b->n_shapes; i++) {
        if ((uint64_t)counts[i] > b->info.n_spans + (uint64_t)b->info.n_traces - n_children) {
            return SL_ERR_INVALID;
        }
        n_children += (uint64_t)counts[i];
    }
    if (status != SL_OK || n_children > UINT32_MAX) {
        return status == SL_OK ? SL_ERR_INVALID : status;
    }
    int64_t *steps = arena_get(&b->scratch, n_children, sizeof *steps);
    int64_t *of_trace = arena_get(&b->scratch, b->info.n_traces, sizeof *of_trace);
    b->children = arena_get(&b->arena, n_children, sizeof *b->children);
    b->shape_of = arena_get(&b->arena, b->info.n_traces, sizeof *b->shape_of);
    if (!steps || !of_trace || !b->children || !b->shape_of) {
        return SL_ERR_NOMEM;
    }
    status = numbers_read(&b->values, steps, (uint32_t)n_children);
    status = status == SL_OK ? check_shapes(b, classes, counts, steps, n_children) : status;
    status = status == SL_OK ? numbers_read(&b->values, of_trace, b->info.n_traces) : status;
    uint64_t spans = 0;
    for (uint32_t i = 0; status == SL_OK && i < b->info.n_traces; i++) {
        if ((uint64_t)of_trace[i] >= b->n_shapes) {
            return SL_ERR_INVALID;
        }
        b->shape_of[i] = (uint32_t)of_trace[i];
        spans += b->shapes[b->shape_of[i]].spans;
    }
    b->shape_bytes = (uint64_t)(b->values.bits - from);
    return status == SL_OK && spans != b->info.n_spans ? SL_ERR_INVALID : status;
}

/* ---- places ---- */

int32_t read_ids(struct block_reader *b)
{
    const uint32_t n = b->info.n_traces;
    struct number_reader *ids = &b->values;
    const struct number_reader values = *ids; /* the streams of another section, for once */
    ids->about = b->sections.ids_about.p;
    ids->about_end = ids->about + b->sections.ids_about.n;
    ids->bits = b->sections.ids.p;
    ids->bits_end = ids->bits + b->sections.ids.n;
    b->trace_high = arena_get(&b->arena, n, sizeof *b->trace_high);
    b->trace_low = arena_get(&b->arena, n, sizeof *b->trace_low);
    if (!b->trace_high || !b->trace_low) {
        return SL_ERR_NOMEM;
    }
    int32_t status = numbers_read(ids, (int64_t *)b->trace_high, n);
    status = status == SL_OK ? numbers_read(ids, (int64_t *)b->trace_low, n) : status;
    status = status == SL_OK && ids->bits != ids->bits_end ? SL_ERR_INVALID : status;
    ids->about = values.about;
    ids->about_end = values.about_end;
    ids->bits = values.bits;
    ids->bits_end = values.bits_end;
    return status;
}

/* How many spans each class has, without walking the traces: every shape is counted as often as
 * it occurs. */
static int32_t count_classes(struct block_reader *b)
{
    uint32_t *uses = arena_zeroed(&b->scratch, b->n_shapes, sizeof *uses);
    if (!uses) {
        return SL_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < b->info.n_traces; i++) {
        uses[b->shape_of[i]]++;
    }
    for (uint32_t i = b->n_shapes; i-- > 0;) {
        const struct read_shape *shape = &b->shapes[i];
        if (shape->class < b->n_classes) {
            b->classes[shape->class].n += uses[i];
        }
        for (uint32_t k = 0; k < shape->n; k++) {
            uses[b->children[shape->first + k]] += uses[i];
        }
    }
    uint32_t first = 0;
    for (uint32_t i = 0; i < b->n_classes; i++) {
        b->classes[i].first = first;
        first += b->classes[i].n;
    }
    return SL_OK;
}

static int32_t read_times_of(struct block_reader *b, struct read_times *times, uint32_t n)
{
    uint32_t code;
    if (n == 0) {
        return SL_OK;
    }
    if (!next_number(b, 63, &code) || (code & 3) >= TIME_UNITS ||
        (code >> 2 & 3) >= START_REFERENCES || code >> 4 >= END_REFERENCES) {
        return SL_ERR_INVALID;
    }
    times->unit = time_unit(code & 3);
    times->start = code >> 2 & 3;
    times->end = code >> 4;
    times->starts = arena_get(&b->scratch, n, sizeof *times->starts);
    times->ends = arena_get(&b->scratch, n, sizeof *times->ends);
    if (!times->starts || !times->ends) {
        return SL_ERR_NOMEM;
    }
    const uint8_t *const from = b->values.bits;
    int32_t status = numbers_read(&b->values, times->starts, n);
    const uint8_t *const middle = b->values.bits;
    status = status == SL_OK ? numbers_read(&b->values, times->ends, n) : status;
    b->start_bytes += (uint64_t)(middle - from);
    b->end_bytes += (uint64_t)(b->values.bits - middle);
    return status;
}

/* The values of small classes lie one class after another. */
static void share_times(struct block_reader *b, const struct read_times *shared)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->n_classes; i++) {
        struct read_class *class = &b->classes[i];
        if (class->n < CLASS_SMALL) {
            class->times = *shared;
            class->times.at = at;
            at += class->n;
        }
    }
}

static int32_t read_times(struct block_reader *b, int64_t **trace_starts)
{
    struct read_times shared = {0};
    uint32_t small = 0;
    *trace_starts = arena_get(&b->scratch, b->info.n_traces, sizeof **trace_starts);
    const uint8_t *const from = b->values.bits;
    int32_t status =
        *trace_starts ? numbers_read(&b->values, *trace_starts, b->info.n_traces) : SL_ERR_NOMEM;
    b->start_bytes += (uint64_t)(b->values.bits - from);
    for (uint32_t i = 0; status == SL_OK && i < b->n_classes; i++) {
        struct read_class *class = &b->classes[i];
        if (class->n < CLASS_SMALL) {
            small += class->n;
        } else {
            status = read_times_of(b, &class->times, class->n);
        }
    }
    status = status == SL_OK ? read_times_of(b, &shared, small) : status;
    share_times(b, &shared);
    return status;
}

/* A span whose children are being placed. */
struct frame {
    uint32_t shape, child; /* child: the next one */
    uint32_t place;        /* TRACE_NONE: stands for the trace */
    uint32_t last;         /* child's place */
};

struct walk {
    struct block_reader *b;
    struct frame *frames;
    uint32_t depth, next, trace;
    uint64_t trace_start;
    const uint8_t *remote; /* parents' ids */
    const uint8_t *remote_end;
    const uint8_t *ids; /* NULL: derived */
};

/* An id that a reader makes where the block has none. */
static uint64_t derived_id(const struct walk *w, uint32_t place, uint32_t first)
{
    const struct block_reader *b = w->b;
    const uint64_t position = place - first;
    uint64_t h = hash_mix(b->trace_high[w->trace], b->trace_low[w->trace] + position);
    h = hash_mix(h, position);
    return h ? h : 1;
}

static bool place_span(struct walk *w, uint32_t class_index, const struct frame *parent,
                       uint32_t first)
{
    struct block_reader *b = w->b;
    struct read_class *class = &b->classes[class_index];
    const uint32_t at = w->next++;
    struct read_place *place = &b->places[at];
    const struct span_times trace = {w->trace_start, w->trace_start};
    const bool root = !parent || parent->place == TRACE_NONE;
    const struct span_times *above = root ? &trace : &b->places[parent->place].times;
    const struct span_times *sibling =
        parent && parent->last != TRACE_NONE ? &b->places[parent->last].times : NULL;
    struct read_times *times = &class->times;
    const uint64_t reference = start_reference(times->start, above, sibling);
    place->times.start = value_to_start(times->starts[times->at], reference, times->unit);
    place->times.end = value_to_end(times->end, place->times.start, times->ends[times->at], above);
    times->at++;
    place->trace = w->trace;
    place->id = w->ids ? sl_get_fixed64(w->ids + 8 * (size_t)at) : derived_id(w, at, first);
    place->parent_id = root ? 0 : b->places[parent->place].id;
    place->has_parent = !root;
    b->class_of[at] = class_index;
    if (class->head.has & CLASS_REMOTE_PARENT) {
        if (!root || w->remote_end - w->remote < 8) {
            return false;
        }
        place->parent_id = sl_get_fixed64(w->remote);
        w->remote += 8;
        place->has_parent = true;
    }
    return true;
}

static bool place_trace(struct walk *w)
{
    struct block_reader *b = w->b;
    const uint32_t first = w->next, root = b->shape_of[w->trace];
    uint32_t depth = 1;
    w->frames[0] = (struct frame){.shape = root, .place = TRACE_NONE, .last = TRACE_NONE};
    if (b->shapes[root].class < b->n_classes) {
        if (!place_span(w, b->shapes[root].class, NULL, first)) {
            return false;
        }
        w->frames[0].place = first;
    }
    while (depth > 0) {
        struct frame *frame = &w->frames[depth - 1];
        const struct read_shape *shape = &b->shapes[frame->shape];
        if (frame->child == shape->n) {
            depth--;
            continue;
        }
        const uint32_t child = b->children[shape->first + frame->child++];
        if (!place_span(w, b->shapes[child].class, frame, first)) {
            return false;
        }
        frame->last = w->next - 1;
        if (b->shapes[child].n > 0) {
            w->frames[depth++] =
                (struct frame){.shape = child, .place = frame->last, .last = TRACE_NONE};
        }
    }
    return true;
}

/* Where the remote parents' ids end and the spans' begin. */
static bool find_ids(struct walk *w)
{
    const struct block_reader *b = w->b;
    uint64_t remote = 0;
    for (uint32_t i = 0; i < b->n_classes; i++) {
        remote += b->classes[i].head.has & CLASS_REMOTE_PARENT ? b->classes[i].n : 0;
    }
    const bool derived = b->info.mode & TRACE_DERIVED_IDS;
    if (b->sections.span_ids.n != 8 * (remote + (derived ? 0 : b->info.n_spans))) {
        return false;
    }
    w->remote = b->sections.span_ids.p;
    w->remote_end = w->remote + 8 * remote;
    w->ids = derived ? NULL : w->remote_end;
    return true;
}

int32_t read_places(struct block_reader *b)
{
    int64_t *trace_starts;
    struct walk w = {.b = b};
    int32_t status = count_classes(b);
    status = status == SL_OK ? read_times(b, &trace_starts) : status;
    if (status != SL_OK || !find_ids(&w)) {
        return status == SL_OK ? SL_ERR_INVALID : status;
    }
    for (uint32_t i = 0; i < b->n_shapes; i++) {
        w.depth = b->shapes[i].depth > w.depth ? b->shapes[i].depth : w.depth;
    }
    const uint32_t n = b->info.n_spans;
    w.frames = arena_get(&b->scratch, (uint64_t)w.depth + 1, sizeof *w.frames);
    b->places = arena_get(&b->arena, n, sizeof *b->places);
    b->class_of = arena_get(&b->arena, n, sizeof *b->class_of);
    b->by_class = arena_get(&b->arena, n, sizeof *b->by_class);
    if (!w.frames || !b->places || !b->class_of || !b->by_class) {
        return SL_ERR_NOMEM;
    }
    for (w.trace = 0; w.trace < b->info.n_traces; w.trace++) {
        w.trace_start += (uint64_t)trace_starts[w.trace];
        if (!place_trace(&w)) {
            return SL_ERR_INVALID;
        }
    }
    uint32_t *next_of = arena_get(&b->scratch, b->n_classes, sizeof *next_of);
    if (!next_of) {
        return SL_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < b->n_classes; i++) {
        next_of[i] = b->classes[i].first;
    }
    for (uint32_t i = 0; i < n; i++) {
        b->by_class[next_of[b->class_of[i]]++] = i;
    }
    return SL_OK;
}
