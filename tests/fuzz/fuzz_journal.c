/* Fuzz target: the recovery of a journal. The input describes segments and their records, which get
 * right checksums (random bytes would never pass them), then changes to single bytes. Whatever lies
 * there, opening reads it within bounds, and once all that was found is settled nothing is left. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/inspect.h"
#include "pipeline/journal/log.h"
#include "pipeline/journal/segment.h"
#include "tests/support/disk_journal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DIRECTORY "/data/journal"

enum { SEGMENTS = 4, SEGMENT_BYTES = 16384, RECORDS = 64 };

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

/* ---- the input ---- */

struct input {
    const uint8_t *p;
    size_t n;
};

static uint8_t next(struct input *in)
{
    if (in->n == 0) {
        return 0;
    }
    in->n--;
    return *in->p++;
}

static uint64_t next_number(struct input *in)
{
    static const uint64_t edges[] = {UINT64_MAX, UINT64_MAX - 1, INT64_MAX, UINT32_MAX, 1 << 16, 0};
    const uint8_t kind = next(in);
    return kind < 250 ? kind : edges[kind - 250];
}

/* One record with its header; what it takes, 0: no room. */
static size_t make_record(struct input *in, uint32_t seed, uint8_t *to, size_t room)
{
    const uint8_t shape = next(in);
    struct record_head head = {.type = (uint8_t)(1 + shape % 7),
                               .items = (uint32_t)next_number(in),
                               .seq = next_number(in),
                               .bytes = (uint32_t)next(in) * (shape & 8 ? 16 : 1),
                               .arrived_ns = (int64_t)next_number(in)};
    head.prefix = head.type == RECORD_COPY ? next(in) : 0;
    if (format_room(head.bytes) > room) {
        return 0;
    }
    uint8_t *body = to + FORMAT_RECORD_BYTES;
    if (head.type == RECORD_SETTLED) { /* small numbers, so that ranges meet records */
        for (uint32_t i = 0; i + 8 <= head.bytes; i += 8) {
            format_put64(body + i, next_number(in));
        }
    } else if (head.type == RECORD_PARTS) {
        for (uint32_t i = 0; i + 4 <= head.bytes; i += 4) {
            format_put32(body + i, (uint32_t)next_number(in));
        }
    } else {
        for (uint32_t i = 0; i < head.bytes; i++) {
            body[i] = next(in);
        }
    }
    head.body_crc = crc32c(0, body, head.bytes) ^ (shape & 16);
    format_encode_record(&head, seed, to);
    return (size_t)format_room(head.bytes);
}

static void make_segment(struct input *in, struct disk *d, struct segment_head *head)
{
    static uint8_t bytes[SEGMENT_BYTES];
    char path[64], name[FORMAT_NAME_MAX];
    const uint8_t shape = next(in), records = next(in);
    const uint64_t id = head->id + 1 + (shape & 1);
    *head = (struct segment_head){.id = id,
                                  .salt = id * 7,
                                  .first_seq = shape & 2 ? next_number(in) : 1,
                                  .previous_id = shape & 4 ? 0 : head->id,
                                  .previous_end = head->bytes,
                                  .previous_salt = head->salt,
                                  .created_ns = 1,
                                  .bytes = SEGMENT_BYTES,
                                  .stream = "s"};
    memset(bytes, 0, sizeof bytes);
    size_t at = FORMAT_RECORDS_AT;
    for (unsigned i = 0; i < records % RECORDS; i++) {
        const size_t n =
            make_record(in, format_seed(id, head->salt), bytes + at, sizeof bytes - at);
        if (n == 0) {
            break;
        }
        at += n;
    }
    format_encode_head(head, bytes);
    if (shape & 8) {
        bytes[20] ^= 1;
    }
    format_encode_head(head, bytes + FORMAT_HEAD_COPY_AT);
    if (shape & 16) {
        bytes[FORMAT_HEAD_COPY_AT] ^= 1;
    }
    format_segment_name(id, name);
    (void)snprintf(path, sizeof path, DIRECTORY "/%s", name);
    head->bytes = shape & 32 ? next_number(in) * 8 : at; /* where the next says that it ends */
    const size_t size = shape & 64 ? (size_t)next(in) * 64 : sizeof bytes;
    disk_put(d, path, bytes, size);
    /* changes of single bytes */
    for (unsigned i = shape & 128 ? next(in) : 0; i > 0; i--) {
        const size_t to = ((size_t)next(in) << 8 | next(in)) % SEGMENT_BYTES;
        bytes[to] = next(in);
    }
    if (shape & 128) {
        disk_put(d, path, bytes, size);
    }
}

