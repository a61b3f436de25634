/* What is damaged, or belongs to nothing, is kept aside for people to look at: a file for each, up to
 * a bound on all of them. */
#include "pipeline/journal/log_internal.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 64, ONE_MAX = 16 << 20, ALL_MAX = 64 << 20 };

struct counting {
    struct journal *journal;
    uint64_t bytes;
};

static int count(void *arg, const char *name)
{
    struct counting *c = arg;
    const struct journal_io *io = c->journal->io;
    uint64_t bytes = 0;
    const int fd = io->open(io->ctx, c->journal->quarantine, name, JOURNAL_OPEN_READ);
    if (fd < 0)
        return 0;
    if (io->size(io->ctx, fd, &bytes) >= 0)
        c->bytes += bytes;
    (void)io->close(io->ctx, fd);
    return 0;
}

static bool open_quarantine(struct journal *j)
{
    struct counting c = {.journal = j};
    if (j->quarantine >= 0)
        return true;
    (void)j->io->make_directory(j->io->ctx, j->directory, "quarantine");
    j->quarantine = j->io->open_directory(j->io->ctx, j->directory, "quarantine");
    if (j->quarantine < 0)
        return false;
    (void)j->io->list(j->io->ctx, j->quarantine, count, &c);
    j->quarantine_bytes = c.bytes;
    return true;
}

static void copy(struct journal *j, int from_fd, int to_fd, uint64_t from, uint64_t to)
{
    uint8_t buffer[16384];
    for (uint64_t at = from; at < to;) {
        const size_t n = to - at < sizeof buffer ? (size_t)(to - at) : sizeof buffer;
        const ssize_t got = journal_read(j->io, from_fd, buffer, n, at);
        if (got <= 0)
            return;
        struct iovec part = {buffer, (size_t)got};
        if (journal_write_all(j->io, to_fd, &part, 1, at - from) < 0)
            return;
        at += (uint64_t)got;
        j->quarantine_bytes += (uint64_t)got;
    }
}

void quarantine_save(struct journal *j, int fd, uint64_t segment, uint64_t from, uint64_t to)
{
    char name[NAME_MAX_BYTES];
    (void)snprintf(name, sizeof name, "%016llx-%llx", (unsigned long long)segment,
                   (unsigned long long)from);
    if (to - from > ONE_MAX)
        to = from + ONE_MAX;
    fault_point("journal.recover.before_quarantine");
    (void)pthread_mutex_lock(&j->quarantine_mutex);
    if (open_quarantine(j) && j->quarantine_bytes + (to - from) <= ALL_MAX) {
        const int out = j->io->open(j->io->ctx, j->quarantine, name, JOURNAL_OPEN_NEW);
        if (out >= 0) {
            copy(j, fd, out, from, to);
            (void)j->io->close(j->io->ctx, out);
        }
    }
    (void)pthread_mutex_unlock(&j->quarantine_mutex);
    fault_point("journal.recover.after_quarantine");
}

void quarantine_move(struct journal *j, const char *name)
{
    fault_point("journal.recover.before_quarantine");
    (void)pthread_mutex_lock(&j->quarantine_mutex);
    if (open_quarantine(j))
        (void)j->io->rename(j->io->ctx, j->directory, name, j->quarantine, name);
    (void)pthread_mutex_unlock(&j->quarantine_mutex);
    fault_point("journal.recover.after_quarantine");
}

void quarantine_close(struct journal *j)
{
    if (j->quarantine >= 0)
        (void)j->io->close(j->io->ctx, j->quarantine);
    j->quarantine = -1;
}
