/* Reading a journal's files. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/inspect_internal.h"
#include "pipeline/journal/segment.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inspection {
    const struct journal_io *io;
    int directory, quarantine; /* -1: there is none */
    struct inspect_list files;
    struct inspect_segment *segments; /* those, by id */
    uint32_t n;
    bool no_memory;
    struct inspect_totals totals;
    struct inspect_ends ends;
    struct scan scan; /* here for its size */
};

/* ---- files ---- */

static int open_segment(const struct inspection *s, const struct inspect_segment *segment)
{
    return s->io->open(s->io->ctx, s->directory, segment->name, JOURNAL_OPEN_READ);
}

static uint64_t size_of(const struct inspection *s, int directory, const char *name)
{
    uint64_t size = 0;
    const int fd = s->io->open(s->io->ctx, directory, name, JOURNAL_OPEN_READ);
    if (fd < 0)
        return 0;
    if (s->io->size(s->io->ctx, fd, &size))
        size = 0;
    (void)s->io->close(s->io->ctx, fd);
    return size;
}

static int add_file(void *ctx, const char *name)
{
    struct inspection *s = ctx;
    struct inspect_segment segment = {.is_readable = false};
    if (format_is_spare(name, &segment.head.id)) {
        s->totals.spares++;
        s->totals.disk_bytes += size_of(s, s->directory, name);
    }
    if (!format_is_segment(name, &segment.head.id))
        return 0;
    (void)snprintf(segment.name, sizeof segment.name, "%s", name);
    segment.size = size_of(s, s->directory, name);
    s->totals.segments++;
    s->totals.disk_bytes += segment.size;
    s->no_memory |= !inspect_list_add(&s->files, &segment, sizeof segment);
    return s->no_memory;
}

static int add_quarantined(void *ctx, const char *name)
{
    struct inspection *s = ctx;
    s->totals.quarantined_files++;
    s->totals.quarantined_bytes += size_of(s, s->quarantine, name);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct inspect_segment *x = a, *y = b;
    return (x->head.id > y->head.id) - (x->head.id < y->head.id);
}

static int32_t read_head(const struct inspection *s, struct inspect_segment *segment)
{
    const int fd = open_segment(s, segment);
    const uint64_t id = segment->head.id;
    int failed;
    if (fd < 0)
        return SL_ERR_IO;
    struct segment_head head;
    const int32_t status = segment_read_head(s->io, fd, &head, &failed);
    /* another id: of an earlier use of the file */
    segment->is_readable = status == SL_OK && head.id == id;
    if (segment->is_readable)
        segment->head = head;
    (void)s->io->close(s->io->ctx, fd);
    return status;
}

/* What the next segment tells of this one: where it ends, and if need be with what its checksums
 * begin. */
static void tell_end(struct inspect_segment *segment, const struct inspect_segment *next)
{
    segment->end = segment->size;
    if (!next || !next->is_readable || next->head.previous_id != segment->head.id)
        return;
    if (!segment->is_readable) {
        segment->head.salt = next->head.previous_salt;
        segment->is_readable = segment->size > FORMAT_RECORDS_AT;
    }
    if (segment->head.salt == next->head.previous_salt &&
        next->head.previous_end <= segment->size) {
        segment->end = next->head.previous_end;
        segment->is_sealed = true;
    }
}

/* ---- records ---- */

static void damage(const struct inspect_visitor *v, const struct inspect_segment *segment,
                   uint64_t at, uint64_t end, const char *what)
{
    if (v->damage)
        v->damage(v->ctx, segment, at, end - at, what);
}

static bool is_sound(const struct inspection *s, int fd, const struct inspect_record *r)
{
    return segment_check_body(s->io, fd, r->at + FORMAT_RECORD_BYTES, r->head.bytes,
                              r->head.body_crc) == 1;
}

