/* Records out: items end, and that is written as ranges, with the next records or soon after. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/log_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    RANGES_MAX = 1024, /* in one SETTLED record */
    RUNS_MAX = 512,    /* in one PARTS record; of others it is forgotten that they have ended */
    GATHER_MAX = 65536 /* bytes that one write takes along */
};

/* ---- items end ---- */

void settle_uncount(struct journal *j, struct segment *s, uint64_t records, uint64_t items,
                    uint64_t bytes)
{
    tally_sub(&s->open, records, items, bytes);
    tally_sub(&j->open, records, items, bytes);
}

void settle_record(struct journal *j, struct journal_entry *e)
{
    entry_wait_no_more(j, e);
    settle_uncount(j, e->segment, 1, e->open, e->bytes);
    /* without memory it will be read again after the process has ended */
    (void)ranges_add(&j->settled, e->seq, e->seq);
    entry_remove(j, e);
    log_ask_flush(j);
}

static uint32_t clear_items(struct journal_entry *e, uint32_t first, uint32_t n)
{
    if (e->forgetful)
        return n < e->open ? n : e->open;
    if (entry_make_mask(e))
        return mask_clear(e->open_mask, first, n);
    e->forgetful = true;
    return n < e->open ? n : e->open;
}

uint32_t journal_settle(struct journal *j, uint64_t seq, uint32_t first, uint32_t n)
{
    log_enter(j);
    struct journal_entry *e = entry_find(j, seq);
    if (!e || e->state != ENTRY_TAKEN || first >= e->items) {
        log_leave(j);
        return 0;
    }
    if (n > e->items - first)
        n = e->items - first;
    /* all at once, as is usual, takes no mask */
    const uint32_t ended = n == e->items ? e->open : clear_items(e, first, n);
    if (ended == e->open) {
        j->settled_items += ended;
        settle_record(j, e);
    } else if (ended > 0) {
        e->open -= ended;
        j->settled_items += ended;
        settle_uncount(j, e->segment, 0, ended, 0);
        if (!e->in_changed.before && !e->forgetful)
            list_put(&j->changed, &e->in_changed);
        log_ask_flush(j);
    }
    log_leave(j);
    return ended;
}

void journal_put_back(struct journal *j, uint64_t seq)
{
    log_enter(j);
    struct journal_entry *e = entry_find(j, seq);
    if (e && e->state == ENTRY_TAKEN) {
        if (e->forgetful) { /* which of them have ended is not known: all come again */
            tally_add(&e->segment->open, 0, e->items - e->open, 0);
            tally_add(&j->open, 0, e->items - e->open, 0);
            e->open = e->items;
            e->forgetful = false;
        }
        e->state = ENTRY_PUT_BACK;
        list_put(&j->put_backs, &e->in_put_back);
        tally_add(&j->put_back, 1, e->open, e->bytes);
        if (j->config.max_age_ns > 0)
            log_ask_work(j,
                         e->arrived_ns + j->config.max_age_ns - j->config.now(j->config.now_arg));
    }
    log_leave(j);
}

void journal_open_items(struct journal *j, uint64_t seq, uint64_t *mask)
{
    log_enter(j);
    struct journal_entry *e = entry_find(j, seq);
    if (e) {
        const size_t words = entry_mask_words(e->items);
        if (e->open_mask && !e->forgetful) {
            memcpy(mask, e->open_mask, words * sizeof *mask);
        } else {
            memset(mask, 0xFF, words * sizeof *mask);
            if (e->items % 64)
                mask[words - 1] = ((uint64_t)1 << e->items % 64) - 1;
        }
    }
    log_leave(j);
}

/* ---- what is written about it ---- */

/* Makes room for a record in j->house, `limit` bytes in all. NULL: there is none. */
static uint8_t *reserve(struct journal *j, uint64_t body, uint64_t limit)
{
    struct buffer *b = &j->house;
    const uint64_t need = b->n + format_room(body);
    if (need > limit)
        return NULL;
    if (need > b->room) {
        const size_t room = need < 4096 ? 4096 : (size_t)need * 2;
        uint8_t *bytes = realloc(b->bytes, room);
        if (!bytes)
            return NULL;
        b->bytes = bytes;
        b->room = room;
    }
    memset(b->bytes + b->n, 0, (size_t)format_room(body));
    return b->bytes + b->n + FORMAT_RECORD_BYTES;
}

/* The body is in its place. */
static void put_record(struct journal *j, enum record_type type, uint64_t seq, uint32_t items,
                       size_t body)
{
    uint8_t *at = j->house.bytes + j->house.n;
    const struct record_head head = {.body_crc = crc32c(0, at + FORMAT_RECORD_BYTES, body),
                                     .bytes = (uint32_t)body,
                                     .items = items,
                                     .type = (uint8_t)type,
                                     .seq = seq,
                                     .arrived_ns = j->config.now(j->config.now_arg)};
    format_encode_record(&head, j->newest->seed, at);
    j->house.n += (size_t)format_room(body);
}

