/* Records in. Whoever comes first has the turn and writes for all that have come meanwhile, with one
 * call; the others wait for it. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/log_internal.h"

#include <stdlib.h>

/* How it went with a record; on the stack of who waits. Once it says so, nobody touches the record
 * before its `durable` but the log. */
struct waiter {
    struct note *note; /* whose record it is; NULL: data */
    bool done;
    int32_t status;
};

static bool parts_room(struct journal *j, size_t n)
{
    if (n <= j->parts_room)
        return true;
    struct iovec *parts = realloc(j->parts, n * sizeof *parts);
    if (!parts)
        return false;
    j->parts = parts;
    j->parts_room = n;
    return true;
}

int32_t append_at_tail(struct journal *j, struct iovec *parts, int n, uint64_t bytes)
{
    struct segment *s = j->newest;
    const uint64_t at = s->end;
    (void)pthread_mutex_unlock(&j->mutex);
    const int failed = journal_write_all(j->io, s->fd, parts, n, at);
    (void)pthread_mutex_lock(&j->mutex);
    if (failed < 0) {
        /* Some of it may be there. The next segment's head will say that it does not count; until
         * there is one, it had better be gone. */
        space_cut(j);
        return log_set_failed(j, "write to", failed);
    }
    s->end = at + bytes;
    return SL_OK;
}

/* ---- a batch ---- */

struct batch {
    struct journal_write *first, *last; /* taken out of the queue */
    uint32_t n;
    size_t parts;
    uint64_t bytes;
    uint8_t heads[BATCH_MAX][FORMAT_RECORD_BYTES];
};

static void finish(struct journal *j, struct journal_write *w, int32_t status)
{
    struct waiter *waiter = w->own.waiter;
    free(w->own.entry);
    w->own.entry = NULL;
    if (status == SL_OK && is_power(j) && w->durable) {
        w->own.next = NULL;
        *(j->unsynced ? &j->unsynced_last->own.next : &j->unsynced) = w;
        j->unsynced_last = w;
        (void)pthread_cond_signal(&j->sync_wanted);
    }
    waiter->status = status;
    waiter->done = true;
}

static void finish_all(struct journal *j, struct journal_write *w, int32_t status)
{
    for (struct journal_write *next; w; w = next) {
        next = w->own.next;
        finish(j, w, status);
    }
}

/* Takes as many as fit into the active segment, which has room for the first. */
static void choose(struct journal *j, struct batch *b)
{
    uint64_t room = j->newest->bytes - j->newest->end;
    b->first = j->first;
    while (j->first && b->n < BATCH_MAX) {
        struct journal_write *w = j->first;
        const uint64_t need = format_room(w->own.bytes);
        if (need > room || !parts_room(j, b->parts + w->n_parts + 3))
            break;
        room -= need;
        b->bytes += need;
        b->parts += w->n_parts + 2;
        b->n++;
        b->last = w;
        j->first = w->own.next;
    }
    if (b->n > 0)
        b->last->own.next = NULL;
}

/* Fills j->parts: what the log has to say itself, then the records. Their number. */
static int compose(struct journal *j, struct batch *b)
{
    static const uint8_t zeros[8];
    uint64_t at = j->newest->end + j->house.n;
    uint32_t k = 0;
    int n = 0;
    if (j->house.n > 0)
        j->parts[n++] = (struct iovec){j->house.bytes, j->house.n};
    for (struct journal_write *w = b->first; w; w = w->own.next, k++) {
        const bool is_data = w->own.type == RECORD_DATA;
        w->own.at = at;
        w->seq = is_data ? j->next_seq++ : j->next_note++;
        const struct record_head head = {.body_crc = w->own.crc,
                                         .bytes = w->own.bytes,
                                         .items = w->items,
                                         .type = w->own.type,
                                         .seq = w->seq,
                                         .arrived_ns = w->arrived_ns};
        format_encode_record(&head, j->newest->seed, b->heads[k]);
        j->parts[n++] = (struct iovec){b->heads[k], FORMAT_RECORD_BYTES};
        for (uint32_t i = 0; i < w->n_parts; i++)
            j->parts[n++] = w->parts[i];
        const uint64_t room = format_room(w->own.bytes);
        const uint64_t padding = room - FORMAT_RECORD_BYTES - w->own.bytes;
        if (padding > 0)
            j->parts[n++] = (struct iovec){(void *)zeros, (size_t)padding};
        at += room;
    }
    return n;
}

/* It is in the log now: taken by who wrote it, or to be read. */
static void count_in(struct journal *j, struct journal_write *w)
{
    struct segment *s = j->newest;
    struct journal_entry *e = w->own.entry;
    j->appended_records++;
    j->appended_bytes += w->own.bytes;
    tally_add(&s->open, 1, w->items, w->own.bytes);
    tally_add(&j->open, 1, w->items, w->own.bytes);
    w->taken = e && j->unread.records == 0 && j->put_back.records == 0;
    if (w->taken) {
        e->seq = w->seq;
        e->segment = s;
        e->at = w->own.at;
        e->arrived_ns = w->arrived_ns;
        e->bytes = w->own.bytes;
        e->items = e->open = w->items;
        e->state = ENTRY_TAKEN;
        entry_add(j, e);
        w->own.entry = NULL;
        return;
    }
    if (j->unread.records == 0) {
        j->cursor = s;
        j->cursor_at = w->own.at;
        j->cursor_arrived_ns = w->arrived_ns;
        if (j->config.max_age_ns > 0)
            log_ask_work(j,
                         w->arrived_ns + j->config.max_age_ns - j->config.now(j->config.now_arg));
    }
    tally_add(&s->unread, 1, w->items, w->own.bytes);
    tally_add(&j->unread, 1, w->items, w->own.bytes);
    if (is_power(j))
        tally_add(&j->unsynced_unread, 1, w->items, w->own.bytes);
}