/* ---- what is done with it ---- */

static void look(void *ctx, const struct inspect_record *r)
{
    uint8_t *body;
    if (inspect_body(ctx, r, &body) == SL_OK) {
        free(body);
    }
}

static void inspect(const struct journal_io *io)
{
    struct inspection *inspection;
    struct inspect_totals totals;
    if (inspect_open(io, DIRECTORY, &inspection, NULL) != SL_OK) {
        return;
    }
    inspect_totals(inspection, &totals);
    inspect_walk(inspection, &(struct inspect_visitor){.ctx = inspection, .record = look});
    inspect_close(inspection);
}

static int32_t ignore_note(void *ctx, sl_bytes key, sl_bytes note)
{
    *(size_t *)ctx += key.n + note.n;
    return SL_OK;
}

static int64_t read_clock(void *ctx)
{
    (void)ctx;
    return 1000;
}

/* Reads and settles all there is. How many records there were; -1: it could not be opened. */
static int consume(const struct journal_config *config)
{
    struct journal *journal;
    struct journal_record r;
    size_t notes = 0;
    int records = 0;
    if (journal_open(config, &journal, NULL) != SL_OK) {
        return -1;
    }
    while (journal_peek(journal, &r) == SL_OK) {
        require(r.bytes <= SEGMENT_BYTES);
        uint8_t *body = malloc(r.bytes + 1);
        uint64_t *mask = calloc((size_t)r.items / 64 + 1, sizeof *mask);
        require(body && mask);
        const int32_t status = journal_take(journal, &r, body);
        require(status == SL_OK || status == SL_ERR_INVALID || status == SL_ERR_NOT_FOUND);
        if (status == SL_OK) {
            records++;
            journal_open_items(journal, r.seq, mask);
            for (uint32_t i = 0, n; i < r.items; i += n) {
                for (n = 0; i + n < r.items && mask[(i + n) / 64] >> ((i + n) % 64) & 1; n++) {
                }
                if (n) {
                    journal_settle(journal, r.seq, i, n);
                } else {
                    n = 1;
                }
            }
        }
        free(body);
        free(mask);
    }
    (void)journal_notes(journal, sl_str("o"), ignore_note, &notes);
    journal_work(journal);
    journal_close(journal);
    return records;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct segment_head head = {.id = 0};
    struct disk *d = disk_create();
    const struct journal_io io = disk_journal_io(d);
    const struct journal_config config = {.directory = DIRECTORY,
                                          .stream = "s",
                                          .io = &io,
                                          .segment_bytes = SEGMENT_BYTES,
                                          .max_bytes = 16 * SEGMENT_BYTES,
                                          .now = read_clock};
    require(disk_mkdir(d, "/data") == 0 && disk_mkdir(d, DIRECTORY) == 0);
    for (unsigned i = 1 + next(&in) % SEGMENTS; i > 0; i--) {
        make_segment(&in, d, &head);
    }
    inspect(&io);
    /* What is settled stays so, but for records that were settled before they were written, which no
     * journal has: they may come once a segment with that is gone. */
    int found = 1;
    for (unsigned i = 0; i <= SEGMENTS && found > 0; i++) {
        found = consume(&config);
    }
    require(found <= 0);
    inspect(&io);
    disk_destroy(d);
    return 0;
}
