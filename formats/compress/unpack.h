/* Reads whole compressed messages - gzip, zlib, zstd, Snappy and lz4 - into memory that the caller hands out, and
 * stops at a limit, whatever the input claims. An unpacker keeps its working memory from one message
 * to the next: about 12 KiB, and for zstd about 160 KiB more, and the window that frames ask for
 * which do not tell their size, up to 8 MiB. One thread at a time for each unpacker. Writing is in
 * pack.h. */
#ifndef SLUICE_FORMATS_COMPRESS_UNPACK_H
#define SLUICE_FORMATS_COMPRESS_UNPACK_H
#include "formats/byte_target.h"
#include "formats/compress/format.h"
#include <sluice/plugin.h>

struct unpacker;
struct unpacker *unpacker_create(void); /* NULL: no memory */
void unpacker_destroy(struct unpacker *);

struct snappy_lz4;
/* From here on it reads their formats, too. */
void unpacker_use(struct unpacker *, const struct snappy_lz4 *);

/* Unpacks a message to `size` bytes, at most `limit`. Several gzip members, or zstd or lz4 frames, one
 * after another are one message. The first `grow` asks for what the message says it takes, where
 * that can be true, so that memory is taken once; none asks for more than `limit`. Without output
 * there is none.
 *
 * SL_ERR_INVALID: not of that format, damaged, cut short, or bytes after the end; no input at all is
 * an error too. SL_ERR_TOO_LARGE: above the limit, also where it is damage that makes it so, or a
 * zstd window above 32 MiB. SL_ERR_UNSUPPORTED: of a format that is not loaded. Else what `grow`
 * said. `error` may be NULL. */
int32_t unpack(struct unpacker *, enum pack_format, sl_bytes packed, const struct byte_target *,
               size_t limit, size_t *size, sl_error *error);

#endif
