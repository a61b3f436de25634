/* Opening a block, decoding it as a whole, and telling what is in it. */
#include "formats/trace/block_read.h"
#include "formats/trace/trace_block.h"
#include <inttypes.h>

int32_t block_open(struct block_reader *b, sl_bytes bytes, uint64_t limit, sl_error *error)
{
    b->arena.limit = b->scratch.limit = limit;
    const int32_t status = container_read(bytes, limit, &b->info, &b->sections, &b->memory, error);
    if (status != SL_OK) {
        return status;
    }
    b->values = (struct number_reader){
        .about = b->sections.about.p,
        .about_end = b->sections.about.p + b->sections.about.n,
        .bits = b->sections.values.p,
        .bits_end = b->sections.values.p + b->sections.values.n,
        .arena = &b->arena,
        .scratch = &b->scratch,
    };
    b->texts = (struct text_reader){
        .numbers = &b->values,
        .patterns = b->sections.text.p,
        .patterns_end = b->sections.text.p + b->sections.text.n,
        .arena = &b->arena,
    };
    return SL_OK;
}

void block_close(struct block_reader *b)
{
    arena_free(&b->arena);
    arena_free(&b->scratch);
    free(b->memory);
    free(b);
}

int32_t block_error(const struct block_reader *b, int32_t status, uint64_t limit, sl_error *error)
{
    switch (status) {
    case SL_OK:
        return SL_OK;
    case SL_ERR_INVALID:
        return sl_fail(error, status,
                       "trace block: the %s are wrong, at byte %zu of the topology and %zu of the "
                       "values",
                       b->part, (size_t)(b->values.about - b->sections.about.p),
                       (size_t)(b->values.bits - b->sections.values.p));
    case SL_ERR_TOO_LARGE:
        return sl_fail(error, status, "trace block: its spans take more than %" PRIu64 " bytes",
                       limit);
    default:
        return sl_fail(error, status,
                       "trace block: no memory, or more than %" PRIu64 " bytes are needed", limit);
    }
}

int32_t read_parts(struct block_reader *b, uint32_t first, uint32_t n)
{
    static const struct {
        const char *name;
        int32_t (*read)(struct block_reader *b);
    } parts[BLOCK_PARTS] = {{"lists", read_lists},
                            {"shapes", read_shapes},
                            {"trace ids", read_ids},
                            {"times", read_places},
                            {"texts", read_dictionaries}};
    for (uint32_t i = first; i < first + n; i++) {
        b->part = parts[i].name;
        const int32_t status = parts[i].read(b);
        if (status != SL_OK) {
            return status;
        }
    }
    b->part = "columns";
    return SL_OK;
}

static int32_t decode(struct block_reader *b, sl_bytes bytes, uint64_t limit, sl_writer *to,
                      sl_error *error)
{
    int32_t status = block_open(b, bytes, limit, error);
    if (status != SL_OK) {
        return status;
    }
    status = read_parts(b, 0, BLOCK_PARTS);
    status = status == SL_OK ? write_spans(b, limit, to) : status;
    return block_error(b, status, limit, error);
}

int32_t trace_block_decode(sl_bytes bytes, uint64_t limit, sl_writer *to, sl_error *error)
{
    struct block_reader *b = calloc(1, sizeof *b);
    if (!b) {
        return sl_fail(error, SL_ERR_NOMEM, "trace block: no memory");
    }
    const int32_t status = decode(b, bytes, limit, to, error);
    block_close(b);
    return status;
}

/* ---- columns ---- */

static const char *token_text(uint32_t kind)
{
    static const char *const texts[TOKEN_KINDS] = {
        [TOKEN_NAME] = "names",
        [TOKEN_TRACE_STATE] = "trace states",
        [TOKEN_DROPPED_ATTRIBUTES] = "dropped attributes",
        [TOKEN_DROPPED_EVENTS] = "dropped events",
        [TOKEN_DROPPED_LINKS] = "dropped links",
        [TOKEN_STATUS_MESSAGE] = "status messages",
        [TOKEN_ATTR_TEXT] = "text",
        [TOKEN_ATTR_BOOL] = "bool",
        [TOKEN_ATTR_INT] = "int",
        [TOKEN_ATTR_DOUBLE] = "double",
        [TOKEN_ATTR_BYTES] = "bytes",
        [TOKEN_ATTR_ANY] = "value",
        [TOKEN_ATTR_OTHER] = "attributes as they came",
        [TOKEN_EVENT] = "events' times",
        [TOKEN_EVENT_NAME] = "events' names",
        [TOKEN_EVENT_DROPPED] = "events' dropped attributes",
        [TOKEN_EVENT_OTHER] = "events as they came",
        [TOKEN_LINK] = "links' trace ids",
        [TOKEN_LINK_LOW] = "links' trace ids",
        [TOKEN_LINK_SPAN] = "links' span ids",
        [TOKEN_LINK_STATE] = "links' trace states",
        [TOKEN_LINK_DROPPED] = "links' dropped attributes",
        [TOKEN_LINK_FLAGS] = "links' flags",
        [TOKEN_LINK_OTHER] = "links as they came",
        [TOKEN_REST] = "fields as they came",
        [TOKEN_WHOLE] = "spans as they came",
    };
    return texts[kind];
}

static void tell_columns(const struct block_reader *b, trace_column_sink *sink, void *ctx)
{
    const uint64_t spans = b->info.n_spans;
    const struct trace_column columns[] = {
        {.what = "trace ids",
         .values = b->info.n_traces,
         .bytes = b->info.section_bytes[TRACE_IDS]},
        {.what = "span and parent ids", .values = spans, .bytes = b->sections.span_ids.n},
        {.what = "shapes", .values = b->info.n_traces, .bytes = b->shape_bytes},
        {.what = "starts", .values = spans, .bytes = b->start_bytes},
        {.what = "ends", .values = spans, .bytes = b->end_bytes},
    };
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        sink(ctx, &columns[i]);
    }
    for (uint32_t i = 0; i < b->n_types; i++) {
        const struct read_type *type = &b->types[i];
        if (column_of(type->kind) != COLUMN_NONE) {
            sink(ctx, &(struct trace_column){token_text(type->kind), type->key, type->n_values,
                                             type->bytes});
        }
    }
}

int32_t trace_block_columns(sl_bytes bytes, uint64_t limit, trace_column_sink *sink, void *ctx,
                            sl_error *error)
{
    struct block_reader *b = calloc(1, sizeof *b);
    sl_writer spans = heap_writer();
    if (!b) {
        return sl_fail(error, SL_ERR_NOMEM, "trace block: no memory");
    }
    const int32_t status = decode(b, bytes, limit, &spans, error);
    if (status == SL_OK) {
        tell_columns(b, sink, ctx);
    }
    free(spans.at);
    block_close(b);
    return status;
}
