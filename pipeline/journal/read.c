/* What waits, in order: what was put back, then what is unread, from the cursor on. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/log_internal.h"

#include <errno.h>
#include <stdlib.h>

/* A body is damaged once so many reads in a row have failed. The reader waits between them, so that
 * a disk that fails for a moment costs nothing. */
enum { FAILED_READS_MAX = 100 };

/* ---- the cursor ---- */

static void move_cursor(struct journal *j, struct segment *s, uint64_t at)
{
    struct segment *before = j->cursor;
    j->cursor = s;
    j->cursor_at = at;
    j->cursor_arrived_ns = 0;
    if (before && before != s)
        segment_rest(j, before);
    if (!s || s->id >= j->opened_segment)
        ranges_free(&j->ended);
}

void read_uncount(struct journal *j, struct segment *s, uint64_t records, uint64_t items,
                  uint64_t bytes)
{
    tally_sub(&s->unread, records, items, bytes);
    tally_sub(&j->unread, records, items, bytes);
    if (j->unread.records == 0)
        move_cursor(j, NULL, 0);
}

void read_pass(struct journal *j, const struct journal_record *record, uint32_t open)
{
    struct segment *s = j->cursor;
    if (record->seq >= j->cursor_seq)
        j->cursor_seq = record->seq + 1;
    move_cursor(j, s, j->cursor_at + record->room);
    read_uncount(j, s, 1, open, record->bytes);
}

/* All of the segment was read; what it should have held besides is lost. */
static void leave_segment(struct journal *j, struct segment *s)
{
    const struct tally lost = s->unread;
    for (struct link *l = s->entries.after, *after; l != &s->entries; l = after) {
        struct journal_entry *e = entry_in_segment(l);
        after = l->after;
        if (e->state == ENTRY_UNREAD)
            entry_remove(j, e);
    }
    move_cursor(j, s->next, FORMAT_RECORDS_AT);
    if (lost.records == 0)
        return;
    settle_uncount(j, s, lost.records, lost.items, lost.bytes);
    log_count_ended(j, JOURNAL_QUARANTINED, lost.records, lost.items);
    read_uncount(j, s, lost.records, lost.items, lost.bytes);
}

/* Without the mutex. Like scan_next, for one step in a file that was found sound when the log was
 * opened. */
static int step(struct journal *j, const struct segment *s, uint64_t end, uint64_t *at,
                struct record_head *head)
{
    uint8_t bytes[FORMAT_RECORD_BYTES];
    const ssize_t got = journal_read(j->io, s->fd, bytes, sizeof bytes, *at);
    if (got < 0)
        return (int)got;
    if ((size_t)got == sizeof bytes && format_decode_record(bytes, s->seed, end - *at, head))
        return SCAN_RECORD;
    struct scan *scan = malloc(sizeof *scan);
    if (!scan)
        return -ENOMEM;
    scan->io = j->io;
    scan->fd = s->fd;
    scan->seed = s->seed;
    scan->end_known = true;
    scan->at = *at;
    scan->end = end;
    scan->buffer_at = scan->buffered = 0;
    const int found = scan_next(scan, head, at);
    if (found == SCAN_GAP) {
        quarantine_save(j, s->fd, s->id, *at, scan->at);
        *at = scan->at;
    }
    free(scan);
    return found;
}

/* Is the record at the cursor one to be read? */
static bool is_unread(const struct journal *j, const struct record_head *head,
                      const struct journal_entry *e)
{
    if (head->type != RECORD_DATA && head->type != RECORD_COPY)
        return false;
    if (e)
        return e->state == ENTRY_UNREAD && e->segment == j->cursor && e->at == j->cursor_at;
    /* a copy that is not remembered has been settled, or another copy stands in for it */
    return head->type == RECORD_DATA && head->seq >= j->cursor_seq &&
           !ranges_have(&j->ended, head->seq);
}

