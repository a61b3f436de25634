/* Encodes a block: the order is that of docs/trace-format.md. */
#include "formats/trace/container.h"
#include "formats/trace/doubles.h"
#include "formats/trace/encoder.h"
#include "formats/trace/texts.h"
#include "formats/trace/trace_block.h"
#include <math.h>

/* ---- lists ---- */

static void write_text(struct encoder *e, sl_bytes text)
{
    write_number(&e->values.about, text.n);
    sl_write_raw(&e->text, text);
}

static void write_lists(struct encoder *e)
{
    sl_writer *about = &e->values.about;
    const struct class_set *classes = &e->classes;
    write_number(about, e->spans.n_resources);
    write_number(about, e->spans.n_scopes);
    write_number(about, classes->n_names);
    write_number(about, classes->n_types);
    write_number(about, classes->n);
    for (uint32_t i = 0; i < e->spans.n_resources; i++) {
        write_text(e, e->spans.resources[i]);
    }
    for (uint32_t i = 0; i < e->spans.n_scopes; i++) {
        write_number(about, e->spans.scopes[i].resource);
        write_text(e, e->spans.scopes[i].head);
    }
    for (uint32_t i = 0; i < classes->n_names; i++) {
        write_text(e, classes->names[i]);
    }
    for (uint32_t i = 0; i < classes->n_types; i++) {
        write_number(about, classes->types[i].kind);
        write_text(e, classes->types[i].key);
    }
    for (uint32_t i = 0; i < classes->n; i++) {
        const struct span_class *class = &classes->classes[i];
        write_number(about, class->head.scope);
        write_number(about, class->head.name == TRACE_NONE ? 0 : (uint64_t) class->head.name + 1);
        write_number(about, class->head.kind);
        write_number(about, class->head.status);
        write_number(about, class->head.flags);
        write_number(about, class->head.has);
        write_number(about, class->n_tokens);
        for (uint32_t k = 0; k < class->n_tokens; k++) {
            write_number(about, class->types[k]);
        }
    }
}

/* ---- columns ---- */

/* Texts that hardly come twice, or whose numbers are cheaper than an index, are written in place.
 */
static bool choose_direct(struct token_type *type)
{
    double bits = 0, once = 0, index = 0, uses = 0;
    size_t longest = 0;
    for (uint32_t i = 0; i < type->n; i++) {
        longest = type->texts[i].n > longest ? type->texts[i].n : longest;
        uses += type->used[i];
    }
    if (type->n < 256 || uses > 16.0 * type->n) {
        return true;
    }
    uint8_t *scratch = malloc(longest * 3 + 1);
    if (!scratch) {
        return false;
    }
    for (uint32_t i = 0; i < type->n; i++) {
        const double cost = text_cost(type->texts[i], scratch) + 0.1;
        once += cost;
        bits += cost * type->used[i];
        index += type->used[i] * log2(uses / type->used[i]);
    }
    free(scratch);
    type->direct = bits < once + index;
    return true;
}

static bool write_dictionaries(struct encoder *e)
{
    for (uint32_t i = 0; i < e->classes.n_types; i++) {
        struct token_type *type = &e->classes.types[i];
        if (column_of(type->kind) != COLUMN_TEXT) {
            continue;
        }
        if (!choose_direct(type)) {
            return false;
        }
        write_number(&e->values.about, type->direct ? 0 : type->n);
        if (!type->direct && !texts_write(&e->values, &e->text, type->texts, type->n)) {
            return false;
        }
    }
    return true;
}

/* A column of a class, or of all small ones: its values are in e->a. */
static bool write_column(struct encoder *e, const struct token_type *type)
{
    if (type->kind == TOKEN_ATTR_DOUBLE) {
        return doubles_write(&e->values, e->a.at, e->a.n);
    }
    if (!type->direct) {
        return numbers_write(&e->values, e->a.at, e->a.n);
    }
    void *texts = e->texts;
    const bool room = array_room(&texts, 0, &e->room_texts, e->a.n, sizeof *e->texts);
    e->texts = texts;
    for (uint32_t i = 0; room && i < e->a.n; i++) {
        e->texts[i] = type->texts[e->a.at[i]];
    }
    return room && texts_write(&e->values, &e->text, e->texts, e->a.n);
}

/* Does a token of this class share its type's column? */
static bool is_shared(const struct span_class *class, const struct token_type *type)
{
    return class->n < CLASS_SMALL || type->direct;
}

static bool gather(struct encoder *e, const struct column *column)
{
    for (uint32_t i = 0; i < column->n; i++) {
        if (!numbers_add(&e->a, column_at(column, i))) {
            return false;
        }
    }
    return true;
}

