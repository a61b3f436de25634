/* What is found at opening. Three times over the segments, the oldest first: their heads are read; then
 * all headers of records, to learn what is settled and where the records end; then once more, to count
 * what is not settled. Nothing is written to a segment, so that a crash meanwhile is harmless: records
 * go on in a new one. */
#include "pipeline/journal/recover.h"
#include "pipeline/journal/crc32c.h"

#include <stdlib.h>

/* ---- what is settled ---- */

static void see_seq(struct journal *j, uint64_t seq)
{
    if (seq >= j->next_seq && seq < UINT64_MAX)
        j->next_seq = seq + 1;
}

/* The body, if it is sound; NULL: it is not, or there is no memory, or it cannot be read: *status. */
static uint8_t *read_whole(struct recovery *r, struct segment *s, uint64_t at,
                           const struct record_head *head, int32_t *status)
{
    struct journal *j = r->journal;
    uint8_t *body = malloc((size_t)head->bytes + 1);
    if (!body) {
        *status = recover_fail_memory(r);
        return NULL;
    }
    const ssize_t got = journal_read(j->io, s->fd, body, head->bytes, at + FORMAT_RECORD_BYTES);
    if (got >= 0 && (size_t)got == head->bytes && crc32c(0, body, head->bytes) == head->body_crc)
        return body;
    free(body);
    if (got < 0) {
        char name[FORMAT_NAME_MAX];
        format_segment_name(s->id, name);
        *status = recover_fail_io(r, "read", name, (int)got);
        return NULL;
    }
    quarantine_save(j, s->fd, s->id, at, at + format_room(head->bytes));
    return NULL;
}

static int32_t see_ranges(struct recovery *r, const struct record_head *head, const uint8_t *body)
{
    struct journal *j = r->journal;
    for (uint32_t at = 0; head->bytes - at >= FORMAT_RANGE_BYTES; at += FORMAT_RANGE_BYTES) {
        const uint64_t first = format_get64(body + at), n = format_get64(body + at + 8);
        uint64_t end;
        if (n == 0 || __builtin_add_overflow(first, n, &end))
            continue;
        if (!ranges_add(&j->ended, first, end - 1))
            return recover_fail_memory(r);
        see_seq(j, end - 1);
    }
    return SL_OK;
}

/* What is remembered of the record; made where it is not yet. NULL: no memory. */
static struct journal_entry *entry_of(struct journal *j, const struct record_head *head)
{
    struct journal_entry *e = entry_find(j, head->seq);
    if (e && e->items != head->items) {
        entry_remove(j, e);
        e = NULL;
    }
    if (e)
        return e;
    e = entry_new();
    if (!e)
        return NULL;
    e->seq = head->seq;
    e->items = e->open = head->items;
    e->state = ENTRY_UNREAD;
    if (!entry_make_mask(e)) {
        free(e);
        return NULL;
    }
    entry_add(j, e);
    return e;
}

static int32_t see_parts(struct recovery *r, const struct record_head *head, const uint8_t *body)
{
    struct journal_entry *e = entry_of(r->journal, head);
    if (!e)
        return recover_fail_memory(r);
    for (uint32_t at = 0; head->bytes - at >= FORMAT_PART_BYTES; at += FORMAT_PART_BYTES) {
        const uint32_t first = format_get32(body + at), n = format_get32(body + at + 4);
        if (first < e->items && n <= e->items - first)
            e->open -= mask_clear(e->open_mask, first, n);
    }
    return SL_OK;
}

static int32_t see_copy(struct recovery *r, struct segment *s, uint64_t at,
                        const struct record_head *head, const uint8_t *body)
{
    const size_t words = entry_mask_words(head->items);
    if (head->prefix != 0 && head->prefix != 8 * words)
        return SL_OK;
    struct journal_entry *e = entry_of(r->journal, head);
    if (!e)
        return recover_fail_memory(r);
    e->segment = s;
    e->at = at;
    e->arrived_ns = head->arrived_ns;
    e->bytes = head->bytes - head->prefix;
    e->open = 0;
    for (size_t i = 0; i < words; i++) {
        if (head->prefix)
            e->open_mask[i] &= format_get64(body + 8 * i);
        e->open += (uint32_t)__builtin_popcountll(e->open_mask[i]);
    }
    return SL_OK;
}

