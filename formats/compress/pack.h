/* Compresses whole messages, given as lists of segments, as gzip, zlib, zstd, Snappy or lz4. A packer keeps its
 * working memory from one message to the next: gzip and zlib 200 KiB at the fastest level, more at
 * others, and 260 KiB more once a message came in parts; zstd from 1 MiB upwards by its level; and up
 * to 1 MiB for the segments in one piece. One thread at a time for each packer. Reading is in
 * unpack.h. */
#ifndef SLUICE_FORMATS_COMPRESS_PACK_H
#define SLUICE_FORMATS_COMPRESS_PACK_H
#include "formats/compress/format.h"
#include <sluice/plugin.h>

/* The fastest level of each format that compresses well. For OTLP, gzip's takes half the time of
 * its usual one, for about an eighth more bytes. */
enum { PACK_FASTEST = 1 };

/* Grows as needed and is reused: packing begins at `at` again. */
struct pack_buffer {
    uint8_t *at; /* malloc */
    size_t n, capacity;
};
void pack_buffer_deinit(struct pack_buffer *); /* a zeroed one needs no init */
int32_t pack_buffer_reserve(struct pack_buffer *, size_t capacity);

struct packer;
/* NULL: no memory, or no such level. gzip and zlib have -2 (Huffman codes only), -1 (zlib's usual
 * one, 6) and 0 (stored) to 9 (small). zstd takes any number and brings it into its own range, up
 * to 19: above, its window would exceed the 8 MiB that receivers must offer (RFC 9659). */
struct packer *packer_create(enum pack_format, int level);
/* For PACK_SNAPPY, PACK_SNAPPY_FRAMED and PACK_LZ4, which have no levels. NULL: no memory. */
struct snappy_lz4;
struct packer *packer_create_with(const struct snappy_lz4 *, enum pack_format);
void packer_destroy(struct packer *);
/* zstd: from the next message on, each ends with a checksum, as gzip's and zlib's do anyway. */
void packer_add_checksum(struct packer *);

/* Replaces the buffer's content by the compressed segments. SL_ERR_NOMEM; SL_ERR_TOO_LARGE when the
 * result would exceed `limit` bytes, and perhaps when it has nearly as many. */
int32_t packer_pack(struct packer *, const sl_bytes *segments, uint32_t n_segments, size_t limit,
                    struct pack_buffer *);

/* The same in parts, for a text that is never there as a whole; gzip and zlib take twice the time.
 * The buffer and the packer belong together from begin to end; after a failure only begin and
 * destroy are legal. */
int32_t packer_begin(struct packer *, size_t limit, struct pack_buffer *);
int32_t packer_feed(struct packer *, const void *at, size_t n);
int32_t packer_end(struct packer *);

#endif