static void gather_ranges(struct journal *j, uint64_t limit)
{
    size_t done = 0;
    while (done < j->settled.n) {
        const uint64_t room =
            limit > j->house.n + FORMAT_RECORD_BYTES ? limit - j->house.n - FORMAT_RECORD_BYTES : 0;
        size_t n = j->settled.n - done;
        n = n < RANGES_MAX ? n : RANGES_MAX;
        n = n < room / FORMAT_RANGE_BYTES ? n : (size_t)(room / FORMAT_RANGE_BYTES);
        uint8_t *p = n > 0 ? reserve(j, n * FORMAT_RANGE_BYTES, limit) : NULL;
        if (!p)
            break;
        for (size_t i = 0; i < n; i++, p += FORMAT_RANGE_BYTES) {
            const struct range *r = &j->settled.all[done + i];
            format_put64(p, r->first);
            format_put64(p + 8, r->last - r->first + 1);
            /* without memory for it, it is not written again where this write fails */
            (void)ranges_add(&j->settling, r->first, r->last);
        }
        put_record(j, RECORD_SETTLED, j->next_seq, 0, n * FORMAT_RANGE_BYTES);
        done += n;
    }
    ranges_drop(&j->settled, done);
}

/* The runs of items that have ended; their number. `out` may be NULL. */
static size_t ended_runs(const struct journal_entry *e, uint8_t *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < e->items && n < RUNS_MAX;) {
        const uint64_t ended = ~e->open_mask[i / 64] >> i % 64;
        if (!ended) {
            i = (i / 64 + 1) * 64;
            continue;
        }
        i += (uint32_t)__builtin_ctzll(ended);
        const uint32_t first = i;
        while (i < e->items && !(e->open_mask[i / 64] >> i % 64 & 1))
            i++;
        if (i == first)
            break;
        if (out) {
            format_put32(out, first);
            format_put32(out + 4, i - first);
            out += FORMAT_PART_BYTES;
        }
        n++;
    }
    return n;
}

static void gather_parts(struct journal *j, uint64_t limit)
{
    while (j->changed.after != &j->changed) {
        struct journal_entry *e = entry_in_changed(j->changed.after);
        const size_t body = ended_runs(e, NULL) * FORMAT_PART_BYTES;
        uint8_t *p = reserve(j, body, limit);
        if (!p)
            break;
        (void)ended_runs(e, p);
        put_record(j, RECORD_PARTS, e->seq, e->items, body);
        list_take(&e->in_changed);
    }
}

static void gather_forgotten(struct journal *j, uint64_t limit)
{
    while (j->forgotten) {
        struct note *note = j->forgotten;
        const size_t names = (size_t)note->owner_bytes + note->key_bytes;
        uint8_t *p = reserve(j, 8 + names, limit);
        if (!p)
            break;
        memcpy(p + notes_body_head(note, p), note->names, names);
        put_record(j, RECORD_FORGET, j->next_note++, 0, 8 + names);
        j->forgotten = note->chain;
        note->chain = j->forgetting;
        j->forgetting = note;
    }
}

void settle_gather(struct journal *j, uint64_t room)
{
    const uint64_t limit = room < GATHER_MAX ? room : GATHER_MAX;
    j->house.n = 0;
    gather_ranges(j, limit);
    gather_parts(j, limit);
    gather_forgotten(j, limit);
}

static void move_ranges(struct ranges *from, struct ranges *to)
{
    for (size_t i = 0; i < from->n; i++) /* without memory for one, it may come again */
        (void)ranges_add(to, from->all[i].first, from->all[i].last);
    ranges_drop(from, from->n);
}

/* Which entries were written is not kept: all that have ended in part are written again. */
static void gather_parts_again(struct journal *j)
{
    for (struct segment *s = j->head; s; s = s->next)
        for (struct link *l = s->entries.after; l != &s->entries; l = l->after) {
            struct journal_entry *e = entry_in_segment(l);
            if (e->open_mask && !e->forgetful && !e->in_changed.before)
                list_put(&j->changed, &e->in_changed);
        }
}

void settle_gathered(struct journal *j, bool written)
{
    if (!written)
        gather_parts_again(j);
    if (!written || is_power(j))
        move_ranges(&j->settling, written ? &j->settled_unsynced : &j->settled);
    ranges_drop(&j->settling, j->settling.n);
    notes_forgotten(j, !written);
    j->house.n = 0;
}

void settle_sync_begins(struct journal *j)
{
    move_ranges(&j->settled_unsynced, &j->settled_syncing);
}

void settle_sync_ended(struct journal *j, bool durable)
{
    if (durable) {
        ranges_drop(&j->settled_syncing, j->settled_syncing.n);
        return;
    }
    move_ranges(&j->settled_syncing, &j->settled);
    move_ranges(&j->settled_unsynced, &j->settled);
    gather_parts_again(j);
    if (settle_is_due(j))
        log_ask_flush(j);
}

bool settle_is_due(const struct journal *j)
{
    return j->settled.n > 0 || j->changed.after != &j->changed || j->forgotten;
}

/* That one record, whichever it is, fits. */
static uint64_t least_room(const struct journal *j)
{
    const struct note *note = j->forgotten;
    const uint64_t names = note ? (uint64_t)note->owner_bytes + note->key_bytes : 0;
    const uint64_t usual = format_room(RUNS_MAX * FORMAT_PART_BYTES);
    return format_room(8 + names) > usual ? format_room(8 + names) : usual;
}

int32_t settle_flush(struct journal *j)
{
    while (settle_is_due(j)) {
        int32_t status = space_ensure(j, least_room(j), SPACE_FOR_HOUSE);
        if (status != SL_OK)
            return status;
        settle_gather(j, j->newest->bytes - j->newest->end);
        if (j->house.n == 0)
            return SL_ERR_NOMEM;
        struct iovec part = {j->house.bytes, j->house.n};
        fault_point("journal.settle.before_write");
        status = append_at_tail(j, &part, 1, j->house.n);
        fault_point("journal.settle.after_write");
        settle_gathered(j, status == SL_OK);
        if (status != SL_OK)
            return status;
    }
    return SL_OK;
}
