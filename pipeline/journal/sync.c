/* JOURNAL_POWER: one sync for everything that was written meanwhile, by a thread of its own. A sync
 * that has failed is never believed later: what it should have made durable is cut off, and a new
 * segment is begun. */
#include "pipeline/journal/log_internal.h"

#include <time.h>

static int64_t elapsed_ns(const struct timespec *since)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(now.tv_sec - since->tv_sec) * 1000000000 + now.tv_nsec - since->tv_nsec;
}

/* They hear of it once the mutex is free. */
static void tell(struct journal *j, struct journal_write *list, int32_t status)
{
    for (struct journal_write *w = list, *next; w; w = next) {
        next = w->own.next;
        w->own.status = status;
        w->own.next = j->done;
        j->done = w;
    }
}

void sync_heed_failure(struct journal *j)
{
    struct segment *s = j->newest;
    if (j->sync_failed == 0)
        return;
    j->sync_failed = 0;
    j->failed_syncs++;
    for (struct link *l = s->entries.before, *before; l != &s->entries; l = before) {
        struct journal_entry *e = entry_in_segment(l);
        before = l->before;
        if (e->at < j->durable_at)
            continue;
        entry_wait_no_more(j, e);
        settle_uncount(j, s, 1, e->open, e->bytes);
        entry_remove(j, e);
    }
    const struct tally *lost = &j->unsynced_unread;
    settle_uncount(j, s, lost->records, lost->items, lost->bytes);
    read_uncount(j, s, lost->records, lost->items, lost->bytes);
    j->unsynced_unread = (struct tally){0};
    s->end = j->durable_at;
    space_cut(j);
    settle_sync_ended(j, false);
    tell(j, j->unsynced, SL_ERR_UNAVAILABLE);
    j->unsynced = NULL;
}

int32_t sync_now(struct journal *j, bool has_turn)
{
    while (j->syncing)
        (void)pthread_cond_wait(&j->turned, &j->mutex);
    struct segment *s = j->newest;
    int failed = j->sync_failed;
    if (failed == 0 && s && s->end > j->durable_at) {
        struct journal_write *list = j->unsynced;
        const uint64_t seq = j->next_seq, end = s->end;
        const struct tally unread = j->unsynced_unread;
        struct timespec began;
        j->unsynced = NULL;
        j->syncing = true;
        settle_sync_begins(j);
        (void)pthread_mutex_unlock(&j->mutex);
        (void)clock_gettime(CLOCK_MONOTONIC, &began);
        fault_point("journal.append.before_sync");
        failed = journal_sync(j->io, s->fd);
        fault_point("journal.append.after_sync");
        const int64_t took = elapsed_ns(&began);
        (void)pthread_mutex_lock(&j->mutex);
        j->syncing = false;
        (void)pthread_cond_broadcast(&j->turned);
        if (failed == 0) {
            j->durable_seq = seq;
            j->durable_at = end;
            tally_sub(&j->unsynced_unread, unread.records, unread.items, unread.bytes);
            j->syncs++;
            j->told.synced_ns = took;
            settle_sync_ended(j, true);
            tell(j, list, SL_OK);
            return SL_OK;
        }
        tell(j, list, SL_ERR_UNAVAILABLE);
        j->sync_failed = failed;
    }
    if (failed == 0) {
        tell(j, j->unsynced, SL_OK); /* with a segment that was sealed meanwhile */
        j->unsynced = NULL;
        return SL_OK;
    }
    if (!has_turn)
        log_take_turn(j);
    sync_heed_failure(j);
    if (!has_turn)
        log_give_turn(j);
    return SL_ERR_UNAVAILABLE;
}

static void *sync_loop(void *arg)
{
    struct journal *j = arg;
    log_enter(j);
    for (;;) {
        while (!j->unsynced && !j->stopping)
            (void)pthread_cond_wait(&j->sync_wanted, &j->mutex);
        if (!j->unsynced)
            break;
        (void)sync_now(j, false);
        fault_point("journal.append.before_durable");
        log_leave(j);
        fault_point("journal.append.after_durable");
        log_enter(j);
    }
    log_leave(j);
    return NULL;
}

bool sync_start_thread(struct journal *j)
{
    if (!j->syncer_runs)
        j->syncer_runs = pthread_create(&j->syncer, NULL, sync_loop, j) == 0;
    return j->syncer_runs;
}

void sync_stop_thread(struct journal *j)
{
    log_enter(j);
    const bool runs = j->syncer_runs;
    j->stopping = true;
    j->syncer_runs = false;
    (void)pthread_cond_signal(&j->sync_wanted);
    log_leave(j);
    if (runs)
        (void)pthread_join(j->syncer, NULL);
}
