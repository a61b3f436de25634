/* Fuzz target: compressed bodies from the network. The first byte chooses the format. Unpacks twice
 * with one unpacker, with the same result, and never beyond the limit; one thread. */
#include "formats/compress/snappy_lz4.h"
#include "formats/compress/unpack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 16 };

struct sink {
    uint8_t *at;
};

static int32_t sink_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct sink *s = (struct sink *)ctx;
    if (capacity == 0 || capacity > LIMIT)
        abort();
    uint8_t *moved = (uint8_t *)realloc(s->at, capacity);
    if (!moved)
        return SL_ERR_NOMEM;
    s->at = moved;
    *at = moved;
    *got = capacity;
    return SL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const sl_bytes in = sl_slice(data + 1, size - 1);
    const enum pack_format format = (enum pack_format)(data[0] % PACK_FORMATS);
    struct unpacker *u = unpacker_create();
    if (!u)
        return 0;
    extern const sl_plugin sluice_plugin_snappy_lz4;
    unpacker_use(u, (const struct snappy_lz4 *)sluice_plugin_snappy_lz4.interface_of(SNAPPY_LZ4));
    struct sink sinks[2] = {{0}, {0}};
    const struct byte_target first = {&sinks[0], sink_grow}, second = {&sinks[1], sink_grow};
    size_t n[2] = {0, 0};
    const int32_t a = unpack(u, format, in, &first, LIMIT, &n[0], NULL);
    const int32_t b = unpack(u, format, in, &second, LIMIT, &n[1], NULL);
    if (a != b || n[0] != n[1] || n[0] > LIMIT ||
        (a == SL_OK && n[0] > 0 && memcmp(sinks[0].at, sinks[1].at, n[0]) != 0))
        abort();
    free(sinks[0].at);
    free(sinks[1].at);
    unpacker_destroy(u);
    return 0;
}