/* A copy that is damaged is lost, unless what it was copied from is still there. */
static int32_t see_damaged(struct recovery *r, const struct record_head *head)
{
    if (head->type != RECORD_COPY || head->seq >= r->oldest_seq ||
        entry_find(r->journal, head->seq))
        return SL_OK;
    return ranges_add(&r->lost, head->seq, head->seq) ? SL_OK : recover_fail_memory(r);
}

/* A record other than DATA. */
static int32_t see_record(struct recovery *r, struct segment *s, uint64_t at,
                          const struct record_head *head)
{
    struct journal *j = r->journal;
    int32_t status = SL_OK;
    uint8_t *body = read_whole(r, s, at, head, &status);
    if (!body)
        return status == SL_OK ? see_damaged(r, head) : status;
    switch (head->type) {
    case RECORD_SETTLED:
        status = see_ranges(r, head, body);
        break;
    case RECORD_PARTS:
        status = see_parts(r, head, body);
        break;
    case RECORD_COPY:
        status = see_copy(r, s, at, head, body);
        break;
    case RECORD_NOTE:
    case RECORD_FORGET:
        if (head->seq >= j->next_note && head->seq < UINT64_MAX)
            j->next_note = head->seq + 1;
        status = notes_found(j, s, at, head, body);
        if (status != SL_OK)
            status = recover_fail_memory(r);
        break;
    default:
        break;
    }
    free(body);
    return status;
}

/* Which sequence number the record says comes next, before it. */
static uint64_t seq_of(const struct journal *j, const struct record_head *head)
{
    const bool says =
        head->type == RECORD_DATA || head->type == RECORD_SETTLED || head->type == RECORD_END;
    return says && head->seq > j->next_seq ? head->seq : j->next_seq;
}

static int32_t begin_scan(struct recovery *r, struct segment *s)
{
    int failed = 0;
    char name[FORMAT_NAME_MAX];
    if (!segment_pin(r->journal, s, &failed)) {
        format_segment_name(s->id, name);
        return recover_fail_io(r, "open", name, failed);
    }
    struct scan *scan = r->scan;
    scan->io = r->journal->io;
    scan->fd = s->fd;
    scan->seed = s->seed;
    scan->end_known = s->end_told;
    scan->at = FORMAT_RECORDS_AT;
    scan->end = s->end;
    scan->buffer_at = scan->buffered = 0;
    return SL_OK;
}

/* Is the record the first of what a crash has torn off? Only where the end is not known. 1, 0, or a
 * negative errno. */
static int is_torn(struct recovery *r, const struct segment *s, uint64_t at,
                   const struct record_head *head)
{
    if (s->end_told)
        return 0;
    const int sound = segment_check_body(r->journal->io, s->fd, at + FORMAT_RECORD_BYTES,
                                         head->bytes, head->body_crc);
    if (sound != 0)
        return sound < 0 ? sound : 0;
    const int more = scan_has_more(r->scan);
    return more < 0 ? more : !more;
}

static int32_t learn_from(struct recovery *r, struct segment *s)
{
    struct journal *j = r->journal;
    struct record_head head;
    uint64_t at;
    bool gap = false;
    int32_t status = SL_OK;
    int found = SCAN_END;
    if (s->first_seq > j->next_seq)
        j->next_seq = s->first_seq;
    while (status == SL_OK && (found = scan_next(r->scan, &head, &at)) > SCAN_END) {
        if (found == SCAN_GAP) {
            quarantine_save(j, s->fd, s->id, at, r->scan->at);
            gap = true;
            continue;
        }
        const int torn = is_torn(r, s, at, &head);
        if (torn) {
            found = torn < 0 ? torn : SCAN_END;
            r->scan->at = at;
            break;
        }
        const uint64_t seq = seq_of(j, &head);
        if (gap && seq > j->next_seq && !ranges_add(&r->lost, j->next_seq, seq - 1))
            return recover_fail_memory(r);
        gap = gap && seq == j->next_seq && head.type != RECORD_DATA;
        if (seq > j->next_seq)
            j->next_seq = seq;
        if (head.type == RECORD_DATA || head.type == RECORD_COPY)
            see_seq(j, head.seq);
        if (head.type != RECORD_DATA)
            status = see_record(r, s, at, &head);
    }
    if (found < 0) {
        char name[FORMAT_NAME_MAX];
        format_segment_name(s->id, name);
        return recover_fail_io(r, "read", name, found);
    }
    if (gap && s->next && s->next->first_seq > j->next_seq &&
        !ranges_add(&r->lost, j->next_seq, s->next->first_seq - 1))
        return recover_fail_memory(r);
    if (status == SL_OK)
        s->end = r->scan->at;
    return status;
}

