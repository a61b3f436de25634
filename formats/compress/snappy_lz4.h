/* Snappy and lz4, in a plugin of their own: few ask for them, and Snappy brings the runtime of C++
 * along. Reading and writing them goes through pack.h and unpack.h, which are given this table. */
#ifndef SLUICE_FORMATS_COMPRESS_SNAPPY_LZ4_H
#define SLUICE_FORMATS_COMPRESS_SNAPPY_LZ4_H
#include "formats/compress/output.h"
#include "formats/compress/pack.h"

#define SNAPPY_LZ4_PLUGIN "snappy_lz4" /* its file */
#define SNAPPY_LZ4 "sluice.snappy_lz4/1"

struct snappy_lz4 {
    uint32_t size;
    uint32_t reserved;
    /* [any] As packer_pack, of a message in one piece. */
    int32_t (*pack)(enum pack_format, sl_bytes, size_t limit, struct pack_buffer *);
    /* [any] As unpack; what has come out is in `output`. */
    int32_t (*unpack)(enum pack_format, sl_bytes, struct output *, sl_error *);
};

/* Of one format each, for the table. */
int32_t snappy_pack_block(sl_bytes, size_t limit, struct pack_buffer *);
int32_t snappy_pack_framed(sl_bytes, size_t limit, struct pack_buffer *);
int32_t snappy_unpack_block(sl_bytes, struct output *, sl_error *);
int32_t snappy_unpack_framed(sl_bytes, struct output *, sl_error *);
bool snappy_is_framed(sl_bytes);
int32_t lz4_pack(sl_bytes, size_t limit, struct pack_buffer *);
int32_t lz4_unpack(sl_bytes, struct output *, sl_error *);

#endif
