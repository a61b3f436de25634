/* The formats of compressed messages. */
#ifndef SLUICE_FORMATS_COMPRESS_FORMAT_H
#define SLUICE_FORMATS_COMPRESS_FORMAT_H

enum pack_format {
    PACK_GZIP,
    PACK_ZLIB, /* what HTTP calls "deflate" (RFC 9110, 8.4.1.2) */
    PACK_ZSTD
};

#endif
