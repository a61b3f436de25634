#include "formats/trace/container.h"
#include "formats/trace/memory.h"
#include <inttypes.h>
#include <zlib.h>
#include <zstd.h>

/* A block: HEAD_FIXED bytes (magic, version, mode, length of the head), the head's numbers, their
 * checksum; then each section and its checksum. */
enum { HEAD_FIXED = 8, HEAD_LONGEST = HEAD_FIXED + 16 * SL_VARINT_MAX, CHECKSUM = 4, VERSION = 1 };

static const uint8_t magic[4] = {'S', 'L', 'T', 'B'};
static const char *const section_names[TRACE_SECTIONS] = {"topology", "trace ids", "span ids",
                                                          "values"};

static uint32_t checksum(const uint8_t *p, size_t n)
{
    return (uint32_t)crc32_z(0, p, n);
}

static void write_checksum(sl_writer *to, size_t from)
{
    const uint32_t sum = to->failed ? 0 : checksum(to->at + from, to->used - from);
    sl_write_raw(to, sl_slice(&sum, sizeof sum));
}

static void write_head(const struct trace_block_info *info,
                       const struct container_sections *sections, const uint64_t stored[],
                       sl_writer *to)
{
    uint8_t room[HEAD_LONGEST];
    sl_writer head = sl_writer_fixed(room, sizeof room);
    sl_write_raw(&head, sl_slice(magic, sizeof magic));
    sl_write_raw(&head, sl_slice((const uint8_t[4]){VERSION, (uint8_t)info->mode, 0, 0}, 4));
    write_number(&head, info->n_spans);
    write_number(&head, info->n_traces);
    write_number(&head, info->otlp_bytes);
    write_number(&head, info->first_ns);
    write_number(&head, info->last_ns - info->first_ns);
    write_number(&head, info->shortest_ns);
    write_number(&head, info->longest_ns);
    write_number(&head, info->n_errors);
    for (uint32_t i = 0; i < TRACE_SECTIONS; i++) {
        write_number(&head, stored[i]);
    }
    write_number(&head, sections->about.n);
    write_number(&head, sections->text.n);
    write_number(&head, sections->ids_about.n);
    room[6] = (uint8_t)head.used;
    const size_t from = to->used;
    sl_write_raw(to, sl_written(&head));
    write_checksum(to, from);
}

