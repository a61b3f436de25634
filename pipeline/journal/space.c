/* The segments: begun, sealed, and given back once nothing in them is open. */
#include "pipeline/journal/log_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* ---- one segment ---- */

struct segment *segment_new(uint64_t id, uint64_t salt)
{
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->id = id;
    s->salt = salt;
    s->seed = format_seed(id, salt);
    s->fd = -1;
    list_init(&s->entries);
    return s;
}

bool segment_pin(struct journal *j, struct segment *s, int *failed)
{
    if (s->fd < 0) {
        char name[FORMAT_NAME_MAX];
        format_segment_name(s->id, name);
        s->fd = j->io->open(j->io->ctx, j->directory, name, JOURNAL_OPEN_WRITE);
        if (s->fd < 0) {
            *failed = s->fd;
            return false;
        }
    }
    s->pins++;
    return true;
}

/* Files of old segments are open while somebody reads there only: there may be many. */
void segment_rest(struct journal *j, struct segment *s)
{
    if (s->pins > 0 || (!s->gone && (s == j->newest || s == j->cursor)))
        return;
    if (s->fd >= 0)
        (void)j->io->close(j->io->ctx, s->fd);
    s->fd = -1;
    if (s->gone)
        free(s);
}

void segment_unpin(struct journal *j, struct segment *s)
{
    s->pins--;
    segment_rest(j, s);
}

void space_seal(struct journal *j)
{
    if (!j->active)
        return;
    fault_point("journal.segment.before_seal");
    j->active = false;
    fault_point("journal.segment.after_seal");
}

/* What lies behind its last record goes, and the room with it. Rare, and quick enough to be done with
 * the mutex held. */
static void shorten(struct journal *j, struct segment *s)
{
    int failed;
    if (s->end >= s->bytes || !segment_pin(j, s, &failed))
        return;
    if (j->io->truncate(j->io->ctx, s->fd, s->end) >= 0) {
        j->in_use_bytes -= s->bytes - s->end;
        s->bytes = s->end;
        s->cut = false;
    }
    segment_unpin(j, s);
}

void space_cut(struct journal *j)
{
    space_seal(j);
    j->newest->cut = true;
    shorten(j, j->newest);
}

/* ---- given back ---- */

/* Without the mutex. Gives the directory's change time to reach the disk before the next one: what a
 * later segment says of an earlier one must not go first. */
static void sync_directory(struct journal *j)
{
    if (!is_power(j))
        return;
    fault_point("journal.segment.before_sync_dir");
    (void)j->io->sync_directory(j->io->ctx, j->directory);
    fault_point("journal.segment.after_sync_dir");
}

/* Without the mutex. A spare file, or none. */
static bool recycle(struct journal *j, uint64_t id)
{
    char name[FORMAT_NAME_MAX], spare[FORMAT_NAME_MAX];
    format_segment_name(id, name);
    format_spare_name(id, spare);
    fault_point("journal.segment.before_recycle");
    const int failed = j->io->rename(j->io->ctx, j->directory, name, j->directory, spare);
    fault_point("journal.segment.after_recycle");
    return failed >= 0;
}

static void unlink_segment(struct journal *j, uint64_t id)
{
    char name[FORMAT_NAME_MAX];
    format_segment_name(id, name);
    fault_point("journal.segment.before_unlink");
    (void)j->io->unlink(j->io->ctx, j->directory, name);
    fault_point("journal.segment.after_unlink");
}

static void free_head(struct journal *j)
{
    struct segment *s = j->head;
    j->head = s->next;
    j->in_use_bytes -= s->bytes;
    if (j->cursor == s) {
        j->cursor = s->next;
        j->cursor_at = FORMAT_RECORDS_AT;
        j->cursor_arrived_ns = 0;
    }
    if (!j->head)
        j->newest = NULL;
    /* what is being read must stay as it is; a full disk wants its room back, but for what the next
     * segment can be made of */
    const uint32_t spares = j->state == JOURNAL_NO_ROOM ? 1 : spares_kept(j);
    const bool again =
        s->pins == 0 && s->bytes == j->segment_bytes && !s->cut && j->n_spares < spares;
    (void)pthread_mutex_unlock(&j->mutex);
    const bool recycled = again && recycle(j, s->id);
    if (!recycled)
        unlink_segment(j, s->id);
    sync_directory(j);
    (void)pthread_mutex_lock(&j->mutex);
    if (recycled) {
        j->spares[j->n_spares++] = (struct spare){.id = s->id, .fd = s->fd};
        s->fd = -1;
    }
    s->gone = true;
    segment_rest(j, s);
    if (j->state == JOURNAL_FULL && j->in_use_bytes + 2 * j->segment_bytes <= j->config.max_bytes)
        log_set_ok(j);
}

