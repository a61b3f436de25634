/* Finds the end of the last whole record of a file that is written to again. What follows it is a
 * record that a crash has cut off, provided that it begins as a record does: what does not is not
 * ours to cut. Any thread. */
#include "exporters/file/file.h"

#include <errno.h>
#include <unistd.h>

enum { BLOCK = 65536 };

static const uint8_t zstd_magic[4] = {0x28, 0xb5, 0x2f, 0xfd};

static int32_t read_at(int fd, uint8_t *at, size_t n, uint64_t offset, sl_error *error)
{
    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(fd, at + done, n - done, (off_t)(offset + done));
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            return sl_fail(error, SL_ERR_IO, "cannot read it: %s",
                           got ? strerror(errno) : "it has become shorter");
    }
    return SL_OK;
}

static int32_t not_ours(uint64_t at, const char *what, sl_error *error)
{
    return sl_fail(error, SL_ERR_INVALID,
                   "what stands at byte %llu is not %s; this exporter cannot write behind it: "
                   "move the file away, or use another path",
                   (unsigned long long)at, what);
}

/* After the power went, a file may have got its size but not its data. */
static bool is_zero(const uint8_t *at, size_t n)
{
    return n == 0 || (at[0] == 0 && memcmp(at, at + 1, n - 1) == 0);
}

static int32_t end_of_lines(int fd, uint64_t size, uint64_t *end, sl_error *error)
{
    uint8_t block[BLOCK];
    const uint8_t *newline = NULL;
    uint64_t from = size;
    while (from > 0 && !newline) {
        const size_t n = from < BLOCK ? (size_t)from : BLOCK;
        from -= n;
        const int32_t status = read_at(fd, block, n, from, error);
        if (status != SL_OK)
            return status;
        newline = memrchr(block, '\n', n);
    }
    *end = newline ? from + (uint64_t)(newline - block) + 1 : 0;
    if (*end == size)
        return SL_OK;
    const size_t n = size - *end < BLOCK ? (size_t)(size - *end) : BLOCK;
    const int32_t status = read_at(fd, block, n, *end, error);
    if (status == SL_OK && block[0] != '{' && !is_zero(block, n))
        return not_ours(*end, "JSON", error);
    return status;
}

static int32_t end_of_frames(int fd, uint64_t size, bool zstd, uint64_t *end, sl_error *error)
{
    enum { HEAD = 4, SHOWN = 4, AHEAD = 4096 };
    uint8_t block[AHEAD];
    uint64_t from = 0, at = 0;
    size_t n = 0; /* block has the n bytes from `from` on */
    while (at < size) {
        const size_t want = size - at < HEAD + SHOWN ? (size_t)(size - at) : HEAD + SHOWN;
        if (at - from + want > n) {
            from = at;
            n = size - at < AHEAD ? (size_t)(size - at) : AHEAD;
            const int32_t status = read_at(fd, block, n, from, error);
            if (status != SL_OK)
                return status;
        }
        const uint8_t *p = block + (at - from);
        const size_t shown = want > HEAD ? want - HEAD : 0;
        const uint64_t length =
            want < HEAD ? 0
                        : (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
        if (want < HEAD || is_zero(p, want))
            break;
        const size_t known = length < shown ? (size_t)length : shown;
        if (length == 0 ||
            (zstd ? memcmp(p + HEAD, zstd_magic, known) != 0 : known > 0 && p[HEAD] != 0x0a))
            return not_ours(
                at, zstd ? "a zstd frame behind its length" : "an OTLP request behind its length",
                error);
        if (length > size - at - HEAD)
            break;
        at += HEAD + length;
    }
    *end = at;
    return SL_OK;
}

int32_t recover_end(int fd, uint64_t size, bool framed, bool zstd, uint64_t *end, sl_error *error)
{
    return framed ? end_of_frames(fd, size, zstd, end, error) : end_of_lines(fd, size, end, error);
}
