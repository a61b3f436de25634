/* Opened, closed, and what the owner is told. */
#include "pipeline/journal/log_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- telling ---- */

static void tell(struct journal *j, const struct told *t, struct journal_write *done)
{
    const struct journal_events *events = &j->config.events;
    while (done) {
        struct journal_write *w = done;
        done = w->own.next;
        w->durable(w, w->own.status);
    }
    for (int end = 0; end < 3; end++)
        if (t->ended[end].records > 0 && events->ended)
            events->ended(events->ctx, (enum journal_end)end, t->ended[end].records,
                          t->ended[end].items);
    if (t->state && events->state)
        events->state(events->ctx);
    if (t->room && events->room)
        events->room(events->ctx);
    if (t->synced_ns >= 0 && events->synced)
        events->synced(events->ctx, t->synced_ns);
    if (t->work_ns >= 0 && events->work)
        events->work(events->ctx, t->work_ns);
}

static const struct told nothing = {.work_ns = -1, .synced_ns = -1};

void log_leave(struct journal *j)
{
    const struct told told = j->told;
    struct journal_write *done = j->done;
    j->told = nothing;
    j->done = NULL;
    atomic_store(&j->waits, j->unread.records + j->put_back.records > 0);
    (void)pthread_mutex_unlock(&j->mutex);
    tell(j, &told, done);
}

void log_take_turn(struct journal *j)
{
    while (j->writing)
        (void)pthread_cond_wait(&j->turned, &j->mutex);
    j->writing = true;
}

void log_give_turn(struct journal *j)
{
    j->writing = false;
    (void)pthread_cond_broadcast(&j->turned);
}

void log_ask_work(struct journal *j, int64_t delay_ns)
{
    if (delay_ns < 0)
        delay_ns = 0;
    if (j->told.work_ns < 0 || delay_ns < j->told.work_ns)
        j->told.work_ns = delay_ns;
}

void log_ask_flush(struct journal *j)
{
    if (j->flush_asked)
        return;
    j->flush_asked = true;
    log_ask_work(j, FLUSH_NS);
}

void log_set_state(struct journal *j, enum journal_state state, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(j->text, sizeof j->text, format, args);
    va_end(args);
    j->state = state;
    atomic_store(&j->refusing, true);
    j->told.state = true;
}

void log_set_ok(struct journal *j)
{
    j->text[0] = '\0';
    j->told.state = j->told.state || j->state != JOURNAL_OK;
    j->state = JOURNAL_OK;
    atomic_store(&j->refusing, false);
    if (j->wants_room) {
        j->wants_room = false;
        j->told.room = true;
    }
}

int32_t log_set_failed(struct journal *j, const char *doing, int failed)
{
    const bool no_room = failed == -ENOSPC || failed == -EDQUOT || failed == -EFBIG;
    log_set_state(j, no_room ? JOURNAL_NO_ROOM : JOURNAL_FAILED, "cannot %s \"%.90s\": %s", doing,
                  j->directory_name, strerror(-failed));
    log_ask_work(j, RETRY_NS);
    return SL_ERR_UNAVAILABLE;
}

void log_count_ended(struct journal *j, enum journal_end end, uint64_t records, uint64_t items)
{
    tally_add(&j->ended_tally[end], records, items, 0);
    tally_add(&j->told.ended[end], records, items, 0);
}

bool journal_has_room(struct journal *j)
{
    if (!atomic_load(&j->refusing))
        return true;
    log_enter(j);
    const bool refusing = j->state != JOURNAL_OK;
    j->wants_room = j->wants_room || refusing;
    log_leave(j);
    return !refusing;
}

bool journal_waits(struct journal *j)
{
    return atomic_load(&j->waits);
}

/* ---- figures ---- */

static void see_older(int64_t arrived_ns, int64_t *oldest_ns)
{
    if (*oldest_ns == 0 || arrived_ns < *oldest_ns)
        *oldest_ns = arrived_ns;
}

/* Entries of a segment are in order, but for copies, which are the oldest of all. */
static int64_t find_oldest(struct journal *j)
{
    int64_t oldest_ns = 0;
    struct journal_record record;
    if (j->unread.records > 0 && j->cursor_arrived_ns == 0)
        (void)read_next(j, &record);
    if (j->unread.records > 0 && j->cursor_arrived_ns != 0)
        see_older(j->cursor_arrived_ns, &oldest_ns);
    for (struct segment *s = j->head; s; s = s->next)
        if (s->entries.after != &s->entries)
            see_older(entry_in_segment(s->entries.after)->arrived_ns, &oldest_ns);
    return oldest_ns;
}

void journal_read_size(struct journal *j, struct journal_size *size)
{
    (void)pthread_mutex_lock(&j->mutex);
    *size = (struct journal_size){.records = j->open.records,
                                  .items = j->open.items,
                                  .bytes = j->open.bytes,
                                  .unwritten = settle_is_due(j) || j->settling.n > 0};
    (void)pthread_mutex_unlock(&j->mutex);
}

