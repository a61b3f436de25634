/* Which files there are at opening, and what their heads say. */
#include "pipeline/journal/recover.h"

#include <stdlib.h>
#include <string.h>

static bool number_add(struct numbers *numbers, uint64_t id)
{
    if (numbers->n == numbers->room) {
        const size_t room = numbers->room ? 2 * numbers->room : 16;
        uint64_t *all = realloc(numbers->all, room * sizeof *all);
        if (!all)
            return false;
        numbers->all = all;
        numbers->room = room;
    }
    numbers->all[numbers->n++] = id;
    return true;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int32_t recover_fail_io(const struct recovery *r, const char *doing, const char *what, int failed)
{
    return sl_fail(r->error, SL_ERR_IO, "cannot %s \"%.200s/%s\": %s", doing,
                   r->journal->directory_name, what, strerror(-failed));
}

int32_t recover_fail_memory(const struct recovery *r)
{
    return sl_fail(r->error, SL_ERR_NOMEM, "no memory to open \"%.300s\"",
                   r->journal->directory_name);
}

static int visit_name(void *arg, const char *name)
{
    struct recovery *r = arg;
    uint64_t id;
    if (format_is_segment(name, &id))
        r->no_memory |= !number_add(&r->segments, id);
    else if (format_is_spare(name, &id))
        r->no_memory |= !number_add(&r->spares, id);
    else
        return 0;
    if (id >= r->journal->next_segment && id < UINT64_MAX)
        r->journal->next_segment = id + 1;
    return r->no_memory ? 1 : 0;
}

/* ---- heads ---- */

struct found {
    struct segment_head head;
    int32_t status;
    uint64_t bytes;
};

static int32_t read_head(struct recovery *r, uint64_t id, struct found *found)
{
    struct journal *j = r->journal;
    char name[FORMAT_NAME_MAX];
    int failed = 0;
    format_segment_name(id, name);
    const int fd = j->io->open(j->io->ctx, j->directory, name, JOURNAL_OPEN_READ);
    if (fd < 0)
        return recover_fail_io(r, "open", name, fd);
    const int sized = j->io->size(j->io->ctx, fd, &found->bytes);
    found->status = segment_read_head(j->io, fd, &found->head, &failed);
    (void)j->io->close(j->io->ctx, fd);
    if (sized < 0 || found->status == SL_ERR_IO)
        return recover_fail_io(r, "read", name, sized < 0 ? sized : -failed);
    if (found->status == SL_ERR_UNSUPPORTED)
        return sl_fail(
            r->error, SL_ERR_INVALID,
            "\"%.200s/%s\" was written by a newer Sluice, whose format this one does not "
            "know; nothing was changed",
            j->directory_name, name);
    if (found->status == SL_OK && found->head.id == id &&
        strcmp(found->head.stream, j->stream) != 0)
        return sl_fail(r->error, SL_ERR_INVALID,
                       "\"%.150s\" is the journal of \"%.100s\", not of \"%.100s\"; nothing was "
                       "changed",
                       j->directory_name, found->head.stream, j->stream);
    return SL_OK;
}

/* A spare file of this name, which may be one that has been there before. */
static void add_spare(struct journal *j, uint64_t id, uint64_t bytes)
{
    char name[FORMAT_NAME_MAX];
    if (bytes == j->segment_bytes && j->n_spares < spares_kept(j)) {
        j->spares[j->n_spares++] = (struct spare){.id = id, .fd = -1};
        return;
    }
    format_spare_name(id, name);
    (void)j->io->unlink(j->io->ctx, j->directory, name);
}

/* A segment's name on a file whose head says another: it was given back, and a crash came between. */
static void take_back(struct journal *j, uint64_t id, uint64_t bytes)
{
    char name[FORMAT_NAME_MAX], spare[FORMAT_NAME_MAX];
    format_segment_name(id, name);
    format_spare_name(id, spare);
    if (j->io->rename(j->io->ctx, j->directory, name, j->directory, spare) >= 0)
        add_spare(j, id, bytes);
}

/* Makes the list of segments. */
static int32_t make_segments(struct recovery *r, const struct found *found)
{
    struct journal *j = r->journal;
    struct segment **link = &j->head;
    for (size_t i = 0; i < r->segments.n; i++) {
        const uint64_t id = r->segments.all[i];
        const struct found *f = &found[i];
        const struct found *next = i + 1 < r->segments.n ? f + 1 : NULL;
        const bool told = next && next->status == SL_OK &&
                          next->head.id == r->segments.all[i + 1] && next->head.previous_id == id;
        char name[FORMAT_NAME_MAX];
        if (f->status == SL_OK && f->head.id != id) {
            take_back(j, id, f->bytes);
            continue;
        }
        if (f->status != SL_OK && !told) {
            format_segment_name(id, name);
            quarantine_move(j, name);
            continue;
        }
        const uint64_t salt = f->status == SL_OK ? f->head.salt : next->head.previous_salt;
        struct segment *s = segment_new(id, salt);
        if (!s)
            return recover_fail_memory(r);
        s->first_seq = f->status == SL_OK ? f->head.first_seq : 0;
        s->bytes = f->bytes;
        s->end_told = told;
        s->end = told && next->head.previous_end < f->bytes ? next->head.previous_end : f->bytes;
        j->in_use_bytes += s->bytes;
        *link = s;
        link = &s->next;
        j->newest = s;
    }
    return SL_OK;
}

static int32_t read_heads(struct recovery *r)
{
    struct journal *j = r->journal;
    struct found *found = calloc(r->segments.n + 1, sizeof *found);
    if (!found)
        return recover_fail_memory(r);
    int32_t status = SL_OK;
    for (size_t i = 0; i < r->segments.n && status == SL_OK; i++)
        status = read_head(r, r->segments.all[i], &found[i]);
    for (size_t i = 0; i < r->spares.n && status == SL_OK; i++) {
        char name[FORMAT_NAME_MAX];
        uint64_t bytes = 0;
        format_spare_name(r->spares.all[i], name);
        const int fd = j->io->open(j->io->ctx, j->directory, name, JOURNAL_OPEN_READ);
        if (fd >= 0) {
            (void)j->io->size(j->io->ctx, fd, &bytes);
            (void)j->io->close(j->io->ctx, fd);
        }
        add_spare(j, r->spares.all[i], bytes);
    }
    if (status == SL_OK)
        status = make_segments(r, found);
    free(found);
    return status;
}

int32_t recover_files(struct recovery *r)
{
    struct journal *j = r->journal;
    const int listed = j->io->list(j->io->ctx, j->directory, visit_name, r);
    if (r->no_memory)
        return recover_fail_memory(r);
    if (listed < 0)
        return recover_fail_io(r, "list", "", listed);
    if (r->segments.n > 0)
        qsort(r->segments.all, r->segments.n, sizeof *r->segments.all, by_value);
    return read_heads(r);
}
