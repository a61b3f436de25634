/* Works with a journal at random and keeps the account of it: what went in, what was told durable,
 * what was settled, and at which of the disk's operations. With it every image that a crash may
 * leave can be judged: what is in it that must not be, and what is not that must.
 *
 * One thread. Failures end the cmocka test that runs. */
#ifndef SLUICE_TESTS_LEDGER_H
#define SLUICE_TESTS_LEDGER_H
#include "pipeline/journal/log.h"
#include "tests/support/disk.h"

struct ledger;

struct ledger_options {
    uint64_t seed;
    enum journal_durability durability;
    enum journal_full on_full;
    uint64_t segment_bytes, max_bytes;
    bool no_notes;
};

/* Where the journal lies on the disk. */
#define LEDGER_DIRECTORY "/data/journal"

/* A disk with the journal's parent on it. */
struct disk *ledger_disk(void);
struct ledger *ledger_create(struct disk *, const struct ledger_options *);
void ledger_destroy(struct ledger *); /* closes what is open */

int32_t ledger_open(struct ledger *);
void ledger_close(struct ledger *);
bool ledger_is_open(const struct ledger *);
/* Appends, takes, settles in part or whole, puts back, reads, notes, and lets time pass. */
void ledger_run(struct ledger *, unsigned steps);
/* The next record goes in and everything is settled: nothing may stand in the way of that, once
 * the faults of the disk have ended. */
void ledger_drain(struct ledger *);
/* Appended records that were told durable and are not settled whole. */
unsigned ledger_unsettled(const struct ledger *);

/* What is to be judged, and how strictly. */
struct ledger_trial {
    size_t n;     /* the crash was behind so many operations */
    bool kept;    /* all writes were: what was surely settled does not come again */
    bool damaged; /* bytes were changed: records and notes may be lost, and are counted */
    bool use;     /* then settle all, append one, open again, and find nothing */
};

struct ledger_found {
    unsigned records, again; /* read; of them settled before the crash */
    unsigned lost;           /* records and notes that are missing */
};

/* Opens what a crash has left, and compares. What files show that are read without opening them is
 * compared, too. */
struct ledger_found ledger_judge(const struct ledger *, struct disk *image,
                                 const struct ledger_trial *);

struct ledger_counts {
    unsigned refused, failed; /* by journal_append; told not to be durable */
    uint64_t copied;          /* records that were copied forward */
};
struct ledger_counts ledger_count(const struct ledger *);
#endif
