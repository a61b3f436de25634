#include "tests/support/journal_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- input and output ---- */

static ssize_t fixture_pread(void *ctx, int fd, void *to, size_t n, uint64_t at)
{
    const struct journal_fixture *f = ctx;
    const uint64_t bad = f->bad_byte;
    if (bad && bad >= at && bad - at < n)
        return -EIO;
    return journal_io_posix.pread(NULL, fd, to, n, at);
}

static ssize_t fixture_pwritev(void *ctx, int fd, const struct iovec *parts, int n, uint64_t at)
{
    struct journal_fixture *f = ctx;
    if (f->dead || f->fail_write)
        return f->dead ? -EIO : -f->fail_write;
    return journal_io_posix.pwritev(NULL, fd, parts, n, at);
}

static int fixture_sync(void *ctx, int fd)
{
    struct journal_fixture *f = ctx;
    (void)fd;
    f->syncs++;
    if (f->dead || f->fail_sync)
        return f->dead ? -EIO : -f->fail_sync;
    return 0; /* nothing here ends the machine */
}

static int fixture_allocate(void *ctx, int fd, uint64_t bytes)
{
    struct journal_fixture *f = ctx;
    if (f->dead || f->fail_allocate)
        return f->dead ? -EIO : -f->fail_allocate;
    return journal_io_posix.allocate(NULL, fd, bytes);
}

static int fixture_truncate(void *ctx, int fd, uint64_t bytes)
{
    const struct journal_fixture *f = ctx;
    return f->dead ? -EIO : journal_io_posix.truncate(NULL, fd, bytes);
}

static int fixture_rename(void *ctx, int from, const char *old, int to, const char *name)
{
    const struct journal_fixture *f = ctx;
    return f->dead ? -EIO : journal_io_posix.rename(NULL, from, old, to, name);
}

static int fixture_unlink(void *ctx, int directory, const char *name)
{
    const struct journal_fixture *f = ctx;
    return f->dead ? -EIO : journal_io_posix.unlink(NULL, directory, name);
}

/* ---- events ---- */

static void on_room(void *ctx)
{
    ((struct journal_fixture *)ctx)->rooms++;
}

static void on_state(void *ctx)
{
    ((struct journal_fixture *)ctx)->states++;
}

static void on_ended(void *ctx, enum journal_end end, uint64_t records, uint64_t items)
{
    struct journal_fixture *f = ctx;
    f->ended_records[end] += records;
    f->ended_items[end] += items;
}

static void on_work(void *ctx, int64_t delay_ns)
{
    struct journal_fixture *f = ctx;
    if (f->work_ns < 0 || delay_ns < f->work_ns)
        f->work_ns = delay_ns;
}

static int64_t now(void *ctx)
{
    return ((struct journal_fixture *)ctx)->now_ns;
}

/* ---- the log ---- */

void journal_fixture_init(struct journal_fixture *f)
{
    memset(f, 0, sizeof *f);
    (void)snprintf(f->directory, sizeof f->directory, "%s/sluice-journal-XXXXXX",
                   access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(f->directory));
    f->io = journal_io_posix;
    f->io.ctx = f;
    f->io.pread = fixture_pread;
    f->io.pwritev = fixture_pwritev;
    f->io.sync = fixture_sync;
    f->io.allocate = fixture_allocate;
    f->io.truncate = fixture_truncate;
    f->io.rename = fixture_rename;
    f->io.unlink = fixture_unlink;
    f->now_ns = 1000000000;
    f->work_ns = -1;
    f->config = (struct journal_config){
        .directory = f->directory,
        .stream = "in traces/test",
        .io = &f->io,
        .segment_bytes = 64 * 1024,
        .max_bytes = 1024 * 1024,
        .events = {f, on_room, on_ended, on_work, on_state, NULL},
        .now = now,
        .now_arg = f,
    };
}

void journal_fixture_open(struct journal_fixture *f)
{
    sl_error error = {.size = sizeof error};
    f->dead = false;
    if (journal_open(&f->config, &f->journal, &error) != SL_OK)
        fail_msg("%s", error.text);
}

void journal_fixture_start(struct journal_fixture *f)
{
    journal_fixture_init(f);
    journal_fixture_open(f);
}

void journal_fixture_crash(struct journal_fixture *f)
{
    f->dead = true;
    journal_fixture_reopen(f);
}

void journal_fixture_reopen(struct journal_fixture *f)
{
    journal_close(f->journal);
    f->journal = NULL;
    journal_fixture_open(f);
}