void journal_read_stats(struct journal *j, struct journal_stats *stats)
{
    (void)pthread_mutex_lock(&j->cursor_mutex);
    log_enter(j);
    *stats = (struct journal_stats){
        .records = j->open.records,
        .items = j->open.items,
        .bytes = j->open.bytes,
        .waiting_records = j->unread.records + j->put_back.records,
        .waiting_items = j->unread.items + j->put_back.items,
        .waiting_bytes = j->unread.bytes + j->put_back.bytes,
        .oldest_ns = find_oldest(j),
        .disk_bytes = j->in_use_bytes + j->n_spares * j->segment_bytes,
        .appended_records = j->appended_records,
        .appended_bytes = j->appended_bytes,
        .settled_items = j->settled_items,
        .reread_records = j->reread_records,
        .syncs = j->syncs,
        .copied_records = j->copied_records,
        .recovered_records = j->recovered_records,
        .recovered_items = j->recovered_items,
        .state = j->state,
    };
    for (const struct segment *s = j->head; s; s = s->next)
        stats->segments++;
    for (int end = 0; end < 3; end++) {
        stats->ended_records[end] = j->ended_tally[end].records;
        stats->ended_items[end] = j->ended_tally[end].items;
    }
    memcpy(stats->text, j->text, sizeof stats->text);
    (void)pthread_mutex_unlock(&j->cursor_mutex);
    log_leave(j);
}

/* ---- opened ---- */

