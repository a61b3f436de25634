/* The formats of compressed messages. */
#ifndef SLUICE_FORMATS_COMPRESS_FORMAT_H
#define SLUICE_FORMATS_COMPRESS_FORMAT_H

enum pack_format {
    PACK_GZIP,
    PACK_ZLIB, /* what HTTP calls "deflate" (RFC 9110, 8.4.1.2) */
    PACK_ZSTD,
    /* with the plugin of snappy_lz4.h */
    PACK_SNAPPY,        /* a block; what is read may be framed instead */
    PACK_SNAPPY_FRAMED, /* snappy's framing_format.txt */
    PACK_LZ4,           /* lz4's frames */
    PACK_FORMATS
};

#endif
