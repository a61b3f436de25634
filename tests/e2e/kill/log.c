/* The journal's log alone, to be killed many times a second: appends, delivers, settles, puts back,
 * notes, as long as it lives. What it has acknowledged and delivered it writes into ledgers, whose
 * pages outlive it, as those of the sender and the destinations do. With --drain nothing is appended,
 * and it ends once nothing is left; else with SIGTERM. */
#include "pipeline/journal/log.h"
#include "tests/e2e/kill/ledger.h"
#include "tests/e2e/kill/span.h"
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    APPENDERS = 3,
    SPANS_MAX = 16,
    QUEUE = 64,   /* records that are in somebody's hands */
    STUBBORN = 4, /* of those that are delivered much later than what came after them */
    NOTES = 16,
    BODY_MAX = SPANS_MAX * (SPAN_MAX + 16) + 256
};

static const char usage[] =
    "kill_log --journal DIR --sent LEDGER --delivered LEDGER --notes FILE [options]\n"
    "  --power            durability power\n"
    "  --stalled          nothing is delivered\n"
    "  --without-notes    none is written, none is looked for\n"
    "  --drain            ends once all is delivered; prints what the log counts\n"
    "  --max-bytes N      of the journal (default: 8 MiB)\n"
    "  --seed N\n";

/* Begins every body. */
struct label {
    uint64_t first;
    uint64_t n;
};

/* A record that is taken. */
struct piece {
    uint64_t seq;
    struct label spans;
    uint64_t open; /* a bit for each of its spans */
};

/* Notes, as they are known outside of the process: begun is written before the note is, and known
 * afterwards. */
struct notes {
    _Atomic uint64_t begun[NOTES], known[NOTES];
};

struct program {
    struct journal_config config;
    struct journal *journal;
    struct ledger *sent, *delivered;
    struct notes *notes;
    uint64_t seed;
    bool stalled, drain, without_notes;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct piece queue[QUEUE];
    uint32_t queued, reserved;
    int64_t work_ns; /* when journal_work is due */
    bool stopping;
    struct piece stubborn[STUBBORN];
    uint32_t n_stubborn;
};

/* ---- time, chance, waiting ---- */

static int64_t now_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t wall(void *arg)
{
    (void)arg;
    return now_of(CLOCK_REALTIME);
}

static bool one_in(uint64_t *random, uint64_t n)
{
    *random = span_mix(*random);
    return (*random >> 16) % n == 0;
}

static void nap(long us)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* Until something has changed, or for so long. Mutex held. */
static void wait_for(struct program *p, int64_t ns)
{
    const int64_t at = now_of(CLOCK_MONOTONIC) + ns;
    const struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    (void)pthread_cond_clockwait(&p->changed, &p->mutex, CLOCK_MONOTONIC, &until);
}

static bool stopping(struct program *p)
{
    pthread_mutex_lock(&p->mutex);
    const bool stop = p->stopping;
    pthread_mutex_unlock(&p->mutex);
    return stop;
}

/* ---- what is in somebody's hands ---- */

static bool reserve(struct program *p)
{
    pthread_mutex_lock(&p->mutex);
    const bool room = p->queued + p->reserved < QUEUE;
    p->reserved += room;
    pthread_mutex_unlock(&p->mutex);
    return room;
}