static void describe(const struct journal *j, const struct journal_entry *e,
                     struct journal_record *record)
{
    *record = (struct journal_record){.seq = e->seq,
                                      .bytes = e->bytes,
                                      .items = e->items,
                                      .partly = e->open < e->items,
                                      .earlier = e->seq < j->opened_seq,
                                      .arrived_ns = e->arrived_ns,
                                      .segment = e->segment->id,
                                      .at = e->at};
}

int32_t read_next(struct journal *j, struct journal_record *record)
{
    while (j->unread.records > 0) {
        struct segment *s = j->cursor;
        uint64_t at = j->cursor_at;
        const uint64_t from = at, end = s->end;
        struct record_head head;
        int failed = 0;
        if (at >= end) {
            leave_segment(j, s);
            continue;
        }
        if (!segment_pin(j, s, &failed))
            return SL_ERR_UNAVAILABLE;
        (void)pthread_mutex_unlock(&j->mutex);
        const int found = step(j, s, end, &at, &head);
        (void)pthread_mutex_lock(&j->mutex);
        const bool still = j->cursor == s && j->cursor_at == from;
        segment_unpin(j, s);
        if (!still)
            continue;
        if (found < 0)
            return SL_ERR_UNAVAILABLE;
        if (found != SCAN_RECORD) {
            move_cursor(j, s, found == SCAN_GAP ? at : end);
            continue;
        }
        const struct journal_entry *e = entry_find(j, head.seq);
        if (!is_unread(j, &head, e)) {
            move_cursor(j, s, at + format_room(head.bytes));
            continue;
        }
        j->cursor_arrived_ns = head.arrived_ns;
        if (!sync_may_read(j, head.seq))
            return SL_ERR_NOT_FOUND;
        if (e)
            describe(j, e, record);
        else
            *record = (struct journal_record){.seq = head.seq,
                                              .bytes = head.bytes - head.prefix,
                                              .items = head.items,
                                              .earlier = head.seq < j->opened_seq,
                                              .arrived_ns = head.arrived_ns,
                                              .segment = s->id,
                                              .at = at};
        record->room = format_room(head.bytes);
        return SL_OK;
    }
    return SL_ERR_NOT_FOUND;
}

/* ---- one record ---- */

int read_body(struct journal *j, const struct segment *s, uint64_t at, uint64_t seq, uint32_t bytes,
              uint8_t *body)
{
    uint8_t buffer[4096];
    struct record_head head;
    ssize_t got = journal_read(j->io, s->fd, buffer, FORMAT_RECORD_BYTES, at);
    if (got < 0)
        return (int)got;
    if (got != FORMAT_RECORD_BYTES || !format_decode_record(buffer, s->seed, UINT64_MAX, &head) ||
        head.seq != seq || head.bytes - head.prefix != bytes)
        return 0;
    uint32_t crc = 0;
    at += FORMAT_RECORD_BYTES;
    for (uint32_t done = 0; done < head.prefix;) {
        const uint32_t left = head.prefix - done;
        const size_t n = left < sizeof buffer ? left : sizeof buffer;
        got = journal_read(j->io, s->fd, buffer, n, at + done);
        if (got < 0)
            return (int)got;
        crc = crc32c(crc, buffer, (size_t)got);
        done += (uint32_t)n;
    }
    got = journal_read(j->io, s->fd, body, bytes, at + head.prefix);
    if (got < 0)
        return (int)got;
    return (size_t)got == bytes && crc32c(crc, body, bytes) == head.body_crc;
}

void read_end_damaged(struct journal *j, struct journal_entry *e)
{
    log_count_ended(j, JOURNAL_QUARANTINED, 1, e->open);
    settle_record(j, e);
}

/* ---- the calls ---- */

int32_t journal_peek(struct journal *j, struct journal_record *record)
{
    int32_t status = SL_OK;
    (void)pthread_mutex_lock(&j->cursor_mutex);
    log_enter(j);
    if (j->put_backs.after != &j->put_backs)
        describe(j, entry_in_put_back(j->put_backs.after), record);
    else
        status = read_next(j, record);
    (void)pthread_mutex_unlock(&j->cursor_mutex);
    log_leave(j);
    return status;
}

