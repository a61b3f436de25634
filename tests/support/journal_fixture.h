/* A journal in a test: a directory of its own, a clock that the test moves, events that are counted,
 * and input and output that the test can stop or let fail. Assertions are cmocka's. */
#ifndef SLUICE_TESTS_JOURNAL_FIXTURE_H
#define SLUICE_TESTS_JOURNAL_FIXTURE_H
#include "pipeline/journal/log.h"

#include <stdatomic.h>

struct journal_fixture {
    char directory[64];
    struct journal_config config; /* may be changed before journal_fixture_open */
    struct journal_io io;         /* the system's calls, unless the next members say otherwise */
    struct journal *journal;
    _Atomic int64_t now_ns;
    _Atomic bool dead; /* what is written from now on is lost: the process was killed */
    _Atomic int fail_write, fail_sync, fail_allocate; /* errno of every such call; 0: none fails */
    _Atomic uint64_t bad_byte; /* every read of this byte of a file fails with EIO; 0: none */
    _Atomic uint64_t syncs, rooms, states;
    _Atomic uint64_t ended_records[3], ended_items[3];
    _Atomic int64_t work_ns; /* the soonest that was asked for since the last call; -1: none */
};

void journal_fixture_init(struct journal_fixture *);
void journal_fixture_open(struct journal_fixture *);
void journal_fixture_start(struct journal_fixture *); /* both, with the usual configuration */
/* Ends the process, so to speak, without a word, and opens the log again. */
void journal_fixture_crash(struct journal_fixture *);
void journal_fixture_reopen(struct journal_fixture *); /* closes it in order */
/* Closes it where it is open, and removes all that is in the directory. */
void journal_fixture_end(struct journal_fixture *);

/* Appends `bytes` of a body that follows from `key`, and waits until it is durable; its number. */
uint64_t journal_fixture_append(struct journal_fixture *, uint64_t key, uint32_t bytes,
                                uint32_t items, bool take);
int32_t journal_fixture_try(struct journal_fixture *, struct journal_write *, uint64_t key,
                            uint32_t bytes, uint32_t items, bool take);
/* The same, of a record that is taken and settled whole at once. */
void journal_fixture_pass(struct journal_fixture *, uint64_t key, uint32_t bytes, uint32_t items);
/* Takes the next record, and checks its body; its number. */
uint64_t journal_fixture_take(struct journal_fixture *, uint64_t key);
bool journal_fixture_waits(struct journal_fixture *);
void journal_fixture_fill(uint8_t *body, uint32_t bytes, uint64_t key);
struct journal_stats journal_fixture_stats(struct journal_fixture *);
/* Files in the directory whose names begin so. */
unsigned journal_fixture_files(struct journal_fixture *, const char *beginning);
#endif