/* The newest tells the next one's id and sequence number if the process ends now, so it stays, unless
 * the next one cannot be made without it. */
static bool may_free(const struct journal *j, const struct segment *s)
{
    const bool in_trouble = j->state == JOURNAL_NO_ROOM || j->state == JOURNAL_FAILED;
    return s->open.records == 0 && s->notes == 0 && (s != j->newest || (in_trouble && !j->active));
}

void space_free_heads(struct journal *j)
{
    while (j->head && may_free(j, j->head))
        free_head(j);
}

/* ---- begun ---- */

uint64_t space_record_max(const struct journal *j)
{
    const uint64_t most = j->config.max_bytes / 2;
    return (most > j->segment_bytes ? most : j->segment_bytes) - FORMAT_RECORDS_AT -
           FORMAT_RECORD_BYTES;
}

static uint64_t random_number(void)
{
    uint64_t number;
    struct timespec now;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) == sizeof number)
        return number;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
}

/* Without the mutex. A file of `bytes`, by the name of a spare one; *fd, *name. 0, or a negative
 * errno. */
static int find_file(struct journal *j, const struct spare *spare, uint64_t id, uint64_t bytes,
                     int *fd, char name[FORMAT_NAME_MAX])
{
    const struct journal_io *io = j->io;
    format_spare_name(spare ? spare->id : id, name);
    *fd = spare ? spare->fd : -1;
    if (spare && *fd < 0)
        *fd = io->open(io->ctx, j->directory, name, JOURNAL_OPEN_WRITE);
    if (spare)
        return *fd < 0 ? *fd : 0;
    fault_point("journal.segment.before_create");
    *fd = io->open(io->ctx, j->directory, name, JOURNAL_OPEN_MAKE);
    fault_point("journal.segment.after_create");
    if (*fd < 0)
        return *fd;
    const int failed = io->allocate(io->ctx, *fd, bytes);
    fault_point("journal.segment.after_allocate");
    return failed < 0 ? failed : 0;
}

/* Without the mutex. Makes the file a segment: its head, its name. 0, or a negative errno. */
static int name_file(struct journal *j, int fd, const char *spare, const struct segment_head *head)
{
    const struct journal_io *io = j->io;
    char name[FORMAT_NAME_MAX];
    int failed = segment_write_head(io, fd, head);
    fault_point("journal.segment.after_header");
    if (failed == 0 && is_power(j))
        failed = journal_sync(io, fd);
    if (failed < 0)
        return failed;
    format_segment_name(head->id, name);
    fault_point("journal.segment.before_rename");
    failed = io->rename(io->ctx, j->directory, spare, j->directory, name);
    fault_point("journal.segment.after_rename");
    if (failed < 0 || !is_power(j))
        return failed < 0 ? failed : 0;
    fault_point("journal.segment.before_sync_dir");
    failed = io->sync_directory(io->ctx, j->directory);
    fault_point("journal.segment.after_sync_dir");
    return failed < 0 ? failed : 0;
}

static void join(struct journal *j, struct segment *s)
{
    struct segment *previous = j->newest;
    *(previous ? &previous->next : &j->head) = s;
    j->newest = s;
    j->active = true;
    j->in_use_bytes += s->bytes;
    j->durable_at = s->end;
    j->durable_seq = j->next_seq;
    if (previous)
        segment_rest(j, previous);
}

