/* Random OTLP that the wire check accepts, made from the field tables. One thread. */
#ifndef SLUICE_TESTS_RANDOM_OTLP_H
#define SLUICE_TESTS_RANDOM_OTLP_H
#include "formats/otlp/layout.h"
#include <sluice/otlp.h>

enum random_otlp_flag {
    RANDOM_SHUFFLED = 1, /* fields in any order */
    RANDOM_REPEATED = 2, /* singular fields several times */
    RANDOM_UNKNOWN = 4,  /* unknown fields of all wire types */
    RANDOM_UNICODE = 8,  /* texts beyond ASCII */
    RANDOM_LONG = 16,    /* tags and lengths in more bytes than they need */
    RANDOM_OTLP_FLAGS = 32
};

uint64_t random_u64(uint64_t *state);

/* 0 .. n-1 */
uint32_t random_below(uint64_t *state, uint32_t n);

/* A writer on the heap; free its `at`. */
sl_writer random_otlp_writer(void);

/* Appends a message of the type, without tag and length; about `size` fields on each level. */
void random_otlp(uint64_t *state, enum otlp_type type, uint32_t flags, uint32_t size,
                 sl_writer *to);

/* The seed: the number after "--seed", or from the clock; printed, so that a run can be repeated.
 */
uint64_t random_seed(int argc, char **argv);

#endif
