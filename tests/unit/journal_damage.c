/* Damaged journals: every byte of one changed, pieces of it missing, files of other kinds. Opening
 * it does not crash, invents nothing, and loses no more than the record that was hit. */
#include "pipeline/journal/format.h"
#include "tests/support/ledger.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { FILES_MAX = 16 };

static uint64_t seed;

/* A closed journal of several segments, some of it settled. */
struct closed {
    struct disk *disk;
    struct ledger *ledger;
    char names[FILES_MAX][200]; /* segments, in order */
    unsigned n;
};

static bool add_name(void *ctx, const char *name)
{
    struct closed *c = ctx;
    uint64_t id;
    if (format_is_segment(name, &id)) {
        assert_true(c->n < FILES_MAX);
        (void)snprintf(c->names[c->n++], sizeof c->names[0], LEDGER_DIRECTORY "/%s", name);
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void make(struct closed *c, uint64_t segment_bytes, unsigned steps)
{
    const struct ledger_options options = {
        .seed = seed, .segment_bytes = segment_bytes, .max_bytes = 16 * segment_bytes};
    memset(c, 0, sizeof *c);
    c->disk = ledger_disk();
    c->ledger = ledger_create(c->disk, &options);
    assert_int_equal(ledger_open(c->ledger), SL_OK);
    ledger_run(c->ledger, steps);
    ledger_close(c->ledger);
    assert_true(ledger_unsettled(c->ledger) > 3);
    assert_int_equal(disk_list(c->disk, LEDGER_DIRECTORY, add_name, c), 0);
    qsort(c->names, c->n, sizeof c->names[0], by_name);
    assert_true(c->n > 0);
}

static void drop(struct closed *c)
{
    ledger_destroy(c->ledger);
    disk_destroy(c->disk);
}

static struct disk *copy(const struct closed *c)
{
    const struct disk_fate all = {.sector = 512};
    return disk_crash(c->disk, disk_now(c->disk), &all);
}

/* Judges the journal with bytes of one file replaced; answers how many records are missing. */
static unsigned judge(const struct closed *c, const char *name, const uint8_t *bytes, size_t n,
                      bool use)
{
    const struct ledger_trial trial = {.n = SIZE_MAX - 1, .damaged = true, .use = use};
    struct disk *image = copy(c);
    disk_put(image, name, bytes, n);
    const struct ledger_found found = ledger_judge(c->ledger, image, &trial);
    disk_destroy(image);
    return found.lost;
}

static void every_byte(void **state)
{
    struct closed c;
    unsigned images = 0, lost = 0;
    (void)state;
    make(&c, 65536, 60);
    for (unsigned i = 0; i < c.n; i++) {
        size_t n;
        uint8_t *bytes = disk_copy(c.disk, c.names[i], &n);
        for (size_t at = 0; at < n && images < 65536; at++, images++) {
            const uint8_t was = bytes[at];
            bytes[at] ^= (uint8_t)(1 << (at % 8));
            const unsigned missing = judge(&c, c.names[i], bytes, n, at % 64 == 0);
            if (missing > 1)
                fail_msg("%s: byte %zu cost %u records", c.names[i], at, missing);
            if (at < FORMAT_RECORDS_AT)
                assert_int_equal(missing, 0);
            lost += missing;
            bytes[at] = was;
        }
        free(bytes);
    }
    print_message("%u bytes changed, of %u a record was lost; seed %lu\n", images, lost,
                  (unsigned long)seed);
    assert_true(images >= 65536 && lost > 1000);
    drop(&c);
}

/* Runs of bytes that are zero, random, or copied from elsewhere in the file. */
static void runs_of_bytes(void **state)
{
    struct closed c;
    unsigned lost = 0;
    (void)state;
    make(&c, 65536, 200);
    for (unsigned i = 0; i < 600; i++) {
        size_t n;
        const char *name = c.names[rand() % (int)c.n];
        uint8_t *bytes = disk_copy(c.disk, name, &n);
        const size_t length = 1u << (rand() % 14), at = (size_t)rand() % (n - length);
        const size_t from = (size_t)rand() % (n - length);
        if (i % 3 == 0)
            memset(bytes + at, 0, length);
        else if (i % 3 == 1)
            memmove(bytes + (at & ~(size_t)7), bytes + (from & ~(size_t)7), length);
        else
            for (size_t k = 0; k < length; k++)
                bytes[at + k] = (uint8_t)rand();
        lost += judge(&c, name, bytes, n, true);
        free(bytes);
    }
    assert_true(lost > 100);
    drop(&c);
}

static void files_cut_short(void **state)
{
    struct closed c;
    (void)state;
    make(&c, 65536, 200);
    for (unsigned i = 0; i < c.n; i++)
        for (unsigned k = 0; k < 60; k++) {
            size_t n;
            uint8_t *bytes = disk_copy(c.disk, c.names[i], &n);
            (void)judge(&c, c.names[i], bytes, k < 10 ? k * 100 : (size_t)rand() % n, true);
            free(bytes);
        }
    drop(&c);
}

/* Of each pair of segments the second is a copy of the first, or they have changed places. */
static void files_mixed_up(void **state)
{
    struct closed c;
    const struct ledger_trial trial = {.n = SIZE_MAX - 1, .damaged = true, .use = true};
    (void)state;
    make(&c, 65536, 400);
    assert_true(c.n > 1);
    for (unsigned i = 0; i < c.n; i++)
        for (unsigned k = 0; k < c.n; k++) {
            size_t n, m;
            uint8_t *one = disk_copy(c.disk, c.names[i], &n);
            uint8_t *other = disk_copy(c.disk, c.names[k], &m);
            (void)judge(&c, c.names[k], one, n, true);
            struct disk *image = copy(&c);
            disk_put(image, c.names[i], other, m);
            disk_put(image, c.names[k], one, n);
            (void)ledger_judge(c.ledger, image, &trial);
            disk_destroy(image);
            free(one);
            free(other);
        }
    drop(&c);
}

/* A missing segment costs what was in it. */
static void files_missing(void **state)
{
    struct closed c;
    const struct ledger_trial trial = {.n = SIZE_MAX - 1, .damaged = true, .use = true};
    (void)state;
    make(&c, 65536, 400);
    for (unsigned i = 0; i < c.n; i++) {
        struct disk *image = copy(&c);
        assert_int_equal(disk_unlink(image, c.names[i]), 0);
        const struct ledger_found found = ledger_judge(c.ledger, image, &trial);
        assert_true(found.records > 0);
        disk_destroy(image);
    }
    drop(&c);
}

/* What is not the journal's stays as it is. */
static void strange_files(void **state)
{
    static const char *const strange[] = {"/README",      "/0000000000000001.seg.bak",
                                          "/1.seg",       "/000000000000000A.seg",
                                          "/spare-1.seg", "/x"};
    const struct ledger_trial trial = {.n = SIZE_MAX - 1, .use = true};
    struct closed c;
    (void)state;
    make(&c, 65536, 100);
    struct disk *image = copy(&c);
    char path[200];
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        (void)snprintf(path, sizeof path, LEDGER_DIRECTORY "%s", strange[i]);
        disk_put(image, path, "something", 9);
    }
    (void)ledger_judge(c.ledger, image, &trial);
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        size_t n;
        (void)snprintf(path, sizeof path, LEDGER_DIRECTORY "%s", strange[i]);
        uint8_t *bytes = disk_copy(image, path, &n);
        assert_non_null(bytes);
        assert_int_equal(n, 9);
        free(bytes);
    }
    disk_destroy(image);
    drop(&c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte),      cmocka_unit_test(runs_of_bytes),
        cmocka_unit_test(files_cut_short), cmocka_unit_test(files_mixed_up),
        cmocka_unit_test(files_missing),   cmocka_unit_test(strange_files),
    };
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
    srand((unsigned)seed);
    print_message("seed %lu\n", (unsigned long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
