/* Names of content encodings. Pure functions, any thread. */
#include "receivers/otlp/encoding.h"

#include <strings.h>

static const struct {
    const char *name;
    enum content_encoding encoding;
} names[] = {{"", ENCODING_PLAIN},        {"identity", ENCODING_PLAIN},
             {"gzip", ENCODING_GZIP},     {"zstd", ENCODING_ZSTD},
             {"zlib", ENCODING_ZLIB},     {"deflate", ENCODING_DEFLATE},
             {"snappy", ENCODING_ABSENT}, {"x-snappy-framed", ENCODING_ABSENT},
             {"lz4", ENCODING_ABSENT}};
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
    return encoding == ENCODING_GZIP   ? PACK_GZIP
           : encoding == ENCODING_ZSTD ? PACK_ZSTD
                                       : PACK_ZLIB;
}

void encodings_list(uint32_t mask, char *to, size_t room)
{
    static const char *const shown[ENCODINGS] = {"none", "gzip", "zstd", "zlib", "deflate"};
    size_t n = 0;
    to[0] = 0;
    for (uint32_t i = 0; i < ENCODINGS && n < room; i++) {
        if (mask >> i & 1)
            n += (size_t)snprintf(to + n, room - n, "%s%s", n ? ", " : "", shown[i]);
    }
    if (n == 0)
        (void)snprintf(to, room, "none");
}