/* The record at the cursor is taken. NULL: no memory. */
static struct journal_entry *take_unread(struct journal *j, const struct journal_record *record)
{
    struct segment *s = j->cursor;
    struct journal_entry *e = entry_find(j, record->seq);
    if (!e) {
        e = entry_new();
        if (!e)
            return NULL;
        e->seq = record->seq;
        e->segment = s;
        e->at = record->at;
        e->arrived_ns = record->arrived_ns;
        e->bytes = (uint32_t)record->bytes;
        e->items = e->open = record->items;
        entry_add(j, e);
    }
    e->state = ENTRY_TAKEN;
    read_pass(j, record, e->open);
    return e;
}

static int32_t take(struct journal *j, const struct journal_record *record,
                    struct journal_entry **taken)
{
    struct journal_entry *e = entry_find(j, record->seq);
    if (e && e->state == ENTRY_PUT_BACK) {
        entry_wait_no_more(j, e);
    } else if (j->cursor && j->cursor->id == record->segment && j->cursor_at == record->at) {
        e = take_unread(j, record);
    } else {
        return SL_ERR_NOT_FOUND;
    }
    *taken = e;
    return e ? SL_OK : SL_ERR_UNAVAILABLE;
}

/* It waits on, before all others. */
static void put_back_first(struct journal *j, struct journal_entry *e)
{
    e->state = ENTRY_PUT_BACK;
    list_put(j->put_backs.after, &e->in_put_back);
    tally_add(&j->put_back, 1, e->open, e->bytes);
}

int32_t journal_take(struct journal *j, const struct journal_record *record, uint8_t *body)
{
    struct journal_entry *e;
    int failed = 0;
    fault_point("journal.read.before_take");
    log_enter(j);
    int32_t status = take(j, record, &e);
    if (status != SL_OK) {
        log_leave(j);
        return status;
    }
    struct segment *s = e->segment;
    const uint64_t at = e->at;
    const bool is_last = e->failed_reads + 1 == FAILED_READS_MAX;
    int right = -EAGAIN;
    if (segment_pin(j, s, &failed)) {
        (void)pthread_mutex_unlock(&j->mutex);
        right = read_body(j, s, at, record->seq, (uint32_t)record->bytes, body);
        if (right == -EIO && is_last)
            right = 0;
        if (right == 0)
            quarantine_save(j, s->fd, s->id, at, at + format_room(record->bytes));
        (void)pthread_mutex_lock(&j->mutex);
        segment_unpin(j, s);
    }
    e = entry_find(j, record->seq); /* it may have made room for others meanwhile */
    if (!e) {
        status = SL_ERR_NOT_FOUND;
    } else if (right < 0) {
        e->failed_reads += right == -EIO;
        put_back_first(j, e);
        status = SL_ERR_UNAVAILABLE;
    } else if (right == 0) {
        read_end_damaged(j, e);
        status = SL_ERR_INVALID;
    } else {
        e->failed_reads = 0;
        j->reread_records++;
    }
    log_leave(j);
    fault_point("journal.read.after_take");
    return status;
}

void journal_quarantine(struct journal *j, const struct journal_record *record)
{
    int failed = 0;
    log_enter(j);
    struct journal_entry *e = entry_find(j, record->seq);
    if (e && e->state == ENTRY_TAKEN && segment_pin(j, e->segment, &failed)) {
        struct segment *s = e->segment;
        const uint64_t at = e->at;
        (void)pthread_mutex_unlock(&j->mutex);
        quarantine_save(j, s->fd, s->id, at, at + format_room(record->bytes));
        (void)pthread_mutex_lock(&j->mutex);
        segment_unpin(j, s);
        e = entry_find(j, record->seq);
    }
    if (e && e->state == ENTRY_TAKEN)
        read_end_damaged(j, e);
    log_leave(j);
}
