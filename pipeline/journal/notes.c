/* Side records by key. Where each lies is kept in memory; what it says is on the disk. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/log_internal.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_HEAD = 8 };

/* ---- the table ---- */

static uint32_t hash_of(sl_bytes owner, sl_bytes key)
{
    return crc32c(crc32c(0, owner.p, owner.n), key.p, key.n);
}

static struct note **bucket_of(const struct note_table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->n_buckets - 1)];
}

/* The link to the note of the owner and key, or the NULL at its chain's end. */
static struct note **find(const struct journal *j, uint32_t hash, sl_bytes owner, sl_bytes key)
{
    struct note **link = bucket_of(&j->notes, hash);
    for (; *link; link = &(*link)->chain) {
        const struct note *note = *link;
        if (note->hash == hash && note->owner_bytes == owner.n && note->key_bytes == key.n &&
            memcmp(note->names, owner.p, owner.n) == 0 &&
            memcmp(note->names + owner.n, key.p, key.n) == 0)
            break;
    }
    return link;
}

static struct note *find_number(const struct journal *j, uint32_t hash, uint64_t number)
{
    struct note *note = *bucket_of(&j->notes, hash);
    while (note && note->number != number)
        note = note->chain;
    return note;
}

/* Where memory is short, the chains become longer. */
static void grow(struct note_table *table)
{
    struct note_table larger = {.n_buckets = table->n_buckets * 2, .n = table->n};
    larger.buckets = calloc(larger.n_buckets, sizeof(struct note *));
    if (!larger.buckets)
        return;
    for (size_t i = 0; i < table->n_buckets; i++)
        for (struct note *note = table->buckets[i], *next; note; note = next) {
            struct note **bucket = bucket_of(&larger, note->hash);
            next = note->chain;
            note->chain = *bucket;
            *bucket = note;
        }
    free(table->buckets);
    *table = larger;
}

static struct note *note_new(sl_bytes owner, sl_bytes key)
{
    struct note *note = calloc(1, sizeof *note + owner.n + key.n);
    if (!note)
        return NULL;
    note->hash = hash_of(owner, key);
    note->owner_bytes = (uint32_t)owner.n;
    note->key_bytes = (uint32_t)key.n;
    memcpy(note->names, owner.p, owner.n);
    memcpy(note->names + owner.n, key.p, key.n);
    return note;
}

static sl_bytes owner_of(const struct note *note)
{
    return sl_slice(note->names, note->owner_bytes);
}

static sl_bytes key_of(const struct note *note)
{
    return sl_slice(note->names + note->owner_bytes, note->key_bytes);
}

static void count_in(struct note *note, struct segment *s)
{
    note->segment = s;
    s->notes++;
    s->note_bytes += format_room(note->bytes);
}

static void count_out(struct note *note)
{
    note->segment->notes--;
    note->segment->note_bytes -= format_room(note->bytes);
}

/* The newer of two notes of a key stays. */
static void enter(struct journal *j, struct note *note)
{
    struct note **link = find(j, note->hash, owner_of(note), key_of(note));
    struct note *old = *link;
    if (old && old->number > note->number) {
        count_out(note);
        free(note);
        return;
    }
    if (old) {
        count_out(old);
        note->chain = old->chain;
        free(old);
        *link = note;
        return;
    }
    *link = note;
    if (++j->notes.n > j->notes.n_buckets)
        grow(&j->notes);
}

static void leave(struct journal *j, struct note **link)
{
    struct note *note = *link;
    *link = note->chain;
    j->notes.n--;
    count_out(note);
}

/* ---- written ---- */

size_t notes_body_head(const struct note *note, uint8_t out[BODY_HEAD])
{
    format_put32(out, note->owner_bytes);
    format_put32(out + 4, note->key_bytes);
    return BODY_HEAD;
}

/* Its segment is not freed from now on. It is found once it is durable. */
void notes_written(struct journal *j, struct note *note, uint64_t at, uint64_t number)
{
    note->at = at;
    note->number = number;
    count_in(note, j->newest);
}