static bool write_columns(struct encoder *e)
{
    const struct class_set *set = &e->classes;
    for (uint32_t i = 0; i < set->n; i++) {
        const struct span_class *class = &set->classes[i];
        for (uint32_t k = 0; k < class->n_tokens; k++) {
            const struct token_type *type = &set->types[class->types[k]];
            e->a.n = 0;
            if (is_shared(class, type)) {
                continue;
            }
            if (column_of(type->kind) != COLUMN_NONE &&
                !(gather(e, &class->columns[k]) && write_column(e, type))) {
                return false;
            }
        }
    }
    return true;
}

/* The columns that classes share, one for each type. */
static bool write_shared_columns(struct encoder *e)
{
    const struct class_set *set = &e->classes;
    struct numbers *values = calloc((size_t)set->n_types + 1, sizeof *values);
    bool fine = values;
    for (uint32_t i = 0; fine && i < set->n; i++) {
        const struct span_class *class = &set->classes[i];
        for (uint32_t k = 0; fine && k < class->n_tokens; k++) {
            const struct column *column = &class->columns[k];
            const bool shared = is_shared(class, &set->types[class->types[k]]);
            for (uint32_t j = 0; shared && fine && j < column->n; j++) {
                fine = numbers_add(&values[class->types[k]], column_at(column, j));
            }
        }
    }
    for (uint32_t i = 0; fine && i < set->n_types; i++) {
        const struct numbers own = e->a;
        e->a = values[i];
        fine = write_column(e, &set->types[i]);
        e->a = own;
    }
    for (uint32_t i = 0; values && i < set->n_types; i++) {
        free(values[i].at);
    }
    free(values);
    return fine;
}

/* ---- ids ---- */

static bool write_ids(struct encoder *e)
{
    e->a.n = e->b.n = 0;
    for (uint32_t i = 0; i < e->spans.n_traces; i++) {
        if (!numbers_add(&e->a, (int64_t)e->spans.traces[i].high) ||
            !numbers_add(&e->b, (int64_t)e->spans.traces[i].low)) {
            return false;
        }
    }
    if (!numbers_write(&e->ids, e->a.at, e->a.n) || !numbers_write(&e->ids, e->b.at, e->b.n)) {
        return false;
    }
    sl_writer *to = &e->span_ids;
    for (uint32_t i = 0; i < e->spans.n_spans; i++) {
        const struct set_span *span = &e->spans.spans[e->spans.places[i].span];
        if (e->spans.places[i].parent == TRACE_NONE && span->has_parent) {
            sl_write_raw(to, sl_slice(&span->parent_id, 8));
        }
    }
    for (uint32_t i = 0; i < e->spans.n_spans && !(e->options->mode & TRACE_DERIVED_IDS); i++) {
        const struct set_span *span = &e->spans.spans[e->spans.places[i].span];
        sl_write_raw(to, sl_slice(&span->id, 8));
    }
    return !to->failed;
}

/* ---- the whole ---- */

static int compare_classes(const void *left, const void *right)
{
    const struct span_class *a = left, *b = right;
    if (a->order != b->order) {
        return a->order < b->order ? -1 : 1;
    }
    return a->number < b->number ? -1 : a->number > b->number;
}

/* Brings the classes of a resource together, and in it those of a scope, so that a reader can write
 * them one after another. */
static bool sort_classes(struct encoder *e)
{
    struct class_set *set = &e->classes;
    uint32_t *rank = malloc(((size_t)set->n + 1) * sizeof *rank);
    if (!rank) {
        return false;
    }
    for (uint32_t i = 0; i < set->n; i++) {
        struct span_class *class = &set->classes[i];
        class->number = i;
        const uint64_t resource = e->spans.scopes[class->head.scope].resource;
        class->order = resource << 32 | class->head.scope;
    }
    if (set->n > 0) {
        qsort(set->classes, set->n, sizeof *set->classes, compare_classes);
    }
    for (uint32_t i = 0; i < set->n; i++) {
        rank[set->classes[i].number] = i;
    }
    for (uint32_t i = 0; i < e->spans.n_spans; i++) {
        e->class_of[i] = rank[e->class_of[i]];
    }
    free(rank);
    return true;
}

static bool sort_by_class(struct encoder *e)
{
    const uint32_t n = e->spans.n_spans;
    e->class_start = calloc((size_t)e->classes.n + 2, sizeof *e->class_start);
    e->by_class = malloc(((size_t)n + 1) * sizeof *e->by_class);
    if (!e->class_start || !e->by_class) {
        return false;
    }
    for (uint32_t i = 0; i < e->classes.n; i++) {
        e->class_start[i + 1] = e->class_start[i] + e->classes.classes[i].n;
    }
    for (uint32_t i = 0; i < n; i++) {
        e->by_class[e->class_start[e->class_of[i]]++] = i;
    }
    for (uint32_t i = e->classes.n; i > 0; i--) {
        e->class_start[i] = e->class_start[i - 1];
    }
    e->class_start[0] = 0;
    return true;
}

