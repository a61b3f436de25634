/* What lies in a journal's files, byte by byte; docs/journal-format.md tells it to others.
 *
 * A segment is a file `%016x.seg`, named by its id; ids only grow. Its head lies at byte 0, a copy of it
 * at 4096, and records from 8192 on, each at a multiple of 8. All numbers are little-endian. A record is
 * its header and its body. Checksums of headers begin with the segment's id and its salt, a random
 * number, so that neither what an earlier use of the file has left there nor what a sender has put
 * into a body is ever taken for a record. */
#ifndef SLUICE_PIPELINE_JOURNAL_FORMAT_H
#define SLUICE_PIPELINE_JOURNAL_FORMAT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FORMAT_VERSION = 1,
    FORMAT_HEAD_BYTES = 512,
    FORMAT_HEAD_COPY_AT = 4096,
    FORMAT_RECORDS_AT = 8192,
    FORMAT_RECORD_BYTES = 40, /* a record's header */
    FORMAT_STREAM_MAX = 255,
    FORMAT_RANGE_BYTES = 16, /* in the body of a SETTLED record */
    FORMAT_PART_BYTES = 8,   /* in the body of a PARTS record */
    FORMAT_NAME_MAX = 32,
    FORMAT_ITEMS_MAX = 1 << 26
};

/* offset  bytes
 *      0      8  magic, "sluicejl"
 *      8      4  version of the format
 *     12      4  checksum of all other bytes of the head, 512 in all
 *     16      8  id, from 1 on
 *     24      8  salt
 *     32      8  sequence number of the first record that may be in it
 *     40      8  id of the segment before, 0: there was none
 *     48      8  where the last valid record of that one ends
 *     56      8  salt of that one
 *     64      8  when it was begun, ns since the epoch
 *     72      8  bytes of the file
 *     80      2  bytes of the stream's name, which follows; the rest is zero */
struct segment_head {
    uint64_t id, salt, first_seq;
    uint64_t previous_id, previous_end, previous_salt;
    int64_t created_ns;
    uint64_t bytes;
    char stream[FORMAT_STREAM_MAX + 1];
};

enum record_type {
    RECORD_DATA = 1, /* body: the owner's */
    /* An old record, with its sequence number and arrival; body: `prefix` bytes of a mask of the items
     * that are open (bit k % 8 of byte k / 8 for item k; 0 bytes: all are), then the owner's. It stands
     * in for every earlier record of this sequence number. */
    RECORD_COPY = 2,
    RECORD_SETTLED = 3, /* body: ranges of records, as first (8 bytes) and how many (8 bytes) */
    RECORD_PARTS = 4,   /* some items of the record `seq`; body: first (4 bytes), how many (4) */
    /* `seq` is the note's number, by which notes are ordered; body: bytes of the owner (4), of the
     * key (4), owner, key, note. It stands in for every earlier note of the owner and the key. */
    RECORD_NOTE = 5,
    RECORD_FORGET = 6, /* body: as a NOTE's */
    RECORD_END = 7     /* the log was closed; no body */
};

/* offset  bytes
 *      0      4  checksum of the segment's id (8 bytes), its salt (8) and the 36 bytes that follow
 *      4      4  checksum of the body
 *      8      4  bytes of the body; zeros up to a multiple of 8 follow it
 *     12      1  type
 *     13      1  flags, 0
 *     14      2  0
 *     16      4  items: of DATA, COPY and PARTS those of the record, 1 to 2^26; else 0
 *     20      4  prefix: bytes of the body that come before the owner's
 *     24      8  seq: of DATA, COPY and PARTS the record's, of notes the note's; else the next
 *                record's
 *     32      8  arrival, ns since the epoch */
struct record_head {
    uint32_t body_crc, bytes, items, prefix;
    uint8_t type, flags;
    uint64_t seq;
    int64_t arrived_ns;
};

/* What a record takes in a segment. */
static inline uint64_t format_room(uint64_t body_bytes)
{
    return FORMAT_RECORD_BYTES + ((body_bytes + 7) & ~(uint64_t)7);
}

void format_put16(uint8_t *, uint16_t);
void format_put32(uint8_t *, uint32_t);
void format_put64(uint8_t *, uint64_t);
uint16_t format_get16(const uint8_t *);
uint32_t format_get32(const uint8_t *);
uint64_t format_get64(const uint8_t *);

void format_encode_head(const struct segment_head *, uint8_t out[FORMAT_HEAD_BYTES]);
/* SL_OK; SL_ERR_INVALID: it is damaged, or none; SL_ERR_UNSUPPORTED: of a newer version. */
int32_t format_decode_head(const uint8_t in[FORMAT_HEAD_BYTES], struct segment_head *);

/* With which the checksums of a segment's record headers begin. */
uint32_t format_seed(uint64_t id, uint64_t salt);
void format_encode_record(const struct record_head *, uint32_t seed,
                          uint8_t out[FORMAT_RECORD_BYTES]);
/* Is it a record's header, of a record that takes no more than `room` bytes? */
bool format_decode_record(const uint8_t in[FORMAT_RECORD_BYTES], uint32_t seed, uint64_t room,
                          struct record_head *);

void format_segment_name(uint64_t id, char out[FORMAT_NAME_MAX]);
/* A file that waits to be used again. */
void format_spare_name(uint64_t id, char out[FORMAT_NAME_MAX]);
bool format_is_segment(const char *name, uint64_t *id);
bool format_is_spare(const char *name, uint64_t *id);
#endif
