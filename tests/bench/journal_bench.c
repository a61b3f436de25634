/* What the journal costs: CPU and time for each 800 bytes of body (a span), in records of 1000 spans,
 * appended, taken and settled as the graph does; beside it what the disk itself does with plain writes
 * of the same size, in the same run.
 *
 *   bench_journal DIRECTORY process [RECORDS]
 *   bench_journal DIRECTORY power [RECORDS]      plain writes with fdatasync, and the journal, in turns
 *   bench_journal DIRECTORY recover [BYTES]      fills a journal, and opens it again */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SPAN = 800, SPANS = 1000, BODY = SPAN * SPANS, WRITERS = 4, ROUNDS = 5 };

static const uint64_t plain_bytes = 64 << 20; /* of the file that is written without the journal */

static double clock_s(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t now(void *arg)
{
    (void)arg;
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_journal: %s\n", what);
    exit(1);
}

static struct journal *open_journal(const char *directory, enum journal_durability durability,
                                    uint64_t max_bytes)
{
    const struct journal_config config = {.directory = directory,
                                          .stream = "bench",
                                          .io = &journal_io_posix,
                                          .max_bytes = max_bytes,
                                          .durability = durability,
                                          .now = now};
    struct journal *j;
    sl_error error = {.size = sizeof error};
    if (journal_open(&config, &j, &error) != SL_OK)
        fail(error.text);
    return j;
}

static uint8_t *make_body(void)
{
    uint8_t *body = malloc(BODY);
    uint32_t random = 1;
    if (!body)
        fail("no memory");
    for (size_t i = 0; i < BODY; i++) {
        random = random * 1664525 + 1013904223;
        body[i] = (uint8_t)(random >> 24);
    }
    return body;
}

/* ---- one record ---- */

struct record {
    struct journal_write write; /* first, so that it is found */
    pthread_mutex_t mutex;
    pthread_cond_t told;
    bool is_told;
};

static void on_durable(struct journal_write *w, int32_t status)
{
    struct record *r = (struct record *)w;
    if (status != SL_OK)
        fail("a record is not durable");
    (void)pthread_mutex_lock(&r->mutex);
    r->is_told = true;
    (void)pthread_cond_signal(&r->told);
    (void)pthread_mutex_unlock(&r->mutex);
}

static void append(struct journal *j, const uint8_t *body, bool take)
{
    const struct iovec part = {(void *)body, BODY};
    struct record r = {.mutex = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    r.write = (struct journal_write){.parts = &part,
                                     .n_parts = 1,
                                     .items = SPANS,
                                     .arrived_ns = now(NULL),
                                     .take = take,
                                     .durable = on_durable};
    if (journal_append(j, &r.write) != SL_OK)
        fail("an append was refused");
    (void)pthread_mutex_lock(&r.mutex);
    while (!r.is_told)
        (void)pthread_cond_wait(&r.told, &r.mutex);
    (void)pthread_mutex_unlock(&r.mutex);
    if (r.write.taken)
        journal_settle(j, r.write.seq, 0, SPANS);
}

/* ---- durability: process ---- */

static void bench_process(const char *directory, unsigned records)
{
    uint8_t *body = make_body();
    struct journal *j = open_journal(directory, JOURNAL_PROCESS, (uint64_t)512 << 20);
    /* until its files are used again, which is what it does from then on */
    for (unsigned i = 0; i < 400; i++)
        append(j, body, true);
    for (int round = 0; round < ROUNDS; round++) {
        double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
        uint32_t sum = 0;
        for (unsigned i = 0; i < records; i++)
            sum ^= crc32c(i, body, BODY);
        const double checksum = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        const double wall = clock_s(CLOCK_MONOTONIC);
        cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
        for (unsigned i = 0; i < records; i++)
            append(j, body, true);
        cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        const double n = (double)records * SPANS / 1e9;
        (void)printf("process: %.1f ns CPU a span, of which %.1f checksum; %.1f ns; [%x]\n",
                     cpu / n, checksum / n, (clock_s(CLOCK_MONOTONIC) - wall) / n, sum & 15);
    }
    journal_close(j);
    free(body);
}

/* ---- durability: power ---- */

struct writer {
    struct journal *journal;
    const uint8_t *body;
    unsigned records;
};

static void *write_some(void *arg)
{
    const struct writer *w = arg;
    for (unsigned i = 0; i < w->records; i++)
        append(w->journal, w->body, true);
    return NULL;
}

static double journal_rate(struct journal *j, const uint8_t *body, unsigned records)
{
    pthread_t threads[WRITERS];
    struct writer writer = {j, body, records / WRITERS};
    const double wall = clock_s(CLOCK_MONOTONIC);
    for (int i = 0; i < WRITERS; i++)
        (void)pthread_create(&threads[i], NULL, write_some, &writer);
    for (int i = 0; i < WRITERS; i++)
        (void)pthread_join(threads[i], NULL);
    return (double)writer.records * WRITERS * BODY / (clock_s(CLOCK_MONOTONIC) - wall) / 1e6;
}

/* Over a file that is there already, as the journal's are; `group` records before each fdatasync. */
static double disk_rate(int fd, const uint8_t *body, unsigned records, unsigned group)
{
    const double wall = clock_s(CLOCK_MONOTONIC);
    uint64_t at = 0;
    for (unsigned i = 0; i < records; i++) {
        if (at + BODY > plain_bytes)
            at = 0;
        if (pwrite(fd, body, BODY, (off_t)at) != BODY)
            fail("a plain write has failed");
        at += BODY;
        if ((i + 1) % group == 0 && fdatasync(fd))
            fail("a plain sync has failed");
    }
    return (double)records * BODY / (clock_s(CLOCK_MONOTONIC) - wall) / 1e6;
}

static void bench_power(const char *directory, unsigned records)
{
    char path[4096];
    uint8_t *body = make_body();
    struct journal *j = open_journal(directory, JOURNAL_POWER, (uint64_t)512 << 20);
    (void)snprintf(path, sizeof path, "%s/plain", directory);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("the plain file cannot be made");
    (void)journal_rate(j, body, 400); /* until files are used again */
    (void)disk_rate(fd, body, (unsigned)(plain_bytes / BODY), 1);
    for (int round = 0; round < ROUNDS; round++) {
        struct journal_stats before, after;
        const double one = disk_rate(fd, body, records, 1);
        journal_read_stats(j, &before);
        const double ours = journal_rate(j, body, records);
        journal_read_stats(j, &after);
        const unsigned syncs = (unsigned)(after.syncs - before.syncs);
        const unsigned group = syncs ? (records + syncs / 2) / syncs : 1;
        const double same = disk_rate(fd, body, records, group ? group : 1);
        (void)printf(
            "power: %.0f MB/s in groups of %.1f; the disk alone %.0f one by one, %.0f in groups "
            "of %u: %.0f %%\n",
            ours, (double)records / syncs, one, same, group,
            100 * ours / (one > same ? one : same));
    }
    (void)close(fd);
    (void)unlink(path);
    journal_close(j);
    free(body);
}

/* ---- opening ---- */

static void bench_recover(const char *directory, uint64_t bytes)
{
    uint8_t *body = make_body();
    struct journal *j = open_journal(directory, JOURNAL_PROCESS, 2 * bytes);
    for (uint64_t done = 0; done < bytes; done += BODY)
        append(j, body, false);
    journal_close(j);
    for (int round = 0; round < ROUNDS; round++) {
        struct journal_stats stats;
        struct rusage usage;
        const double wall = clock_s(CLOCK_MONOTONIC);
        j = open_journal(directory, JOURNAL_PROCESS, 2 * bytes);
        const double took = clock_s(CLOCK_MONOTONIC) - wall;
        journal_read_stats(j, &stats);
        journal_close(j);
        (void)getrusage(RUSAGE_SELF, &usage);
        (void)printf("recover: %llu records, %.2f GB, in %.3f s; %.1f MB at most\n",
                     (unsigned long long)stats.recovered_records, (double)stats.bytes / 1e9, took,
                     (double)usage.ru_maxrss / 1e3);
    }
    free(body);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";
    const unsigned long long n = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    if (strcmp(what, "process") == 0)
        bench_process(argv[1], n ? (unsigned)n : 1000);
    else if (strcmp(what, "power") == 0)
        bench_power(argv[1], n ? (unsigned)n : 200);
    else if (strcmp(what, "recover") == 0)
        bench_recover(argv[1], n ? n : (uint64_t)1 << 30);
    else
        fail("usage: bench_journal DIRECTORY process|power|recover [N]");
    return 0;
}
