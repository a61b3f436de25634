#include "pipeline/journal/segment.h"
#include "pipeline/journal/crc32c.h"

#include <errno.h>
#include <sluice/plugin.h>
#include <string.h>

int segment_write_head(const struct journal_io *io, int fd, const struct segment_head *head)
{
    uint8_t bytes[FORMAT_RECORDS_AT] = {0};
    format_encode_head(head, bytes);
    memcpy(bytes + FORMAT_HEAD_COPY_AT, bytes, FORMAT_HEAD_BYTES);
    struct iovec all = {bytes, sizeof bytes};
    return journal_write_all(io, fd, &all, 1, 0);
}

int32_t segment_read_head(const struct journal_io *io, int fd, struct segment_head *head,
                          int *failed)
{
    static const uint64_t places[] = {0, FORMAT_HEAD_COPY_AT};
    uint8_t bytes[FORMAT_HEAD_BYTES];
    int32_t status = SL_ERR_INVALID;
    *failed = 0;
    for (size_t i = 0; i < 2; i++) {
        const ssize_t got = journal_read(io, fd, bytes, sizeof bytes, places[i]);
        if (got < 0) {
            *failed = (int)-got;
            continue;
        }
        if ((size_t)got < sizeof bytes)
            continue;
        const int32_t found = format_decode_head(bytes, head);
        if (found == SL_OK)
            return SL_OK;
        if (found == SL_ERR_UNSUPPORTED)
            status = found;
    }
    return status == SL_ERR_INVALID && *failed ? SL_ERR_IO : status;
}

/* The n bytes at `at`, n at most 4096, which are before `end`; NULL: *result is 0, as the file is
 * shorter, or a negative errno. */
static const uint8_t *bytes_at(struct scan *s, uint64_t at, size_t n, int *result)
{
    const uint64_t buffer_end = s->buffer_at + s->buffered;
    if (at >= s->buffer_at && at + n <= buffer_end)
        return s->buffer + (at - s->buffer_at);
    /* who goes on where the buffer ends reads on; who hops over a large body reads one header */
    const bool goes_on = at >= s->buffer_at && at <= buffer_end;
    const uint64_t left = s->end - at;
    const size_t most = goes_on ? sizeof s->buffer : 4096;
    const ssize_t got =
        journal_read(s->io, s->fd, s->buffer, left < most ? (size_t)left : most, at);
    s->buffer_at = at;
    s->buffered = got > 0 ? (size_t)got : 0;
    *result = got < 0 ? (int)got : 0;
    return s->buffered >= n ? s->buffer : NULL;
}

/* 1: there is a record at `at`; 0: there is none; or a negative errno. */
static int record_at(struct scan *s, uint64_t at, struct record_head *head)
{
    int result = 0;
    if (at > s->end || s->end - at < FORMAT_RECORD_BYTES)
        return 0;
    const uint8_t *bytes = bytes_at(s, at, FORMAT_RECORD_BYTES, &result);
    return bytes ? format_decode_record(bytes, s->seed, s->end - at, head) : result;
}

/* The place of the next record from `at` on, or `end`. */
static int find_record(struct scan *s, uint64_t at, uint64_t *found)
{
    struct record_head head;
    for (; at < s->end && s->end - at >= FORMAT_RECORD_BYTES; at += 8) {
        const int is = record_at(s, at, &head);
        if (is < 0)
            return is;
        if (is) {
            *found = at;
            return 0;
        }
    }
    *found = s->end;
    return 0;
}

int scan_next(struct scan *s, struct record_head *head, uint64_t *from)
{
    *from = s->at;
    const int is = record_at(s, s->at, head);
    if (is < 0)
        return is;
    if (is) {
        s->at += format_room(head->bytes);
        return SCAN_RECORD;
    }
    if (s->at >= s->end)
        return SCAN_END;
    uint64_t found;
    const int failed = find_record(s, s->at + 8, &found);
    if (failed < 0)
        return failed;
    if (found == s->end && !s->end_known)
        return SCAN_END;
    s->at = found;
    return SCAN_GAP;
}

int scan_has_more(struct scan *s)
{
    uint64_t found;
    const int failed = find_record(s, s->at, &found);
    return failed < 0 ? failed : found < s->end;
}

int segment_check_body(const struct journal_io *io, int fd, uint64_t at, uint32_t bytes,
                       uint32_t crc)
{
    uint8_t buffer[16384];
    uint32_t sum = 0;
    for (uint32_t done = 0; done < bytes;) {
        const uint32_t left = bytes - done;
        const size_t n = left < sizeof buffer ? left : sizeof buffer;
        const ssize_t got = journal_read(io, fd, buffer, n, at + done);
        if (got < 0)
            return (int)got;
        if ((size_t)got < n)
            return 0;
        sum = crc32c(sum, buffer, n);
        done += (uint32_t)n;
    }
    return sum == crc;
}
