/* The account: shared by ledger.c, which writes it, and ledger_judge.c, which compares. */
#ifndef SLUICE_TESTS_LEDGER_INTERNAL_H
#define SLUICE_TESTS_LEDGER_INTERNAL_H
#include "tests/support/disk_journal.h"
#include "tests/support/ledger.h"
#include <pthread.h>
#include <stdatomic.h>

enum { LEDGER_ITEMS = 100, LEDGER_KEYS = 6, LEDGER_NOTE_IDS = 1000000, LEDGER_BODY_MAX = 1 << 16 };

#define LEDGER_OWNER "owner"

enum entry_state {
    ENTRY_PENDING,
    ENTRY_REFUSED, /* by journal_append */
    ENTRY_FAILED,  /* was told not to be durable */
    ENTRY_FOUND,   /* one of those, but read again after an opening */
    ENTRY_DURABLE
};

/* All positions are of the disk's operations; SIZE_MAX: not yet. */
struct ledger_entry {
    struct journal_write w;
    struct ledger *ledger;
    uint64_t id;
    size_t size;
    enum entry_state state;
    unsigned life; /* in which it was appended */
    bool taken;
    bool open[LEDGER_ITEMS]; /* as far as known */
    size_t issued_at, durable_at;
    size_t settled_at[LEDGER_ITEMS];
    size_t sure_at[LEDGER_ITEMS]; /* the settlement was written by then */
};

struct ledger_note {
    uint64_t id;
    uint32_t key;
    size_t size;
    bool forgets;
    size_t issued_at, durable_at;
};

struct ledger {
    struct disk *disk;
    struct journal_io io;
    struct ledger_options options;
    struct journal *journal;
    uint64_t seed;
    unsigned life; /* the openings until now */
    int64_t now;
    struct ledger_entry **entries; /* by id */
    size_t n_entries;
    struct ledger_note *notes; /* in order */
    size_t n_notes;
    uint64_t copied; /* until the last closing */
    _Atomic bool work_is_due;
    _Atomic uint64_t ended[3];
    pthread_mutex_t mutex;
    pthread_cond_t told;
    unsigned pending; /* with the mutex held, as the entries' states */
};

uint64_t ledger_random(uint64_t *seed);
/* The body of a record or note: its id, then bytes that follow from it. */
void ledger_fill(uint64_t id, uint8_t *to, size_t n);
void ledger_config(const struct ledger *, const struct journal_io *, struct journal_config *);
int64_t ledger_clock(void *now);
void ledger_wait(struct ledger *);
#endif