static void empty(const char *path)
{
    DIR *names = opendir(path);
    struct dirent *entry;
    while (names && (entry = readdir(names)))
        if (unlinkat(dirfd(names), entry->d_name, 0) && strcmp(entry->d_name, "quarantine") == 0) {
            char inner[512];
            (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            empty(inner);
        }
    if (names)
        (void)closedir(names);
    (void)rmdir(path);
}

void journal_fixture_end(struct journal_fixture *f)
{
    if (f->journal)
        journal_close(f->journal);
    f->journal = NULL;
    empty(f->directory);
    assert_int_not_equal(access(f->directory, F_OK), 0);
}

void journal_fixture_fill(uint8_t *body, uint32_t bytes, uint64_t key)
{
    uint64_t state = key * 0x9E3779B97F4A7C15u + bytes;
    for (uint32_t i = 0; i < bytes; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        body[i] = (uint8_t)(state >> 56);
    }
}

struct waiting {
    struct journal_write write; /* first, so that it is found */
    pthread_mutex_t mutex;
    pthread_cond_t told;
    bool is_told;
    int32_t status;
};

static void on_durable(struct journal_write *w, int32_t status)
{
    struct waiting *waiting = (struct waiting *)w;
    (void)pthread_mutex_lock(&waiting->mutex);
    assert_false(waiting->is_told);
    waiting->is_told = true;
    waiting->status = status;
    (void)pthread_cond_signal(&waiting->told);
    (void)pthread_mutex_unlock(&waiting->mutex);
}

int32_t journal_fixture_try(struct journal_fixture *f, struct journal_write *w, uint64_t key,
                            uint32_t bytes, uint32_t items, bool take)
{
    uint8_t *body = malloc(bytes + 1);
    assert_non_null(body);
    journal_fixture_fill(body, bytes, key);
    const struct iovec parts[2] = {{body, bytes / 3}, {body + bytes / 3, bytes - bytes / 3}};
    struct waiting waiting = {.mutex = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    waiting.write = (struct journal_write){.parts = parts,
                                           .n_parts = 2,
                                           .items = items,
                                           .arrived_ns = f->now_ns,
                                           .take = take,
                                           .durable = on_durable};
    int32_t status = journal_append(f->journal, &waiting.write);
    free(body);
    if (status == SL_OK) {
        (void)pthread_mutex_lock(&waiting.mutex);
        while (!waiting.is_told)
            (void)pthread_cond_wait(&waiting.told, &waiting.mutex);
        (void)pthread_mutex_unlock(&waiting.mutex);
        status = waiting.status;
    } else {
        assert_false(waiting.is_told);
    }
    *w = waiting.write;
    return status;
}

uint64_t journal_fixture_append(struct journal_fixture *f, uint64_t key, uint32_t bytes,
                                uint32_t items, bool take)
{
    struct journal_write w;
    assert_int_equal(journal_fixture_try(f, &w, key, bytes, items, take), SL_OK);
    assert_int_equal(w.taken, take);
    return w.seq;
}

void journal_fixture_pass(struct journal_fixture *f, uint64_t key, uint32_t bytes, uint32_t items)
{
    const uint64_t seq = journal_fixture_append(f, key, bytes, items, true);
    assert_int_equal(journal_settle(f->journal, seq, 0, items), items);
}

uint64_t journal_fixture_take(struct journal_fixture *f, uint64_t key)
{
    struct journal_record record;
    assert_int_equal(journal_peek(f->journal, &record), SL_OK);
    uint8_t *body = malloc(record.bytes + 1), *right = malloc(record.bytes + 1);
    assert_non_null(body);
    assert_non_null(right);
    assert_int_equal(journal_take(f->journal, &record, body), SL_OK);
    journal_fixture_fill(right, (uint32_t)record.bytes, key);
    assert_memory_equal(body, right, record.bytes);
    free(body);
    free(right);
    return record.seq;
}

bool journal_fixture_waits(struct journal_fixture *f)
{
    struct journal_record record;
    const int32_t status = journal_peek(f->journal, &record);
    assert_true(status == SL_OK || status == SL_ERR_NOT_FOUND);
    return status == SL_OK;
}

struct journal_stats journal_fixture_stats(struct journal_fixture *f)
{
    struct journal_stats stats;
    journal_read_stats(f->journal, &stats);
    return stats;
}

unsigned journal_fixture_files(struct journal_fixture *f, const char *beginning)
{
    DIR *names = opendir(f->directory);
    unsigned n = 0;
    struct dirent *entry;
    assert_non_null(names);
    while ((entry = readdir(names)))
        n += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
    (void)closedir(names);
    return n;
}