/* ---- what is open ---- */

static void end_damaged(struct journal *j, uint64_t seq, uint32_t items)
{
    log_count_ended(j, JOURNAL_QUARANTINED, 1, items);
    (void)ranges_add(&j->settled, seq, seq); /* so that it is told once */
}

/* Where the record is the one that counts, and is not settled: how many items are open; else 0. */
static uint32_t open_items(struct journal *j, struct segment *s, uint64_t at,
                           const struct record_head *head, struct journal_entry **entry)
{
    struct journal_entry *e = entry_find(j, head->seq);
    *entry = NULL;
    if (ranges_have(&j->ended, head->seq))
        return 0;
    if (e && e->items != head->items) {
        entry_remove(j, e);
        e = NULL;
    }
    if (!e)
        return head->type == RECORD_DATA ? head->items : 0;
    if (!e->segment && head->type == RECORD_DATA) {
        e->segment = s;
        e->at = at;
        e->arrived_ns = head->arrived_ns;
        e->bytes = head->bytes;
    }
    if (e->segment != s || e->at != at)
        return 0;
    *entry = e;
    return e->open;
}

static int32_t count_in(struct recovery *r, struct segment *s)
{
    struct journal *j = r->journal;
    struct record_head head;
    uint64_t at;
    int found;
    while ((found = scan_next(r->scan, &head, &at)) > SCAN_END) {
        struct journal_entry *e;
        if (found == SCAN_GAP || (head.type != RECORD_DATA && head.type != RECORD_COPY))
            continue;
        if (head.type == RECORD_DATA) {
            if (head.seq < r->next_data) /* bytes that were written over others */
                continue;
            r->next_data = head.seq + 1;
        }
        const uint32_t open = open_items(j, s, at, &head, &e);
        if (open == 0)
            continue;
        j->recovered_records++;
        j->recovered_items += open;
        const int sound = s->end_told ? 1
                                      : segment_check_body(j->io, s->fd, at + FORMAT_RECORD_BYTES,
                                                           head.bytes, head.body_crc);
        if (sound < 0) {
            found = sound;
            break;
        }
        if (!sound) {
            quarantine_save(j, s->fd, s->id, at, r->scan->at);
            end_damaged(j, head.seq, open);
            if (!ranges_add(&j->ended, head.seq, head.seq))
                return recover_fail_memory(r);
            continue;
        }
        const uint32_t bytes = head.bytes - head.prefix;
        tally_add(&s->open, 1, open, bytes);
        tally_add(&s->unread, 1, open, bytes);
        tally_add(&j->open, 1, open, bytes);
        tally_add(&j->unread, 1, open, bytes);
        if (e)
            list_put(&s->entries, &e->in_segment);
    }
    if (found == SCAN_END)
        return SL_OK;
    char name[FORMAT_NAME_MAX];
    format_segment_name(s->id, name);
    return recover_fail_io(r, "read", name, found);
}