/* [turn] Writes what is in the queue, as much as one call takes. */
static void write_batch(struct journal *j)
{
    struct batch b = {.n = 0};
    const uint64_t first_need = format_room(j->first->own.bytes);
    int32_t status = space_ensure(j, first_need, SPACE_FOR_DATA);
    if (status != SL_OK) {
        struct journal_write *all = j->first;
        j->first = NULL;
        finish_all(j, all, status);
        return;
    }
    choose(j, &b);
    if (b.n == 0) { /* no memory for the list of its parts */
        b.first = j->first;
        j->first = b.first->own.next;
        finish(j, b.first, SL_ERR_UNAVAILABLE);
        j->wants_room = true;
        log_ask_work(j, RETRY_NS);
        return;
    }
    settle_gather(j, j->newest->bytes - j->newest->end - b.bytes);
    fault_point("journal.append.before_write");
    const uint64_t house = j->house.n;
    status = append_at_tail(j, j->parts, compose(j, &b), house + b.bytes);
    fault_point("journal.append.after_write");
    settle_gathered(j, status == SL_OK);
    for (struct journal_write *w = b.first, *next; w; w = next) {
        next = w->own.next;
        const struct waiter *waiter = w->own.waiter;
        if (status == SL_OK && waiter->note)
            notes_written(j, waiter->note, w->own.at, w->seq);
        else if (status == SL_OK)
            count_in(j, w);
        finish(j, w, status);
    }
}

/* Waits until the record is written, by oneself where nobody else does. */
static int32_t write_and_wait(struct journal *j, struct journal_write *w, struct note *note)
{
    struct waiter waiter = {.note = note};
    w->own.waiter = &waiter;
    w->own.next = NULL;
    *(j->first ? &j->last->own.next : &j->first) = w;
    j->last = w;
    while (!waiter.done) {
        if (j->writing) {
            (void)pthread_cond_wait(&j->turned, &j->mutex);
            continue;
        }
        j->writing = true;
        sync_heed_failure(j);
        if (!waiter.done)
            write_batch(j);
        log_give_turn(j);
    }
    return waiter.status;
}

/* ---- the call ---- */

/* Its length and checksum. False: it is too large. */
static bool measure(struct journal_write *w)
{
    uint64_t bytes = 0;
    uint32_t crc = 0;
    for (uint32_t i = 0; i < w->n_parts; i++) {
        if (__builtin_add_overflow(bytes, w->parts[i].iov_len, &bytes) || bytes > UINT32_MAX)
            return false;
        crc = crc32c(crc, w->parts[i].iov_base, w->parts[i].iov_len);
    }
    w->own.bytes = (uint32_t)bytes;
    w->own.crc = crc;
    return true;
}

/* The mutex is free before, not after. */
static int32_t append(struct journal *j, struct journal_write *w, struct note *note)
{
    const bool fits = measure(w) && format_room(w->own.bytes) <= space_record_max(j);
    log_enter(j);
    if (!fits) {
        free(w->own.entry);
        return SL_ERR_TOO_LARGE;
    }
    int32_t status;
    if (j->state != JOURNAL_OK)
        status = j->state == JOURNAL_FULL ? SL_ERR_FULL : SL_ERR_UNAVAILABLE;
    else if (is_power(j) && !sync_start_thread(j))
        status = SL_ERR_UNAVAILABLE;
    else
        status = write_and_wait(j, w, note);
    if (status != SL_OK) {
        free(w->own.entry);
        w->own.entry = NULL;
        j->wants_room = true;
        if (j->state == JOURNAL_OK) /* it was a moment's: no memory, or all is well again */
            log_ask_work(j, RETRY_NS);
    }
    return status;
}

int32_t journal_append(struct journal *j, struct journal_write *w)
{
    const bool power = is_power(j);
    if (w->items == 0 || w->items > FORMAT_ITEMS_MAX)
        return SL_ERR_TOO_LARGE;
    w->own.type = RECORD_DATA;
    /* before the mutex is taken; without memory for it, the record is read from the disk */
    w->own.entry = w->take ? entry_new() : NULL;
    const int32_t status = append(j, w, NULL);
    log_leave(j);
    if (status == SL_OK && !power) {
        fault_point("journal.append.before_durable");
        w->durable(w, SL_OK);
        fault_point("journal.append.after_durable");
    }
    return status;
}

int32_t append_note(struct journal *j, struct journal_write *w, struct note *note)
{
    w->own.type = RECORD_NOTE;
    w->own.entry = NULL;
    return append(j, w, note);
}