/* A new segment of so many bytes. */
static int32_t begin(struct journal *j, uint64_t bytes)
{
    const struct segment *previous = j->newest;
    const uint64_t id = j->next_segment++;
    struct segment *s = segment_new(id, random_number());
    if (!s)
        return SL_ERR_UNAVAILABLE;
    struct segment_head head = {.id = id,
                                .salt = s->salt,
                                .first_seq = j->next_seq,
                                .previous_id = previous ? previous->id : 0,
                                .previous_end = previous ? previous->end : 0,
                                .previous_salt = previous ? previous->salt : 0,
                                .created_ns = j->config.now(j->config.now_arg),
                                .bytes = bytes};
    memcpy(head.stream, j->stream, strlen(j->stream));
    struct spare spare = {.fd = -1};
    const bool again = j->n_spares > 0 && bytes == j->segment_bytes;
    if (again)
        spare = j->spares[--j->n_spares];
    char name[FORMAT_NAME_MAX];
    (void)pthread_mutex_unlock(&j->mutex);
    int failed = find_file(j, again ? &spare : NULL, id, bytes, &s->fd, name);
    const bool found = failed == 0;
    if (found)
        failed = name_file(j, s->fd, name, &head);
    if (failed < 0) {
        /* it is not used under either name, and takes no room */
        if (s->fd >= 0)
            (void)j->io->close(j->io->ctx, s->fd);
        (void)j->io->unlink(j->io->ctx, j->directory, name);
        format_segment_name(id, name);
        (void)j->io->unlink(j->io->ctx, j->directory, name);
    }
    (void)pthread_mutex_lock(&j->mutex);
    if (failed < 0) {
        free(s);
        return log_set_failed(j, "begin a segment in", failed);
    }
    s->first_seq = head.first_seq;
    s->bytes = bytes;
    s->end = FORMAT_RECORDS_AT;
    join(j, s);
    if (j->state == JOURNAL_NO_ROOM || j->state == JOURNAL_FAILED)
        log_set_ok(j);
    return SL_OK;
}

/* The same. Where the disk has none, what the newest segment takes, too, may be given back for it. */
static int32_t begin_at_last(struct journal *j, uint64_t bytes)
{
    for (;;) {
        const uint64_t in_use = j->in_use_bytes;
        const int32_t status = begin(j, bytes);
        if (status == SL_OK)
            return status;
        space_free_heads(j);
        if (j->in_use_bytes == in_use)
            return status;
    }
}

/* Makes max_bytes have room for another segment. */
static int32_t make_room(struct journal *j, uint64_t bytes, enum space_for what)
{
    const uint64_t kept = what == SPACE_FOR_DATA ? j->segment_bytes : 0;
    if (j->in_use_bytes + bytes + kept > j->config.max_bytes)
        space_free_heads(j);
    /* The log's own records are never refused, as they are what makes room: each opening of a full
     * journal takes a part of what is kept for them, and a note would pin its segment for good. */
    if (what == SPACE_FOR_HOUSE)
        return SL_OK;
    while (j->in_use_bytes + bytes + kept > j->config.max_bytes) {
        if (j->config.on_full == JOURNAL_DROP_OLDEST && j->head != j->newest && j->head) {
            expire_head(j);
            if (j->head->notes > 0 && notes_copy(j, j->head) != SL_OK)
                return SL_ERR_UNAVAILABLE;
            space_free_heads(j);
            continue;
        }
        if (j->state == JOURNAL_OK) {
            log_set_state(j, JOURNAL_FULL, "max_bytes is reached: %llu bytes are in use",
                          (unsigned long long)j->in_use_bytes);
            log_ask_work(j, 0);
        }
        return SL_ERR_FULL;
    }
    return SL_OK;
}

int32_t space_ensure(struct journal *j, uint64_t bytes, enum space_for what)
{
    const uint64_t least = FORMAT_RECORDS_AT + bytes + FORMAT_RECORD_BYTES;
    const uint64_t whole =
        least > j->segment_bytes ? (least + 4095) & ~(uint64_t)4095 : j->segment_bytes;
    int32_t status = SL_OK;
    /* a segment that was begun for the log's own records takes no others while it is the last one */
    if (what == SPACE_FOR_DATA)
        status = make_room(j, 0, what);
    while (status == SL_OK && (!j->active || j->newest->bytes - j->newest->end < bytes)) {
        space_seal(j);
        if (j->newest && j->newest->cut)
            shorten(j, j->newest);
        space_free_heads(j);
        /* what the next segment's head says of this one must be on the disk before */
        if (is_power(j))
            (void)sync_now(j, true);
        status = make_room(j, whole, what);
        if (status == SL_OK && !j->active) /* to make room may have taken a new segment itself */
            status = begin_at_last(j, whole);
    }
    return status;
}
