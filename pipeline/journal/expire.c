/* Records that end without being settled: too old, or in the way of newer ones. */
#include "pipeline/journal/log_internal.h"

void expire_head(struct journal *j)
{
    struct segment *s = j->head;
    for (struct link *l = s->entries.after, *after; l != &s->entries; l = after) {
        struct journal_entry *e = entry_in_segment(l);
        after = l->after;
        entry_wait_no_more(j, e);
        entry_remove(j, e);
    }
    const struct tally open = s->open, unread = s->unread;
    log_count_ended(j, JOURNAL_EXPIRED_SIZE, open.records, open.items);
    settle_uncount(j, s, open.records, open.items, open.bytes);
    read_uncount(j, s, unread.records, unread.items, unread.bytes);
}

static void expire_put_backs(struct journal *j, int64_t born_ns, int64_t *oldest_ns)
{
    for (struct link *l = j->put_backs.after, *after; l != &j->put_backs; l = after) {
        struct journal_entry *e = entry_in_put_back(l);
        after = l->after;
        if (e->arrived_ns > born_ns) {
            if (e->arrived_ns < *oldest_ns)
                *oldest_ns = e->arrived_ns;
            continue;
        }
        log_count_ended(j, JOURNAL_EXPIRED_AGE, 1, e->open);
        settle_record(j, e);
    }
}

/* [cursor_mutex] */
static void expire_unread(struct journal *j, int64_t born_ns, int64_t *oldest_ns)
{
    struct journal_record record;
    while (read_next(j, &record) == SL_OK) {
        if (record.arrived_ns > born_ns) {
            if (record.arrived_ns < *oldest_ns)
                *oldest_ns = record.arrived_ns;
            return;
        }
        struct journal_entry *e = entry_find(j, record.seq);
        struct segment *s = j->cursor;
        const uint32_t items = e ? e->open : record.items, bytes = (uint32_t)record.bytes;
        log_count_ended(j, JOURNAL_EXPIRED_AGE, 1, items);
        read_pass(j, &record, items);
        if (e) {
            settle_record(j, e);
            continue;
        }
        settle_uncount(j, s, 1, items, bytes);
        (void)ranges_add(&j->settled, record.seq, record.seq);
        log_ask_flush(j);
    }
}

void expire_old(struct journal *j)
{
    if (j->config.max_age_ns <= 0)
        return;
    const int64_t now = j->config.now(j->config.now_arg);
    const int64_t born_ns = now - j->config.max_age_ns;
    int64_t oldest_ns = INT64_MAX;
    (void)pthread_mutex_lock(&j->cursor_mutex);
    log_enter(j);
    expire_put_backs(j, born_ns, &oldest_ns);
    expire_unread(j, born_ns, &oldest_ns);
    if (oldest_ns != INT64_MAX)
        log_ask_work(j, oldest_ns - born_ns);
    (void)pthread_mutex_unlock(&j->cursor_mutex);
    log_leave(j);
}