static uint64_t within(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static int32_t check_config(const struct journal_config *config, sl_error *error)
{
    enum { LEAST = 256 * 1024 };
    if (strlen(config->stream) > FORMAT_STREAM_MAX)
        return sl_fail(error, SL_ERR_INVALID, "the stream's name \"%.100s...\" is too long",
                       config->stream);
    if (config->max_bytes < LEAST || config->max_bytes > INT64_MAX)
        return sl_fail(error, SL_ERR_INVALID, "max_bytes is %llu; it must be at least %d",
                       (unsigned long long)config->max_bytes, LEAST);
    return SL_OK;
}

/* Files that are used again soon stay in the processor's cache where they are small: a write of 4 MiB
 * files takes a third of the time of one of 64 MiB. To begin one takes four syncs where power may fail,
 * so they are larger then. At least four segments fit, so that there are always some to be freed and one to copy to. */
static uint64_t segment_bytes_of(const struct journal_config *config)
{
    enum { LEAST = 32 * 1024, USUAL_LEAST = 1 << 20 };
    const uint64_t usual_most = config->durability == JOURNAL_POWER ? 64 << 20 : 4 << 20;
    const uint64_t wanted = config->segment_bytes
                                ? config->segment_bytes
                                : within(config->max_bytes / 8, USUAL_LEAST, usual_most);
    return within(wanted, LEAST, config->max_bytes / 4) & ~(uint64_t)4095;
}

static struct journal *new_journal(const struct journal_config *config)
{
    enum { BUCKETS = 64 };
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->config = *config;
    j->io = config->io;
    j->directory = j->lock_file = j->quarantine = -1;
    j->told = nothing;
    j->segment_bytes = segment_bytes_of(config);
    j->next_segment = j->next_seq = j->next_note = 1;
    j->directory_name = strdup(config->directory);
    j->stream = strdup(config->stream);
    j->entries = (struct entry_table){calloc(BUCKETS, sizeof(void *)), BUCKETS, 0};
    j->notes = (struct note_table){calloc(BUCKETS, sizeof(void *)), BUCKETS, 0};
    list_init(&j->put_backs);
    list_init(&j->changed);
    (void)pthread_mutex_init(&j->mutex, NULL);
    (void)pthread_mutex_init(&j->cursor_mutex, NULL);
    (void)pthread_mutex_init(&j->quarantine_mutex, NULL);
    (void)pthread_cond_init(&j->turned, NULL);
    (void)pthread_cond_init(&j->sync_wanted, NULL);
    if (j->directory_name && j->stream && j->entries.buckets && j->notes.buckets)
        return j;
    log_free(j);
    return NULL;
}

static void close_file(struct journal *j, int fd)
{
    if (fd >= 0)
        (void)j->io->close(j->io->ctx, fd);
}

void log_free(struct journal *j)
{
    for (struct segment *s = j->head, *next; s; s = next) {
        next = s->next;
        while (s->entries.after != &s->entries)
            entry_remove(j, entry_in_segment(s->entries.after));
        close_file(j, s->fd);
        free(s);
    }
    for (size_t i = 0; j->entries.buckets && i < j->entries.n_buckets; i++)
        while (j->entries.buckets[i]) /* of an opening that has failed */
            entry_remove(j, j->entries.buckets[i]);
    for (uint32_t i = 0; i < j->n_spares; i++)
        close_file(j, j->spares[i].fd);
    notes_free(j);
    quarantine_close(j);
    close_file(j, j->lock_file);
    close_file(j, j->directory);
    ranges_free(&j->ended);
    ranges_free(&j->settled);
    ranges_free(&j->settling);
    ranges_free(&j->settled_unsynced);
    ranges_free(&j->settled_syncing);
    free(j->entries.buckets);
    free(j->house.bytes);
    free(j->parts);
    free(j->directory_name);
    free(j->stream);
    (void)pthread_mutex_destroy(&j->mutex);
    (void)pthread_mutex_destroy(&j->cursor_mutex);
    (void)pthread_mutex_destroy(&j->quarantine_mutex);
    (void)pthread_cond_destroy(&j->turned);
    (void)pthread_cond_destroy(&j->sync_wanted);
    free(j);
}

static void sync_parent(struct journal *j)
{
    const int parent = j->io->open_directory(j->io->ctx, j->directory, "..");
    if (parent < 0)
        return;
    (void)j->io->sync_directory(j->io->ctx, parent);
    close_file(j, parent);
}

static int32_t open_directory(struct journal *j, sl_error *error)
{
    const struct journal_io *io = j->io;
    const char *name = j->directory_name;
    const int made = io->make_directory(io->ctx, JOURNAL_IO_CWD, name);
    if (made < 0 && made != -EEXIST)
        return sl_fail(error, SL_ERR_IO, "cannot make the directory \"%.300s\": %s", name,
                       strerror(-made));
    j->directory = io->open_directory(io->ctx, JOURNAL_IO_CWD, name);
    if (j->directory < 0)
        return sl_fail(error, SL_ERR_IO, "cannot open the directory \"%.300s\": %s", name,
                       strerror(-j->directory));
    if (is_power(j)) /* also where an earlier opening has made it, and came no further */
        sync_parent(j);
    j->lock_file = io->open(io->ctx, j->directory, "lock", JOURNAL_OPEN_MAKE);
    if (j->lock_file < 0)
        return sl_fail(error, SL_ERR_IO, "cannot open \"%.300s/lock\": %s", name,
                       strerror(-j->lock_file));
    const int locked = io->lock(io->ctx, j->lock_file);
    if (locked == -EWOULDBLOCK)
        return sl_fail(error, SL_ERR_STATE,
                       "\"%.300s\" is in use by another process; stop that one, or name another "
                       "directory",
                       name);
    if (locked < 0)
        return sl_fail(error, SL_ERR_IO, "cannot lock \"%.300s\": %s", name, strerror(-locked));
    return SL_OK;
}

int32_t journal_open(const struct journal_config *config, struct journal **out, sl_error *error)
{
    int32_t status = check_config(config, error);
    if (status != SL_OK)
        return status;
    struct journal *j = new_journal(config);
    if (!j)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to open \"%.300s\"", config->directory);
    status = open_directory(j, error);
    if (status == SL_OK)
        status = recover(j, error);
    if (status != SL_OK) {
        log_free(j);
        return status;
    }
    *out = j;
    log_enter(j);
    if (settle_is_due(j))
        log_ask_flush(j);
    if (j->unread.records > 0 && j->config.max_age_ns > 0)
        log_ask_work(j, 0);
    log_leave(j);
    return SL_OK;
}

/* [turn] So that what is missing before the end is damage, and not torn off by a crash. */
static void write_end(struct journal *j)
{
    uint8_t bytes[FORMAT_RECORD_BYTES];
    const struct record_head head = {
        .type = RECORD_END, .seq = j->next_seq, .arrived_ns = j->config.now(j->config.now_arg)};
    if (!j->active || j->newest->bytes - j->newest->end < sizeof bytes)
        return;
    format_encode_record(&head, j->newest->seed, bytes);
    struct iovec part = {bytes, sizeof bytes};
    (void)append_at_tail(j, &part, 1, sizeof bytes);
}

/* [turn] All that is due. False: it is not on the disk. */
static bool write_last(struct journal *j)
{
    const bool written = settle_flush(j) == SL_OK;
    space_free_heads(j);
    if (written)
        write_end(j);
    const bool synced = !is_power(j) || sync_now(j, true) == SL_OK;
    return written && synced;
}

void journal_close(struct journal *j)
{
    fault_point("journal.close.begin");
    sync_stop_thread(j);
    log_enter(j);
    log_take_turn(j);
    sync_heed_failure(j);
    /* what a failed call takes back is written once more, as nobody comes later to do it */
    if (!write_last(j))
        (void)write_last(j);
    log_give_turn(j);
    j->told.work_ns = -1;
    j->told.room = false;
    log_leave(j);
    log_free(j);
    fault_point("journal.close.end");
}