int32_t journal_note(struct journal *j, sl_bytes owner, sl_bytes key, sl_bytes text)
{
    uint8_t head[BODY_HEAD];
    const uint64_t most = j->segment_bytes / 4;
    if (owner.n > most || key.n > most || text.n > most || owner.n + key.n + text.n > most)
        return SL_ERR_TOO_LARGE;
    struct note *note = note_new(owner, key);
    if (!note)
        return SL_ERR_UNAVAILABLE;
    note->bytes = (uint32_t)(BODY_HEAD + owner.n + key.n + text.n);
    const struct iovec parts[] = {{head, notes_body_head(note, head)},
                                  {note->names, owner.n + key.n},
                                  {(void *)text.p, text.n}};
    struct journal_write write = {
        .parts = parts, .n_parts = 3, .arrived_ns = j->config.now(j->config.now_arg)};
    fault_point("journal.note.before_write");
    int32_t status = append_note(j, &write, note);
    if (status == SL_OK && is_power(j)) {
        /* what a sync that failed should have made durable is cut off */
        (void)sync_now(j, false);
        if (note->at >= note->segment->end)
            status = SL_ERR_UNAVAILABLE;
    }
    fault_point("journal.note.after_write");
    if (status == SL_OK) {
        enter(j, note);
    } else {
        if (note->segment)
            count_out(note);
        free(note);
    }
    log_leave(j);
    return status;
}

void journal_forget(struct journal *j, sl_bytes owner, sl_bytes key)
{
    log_enter(j);
    struct note **link = find(j, hash_of(owner, key), owner, key);
    struct note *note = *link;
    if (note) {
        leave(j, link);
        note->chain = j->forgotten;
        j->forgotten = note;
        log_ask_flush(j);
    }
    log_leave(j);
}

void notes_forgotten(struct journal *j, bool again)
{
    for (struct note *note = j->forgetting, *next; note; note = next) {
        next = note->chain;
        if (again) {
            note->chain = j->forgotten;
            j->forgotten = note;
        } else {
            free(note);
        }
    }
    j->forgetting = NULL;
}

/* ---- read and copied ---- */

/* A note as it is looked for again, since the mutex is free in between. */
struct mark {
    uint64_t number, to_at;
    struct segment *to;
    uint32_t hash;
};

