/* The content encodings of OTLP/HTTP, by the names that HTTP and the Collector's config share. Pure
 * functions, any thread. */
#ifndef SLUICE_RECEIVERS_OTLP_ENCODING_H
#define SLUICE_RECEIVERS_OTLP_ENCODING_H
#include "formats/compress/format.h"
#include <sluice/plugin.h>

enum content_encoding {
    ENCODING_PLAIN, /* "", and "identity" */
    ENCODING_GZIP,
    ENCODING_ZSTD,
    ENCODING_ZLIB,
    ENCODING_DEFLATE, /* zlib's container, too */
    ENCODING_SNAPPY,  /* a block, or framed */
    ENCODING_SNAPPY_FRAMED,
    ENCODING_LZ4,
    ENCODINGS,
    ENCODING_UNKNOWN = ENCODINGS
};

/* Every encoding that is there, as a mask of 1 << encoding. */
#define ENCODINGS_ALL ((1u << ENCODINGS) - 1)

/* Of a header's or the config's value, whatever its case. */
enum content_encoding encoding_named(sl_bytes name);
/* Of a known encoding, but for the plain one. */
enum pack_format encoding_format(enum content_encoding);
/* "gzip, zstd" of a mask, for texts; an empty one is "none". */
void encodings_list(uint32_t mask, char *to, size_t room);

#endif