/* `piece` may be NULL: the place is not needed. */
static void use_place(struct program *p, const struct piece *piece)
{
    pthread_mutex_lock(&p->mutex);
    p->reserved--;
    if (piece)
        p->queue[p->queued++] = *piece;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

/* ---- appending ---- */

struct append {
    struct journal_write write;
    sem_t done;
    int32_t status;
};

static void on_durable(struct journal_write *w, int32_t status)
{
    struct append *a = (struct append *)(void *)((uint8_t *)w - offsetof(struct append, write));
    a->status = status;
    sem_post(&a->done);
}

static void mark(struct ledger *l, const struct label *spans, uint8_t what)
{
    for (uint64_t i = 0; i < spans->n; i++)
        atomic_store(&l->spans[spans->first + i], what);
}

static void append(struct program *p, uint64_t *random, uint8_t *body)
{
    struct append a = {.status = SL_ERR_UNAVAILABLE};
    struct label label = {.n = 1 + *random % SPANS_MAX};
    label.first = atomic_fetch_add(&p->sent->issued, label.n);
    if (label.first + SPANS_MAX > LEDGER_SPANS)
        abort();
    mark(p->sent, &label, LEDGER_UNKNOWN);
    const size_t n = span_request(label.first, (uint32_t)label.n, body);
    const struct iovec parts[2] = {{&label, sizeof label}, {body, n}};
    const bool place = !one_in(random, 8) && reserve(p);
    a.write = (struct journal_write){.parts = parts,
                                     .n_parts = 2,
                                     .items = (uint32_t)label.n,
                                     .arrived_ns = wall(NULL),
                                     .take = place,
                                     .durable = on_durable};
    sem_init(&a.done, 0, 0);
    if (journal_append(p->journal, &a.write) == SL_OK) {
        while (sem_wait(&a.done))
            ;
    }
    sem_destroy(&a.done);
    const bool good = a.status == SL_OK;
    if (good) {
        mark(p->sent, &label, LEDGER_ACKNOWLEDGED);
        atomic_fetch_add(&p->sent->acknowledged, label.n);
    }
    const struct piece piece = {
        .seq = a.write.seq, .spans = label, .open = (UINT64_C(1) << label.n) - 1};
    if (place)
        use_place(p, good && a.write.taken ? &piece : NULL);
    if (!good || one_in(random, 4))
        nap(200);
}

static void note(struct program *p, uint64_t *random)
{
    static const char owner[] = "kill";
    const uint64_t key = span_mix(*random) % NOTES;
    pthread_mutex_lock(&p->mutex); /* one at a time: else nobody knows which came last */
    const uint64_t value = atomic_fetch_add(&p->notes->begun[key], 1) + 1;
    const int32_t status =
        journal_note(p->journal, sl_str(owner), sl_slice((const uint8_t *)&key, sizeof key),
                     sl_slice((const uint8_t *)&value, sizeof value));
    if (status == SL_OK)
        atomic_store(&p->notes->known[key], value);
    pthread_mutex_unlock(&p->mutex);
}

static void *append_all(void *arg)
{
    struct program *p = arg;
    uint64_t random = span_mix(p->seed ^ (uint64_t)(uintptr_t)&random);
    uint8_t *body = malloc(BODY_MAX);
    if (!body)
        abort();
    while (!stopping(p)) {
        append(p, &random, body);
        if (!p->without_notes && one_in(&random, 32))
            note(p, &random);
    }
    free(body);
    return NULL;
}

/* ---- reading ---- */

static bool is_right(const uint8_t *body, uint64_t bytes, struct label *label, uint8_t *expected)
{
    if (bytes < sizeof *label)
        return false;
    memcpy(label, body, sizeof *label);
    return label->n > 0 && label->n <= SPANS_MAX && label->first <= LEDGER_SPANS - SPANS_MAX &&
           span_request(label->first, (uint32_t)label->n, expected) == bytes - sizeof *label &&
           memcmp(expected, body + sizeof *label, bytes - sizeof *label) == 0;
}

/* False: there was nothing to read. */
static bool read_one(struct program *p, uint8_t *body, uint8_t *expected)
{
    struct journal_record record;
    struct piece piece = {.open = 0};
    if (journal_peek(p->journal, &record) != SL_OK)
        return false;
    if (record.bytes > BODY_MAX || record.items > SPANS_MAX)
        abort();
    const int32_t status = journal_take(p->journal, &record, body);
    if (status != SL_OK)
        return status != SL_ERR_UNAVAILABLE;
    if (!is_right(body, record.bytes, &piece.spans, expected) || record.items != piece.spans.n) {
        atomic_fetch_add(&p->delivered->spoilt, 1);
        return true;
    }
    piece.seq = record.seq;
    journal_open_items(p->journal, record.seq, &piece.open);
    while (!reserve(p) && !stopping(p))
        nap(200);
    if (!stopping(p))
        use_place(p, &piece);
    return true;
}

static void *read_all(void *arg)
{
    struct program *p = arg;
    uint8_t *body = malloc(BODY_MAX), *expected = malloc(BODY_MAX);
    if (!body || !expected)
        abort();
    while (!stopping(p)) {
        if (p->stalled || !read_one(p, body, expected)) {
            pthread_mutex_lock(&p->mutex);
            wait_for(p, 2000000);
            pthread_mutex_unlock(&p->mutex);
        }
    }
    free(body);
    free(expected);
    return NULL;
}

/* ---- delivering ---- */

static void deliver_span(struct program *p, struct piece *piece, uint32_t i)
{
    _Atomic uint8_t *count = &p->delivered->spans[piece->spans.first + i];
    if (!(piece->open >> i & 1))
        return;
    if (*count < UINT8_MAX)
        (*count)++;
    atomic_fetch_add(&p->delivered->delivered, 1);
    piece->open &= ~(UINT64_C(1) << i);
}

/* Its spans up to `end`; settled one by one where that is in parts. */
static void deliver(struct program *p, struct piece *piece, uint32_t end, bool in_parts)
{
    const uint64_t all = (UINT64_C(1) << piece->spans.n) - 1;
    in_parts |= piece->open != all;
    for (uint32_t i = 0; i < end; i++) {
        const bool open = piece->open >> i & 1;
        deliver_span(p, piece, i);
        if (in_parts && open)
            journal_settle(p->journal, piece->seq, i, 1);
    }
    if (!in_parts)
        journal_settle(p->journal, piece->seq, 0, end);
}

static void deal_with(struct program *p, struct piece *piece, uint64_t *random)
{
    const uint32_t n = (uint32_t)piece->spans.n;
    if (!p->drain && one_in(random, 200)) {
        struct piece *place = &p->stubborn[p->n_stubborn++ % STUBBORN], old = *place;
        *place = *piece;
        *piece = old;
        if (p->n_stubborn <= STUBBORN)
            return;
    } else if (one_in(random, 20)) {
        deliver(p, piece, n / 2, true);
        if (piece->open)
            journal_put_back(p->journal, piece->seq);
        return;
    }
    deliver(p, piece, (uint32_t)piece->spans.n, one_in(random, 10));
}

static void *deliver_all(void *arg)
{
    struct program *p = arg;
    uint64_t random = span_mix(p->seed);
    pthread_mutex_lock(&p->mutex);
    while (!p->stopping) {
        if (p->stalled || p->queued == 0) {
            wait_for(p, 10000000);
            continue;
        }
        struct piece piece = p->queue[0];
        memmove(p->queue, p->queue + 1, --p->queued * sizeof piece);
        p->reserved++; /* until it is settled: who drains looks */
        pthread_mutex_unlock(&p->mutex);
        deal_with(p, &piece, &random);
        pthread_mutex_lock(&p->mutex);
        p->reserved--;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* ---- the log's own work ---- */

static void on_work(void *ctx, int64_t delay_ns)
{
    struct program *p = ctx;
    const int64_t at = now_of(CLOCK_MONOTONIC) + delay_ns;
    int64_t due = __atomic_load_n(&p->work_ns, __ATOMIC_RELAXED);
    while (at < due && !__atomic_compare_exchange_n(&p->work_ns, &due, at, false, __ATOMIC_RELAXED,
                                                    __ATOMIC_RELAXED))
        ;
}

static void *work_all(void *arg)
{
    struct program *p = arg;
    while (!stopping(p)) {
        if (now_of(CLOCK_MONOTONIC) < __atomic_load_n(&p->work_ns, __ATOMIC_RELAXED)) {
            nap(1000);
            continue;
        }
        __atomic_store_n(&p->work_ns, INT64_MAX, __ATOMIC_RELAXED);
        journal_work(p->journal);
    }
    return NULL;
}

/* ---- the process ---- */

static int32_t check_note(void *ctx, sl_bytes key, sl_bytes value)
{
    struct program *p = ctx;
    uint64_t k = NOTES, v = 0;
    if (key.n == sizeof k && value.n == sizeof v) {
        memcpy(&k, key.p, sizeof k);
        memcpy(&v, value.p, sizeof v);
    }
    if (k >= NOTES || v < p->notes->known[k] || v > p->notes->begun[k]) {
        fprintf(stderr,
                "kill_log: note %" PRIu64 " is %" PRIu64 ", not %" PRIu64 " to %" PRIu64 "\n", k, v,
                k < NOTES ? p->notes->known[k] : 0, k < NOTES ? p->notes->begun[k] : 0);
        return SL_ERR_INVALID;
    }
    p->notes->known[k] = v;
    return SL_OK;
}

/* All that are known are there, none is older than the newest that is known. */
static bool check_notes(struct program *p)
{
    static const char owner[] = "kill";
    uint64_t before[NOTES], found = 0, expected = 0;
    for (int k = 0; k < NOTES; k++) {
        before[k] = p->notes->known[k];
        expected += before[k] != 0;
    }
    if (journal_notes(p->journal, sl_str(owner), check_note, p) != SL_OK)
        return false;
    for (int k = 0; k < NOTES; k++)
        found += p->notes->known[k] != 0;
    return found >= expected;
}

static void wait_until_drained(struct program *p)
{
    struct journal_stats s;
    bool busy;
    do {
        nap(2000);
        journal_read_stats(p->journal, &s);
        pthread_mutex_lock(&p->mutex);
        busy = s.records > 0 || p->queued > 0 || p->reserved > 0;
        pthread_mutex_unlock(&p->mutex);
    } while (busy);
    printf("{\"quarantined_records\":%" PRIu64 ",\"quarantined_items\":%" PRIu64
           ",\"recovered_items\":%" PRIu64 ",\"copied_records\":%" PRIu64 "}\n",
           s.ended_records[JOURNAL_QUARANTINED], s.ended_items[JOURNAL_QUARANTINED],
           s.recovered_items, s.copied_records);
}

static void live(struct program *p)
{
    pthread_t threads[APPENDERS + 3];
    int n = 0, number;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)pthread_create(&threads[n++], NULL, read_all, p);
    (void)pthread_create(&threads[n++], NULL, deliver_all, p);
    (void)pthread_create(&threads[n++], NULL, work_all, p);
    for (int i = 0; i < APPENDERS && !p->drain; i++)
        (void)pthread_create(&threads[n++], NULL, append_all, p);
    if (p->drain)
        wait_until_drained(p);
    else
        (void)sigwait(&set, &number);
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    while (n > 0)
        (void)pthread_join(threads[--n], NULL);
}

static bool parse_command_line(struct program *p, int argc, char **argv)
{
    static const struct option longs[] = {{"journal", required_argument, NULL, 'j'},
                                          {"sent", required_argument, NULL, 's'},
                                          {"delivered", required_argument, NULL, 'd'},
                                          {"notes", required_argument, NULL, 'n'},
                                          {"power", no_argument, NULL, 'p'},
                                          {"stalled", no_argument, NULL, 't'},
                                          {"without-notes", no_argument, NULL, 'w'},
                                          {"drain", no_argument, NULL, 'a'},
                                          {"max-bytes", required_argument, NULL, 'm'},
                                          {"seed", required_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    int id;
    while ((id = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (id) {
        case 'j':
            p->config.directory = optarg;
            break;
        case 's':
            p->sent = ledger_open(optarg);
            break;
        case 'd':
            p->delivered = ledger_open(optarg);
            break;
        case 'n':
            p->notes = ledger_map(optarg, sizeof *p->notes);
            break;
        case 'p':
            p->config.durability = JOURNAL_POWER;
            break;
        case 't':
            p->stalled = true;
            break;
        case 'w':
            p->without_notes = true;
            break;
        case 'a':
            p->drain = true;
            break;
        case 'm':
            p->config.max_bytes = strtoull(optarg, NULL, 10);
            break;
        case 'e':
            p->seed = strtoull(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    }
    return optind == argc && p->config.directory && p->sent && p->delivered && p->notes;
}

int main(int argc, char **argv)
{
    struct program p = {.config = {.stream = "kill",
                                   .io = &journal_io_posix,
                                   .segment_bytes = 256 * 1024,
                                   .max_bytes = 8 * 1024 * 1024,
                                   .now = wall,
                                   .events = {.work = on_work}},
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
                        .work_ns = INT64_MAX};
    p.config.events.ctx = &p;
    if (!parse_command_line(&p, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    sl_error error = {.size = sizeof error};
    if (journal_open(&p.config, &p.journal, &error) != SL_OK) {
        fprintf(stderr, "kill_log: %s\n", error.text);
        return 1;
    }
    const bool good = p.without_notes || check_notes(&p);
    if (good)
        live(&p);
    else
        fputs("kill_log: notes are missing\n", stderr);
    journal_close(p.journal);
    return good ? 0 : 1;
}
