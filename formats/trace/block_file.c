#include "formats/trace/block_file.h"
#include "formats/trace/memory.h"
#include <inttypes.h>
#include <zlib.h>

/* The footer: FRONT bytes (magic, version), the heads, then TAIL bytes: its length in all, the
 * checksum of what comes before, magic. */
enum { FRONT = 8, TAIL = 16, VERSION = 1 };

static const uint8_t front[FRONT] = {'S', 'L', 'T', 'I', VERSION};
static const uint8_t end_magic[4] = {'S', 'L', 'T', 'E'};

static int32_t add_entry(struct block_index *index, uint64_t at,
                         const struct trace_block_info *info, sl_error *error)
{
    void *entries = index->at;
    if (!array_room(&entries, index->n, &index->room, 1, sizeof *index->at)) {
        return sl_fail(error, SL_ERR_NOMEM, "trace file: no memory for %u blocks", index->n);
    }
    index->at = entries;
    index->at[index->n++] = (struct block_entry){at, *info};
    index->end = at + info->bytes;
    return SL_OK;
}

/* The footer at the end of the file; .p NULL: there is none. */
static sl_bytes find_footer(sl_bytes file)
{
    if (file.n < FRONT + TAIL) {
        return sl_slice(NULL, 0);
    }
    const uint8_t *tail = file.p + file.n - TAIL;
    const uint64_t n = sl_get_fixed64(tail);
    if (memcmp(tail + 12, end_magic, sizeof end_magic) != 0 || n < FRONT + TAIL || n > file.n) {
        return sl_slice(NULL, 0);
    }
    const sl_bytes footer = sl_slice(file.p + file.n - n, (size_t)n);
    const uint32_t sum = (uint32_t)crc32_z(0, footer.p, footer.n - 8);
    return memcmp(footer.p, front, FRONT) == 0 && sum == sl_get_fixed32(tail + 8)
               ? footer
               : sl_slice(NULL, 0);
}

static int32_t read_footer(sl_bytes footer, uint64_t blocks, struct block_index *index,
                           sl_error *error)
{
    sl_bytes heads = sl_slice(footer.p + FRONT, footer.n - FRONT - TAIL);
    while (heads.n > 0) {
        struct trace_block_info info;
        const size_t n = trace_block_head_bytes(heads);
        int32_t status = trace_block_info(heads, &info, error);
        if (status == SL_OK && (n > heads.n || info.bytes > blocks - index->end)) {
            status = sl_fail(error, SL_ERR_INVALID,
                             "trace file: the footer tells of more than is there");
        }
        status = status == SL_OK ? add_entry(index, index->end, &info, error) : status;
        if (status != SL_OK) {
            return status;
        }
        heads = sl_slice(heads.p + n, heads.n - n);
    }
    index->closed = true;
    return index->end == blocks ? SL_OK
                                : sl_fail(error, SL_ERR_INVALID,
                                          "trace file: the footer tells of less than is there");
}

static int32_t walk(sl_bytes file, struct block_index *index, sl_error *error)
{
    while (index->end < file.n) {
        struct trace_block_info info;
        const sl_bytes rest = sl_slice(file.p + index->end, (size_t)(file.n - index->end));
        const size_t known = rest.n < 4 ? rest.n : 4;
        if (index->n > 0 && memcmp(rest.p, front, known) == 0) {
            return SL_OK; /* a footer that is cut off */
        }
        sl_error inner = {.size = sizeof inner};
        int32_t status = trace_block_info(rest, &info, &inner);
        if (status == SL_ERR_NOT_FOUND || (status == SL_OK && info.bytes > rest.n)) {
            return SL_OK;
        }
        if (status != SL_OK) {
            return sl_fail(error, status, "at byte %" PRIu64 ": %s", index->end, inner.text);
        }
        status = add_entry(index, index->end, &info, error);
        if (status != SL_OK) {
            return status;
        }
    }
    return SL_OK;
}

int32_t block_index_read(sl_bytes file, struct block_index *index, sl_error *error)
{
    const sl_bytes footer = find_footer(file);
    return footer.p ? read_footer(footer, file.n - footer.n, index, error)
                    : walk(file, index, error);
}

void block_index_free(struct block_index *index)
{
    free(index->at);
    *index = (struct block_index){0};
}

bool block_footer_add(struct block_footer *footer, sl_bytes block)
{
    sl_write_raw(&footer->heads, sl_slice(block.p, trace_block_head_bytes(block)));
    return !footer->heads.failed;
}

void block_footer_write(const struct block_footer *footer, sl_writer *to)
{
    const size_t from = to->used;
    sl_write_raw(to, sl_slice(front, FRONT));
    sl_write_raw(to, sl_written(&footer->heads));
    const uint64_t n = to->used - from + TAIL;
    sl_write_raw(to, sl_slice(&n, sizeof n));
    const uint32_t sum = to->failed ? 0 : (uint32_t)crc32_z(0, to->at + from, to->used - from);
    sl_write_raw(to, sl_slice(&sum, sizeof sum));
    sl_write_raw(to, sl_slice(end_magic, sizeof end_magic));
}
