/* Reads gzip, on zlib: a reader inflates into memory that the caller hands out and stops at a limit,
 * whatever the input claims. It keeps its working memory (about 45 KiB) from one message to the
 * next. One thread at a time for each reader. Writing is in pack.h. */
#ifndef SLUICE_FORMATS_COMPRESS_GZIP_H
#define SLUICE_FORMATS_COMPRESS_GZIP_H
#include <sluice/plugin.h>

struct gzip_reader;

/* Where inflated bytes go. `grow` is called when the memory is full and more is to come: it makes
 * room for at least `capacity` bytes in all (more is welcome), keeps what is written, and sets both
 * outputs; any status but SL_OK ends the message with that status. The first call has nothing to
 * keep. `capacity` never exceeds `limit` given to begin, so a growable buffer may double safely up
 * to it. */
struct gzip_target {
    void *ctx;
    int32_t (*grow)(void *ctx, size_t capacity, uint8_t **at, size_t *got);
};

struct gzip_reader *gzip_reader_create(void); /* NULL: no memory */
void gzip_reader_destroy(struct gzip_reader *);

/* A new message of at most `limit` bytes when inflated. `expected` is what the output probably
 * takes (see gzip_expected); the first `grow` asks for it, within the limit. Forgets a message that
 * was not ended. */
void gzip_reader_begin(struct gzip_reader *, const struct gzip_target *, size_t expected,
                       size_t limit);
/* SL_ERR_INVALID: not gzip, damaged, or bytes after the end. SL_ERR_TOO_LARGE: above the limit.
 * Else what `grow` said. After an error only begin and destroy are legal. Several members, one
 * after another, are one message. */
int32_t gzip_reader_feed(struct gzip_reader *, const void *at, size_t n, sl_error *);
/* The message is over; SL_ERR_INVALID when it lacks its end. No input at all is an error too. */
int32_t gzip_reader_end(struct gzip_reader *, size_t *inflated, sl_error *);

/* The whole message at once. */
int32_t gzip_inflate(struct gzip_reader *, const struct gzip_target *, sl_bytes in, size_t limit,
                     size_t *inflated, sl_error *);

/* The length that a message of `n` bytes with these last four says it has, where that can be true;
 * else a guess. Never a promise: to be used as the first size of a buffer only. */
size_t gzip_expected(uint64_t n, const uint8_t last[4]);

#endif