static int by_number(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Those of the owner, or in the segment, in order. False: no memory. */
static bool gather(const struct journal *j, const sl_bytes *owner, const struct segment *segment,
                   struct mark **marks, size_t *n)
{
    *n = 0;
    *marks = malloc((j->notes.n + 1) * sizeof **marks);
    if (!*marks)
        return false;
    for (size_t i = 0; i < j->notes.n_buckets; i++)
        for (const struct note *note = j->notes.buckets[i]; note; note = note->chain)
            if (owner
                    ? owner->n == note->owner_bytes && memcmp(owner->p, note->names, owner->n) == 0
                    : note->segment == segment)
                (*marks)[(*n)++] = (struct mark){.number = note->number, .hash = note->hash};
    qsort(*marks, *n, sizeof **marks, by_number);
    return true;
}

/* Reads a note's body behind room for a header. *record is to be freed; NULL where *status is SL_OK:
 * it is gone, or damaged and has been saved. */
static uint8_t *read_note(struct journal *j, const struct mark *mark, uint32_t *bytes,
                          int32_t *status)
{
    struct note *note = find_number(j, mark->hash, mark->number);
    int failed = 0;
    *status = SL_OK;
    if (!note)
        return NULL;
    struct segment *s = note->segment;
    const uint64_t at = note->at;
    *bytes = note->bytes;
    uint8_t *record = calloc(1, (size_t)format_room(note->bytes));
    if (!record || !segment_pin(j, s, &failed)) {
        free(record);
        *status = SL_ERR_UNAVAILABLE;
        return NULL;
    }
    (void)pthread_mutex_unlock(&j->mutex);
    const int right = read_body(j, s, at, mark->number, *bytes, record + FORMAT_RECORD_BYTES);
    if (right == 0)
        quarantine_save(j, s->fd, s->id, at, at + format_room(*bytes));
    (void)pthread_mutex_lock(&j->mutex);
    segment_unpin(j, s);
    note = find_number(j, mark->hash, mark->number);
    if (right > 0 && note)
        return record;
    free(record);
    if (right < 0) {
        *status = SL_ERR_UNAVAILABLE;
    } else if (note) {
        leave(j, find(j, note->hash, owner_of(note), key_of(note)));
        free(note);
    }
    return NULL;
}

int32_t journal_notes(struct journal *j, sl_bytes owner,
                      int32_t (*visit)(void *ctx, sl_bytes key, sl_bytes note), void *ctx)
{
    struct mark *marks;
    size_t n;
    log_enter(j);
    int32_t status = gather(j, &owner, NULL, &marks, &n) ? SL_OK : SL_ERR_NOMEM;
    for (size_t i = 0; i < n && status == SL_OK; i++) {
        uint32_t bytes;
        uint8_t *record = read_note(j, &marks[i], &bytes, &status);
        if (!record)
            continue;
        (void)pthread_mutex_unlock(&j->mutex);
        const uint8_t *body = record + FORMAT_RECORD_BYTES;
        const uint32_t names = BODY_HEAD + format_get32(body) + format_get32(body + 4);
        status = visit(ctx, sl_slice(body + BODY_HEAD + owner.n, format_get32(body + 4)),
                       sl_slice(body + names, bytes - names));
        free(record);
        (void)pthread_mutex_lock(&j->mutex);
    }
    free(marks);
    log_leave(j);
    return status;
}

static int32_t copy_note(struct journal *j, struct mark *mark)
{
    uint32_t bytes;
    int32_t status;
    const struct note *note = find_number(j, mark->hash, mark->number);
    if (!note)
        return SL_OK;
    status = space_ensure(j, format_room(note->bytes), SPACE_FOR_HOUSE);
    uint8_t *record = status == SL_OK ? read_note(j, mark, &bytes, &status) : NULL;
    if (!record)
        return status;
    const struct record_head head = {.body_crc = crc32c(0, record + FORMAT_RECORD_BYTES, bytes),
                                     .bytes = bytes,
                                     .type = RECORD_NOTE,
                                     .seq = mark->number,
                                     .arrived_ns = j->config.now(j->config.now_arg)};
    format_encode_record(&head, j->newest->seed, record);
    struct iovec part = {record, (size_t)format_room(bytes)};
    mark->to_at = j->newest->end;
    mark->to = j->newest;
    status = append_at_tail(j, &part, 1, format_room(bytes));
    free(record);
    if (status != SL_OK)
        mark->to = NULL;
    return status;
}

int32_t notes_copy(struct journal *j, struct segment *s)
{
    struct mark *marks;
    size_t n;
    const uint64_t failed_syncs = j->failed_syncs;
    if (!gather(j, NULL, s, &marks, &n))
        return SL_ERR_NOMEM;
    int32_t status = SL_OK;
    for (size_t i = 0; i < n && status == SL_OK; i++)
        status = copy_note(j, &marks[i]);
    if (status == SL_OK && is_power(j))
        status = sync_now(j, true);
    if (j->failed_syncs != failed_syncs)
        status = SL_ERR_UNAVAILABLE;
    for (size_t i = 0; i < n && status == SL_OK; i++) {
        struct note *note = find_number(j, marks[i].hash, marks[i].number);
        if (!note || !marks[i].to)
            continue;
        count_out(note);
        note->at = marks[i].to_at;
        count_in(note, marks[i].to);
    }
    free(marks);
    return status;
}

/* ---- found at opening ---- */

int32_t notes_found(struct journal *j, struct segment *s, uint64_t at,
                    const struct record_head *head, const uint8_t *body)
{
    if (head->bytes < BODY_HEAD)
        return SL_OK;
    const uint64_t owner_bytes = format_get32(body), key_bytes = format_get32(body + 4);
    if (owner_bytes + key_bytes > head->bytes - BODY_HEAD)
        return SL_OK;
    const sl_bytes owner = sl_slice(body + BODY_HEAD, (size_t)owner_bytes);
    const sl_bytes key = sl_slice(body + BODY_HEAD + owner_bytes, (size_t)key_bytes);
    struct note **link = find(j, hash_of(owner, key), owner, key);
    if (*link && (*link)->number <= head->seq) {
        struct note *old = *link;
        leave(j, link);
        free(old);
    }
    if (head->type != RECORD_NOTE)
        return SL_OK;
    struct note *note = note_new(owner, key);
    if (!note)
        return SL_ERR_NOMEM;
    note->bytes = head->bytes;
    note->at = at;
    note->number = head->seq;
    count_in(note, s);
    enter(j, note);
    return SL_OK;
}

void notes_free(struct journal *j)
{
    for (size_t i = 0; j->notes.buckets && i < j->notes.n_buckets; i++)
        for (struct note *note = j->notes.buckets[i], *next; note; note = next) {
            next = note->chain;
            free(note);
        }
    free(j->notes.buckets);
    notes_forgotten(j, true);
    for (struct note *note = j->forgotten, *next; note; note = next) {
        next = note->chain;
        free(note);
    }
}