static void walk_segment(struct inspection *s, struct inspect_segment *segment,
                         const struct inspect_visitor *v)
{
    const int fd = segment->is_readable ? open_segment(s, segment) : -1;
    if (fd < 0) {
        damage(v, segment, 0, segment->size, "its head cannot be read");
        return;
    }
    struct scan *scan = &s->scan;
    *scan = (struct scan){.io = s->io,
                          .fd = fd,
                          .seed = format_seed(segment->head.id, segment->head.salt),
                          .end_known = segment->is_sealed,
                          .at = FORMAT_RECORDS_AT,
                          .end = segment->end};
    struct inspect_record r = {.segment = segment};
    int found;
    while ((found = scan_next(scan, &r.head, &r.at)) > 0) {
        if (found == SCAN_GAP) {
            damage(v, segment, r.at, scan->at, "no record's header");
        } else if (!segment->is_sealed && !is_sound(s, fd, &r)) {
            if (!scan_has_more(scan)) { /* torn off by a crash, or just being written */
                scan->at = r.at;
                break;
            }
            damage(v, segment, r.at, scan->at, "a body's checksum is wrong");
        } else if (v->record) {
            v->record(v->ctx, &r);
        }
    }
    if (found < 0)
        damage(v, segment, scan->at, segment->end, "it cannot be read");
    else if (!segment->is_sealed)
        segment->end = scan->at;
    (void)s->io->close(s->io->ctx, fd);
}

void inspect_walk(struct inspection *s, const struct inspect_visitor *v)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (i && s->segments[i].is_readable && s->segments[i].head.previous_id &&
            s->segments[i].head.previous_id != s->segments[i - 1].head.id)
            damage(v, &s->segments[i], 0, 0, "the segment before it is missing");
    for (uint32_t i = 0; i < s->n; i++)
        walk_segment(s, &s->segments[i], v);
}

int32_t inspect_body(struct inspection *s, const struct inspect_record *r, uint8_t **body)
{
    const uint32_t n = r->head.bytes;
    *body = malloc(n ? n : 1);
    if (!*body)
        return SL_ERR_NOMEM;
    const int fd = open_segment(s, r->segment);
    const bool good =
        fd >= 0 && journal_read(s->io, fd, *body, n, r->at + FORMAT_RECORD_BYTES) == (ssize_t)n &&
        crc32c(0, *body, n) == r->head.body_crc;
    if (fd >= 0)
        (void)s->io->close(s->io->ctx, fd);
    if (good)
        return SL_OK;
    free(*body);
    *body = NULL;
    return SL_ERR_INVALID;
}

/* ---- what has become of them ---- */

static void add_end(void *ctx, const struct inspect_record *r)
{
    struct inspection *s = ctx;
    uint8_t *body;
    if (r->head.type != RECORD_COPY && r->head.type != RECORD_SETTLED &&
        r->head.type != RECORD_PARTS)
        return;
    const int32_t status = inspect_body(s, r, &body);
    s->no_memory |= status == SL_ERR_NOMEM;
    if (status != SL_OK)
        return;
    if (r->head.type == RECORD_COPY)
        ends_add_copy(&s->ends, r);
    else if (r->head.type == RECORD_SETTLED)
        ends_add_settled(&s->ends, body, r->head.bytes);
    else
        ends_add_part(&s->ends, r->head.seq, body, r->head.bytes);
    free(body);
}

bool inspect_is_unsettled(const struct inspection *s, const struct inspect_record *r)
{
    return (r->head.type == RECORD_DATA || r->head.type == RECORD_COPY) &&
           !ends_is_settled(&s->ends, r->head.seq) && !ends_is_replaced(&s->ends, r);
}

uint32_t inspect_open_items(const struct inspection *s, const struct inspect_record *r,
                            const uint8_t *body, uint64_t *mask)
{
    const uint32_t items = r->head.items;
    uint32_t open = 0;
    memset(mask, 0, ((size_t)items + 63) / 64 * sizeof *mask);
    for (uint32_t k = 0; k < items; k++)
        if (!r->head.prefix || (k / 8 < r->head.prefix && body[k / 8] >> (k % 8) & 1))
            mask[k / 64] |= UINT64_C(1) << (k % 64);
    ends_clear(&s->ends, r->head.seq, items, mask);
    for (uint32_t k = 0; k < items; k++)
        open += mask[k / 64] >> (k % 64) & 1;
    return open;
}

/* How many items are open; a copy's mask is in its body. */
static uint32_t count_open(struct inspection *s, const struct inspect_record *r)
{
    uint8_t *body = NULL;
    uint64_t *mask = malloc(((size_t)r->head.items + 63) / 64 * sizeof *mask + 1);
    uint32_t open = r->head.items;
    if (mask && (!r->head.prefix || inspect_body(s, r, &body) == SL_OK))
        open = inspect_open_items(s, r, body, mask);
    free(body);
    free(mask);
    return open;
}

