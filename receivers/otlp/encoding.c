/* Names of content encodings. Pure functions, any thread. */
#include "receivers/otlp/encoding.h"

#include <strings.h>

static const struct {
    const char *name;
    enum content_encoding encoding;
} names[] = {{"", ENCODING_PLAIN},        {"identity", ENCODING_PLAIN},
             {"gzip", ENCODING_GZIP},     {"zstd", ENCODING_ZSTD},
             {"zlib", ENCODING_ZLIB},     {"deflate", ENCODING_DEFLATE},
             {"snappy", ENCODING_SNAPPY}, {"x-snappy-framed", ENCODING_SNAPPY_FRAMED},
             {"lz4", ENCODING_LZ4}};
enum { NAMES = sizeof names / sizeof *names };

enum content_encoding encoding_named(sl_bytes name)
{
    for (size_t i = 0; i < NAMES; i++) {
        const size_t n = strlen(names[i].name);
        if (name.n == n && (n == 0 || strncasecmp((const char *)name.p, names[i].name, n) == 0))
            return names[i].encoding;
    }
    return ENCODING_UNKNOWN;
}

enum pack_format encoding_format(enum content_encoding encoding)
{
    static const enum pack_format formats[ENCODINGS] = {
        [ENCODING_GZIP] = PACK_GZIP,     [ENCODING_ZSTD] = PACK_ZSTD,
        [ENCODING_ZLIB] = PACK_ZLIB,     [ENCODING_DEFLATE] = PACK_ZLIB,
        [ENCODING_SNAPPY] = PACK_SNAPPY, [ENCODING_SNAPPY_FRAMED] = PACK_SNAPPY_FRAMED,
        [ENCODING_LZ4] = PACK_LZ4};
    return formats[encoding];
}

void encodings_list(uint32_t mask, char *to, size_t room)
{
    static const char *const shown[ENCODINGS] = {
        "none", "gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"};
    size_t n = 0;
    to[0] = 0;
    for (uint32_t i = 0; i < ENCODINGS && n < room; i++) {
        if (mask >> i & 1)
            n += (size_t)snprintf(to + n, room - n, "%s%s", n ? ", " : "", shown[i]);
    }
    if (n == 0)
        (void)snprintf(to, room, "none");
}
