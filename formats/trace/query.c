/* Searching a block: from the cheapest look to the dearest, each of which may end the search. */
#include "formats/trace/block_read.h"

static bool head_can_match(const struct trace_block_info *info, const struct trace_query *q)
{
    return info->n_spans > 0 && info->longest_ns >= q->min_ns &&
           (q->max_ns == 0 || info->shortest_ns <= q->max_ns) && info->last_ns >= q->from_ns &&
           (q->to_ns == 0 || info->first_ns <= q->to_ns) && (!q->errors || info->n_errors > 0);
}

static uint64_t big_endian(const uint8_t *p)
{
    return __builtin_bswap64(sl_get_fixed64(p));
}

static int32_t mark_id(const struct block_reader *b, const struct trace_query *q, uint8_t *selected)
{
    const uint64_t high = big_endian(q->trace_id), low = big_endian(q->trace_id + 8);
    int32_t found = 0;
    for (uint32_t i = 0; i < b->info.n_traces; i++) {
        const bool is = b->trace_low[i] == low && b->trace_high[i] == high;
        selected[i] = is;
        found += is;
    }
    return found;
}

/* Is the trace in the block? Reads nothing but the ids. */
static int32_t look_for_id(struct block_reader *b, sl_bytes bytes, const struct trace_query *q,
                           bool *found, sl_error *error)
{
    int32_t status = container_read_ids(bytes, &b->info, &b->sections, error);
    if (status != SL_OK) {
        return status;
    }
    b->part = "trace ids";
    b->values.arena = &b->arena;
    b->values.scratch = &b->scratch;
    b->values.about = b->values.bits = b->sections.about.p = b->sections.values.p =
        b->sections.ids.p;
    status = read_ids(b);
    uint8_t *selected = status == SL_OK ? arena_get(&b->scratch, b->info.n_traces, 1) : NULL;
    *found = selected && mark_id(b, q, selected) > 0;
    status = status == SL_OK && !selected ? SL_ERR_NOMEM : status;
    arena_reset(&b->arena);
    arena_reset(&b->scratch);
    b->values.room = 0;
    return block_error(b, status, b->arena.limit, error);
}

static sl_bytes service_of(const struct block_reader *b, const struct read_class *class)
{
    const sl_bytes head = b->resources[b->scopes[class->head.scope].resource];
    return sl_attr_text(sl_repeated_of(sl_message_bytes(head, 1), 1), "service.name");
}

/* May a span of this class match? Those that keep their name, or all fields, as values may. */
static bool class_can_match(const struct block_reader *b, const struct read_class *class,
                            const struct trace_query *q)
{
    if (q->service.p && !sl_eq(service_of(b, class), q->service)) {
        return false;
    }
    const uint32_t last =
        class->n_tokens > 0 ? b->types[class->types[class->n_tokens - 1]].kind : TOKEN_END;
    if (last == TOKEN_REST || last == TOKEN_WHOLE) {
        return true;
    }
    if (q->errors && class->head.status != SL_SPAN_ERROR) {
        return false;
    }
    if (!q->name.p || last == TOKEN_NAME) {
        return true;
    }
    return class->head.name != TRACE_NONE && sl_eq(b->names[class->head.name], q->name);
}

static bool place_can_match(const struct read_place *place, const struct trace_query *q)
{
    const uint64_t start = place->times.start, end = place->times.end;
    const uint64_t duration = end > start ? end - start : 0;
    return duration >= q->min_ns && (q->max_ns == 0 || duration <= q->max_ns) &&
           start >= q->from_ns && (q->to_ns == 0 || start <= q->to_ns);
}

static uint32_t mark_matches(const struct block_reader *b, const struct trace_query *q,
                             const uint8_t *classes, uint8_t *selected)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < b->info.n_spans; i++) {
        const struct read_place *place = &b->places[i];
        const bool whole = b->classes[b->class_of[i]].whole; /* its times are not known */
        if (classes[b->class_of[i]] && !selected[place->trace] &&
            (whole || place_can_match(place, q))) {
            selected[place->trace] = 1;
            found++;
        }
    }
    return found;
}

static int32_t select_and_write(struct block_reader *b, const struct trace_query *q, uint64_t limit,
                                sl_writer *to, uint32_t *traces)
{
    int32_t status = read_parts(b, PART_LISTS, 1);
    uint8_t *classes = status == SL_OK ? arena_get(&b->arena, b->n_classes, 1) : NULL;
    uint8_t *selected = classes ? arena_zeroed(&b->arena, b->info.n_traces, 1) : NULL;
    if (!selected) {
        return status == SL_OK ? SL_ERR_NOMEM : status;
    }
    bool any = false;
    for (uint32_t i = 0; i < b->n_classes; i++) {
        classes[i] = q->by_id || class_can_match(b, &b->classes[i], q);
        any = any || classes[i];
    }
    if (!any) {
        return SL_OK;
    }
    status = read_parts(b, PART_SHAPES, PART_PLACES - PART_SHAPES + 1);
    if (status != SL_OK) {
        return status;
    }
    *traces = q->by_id ? (uint32_t)mark_id(b, q, selected) : mark_matches(b, q, classes, selected);
    if (*traces == 0) {
        return SL_OK;
    }
    b->selected = selected;
    status = read_parts(b, PART_DICTIONARIES, 1);
    return status == SL_OK ? write_spans(b, limit, to) : status;
}

int32_t trace_block_query(sl_bytes bytes, const struct trace_query *query, uint64_t limit,
                          sl_writer *to, uint32_t *traces, sl_error *error)
{
    struct trace_block_info info;
    *traces = 0;
    int32_t status = trace_block_info(bytes, &info, error);
    if (status != SL_OK || !head_can_match(&info, query)) {
        return status;
    }
    struct block_reader *b = calloc(1, sizeof *b);
    if (!b) {
        return sl_fail(error, SL_ERR_NOMEM, "trace block: no memory");
    }
    b->arena.limit = b->scratch.limit = limit;
    bool worth = true;
    if (query->by_id) {
        status = look_for_id(b, bytes, query, &worth, error);
    }
    if (status == SL_OK && worth) {
        status = block_open(b, bytes, limit, error);
        if (status == SL_OK) {
            status = block_error(b, select_and_write(b, query, limit, to, traces), limit, error);
        }
    }
    block_close(b);
    return status;
}