/* Records of which nothing is left are settled, and others are remembered only where they lie. */
static int32_t drop_entries(struct recovery *r, bool all_unplaced)
{
    struct journal *j = r->journal;
    for (size_t i = 0; i < j->entries.n_buckets; i++)
        for (struct journal_entry *e = j->entries.buckets[i], *next; e; e = next) {
            next = e->chain;
            if (e->open == 0 && !ranges_add(&j->ended, e->seq, e->seq))
                return recover_fail_memory(r);
            if (all_unplaced ? !e->in_segment.before : ranges_have(&j->ended, e->seq))
                entry_remove(j, e);
        }
    return SL_OK;
}

/* Records that damage has swallowed, but for those that were settled. Their items are not known: one
 * each is counted. */
static int32_t count_lost(struct recovery *r)
{
    struct journal *j = r->journal;
    for (size_t i = 0; i < r->lost.n; i++) {
        const struct range *lost = &r->lost.all[i];
        uint64_t n = lost->last - lost->first + 1;
        for (size_t k = 0; k < j->ended.n; k++) {
            const struct range *ended = &j->ended.all[k];
            const uint64_t first = ended->first > lost->first ? ended->first : lost->first;
            const uint64_t last = ended->last < lost->last ? ended->last : lost->last;
            if (first <= last)
                n -= last - first + 1;
        }
        if (n == 0)
            continue;
        j->recovered_records += n;
        j->recovered_items += n;
        log_count_ended(j, JOURNAL_QUARANTINED, n, n);
        (void)ranges_add(&j->settled, lost->first, lost->last);
        if (!ranges_add(&j->ended, lost->first, lost->last))
            return recover_fail_memory(r);
    }
    return SL_OK;
}

static int32_t walk(struct recovery *r, int32_t (*visit)(struct recovery *, struct segment *),
                    bool say)
{
    int32_t status = SL_OK;
    for (struct segment *s = r->journal->head; s && status == SL_OK; s = s->next) {
        if (say)
            fault_point("journal.recover.before_scan");
        status = begin_scan(r, s);
        if (status != SL_OK)
            break;
        status = visit(r, s);
        segment_unpin(r->journal, s);
        if (say)
            fault_point("journal.recover.after_scan");
    }
    return status;
}

/* What was read may be in memory only, where a process ended and the machine went on. The next
 * segment's head will say that it is there. */
static int32_t make_durable(struct recovery *r)
{
    struct journal *j = r->journal;
    struct segment *s = j->newest;
    char name[FORMAT_NAME_MAX];
    int failed = 0;
    format_segment_name(s->id, name);
    if (!segment_pin(j, s, &failed))
        return recover_fail_io(r, "open", name, failed);
    failed = journal_sync(j->io, s->fd);
    segment_unpin(j, s);
    j->durable_at = s->end;
    return failed < 0 ? recover_fail_io(r, "sync", name, failed) : SL_OK;
}

static int32_t recover_all(struct recovery *r)
{
    struct journal *j = r->journal;
    int32_t status = recover_files(r);
    if (status != SL_OK)
        return status;
    r->oldest_seq = j->head ? j->head->first_seq : 0;
    status = walk(r, learn_from, true);
    if (status == SL_OK)
        status = count_lost(r);
    if (status == SL_OK)
        status = drop_entries(r, false);
    if (status == SL_OK)
        status = walk(r, count_in, false);
    if (status == SL_OK)
        status = drop_entries(r, true);
    return status == SL_OK && is_power(j) && j->newest ? make_durable(r) : status;
}

int32_t recover(struct journal *j, sl_error *error)
{
    struct recovery r = {.journal = j, .error = error};
    fault_point("journal.recover.begin");
    r.scan = malloc(sizeof *r.scan);
    const int32_t status = r.scan ? recover_all(&r) : recover_fail_memory(&r);
    free(r.scan);
    free(r.segments.all);
    free(r.spares.all);
    ranges_free(&r.lost);
    if (status != SL_OK)
        return status;
    j->opened_segment = j->next_segment;
    j->opened_seq = j->durable_seq = j->next_seq;
    if (j->newest)
        j->newest->cut = true;
    if (j->unread.records > 0) {
        j->cursor = j->head;
        j->cursor_at = FORMAT_RECORDS_AT;
    } else {
        ranges_free(&j->ended);
    }
    fault_point("journal.recover.end");
    return SL_OK;
}
