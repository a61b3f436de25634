/* Fuzz target: decoding of trace blocks in bounded memory. The input becomes the insides of a block
 * whose head and checksums are right, as checksums would stop nearly everything at the door: mode,
 * counts and lengths in the first 15 bytes, then the sections. What is decoded can be encoded. */
#include "formats/trace/container.h"
#include "formats/trace/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 15, LIMIT = 8 * 1024 * 1024 };

static sl_bytes take(const uint8_t **p, const uint8_t *end, size_t n)
{
    const size_t left = (size_t)(end - *p), taken = n < left ? n : left;
    const sl_bytes part = sl_slice(*p, taken);
    *p += taken;
    return part;
}

static size_t number(const uint8_t *p)
{
    return (size_t)p[0] | (size_t)p[1] << 8;
}

static void decode(sl_bytes block)
{
    sl_error error = {.size = sizeof error};
    sl_writer spans = heap_writer(), again = heap_writer();
    if (trace_block_decode(block, LIMIT, &spans, &error) == SL_OK) {
        const sl_bytes request = sl_written(&spans);
        if (spans.used > LIMIT ||
            trace_block_encode(&(struct trace_options){0}, &request, 1, &again, &error) != SL_OK) {
            abort();
        }
    }
    free(spans.at);
    free(again.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(sl_slice(data, size));
    if (size < HEAD) {
        return 0;
    }
    const uint8_t *p = data + HEAD, *const end = data + size;
    const struct trace_block_info info = {.mode = data[0] & TRACE_MODES,
                                          .n_spans = (uint32_t)number(data + 1),
                                          .n_traces = (uint32_t)number(data + 3)};
    struct container_sections sections;
    sections.about = take(&p, end, number(data + 5));
    sections.text = take(&p, end, number(data + 7));
    sections.ids_about = take(&p, end, number(data + 9));
    sections.ids = take(&p, end, number(data + 11));
    sections.span_ids = take(&p, end, number(data + 13));
    sections.values = take(&p, end, (size_t)(end - p));
    sl_writer block = heap_writer();
    if (container_write(&info, &sections, 1, &block) == SL_OK) {
        decode(sl_written(&block));
    }
    free(block.at);
    return 0;
}