static void add_total(void *ctx, const struct inspect_record *r)
{
    struct inspection *s = ctx;
    struct inspect_totals *t = &s->totals;
    t->notes += r->head.type == RECORD_NOTE;
    const uint32_t open = inspect_is_unsettled(s, r) ? count_open(s, r) : 0;
    if (!open)
        return;
    t->records++;
    t->items += open;
    t->bytes += r->head.bytes - r->head.prefix;
    if (!t->oldest_ns || r->head.arrived_ns < t->oldest_ns)
        t->oldest_ns = r->head.arrived_ns;
}

void inspect_totals(struct inspection *s, struct inspect_totals *t)
{
    const struct inspect_visitor count = {.ctx = s, .record = add_total};
    s->totals.records = s->totals.items = s->totals.bytes = s->totals.notes = 0;
    s->totals.oldest_ns = 0;
    inspect_walk(s, &count);
    *t = s->totals;
}

const struct inspect_segment *inspect_segments(const struct inspection *s, uint32_t *n)
{
    *n = s->n;
    return s->segments;
}

/* ---- opening ---- */

static int32_t read_segments(struct inspection *s, const char *directory, sl_error *error)
{
    s->segments = s->files.at;
    s->n = (uint32_t)s->files.n;
    if (s->n)
        qsort(s->segments, s->n, sizeof *s->segments, by_id);
    for (uint32_t i = 0; i < s->n; i++) {
        struct inspect_segment *segment = &s->segments[i];
        if (read_head(s, segment) == SL_ERR_UNSUPPORTED)
            return sl_fail(error, SL_ERR_UNSUPPORTED,
                           "%s/%s: of a newer version than this program knows (%d)", directory,
                           segment->name, FORMAT_VERSION);
        if (segment->is_readable)
            (void)snprintf(s->totals.stream, sizeof s->totals.stream, "%s", segment->head.stream);
    }
    for (uint32_t i = 0; i < s->n; i++)
        tell_end(&s->segments[i], i + 1 < s->n ? &s->segments[i + 1] : NULL);
    return SL_OK;
}

static int32_t open_files(struct inspection *s, const char *directory, sl_error *error)
{
    const struct inspect_visitor ends = {.ctx = s, .record = add_end};
    s->directory = s->io->open_directory(s->io->ctx, JOURNAL_IO_CWD, directory);
    if (s->directory < 0)
        return sl_fail(error, s->directory == -ENOENT ? SL_ERR_NOT_FOUND : SL_ERR_IO, "%s: %s",
                       directory, strerror(-s->directory));
    int result = s->io->list(s->io->ctx, s->directory, add_file, s);
    s->quarantine = s->io->open_directory(s->io->ctx, s->directory, "quarantine");
    if (result == 0 && s->quarantine >= 0)
        result = s->io->list(s->io->ctx, s->quarantine, add_quarantined, s);
    if (result < 0)
        return sl_fail(error, SL_ERR_IO, "%s: cannot be listed: %s", directory, strerror(-result));
    if (!s->files.n && !s->totals.spares && !s->no_memory)
        return sl_fail(error, SL_ERR_NOT_FOUND, "%s: no journal is there", directory);
    const int32_t status = read_segments(s, directory, error);
    if (status != SL_OK)
        return status;
    inspect_walk(s, &ends);
    ends_sort(&s->ends);
    return s->no_memory || s->ends.no_memory ? sl_fail(error, SL_ERR_NOMEM, "no memory") : SL_OK;
}

int32_t inspect_open(const struct journal_io *io, const char *directory, struct inspection **out,
                     sl_error *error)
{
    struct inspection *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    s->io = io;
    s->directory = s->quarantine = -1;
    const int32_t status = open_files(s, directory, error);
    if (status != SL_OK) {
        inspect_close(s);
        return status;
    }
    *out = s;
    return SL_OK;
}

void inspect_close(struct inspection *s)
{
    if (s->directory >= 0)
        (void)s->io->close(s->io->ctx, s->directory);
    if (s->quarantine >= 0)
        (void)s->io->close(s->io->ctx, s->quarantine);
    ends_free(&s->ends);
    free(s->files.at);
    free(s);
}

static int is_of_journal(void *arg, const char *name)
{
    uint64_t id;
    (void)arg;
    return format_is_segment(name, &id) || format_is_spare(name, &id);
}

bool inspect_is_journal(const struct journal_io *io, const char *directory)
{
    const int fd = io->open_directory(io->ctx, JOURNAL_IO_CWD, directory);
    if (fd < 0)
        return false;
    const bool is = io->list(io->ctx, fd, is_of_journal, NULL) == 1;
    (void)io->close(io->ctx, fd);
    return is;
}
