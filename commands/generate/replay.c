/* Reads recorded requests and finds out what they carry, from the shape of their first record. Runs
 * on the calling thread. */
#include "commands/generate/replay.h"

#include "formats/otlp/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static enum sl_status
fail(sl_error *error, enum sl_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->code = status;
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return status;
}

enum sl_status replay_open(struct replay *r, const char *path, sl_error *error)
{
    static const uint8_t zstd[4] = {0x28, 0xb5, 0x2f, 0xfd};
    memset(r, 0, sizeof(*r));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        enum sl_status status = fail(error, SL_ERR_IO, "cannot open %s: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    void *at =
        st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    int reason = errno;
    (void)close(fd);
    if (st.st_size <= 0) {
        return fail(error, SL_ERR_INVALID, "%s holds no requests: it is empty or not a file", path);
    }
    if (at == MAP_FAILED) {
        return fail(error, SL_ERR_IO, "cannot read %s: %s", path, strerror(reason));
    }
    r->at = at;
    r->n = (size_t)st.st_size;
    if (r->n >= 4 && memcmp(r->at, zstd, 4) == 0) {
        replay_close(r);
        return fail(error, SL_ERR_INVALID, "%s is compressed: decompress it first (zstd -d %s)",
                    path, path);
    }
    return SL_OK;
}

void replay_close(struct replay *r)
{
    if (r->at) {
        (void)munmap((void *)(uintptr_t)r->at, r->n);
    }
    memset(r, 0, sizeof(*r));
}

/* A record is told by fields that only its kind has with their wire type; 0 if nothing tells. */
static unsigned record_signal(sl_bytes record)
{
    const uint8_t *end = record.p + record.n;
    struct wire_record f;
    for (const uint8_t *p = record.p; p < end;) {
        p = wire_read(p, end, &f);
        if (!p) {
            return 0;
        }
        if (f.type == SL_FIXED64 && (f.number == 7 || f.number == 8)) {
            return SL_TRACES; /* start and end */
        }
        if ((f.type == SL_FIXED64 && (f.number == 1 || f.number == 11)) ||
            (f.type == SL_VARINT && f.number == 2)) {
            return SL_LOGS; /* time, observed time, severity */
        }
        if (f.type == SL_BYTES && (f.number == 7 || f.number == 10)) {
            return f.number == 10 && f.bits == 8
                       ? SL_LOGS
                       : SL_METRICS; /* a span id; or a sum, a histogram */
        }
        if (f.type == SL_VARINT && f.number == 6) {
            return SL_TRACES; /* kind */
        }
    }
    return SL_METRICS; /* gauge, histogram and summary share numbers with other records' fields */
}

/* Points in one metric. */
static bool count_points(sl_bytes metric, uint32_t *items)
{
    const uint8_t *end = metric.p + metric.n;
    struct wire_record f;
    for (const uint8_t *p = metric.p; p < end;) {
        p = wire_read(p, end, &f);
        if (!p) {
            return false;
        }
        bool data =
            f.number == 5 || f.number == 7 || f.number == 9 || f.number == 10 || f.number == 11;
        if (!data || f.type != SL_BYTES) {
            continue;
        }
        const uint8_t *inner_end = f.at + f.bits;
        struct wire_record point;
        for (const uint8_t *q = f.at; q < inner_end;) {
            q = wire_read(q, inner_end, &point);
            if (!q) {
                return false;
            }
            *items += point.number == 1 && point.type == SL_BYTES;
        }
    }
    return true;
}

/* Records of one scope. */
static bool count_records(sl_bytes scope, unsigned *signal, uint32_t *items)
{
    const uint8_t *end = scope.p + scope.n;
    struct wire_record f;
    for (const uint8_t *p = scope.p; p < end;) {
        p = wire_read(p, end, &f);
        if (!p) {
            return false;
        }
        if (f.number != 2 || f.type != SL_BYTES) {
            continue;
        }
        sl_bytes record = sl_slice(f.at, (size_t)f.bits);
        if (!*signal) {
            *signal = record_signal(record);
        }
        if (*signal != SL_METRICS) {
            ++*items;
        } else if (!count_points(record, items)) {
            return false;
        }
    }
    return true;
}

enum sl_status request_inspect(sl_bytes request, enum sl_signal *signal, uint32_t *items)
{
    const uint8_t *end = request.n > 0 ? request.p + request.n : request.p;
    struct wire_record outer;
    struct wire_record f;
    unsigned found = 0;
    *items = 0;
    for (const uint8_t *p = request.p; p < end;) {
        p = wire_read(p, end, &outer);
        if (!p) {
            return SL_ERR_INVALID;
        }
        if (outer.number != 1 || outer.type != SL_BYTES) {
            continue;
        }
        const uint8_t *outer_end = outer.at + outer.bits;
        for (const uint8_t *q = outer.at; q < outer_end;) {
            q = wire_read(q, outer_end, &f);
            if (!q) {
                return SL_ERR_INVALID;
            }
            if (f.number == 2 && f.type == SL_BYTES &&
                !count_records(sl_slice(f.at, (size_t)f.bits), &found, items)) {
                return SL_ERR_INVALID;
            }
        }
    }
    *signal = found ? (enum sl_signal)found : SL_TRACES;
    return SL_OK;
}

enum sl_status replay_run(const struct replay *r, const char *path, replay_sink *sink, void *ctx,
                          sl_error *error)
{
    size_t at = 0;
    uint64_t number = 0;
    while (at < r->n) {
        number++;
        const uint8_t *p = r->at + at;
        if (r->n - at < 4) {
            return fail(error, SL_ERR_INVALID, "%s ends inside the length of request %llu", path,
                        (unsigned long long)number);
        }
        size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (n > r->n - at - 4) {
            return fail(error, SL_ERR_INVALID,
                        "%s: request %llu at byte %zu says it has %zu bytes, and the file ends "
                        "after %zu of them",
                        path, (unsigned long long)number, at, n, r->n - at - 4);
        }
        sl_bytes request = sl_slice(p + 4, n);
        enum sl_signal signal;
        uint32_t items;
        if (request_inspect(request, &signal, &items) != SL_OK) {
            return fail(error, SL_ERR_INVALID,
                        "%s: request %llu at byte %zu is no OTLP export request (is the file OTLP "
                        "protobuf with lengths?)",
                        path, (unsigned long long)number, at);
        }
        enum sl_status status = sink(ctx, signal, request, items);
        if (status != SL_OK) {
            return status;
        }
        at += 4 + n;
    }
    return SL_OK;
}
