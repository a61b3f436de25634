/* Writes records to a file, whole or not at all: what was written of a record that fails is taken
 * back. [blocking], under the exporter's mutex. */
#include "exporters/file/file.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { SEGMENTS_AT_ONCE = 256, POLL_MS = 100 };

static int32_t failed(struct output *o, int32_t status, const char *text)
{
    return sl_fail(o->error, status, "writing \"%.300s\": %s", o->place.path, text);
}

/* Nobody reads the pipe just now. */
static int32_t wait_writable(struct output *o)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};
    while (poll(&p, 1, POLL_MS) <= 0) {
        if (atomic_load(&o->exporter->stopping))
            return failed(o, SL_ERR_SHUTDOWN, "the exporter has been stopped");
        if (o->deadline_ns && sl_now(sl_host_of(o->exporter)) >= o->deadline_ns)
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
        const ssize_t wrote = o->exporter->calls->writev(o->fd, v, (int)(end - v));
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

static uint64_t most_bytes(const struct exporter *e)
{
    const uint64_t mib = e->rotation.max_megabytes ? e->rotation.max_megabytes : 100;
    return mib << 20;
}

/* Would `n` more bytes of the record exceed what a file may have? One that holds nothing else may
 * have any size. */
static bool is_full(const struct output *o, uint64_t n)
{
    uint64_t after;
    return o->exporter->rotating && o->regular && !o->stream && o->size > 0 &&
           (__builtin_add_overflow(o->size + o->written, n, &after) ||
            after > most_bytes(o->exporter));
}

int32_t output_write(struct output *o, const void *at, size_t n)
{
    if (is_full(o, n)) {
        if (o->written > 0)
            return SL_ERR_FULL;
        const int32_t status = output_rotate(o, o->error);
        if (status != SL_OK)
            return status;
    }
    struct iovec v = {(void *)(uintptr_t)at, n};
    return write_vector(o, &v, 1);
}

int32_t output_write_segments(struct output *o, sl_bytes head, const sl_bytes *segments, size_t n)
{
    int32_t status = SL_OK;
    for (size_t i = 0; i < n && status == SL_OK;) {
        struct iovec v[SEGMENTS_AT_ONCE + 1];
        int used = 0;
        if (i == 0)
            v[used++] = (struct iovec){(void *)(uintptr_t)head.p, head.n};
        while (i < n && used < SEGMENTS_AT_ONCE) {
            v[used++] = (struct iovec){(void *)(uintptr_t)segments[i].p, segments[i].n};
            i++;
        }
        status = write_vector(o, v, used);
    }
    return status;
}

/* O_APPEND: what was written stands at the end. */
static bool shorten(struct output *o, uint64_t n)
{
    struct stat st;
    return o->regular && fstat(o->fd, &st) == 0 && (uint64_t)st.st_size >= n &&
           o->exporter->calls->ftruncate(o->fd, st.st_size - (off_t)n) == 0;
}

int32_t output_begin(struct output *o, uint64_t n, int64_t deadline_ns, sl_error *error)
{
    o->written = 0;
    o->deadline_ns = deadline_ns;
    o->error = error;
    const int32_t status = output_ready(o, error);
    if (status != SL_OK)
        return status;
    if (o->torn && !shorten(o, o->torn))
        return failed(o, SL_ERR_IO,
                      "it ends within a record that could not be completed, and "
                      "cannot be shortened");
    o->torn = 0;
    return is_full(o, n) ? output_rotate(o, error) : SL_OK;
}

int32_t output_end(struct output *o)
{
    const struct exporter *e = o->exporter;
    o->dirty = true;
    if (e->fsync == FSYNC_ALWAYS) {
        const int32_t status = output_sync(o, o->error);
        if (status != SL_OK)
            return status;
    }
    o->size += o->written;
    if (e->syncer)
        syncer_note(e->syncer);
    return SL_OK;
}

void output_undo(struct output *o)
{
    if (o->written == 0 || o->fd < 0 || shorten(o, o->written))
        return;
    o->torn = o->written;
    sl_log(sl_host_of(o->exporter), SL_LOG_ERROR, "\"%s\" ends with a part of a record",
           o->place.path);
}
