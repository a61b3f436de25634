/* Decodes a block as a whole. */
#include "formats/trace/block_read.h"
#include "formats/trace/trace_block.h"
#include <inttypes.h>

static int32_t decode(struct block_reader *b, uint64_t limit, sl_writer *to)
{
    static const struct {
        const char *name;
        int32_t (*read)(struct block_reader *b);
    } parts[] = {{"lists", read_lists},
                 {"shapes", read_shapes},
                 {"trace ids", read_ids},
                 {"times", read_places},
                 {"texts", read_dictionaries}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        b->part = parts[i].name;
        const int32_t status = parts[i].read(b);
        if (status != SL_OK) {
            return status;
        }
    }
    b->part = "columns";
    return write_spans(b, limit, to);
}

int32_t trace_block_decode(sl_bytes bytes, uint64_t limit, sl_writer *to, sl_error *error)
{
    void *memory;
    struct block_reader *b = calloc(1, sizeof *b);
    if (!b) {
        return sl_fail(error, SL_ERR_NOMEM, "trace block: no memory");
    }
    int32_t status = container_read(bytes, limit, &b->info, &b->sections, &memory, error);
    if (status == SL_OK) {
        b->arena.limit = b->scratch.limit = limit;
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
        status = decode(b, limit, to);
        if (status == SL_ERR_INVALID) {
            sl_fail(error, status,
                    "trace block: the %s are wrong, at byte %zu of the topology and %zu of the "
                    "values",
                    b->part, (size_t)(b->values.about - b->sections.about.p),
                    (size_t)(b->values.bits - b->sections.values.p));
        } else if (status == SL_ERR_TOO_LARGE) {
            sl_fail(error, status, "trace block: its spans take more than %" PRIu64 " bytes",
                    limit);
        } else if (status != SL_OK) {
            sl_fail(error, status,
                    "trace block: no memory, or more than %" PRIu64 " bytes are needed", limit);
        }
    }
    arena_free(&b->arena);
    arena_free(&b->scratch);
    free(memory);
    free(b);
    return status;
}
