/* See crc32c.h: with the processor's instruction where it has one, else half a byte at a time. */
#include "formats/compress/crc32c.h"

static uint32_t by_table(uint32_t crc, sl_bytes in)
{
    /* of each half byte, by the polynomial 0x82f63b78 */
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    for (size_t i = 0; i < in.n; i++) {
        crc ^= in.p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, sl_bytes in)
{
    uint64_t wide = crc;
    for (; in.n >= sizeof wide; in = sl_slice(in.p + sizeof wide, in.n - sizeof wide)) {
        uint64_t word;
        memcpy(&word, in.p, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    return by_table((uint32_t)wide, in);
}

static uint32_t advance(uint32_t crc, sl_bytes in)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, in) : by_table(crc, in);
}
#else
static uint32_t advance(uint32_t crc, sl_bytes in)
{
    return by_table(crc, in);
}
#endif

uint32_t crc32c(sl_bytes in)
{
    return ~advance(UINT32_MAX, in);
}
