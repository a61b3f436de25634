/* Old records that are still open are written anew behind the others, where they alone keep a
 * segment. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/log_internal.h"

#include <stdlib.h>
#include <string.h>

/* Is it little that keeps the oldest segment, and would it go soon by itself? Unread records are read
 * next, so they are not copied. */
static bool is_worth_it(const struct journal *j)
{
    const struct segment *s = j->head;
    if (!s || s == j->newest || s->unread.records > 0)
        return false;
    const uint64_t kept = s->open.bytes + FORMAT_RECORD_BYTES * s->open.records + s->note_bytes;
    if (j->state == JOURNAL_FULL)
        return kept <= s->bytes / 2;
    return j->state == JOURNAL_OK && s->next != j->newest && kept <= s->bytes / 8;
}

/* The mask as it is written; its bytes, 0: all are open. `out` may be NULL. */
static uint32_t put_mask(const struct journal_entry *e, uint8_t *out)
{
    const size_t words = entry_mask_words(e->items);
    if (e->open == e->items || e->forgetful)
        return 0;
    for (size_t i = 0; out && i < words; i++)
        format_put64(out + 8 * i, e->open_mask[i]);
    return (uint32_t)(8 * words);
}

/* Writes the record, which is found anew whenever the mutex was free. SL_OK also when it has ended. */
static int32_t copy_record(struct journal *j, uint64_t seq, struct link *copying)
{
    struct journal_entry *e = entry_find(j, seq);
    struct segment *from = e->segment;
    const uint32_t bytes = e->bytes;
    const uint64_t at = e->at, most = (uint64_t)bytes + 8 * entry_mask_words(e->items);
    int failed = 0;
    if (most > UINT32_MAX)
        return SL_ERR_TOO_LARGE;
    int32_t status = space_ensure(j, format_room(most), SPACE_FOR_HOUSE);
    if (status != SL_OK)
        return status;
    /* the header, the mask, the body, zeros: the body is moved to behind the mask once that is known */
    uint8_t *record = calloc(1, (size_t)format_room(most));
    if (!record || !segment_pin(j, from, &failed)) {
        free(record);
        return SL_ERR_UNAVAILABLE;
    }
    uint8_t *body = record + FORMAT_RECORD_BYTES + (most - bytes);
    (void)pthread_mutex_unlock(&j->mutex);
    const int right = read_body(j, from, at, seq, bytes, body);
    if (right == 0)
        quarantine_save(j, from->fd, from->id, at, at + format_room(bytes));
    (void)pthread_mutex_lock(&j->mutex);
    segment_unpin(j, from);
    e = entry_find(j, seq);
    if (right <= 0 || !e) {
        free(record);
        if (e && right == 0)
            read_end_damaged(j, e);
        return right < 0 ? SL_ERR_UNAVAILABLE : SL_OK;
    }
    const uint32_t mask = put_mask(e, record + FORMAT_RECORD_BYTES);
    memmove(record + FORMAT_RECORD_BYTES + mask, body, bytes);
    const uint64_t room = format_room((uint64_t)mask + bytes);
    memset(record + FORMAT_RECORD_BYTES + mask + bytes, 0,
           (size_t)(room - FORMAT_RECORD_BYTES - mask - bytes));
    const struct record_head head = {.body_crc =
                                         crc32c(0, record + FORMAT_RECORD_BYTES, mask + bytes),
                                     .bytes = mask + bytes,
                                     .items = e->items,
                                     .prefix = mask,
                                     .type = RECORD_COPY,
                                     .seq = seq,
                                     .arrived_ns = e->arrived_ns};
    format_encode_record(&head, j->newest->seed, record);
    struct segment *to = j->newest;
    const uint64_t to_at = to->end;
    struct iovec part = {record, (size_t)room};
    fault_point("journal.copy.before_write");
    status = append_at_tail(j, &part, 1, room);
    fault_point("journal.copy.after_write");
    free(record);
    e = entry_find(j, seq);
    if (status == SL_OK && e) {
        e->copy_segment = to;
        e->copy_at = to_at;
        list_take(&e->in_segment);
        list_put(copying, &e->in_segment);
    }
    return status;
}

/* The copies count, or the old records do on. */
static void settle_copies(struct journal *j, struct link *copying, bool durable)
{
    while (copying->after != copying) {
        struct journal_entry *e = entry_in_segment(copying->after);
        struct segment *from = e->segment;
        if (durable) {
            tally_sub(&from->open, 1, e->open, e->bytes);
            entry_move(e, e->copy_segment, e->copy_at);
            tally_add(&e->segment->open, 1, e->open, e->bytes);
            j->copied_records++;
        } else {
            entry_move(e, from, e->at);
        }
    }
}

static int32_t copy_head(struct journal *j)
{
    struct segment *s = j->head;
    struct link copying;
    int32_t status = SL_OK;
    const uint64_t failed_syncs = j->failed_syncs;
    list_init(&copying);
    while (status == SL_OK && s->entries.after != &s->entries)
        status = copy_record(j, entry_in_segment(s->entries.after)->seq, &copying);
    if (is_power(j) && copying.after != &copying && sync_now(j, true) != SL_OK)
        status = SL_ERR_UNAVAILABLE;
    if (j->failed_syncs != failed_syncs) /* one that a new segment asked for, perhaps */
        status = SL_ERR_UNAVAILABLE;
    settle_copies(j, &copying, status == SL_OK);
    return status == SL_OK && s->notes > 0 ? notes_copy(j, s) : status;
}

void copy_forward(struct journal *j)
{
    while (is_worth_it(j)) {
        if (j->head->open.records + j->head->notes > 0 && copy_head(j) != SL_OK)
            return;
        space_free_heads(j);
    }
}