static int32_t squeeze(sl_bytes about, sl_bytes text, uint32_t level, sl_writer *to)
{
    const size_t n = about.n + text.n;
    uint8_t *plain = malloc(n + 1);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    int32_t status = SL_ERR_NOMEM;
    if (plain && zstd && sl_writer_room(to, ZSTD_compressBound(n))) {
        (void)sl_put_slice(sl_put_slice(plain, text), about);
        (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel,
                                     level ? (int)level : TRACE_LEVEL_DEFAULT);
        (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
        const size_t got = ZSTD_compress2(zstd, to->at + to->used, to->room - to->used, plain, n);
        if (!ZSTD_isError(got)) {
            to->used += got;
            status = SL_OK;
        }
    }
    free(plain);
    ZSTD_freeCCtx(zstd);
    return status;
}

int32_t container_write(const struct trace_block_info *info,
                        const struct container_sections *sections, uint32_t level, sl_writer *to)
{
    sl_writer topology = heap_writer();
    int32_t status = squeeze(sections->about, sections->text, level, &topology);
    if (status == SL_OK) {
        const uint64_t stored[TRACE_SECTIONS] = {topology.used,
                                                 sections->ids_about.n + sections->ids.n,
                                                 sections->span_ids.n, sections->values.n};
        write_head(info, sections, stored, to);
        size_t from = to->used;
        sl_write_raw(to, sl_written(&topology));
        write_checksum(to, from);
        from = to->used;
        sl_write_raw(to, sections->ids_about);
        sl_write_raw(to, sections->ids);
        write_checksum(to, from);
        from = to->used;
        sl_write_raw(to, sections->span_ids);
        write_checksum(to, from);
        from = to->used;
        sl_write_raw(to, sections->values);
        write_checksum(to, from);
        status = to->failed ? SL_ERR_NOMEM : SL_OK;
    }
    free(topology.at);
    return status;
}

/* ---- reading ---- */

/* What the head says of the insides. */
struct insides {
    uint64_t about, text, ids_about;
    size_t head; /* its bytes, with the checksum */
};

static bool next(const uint8_t **p, const uint8_t *end, uint64_t most, uint64_t *v)
{
    *p = *p ? sl_get_varint(*p, end, v) : NULL;
    return *p && *v <= most;
}

static bool read_numbers(const uint8_t *p, const uint8_t *end, struct trace_block_info *info,
                         struct insides *insides)
{
    const uint64_t far = UINT64_MAX, large = (uint64_t)1 << 62;
    uint64_t spans, traces, errors, span_time;
    bool fine = next(&p, end, UINT32_MAX - 1, &spans) && next(&p, end, spans, &traces) &&
                next(&p, end, far, &info->otlp_bytes) && next(&p, end, far, &info->first_ns) &&
                next(&p, end, far, &span_time) && next(&p, end, far, &info->shortest_ns) &&
                next(&p, end, far, &info->longest_ns) && next(&p, end, spans, &errors);
    info->bytes = insides->head;
    for (uint32_t i = 0; fine && i < TRACE_SECTIONS; i++) {
        fine = next(&p, end, large / 8, &info->section_bytes[i]);
        info->bytes += info->section_bytes[i] + CHECKSUM;
    }
    if (!fine || !next(&p, end, large, &insides->about) || !next(&p, end, large, &insides->text) ||
        !next(&p, end, info->section_bytes[TRACE_IDS], &insides->ids_about)) {
        return false;
    }
    info->n_spans = (uint32_t)spans;
    info->n_traces = (uint32_t)traces;
    info->n_errors = (uint32_t)errors;
    info->last_ns = info->first_ns + span_time;
    return p == end;
}

static int32_t read_head(sl_bytes bytes, struct trace_block_info *info, struct insides *insides,
                         sl_error *error)
{
    memset(info, 0, sizeof *info);
    const size_t known = bytes.n < sizeof magic ? bytes.n : sizeof magic;
    if (known > 0 && memcmp(bytes.p, magic, known) != 0) {
        return sl_fail(error, SL_ERR_INVALID, "trace block: does not begin with SLTB");
    }
    if (bytes.n < HEAD_FIXED || bytes.n < (size_t)bytes.p[6] + CHECKSUM) {
        return sl_fail(error, SL_ERR_NOT_FOUND, "trace block: the head is cut off after %zu bytes",
                       bytes.n);
    }
    const size_t n = bytes.p[6];
    if (n < HEAD_FIXED || checksum(bytes.p, n) != sl_get_fixed32(bytes.p + n)) {
        return sl_fail(error, SL_ERR_INVALID, "trace block: the head is damaged");
    }
    if (bytes.p[4] != VERSION) {
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "trace block: version %u; this reader knows version %d", bytes.p[4],
                       VERSION);
    }
    if (bytes.p[5] & ~TRACE_MODES || bytes.p[7] != 0) {
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "trace block: mode %u is not known to this reader", bytes.p[5]);
    }
    info->mode = bytes.p[5];
    insides->head = n + CHECKSUM;
    if (!read_numbers(bytes.p + HEAD_FIXED, bytes.p + n, info, insides)) {
        return sl_fail(error, SL_ERR_INVALID, "trace block: the head's numbers are wrong");
    }
    return SL_OK;
}

int32_t trace_block_info(sl_bytes bytes, struct trace_block_info *info, sl_error *error)
{
    struct insides insides;
    return read_head(bytes, info, &insides, error);
}

size_t trace_block_head_bytes(sl_bytes block)
{
    return (size_t)block.p[6] + CHECKSUM;
}

