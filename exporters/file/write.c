/* Writes records to the file exporter's file, whole or not at all: what was written of a record
 * that fails is taken back. [blocking], under the output's mutex. */
#include "exporters/file/file.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SEGMENTS_AT_ONCE = 256, POLL_MS = 100 };

static int32_t failed(struct output *o, int32_t status, const char *text)
{
    return sl_fail(o->error, status, "writing \"%.300s\": %s", o->path, text);
}

/* Nobody reads the pipe just now. */
static int32_t wait_writable(struct output *o)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};
    while (poll(&p, 1, POLL_MS) <= 0) {
        if (atomic_load(&o->stopping))
            return failed(o, SL_ERR_SHUTDOWN, "the exporter has been stopped");
        if (o->deadline_ns && sl_now(o->host) >= o->deadline_ns)
            return failed(o, SL_ERR_TIMEOUT, "nobody reads it");
    }
    return SL_OK;
}

/* Advances the vector by what was written. */
static struct iovec *skip(struct iovec *v, const struct iovec *end, size_t n)
{
    while (v < end && n >= v->iov_len) {
        n -= v->iov_len;
        v++;
    }
    if (v < end) {
        v->iov_base = (uint8_t *)v->iov_base + n;
        v->iov_len -= n;
    }
    return v;
}

static int32_t write_vector(struct output *o, struct iovec *v, int n)
{
    const struct iovec *end = v + n;
    for (v = skip(v, end, 0); v < end;) {
        const ssize_t wrote = writev(o->fd, v, (int)(end - v));
        if (wrote >= 0) {
            o->written += (uint64_t)wrote;
            v = skip(v, end, (size_t)wrote);
        } else if (errno == EAGAIN) {
            const int32_t status = wait_writable(o);
            if (status != SL_OK)
                return status;
        } else if (errno != EINTR) {
            return failed(o, SL_ERR_IO, strerror(errno));
        }
    }
    return SL_OK;
}

int32_t output_write(struct output *o, const void *at, size_t n)
{
    struct iovec v = {(void *)(uintptr_t)at, n};
    return write_vector(o, &v, 1);
}

int32_t output_write_segments(struct output *o, const sl_bytes *segments, uint32_t n)
{
    int32_t status = SL_OK;
    for (uint32_t i = 0; i < n && status == SL_OK;) {
        struct iovec v[SEGMENTS_AT_ONCE];
        int used = 0;
        while (i < n && used < SEGMENTS_AT_ONCE) {
            v[used++] = (struct iovec){(void *)(uintptr_t)segments[i].p, segments[i].n};
            i++;
        }
        status = write_vector(o, v, used);
    }
    return status;
}

int32_t output_begin(struct output *o, int64_t deadline_ns, sl_error *error)
{
    o->written = 0;
    o->deadline_ns = deadline_ns;
    o->error = error;
    if (o->cut_off)
        return failed(o, SL_ERR_IO,
                      "it ends within a record that could not be completed, and "
                      "cannot be shortened");
    return SL_OK;
}

void output_undo(struct output *o)
{
    struct stat st;
    if (o->written == 0)
        return;
    /* O_APPEND: what was written stands at the end */
    if (o->regular && fstat(o->fd, &st) == 0 && (uint64_t)st.st_size >= o->written &&
        ftruncate(o->fd, st.st_size - (off_t)o->written) == 0)
        return;
    o->cut_off = true;
    sl_log(o->host, SL_LOG_ERROR, "\"%s\" ends with a part of a record", o->path);
}