static bool classify(struct encoder *e)
{
    const uint32_t n = e->spans.n_spans;
    e->class_of = malloc(((size_t)n + 1) * sizeof *e->class_of);
    e->trace_of = malloc(((size_t)n + 1) * sizeof *e->trace_of);
    if (!e->class_of || !e->trace_of || !class_set_init(&e->classes, e->spans.n_scopes)) {
        return false;
    }
    e->classes.tokens.unit = e->spans.unit;
    for (uint32_t t = 0; t < e->spans.n_traces; t++) {
        const struct set_trace *trace = &e->spans.traces[t];
        for (uint32_t i = trace->first; i < trace->first + trace->n; i++) {
            const struct set_place *place = &e->spans.places[i];
            const struct set_span *span = &e->spans.spans[place->span];
            e->trace_of[i] = t;
            e->class_of[i] =
                class_set_add(&e->classes, span, span->has_parent && place->parent == TRACE_NONE);
            if (e->class_of[i] == TRACE_NONE) {
                return false;
            }
        }
    }
    return true;
}

static void describe(const struct encoder *e, struct trace_block_info *info)
{
    *info = (struct trace_block_info){.mode = e->options->mode,
                                      .n_spans = e->spans.n_spans,
                                      .n_traces = e->spans.n_traces,
                                      .otlp_bytes = e->spans.bytes,
                                      .first_ns = UINT64_MAX,
                                      .shortest_ns = UINT64_MAX};
    for (uint32_t i = 0; i < e->spans.n_spans; i++) {
        const struct set_span *span = &e->spans.spans[i];
        const uint64_t duration = span->end > span->start ? span->end - span->start : 0;
        info->first_ns = span->start < info->first_ns ? span->start : info->first_ns;
        info->last_ns = span->end > info->last_ns ? span->end : info->last_ns;
        info->shortest_ns = duration < info->shortest_ns ? duration : info->shortest_ns;
        info->longest_ns = duration > info->longest_ns ? duration : info->longest_ns;
    }
    if (e->spans.n_spans == 0) {
        info->first_ns = info->shortest_ns = 0;
    }
    for (uint32_t i = 0; i < e->classes.n; i++) {
        const struct span_class *class = &e->classes.classes[i];
        info->n_errors += class->head.status == SL_SPAN_ERROR ? class->n : 0;
    }
}

static int32_t encode(struct encoder *e, const sl_bytes *requests, uint32_t n_requests,
                      sl_writer *to)
{
    for (uint32_t i = 0; i < n_requests; i++) {
        const int32_t status = span_set_add(&e->spans, requests[i]);
        if (status != SL_OK) {
            return status;
        }
    }
    int32_t status = span_set_order(&e->spans);
    if (status != SL_OK) {
        return status;
    }
    if (!classify(e) || !sort_classes(e) || !sort_by_class(e) ||
        !shapes_add(&e->shapes, &e->spans, e->class_of, e->classes.n)) {
        return SL_ERR_NOMEM;
    }
    write_lists(e);
    if (!shapes_write(&e->shapes, &e->values) || !write_times(e) || !write_dictionaries(e) ||
        !write_shared_columns(e) || !write_columns(e) || !write_ids(e)) {
        return SL_ERR_NOMEM;
    }
    struct trace_block_info info;
    describe(e, &info);
    const struct container_sections sections = {
        .about = sl_written(&e->values.about),
        .text = sl_written(&e->text),
        .ids_about = sl_written(&e->ids.about),
        .ids = sl_written(&e->ids.bits),
        .span_ids = sl_written(&e->span_ids),
        .values = sl_written(&e->values.bits),
    };
    if (e->text.failed || e->values.about.failed) {
        return SL_ERR_NOMEM;
    }
    return container_write(&info, &sections, e->options->level, to);
}

int32_t trace_block_encode(const struct trace_options *options, const sl_bytes *requests,
                           uint32_t n_requests, sl_writer *to, sl_error *error)
{
    struct encoder e = {.options = options,
                        .spans = {.arena = {.limit = UINT64_MAX},
                                  .unit = options->mode & TRACE_MICROSECONDS   ? 1000
                                          : options->mode & TRACE_MILLISECONDS ? 1000000
                                                                               : 0},
                        .text = heap_writer(),
                        .span_ids = heap_writer()};
    number_writer_init(&e.values);
    number_writer_init(&e.ids);
    const int32_t status = encode(&e, requests, n_requests, to);
    span_set_free(&e.spans);
    class_set_free(&e.classes);
    shapes_free(&e.shapes);
    number_writer_deinit(&e.values);
    number_writer_deinit(&e.ids);
    free(e.text.at);
    free(e.span_ids.at);
    free(e.class_of);
    free(e.trace_of);
    free(e.by_class);
    free(e.class_start);
    free(e.a.at);
    free(e.b.at);
    free(e.texts);
    return status == SL_OK ? SL_OK
           : status == SL_ERR_INVALID
               ? sl_fail(error, status, "trace block: the OTLP bytes are malformed")
               : sl_fail(error, status, "trace block: no memory for %u requests", n_requests);
}