static int32_t decompress(sl_bytes stored, uint64_t n, void **memory, sl_error *error)
{
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    *memory = malloc((size_t)n + 1);
    int32_t status = SL_ERR_NOMEM;
    if (zstd && *memory) {
        const size_t got = ZSTD_decompressDCtx(zstd, *memory, (size_t)n, stored.p, stored.n);
        status = ZSTD_isError(got) || got != n ? SL_ERR_INVALID : SL_OK;
    }
    ZSTD_freeDCtx(zstd);
    return status == SL_OK ? SL_OK
           : status == SL_ERR_NOMEM
               ? sl_fail(error, status, "trace block: no memory for %" PRIu64 " bytes", n)
               : sl_fail(error, status, "trace block: the topology cannot be decompressed");
}

/* Finds the sections of a whole block; `which`: a bit for each one whose checksum is to be right. */
static int32_t find_sections(sl_bytes block, uint32_t which, struct trace_block_info *info,
                             struct insides *insides, sl_bytes stored[TRACE_SECTIONS],
                             sl_error *error)
{
    const int32_t status = read_head(block, info, insides, error);
    if (status != SL_OK) {
        return status;
    }
    if (info->bytes != block.n) {
        return sl_fail(error, SL_ERR_INVALID,
                       "trace block: it has %zu bytes, and its head says %" PRIu64, block.n,
                       info->bytes);
    }
    const uint8_t *p = block.p + insides->head;
    for (uint32_t i = 0; i < TRACE_SECTIONS; i++) {
        stored[i] = sl_slice(p, (size_t)info->section_bytes[i]);
        p += info->section_bytes[i];
        if ((which & 1u << i) && checksum(stored[i].p, stored[i].n) != sl_get_fixed32(p)) {
            return sl_fail(error, SL_ERR_INVALID, "trace block: the %s at byte %zu are damaged",
                           section_names[i], (size_t)(stored[i].p - block.p));
        }
        p += CHECKSUM;
    }
    return SL_OK;
}

static void find_ids(sl_bytes stored, uint64_t about, struct container_sections *sections)
{
    sections->ids_about = sl_slice(stored.p, (size_t)about);
    sections->ids = sl_slice(stored.p + about, stored.n - (size_t)about);
}

int32_t container_read_ids(sl_bytes block, struct trace_block_info *info,
                           struct container_sections *sections, sl_error *error)
{
    struct insides insides;
    sl_bytes stored[TRACE_SECTIONS];
    const int32_t status = find_sections(block, 1u << TRACE_IDS, info, &insides, stored, error);
    if (status == SL_OK) {
        find_ids(stored[TRACE_IDS], insides.ids_about, sections);
    }
    return status;
}

int32_t container_read(sl_bytes block, uint64_t limit, struct trace_block_info *info,
                       struct container_sections *sections, void **memory, sl_error *error)
{
    struct insides insides;
    sl_bytes stored[TRACE_SECTIONS];
    *memory = NULL;
    int32_t status =
        find_sections(block, (1u << TRACE_SECTIONS) - 1, info, &insides, stored, error);
    if (status != SL_OK) {
        return status;
    }
    const uint64_t plain = insides.about + insides.text;
    if (plain > limit) {
        return sl_fail(error, SL_ERR_TOO_LARGE,
                       "trace block: the topology takes %" PRIu64 " bytes, and %" PRIu64
                       " are allowed",
                       plain, limit);
    }
    status = decompress(stored[TRACE_TOPOLOGY], plain, memory, error);
    if (status == SL_OK) {
        const uint8_t *text = *memory;
        sections->text = sl_slice(text, (size_t)insides.text);
        sections->about = sl_slice(text + insides.text, (size_t)insides.about);
        find_ids(stored[TRACE_IDS], insides.ids_about, sections);
        sections->span_ids = stored[TRACE_SPAN_IDS];
        sections->values = stored[TRACE_VALUES];
    }
    return status;
}
