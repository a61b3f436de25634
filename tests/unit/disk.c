/* The file system in memory that the journal's tests stand on: what it keeps of what was not synced,
 * and how it fails. */
#include "tests/support/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int64_t put(struct disk *d, int fd, const char *text, uint64_t at)
{
    const struct iovec parts[] = {{(void *)(uintptr_t)text, 1},
                                  {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};
    return disk_write(d, fd, parts, 2, at);
}

static bool holds(struct disk *d, const char *path, const char *text)
{
    size_t n = 0;
    uint8_t *bytes = disk_copy(d, path, &n);
    const bool same = bytes ? text && n == strlen(text) && !memcmp(bytes, text, n) : !text;
    free(bytes);
    return same;
}

static struct disk *after(struct disk *d, size_t n, enum disk_keep writes, enum disk_keep names)
{
    const struct disk_fate fate = {.writes = writes, .names = names, .sector = 512, .seed = n};
    return disk_crash(d, n, &fate);
}

static void what_is_synced_stays(void **state)
{
    struct disk *d = disk_create();
    (void)state;
    assert_int_equal(disk_mkdir(d, "/a"), 0);
    disk_settle(d);
    const int directory = disk_open(d, "/a", O_DIRECTORY);
    const int fd = disk_open(d, "/a/f", O_CREAT);
    assert_int_equal(put(d, fd, "old", 0), 3);
    struct disk *lost = after(d, disk_now(d), DISK_KEEP_ALL, DISK_KEEP_NONE);
    assert_true(holds(lost, "/a/f", NULL));
    disk_destroy(lost);
    assert_int_equal(disk_sync(d, fd), 0);
    lost = after(d, disk_now(d), DISK_KEEP_ALL, DISK_KEEP_NONE); /* its name is not */
    assert_true(holds(lost, "/a/f", NULL));
    disk_destroy(lost);
    assert_int_equal(disk_sync(d, directory), 0);
    const size_t synced = disk_now(d);
    assert_int_equal(put(d, fd, "newer", 0), 5);
    assert_int_equal(disk_rename(d, "/a/f", "/a/g"), 0);
    assert_true(holds(d, "/a/g", "newer"));
    for (enum disk_keep keep = DISK_KEEP_ALL; keep < DISK_KEEPS; keep++) {
        struct disk *image = after(d, synced, keep, keep);
        assert_true(holds(image, "/a/f", "old"));
        disk_destroy(image);
    }
    struct disk *image = after(d, disk_now(d), DISK_KEEP_NONE, DISK_KEEP_ALL);
    assert_true(holds(image, "/a/g", "old") && holds(image, "/a/f", NULL));
    disk_destroy(image);
    image = after(d, disk_now(d), DISK_KEEP_ALL, DISK_KEEP_NONE);
    assert_true(holds(image, "/a/f", "newer") && holds(image, "/a/g", NULL));
    disk_destroy(image);
    disk_destroy(d);
}

/* Of many sectors that were not synced some remain, in each of the ways. */
static void writes_are_torn(void **state)
{
    static uint8_t text[8192];
    struct disk *d = disk_create();
    (void)state;
    memset(text, 'n', sizeof text);
    const struct iovec part = {text, sizeof text};
    disk_put(d, "/f", text, 0);
    const int fd = disk_open(d, "/f", 0);
    assert_int_equal(disk_write(d, fd, &part, 1, 100), sizeof text);
    for (enum disk_keep keep = DISK_KEEP_FIRST; keep < DISK_KEEPS; keep++) {
        unsigned torn = 0;
        for (uint64_t seed = 0; seed < 40; seed++) {
            const struct disk_fate fate = {.writes = keep, .sector = 512, .seed = seed};
            struct disk *image = disk_crash(d, 1, &fate);
            size_t n, kept = 0;
            uint8_t *bytes = disk_copy(image, "/f", &n);
            assert_true(n <= 100 + sizeof text);
            for (size_t i = 100; i < n; i++)
                kept += bytes[i] == 'n';
            for (size_t i = 512; i + 1 < n; i++) /* whole sectors */
                if ((i + 1) % 512)
                    assert_int_equal(bytes[i], bytes[i + 1]);
            torn += kept > 0 && kept < sizeof text;
            if (keep == DISK_KEEP_ZEROS)
                assert_int_equal(n, 100 + sizeof text);
            free(bytes);
            disk_destroy(image);
        }
        assert_true(torn > 20);
    }
    disk_destroy(d);
}

static void a_failed_sync_is_for_good(void **state)
{
    struct disk *d = disk_create();
    (void)state;
    disk_put(d, "/f", "....", 4);
    const int fd = disk_open(d, "/f", 0);
    assert_int_equal(put(d, fd, "ab", 0), 2);
    disk_fail(d, &(struct disk_fault){.at = 1, .error = EIO, .mask = DISK_SYNCS});
    assert_int_equal(disk_sync(d, fd), -EIO);
    assert_int_equal(put(d, fd, "cd", 2), 2);
    assert_int_equal(disk_sync(d, fd), 0);
    assert_true(holds(d, "/f", "abcd"));
    struct disk *image = after(d, disk_now(d), DISK_KEEP_NONE, DISK_KEEP_NONE);
    assert_true(holds(image, "/f", "..cd"));
    disk_destroy(image);
    disk_destroy(d);
}

static void calls_fail(void **state)
{
    struct disk *d = disk_create();
    (void)state;
    disk_put(d, "/f", "", 0);
    const int fd = disk_open(d, "/f", 0);
    disk_fail(d, &(struct disk_fault){.at = 2, .error = EIO, .mask = DISK_WRITES});
    assert_int_equal(put(d, fd, "abcd", 0), 4);
    assert_int_equal(disk_failures(d), 0);
    assert_int_equal(put(d, fd, "efgh", 4), -EIO);
    assert_true(disk_failures(d) > 0);
    assert_int_equal(put(d, fd, "ijkl", 4), 4);
    disk_fail(d, &(struct disk_fault){
                     .at = 1, .goes_on = true, .partly = true, .error = ENOSPC, .mask = DISK_ALL});
    assert_in_range(put(d, fd, "abcd", 8), 1, 3);
    assert_int_equal(put(d, fd, "abcd", 8), -ENOSPC);
    assert_int_equal(disk_unlink(d, "/f"), -ENOSPC);
    disk_fail(d, &(struct disk_fault){.at = 0});
    disk_set_room(d, 14);
    assert_int_equal(put(d, fd, "abcdef", 10), 4); /* it is short, and then full */
    assert_int_equal(put(d, fd, "ef", 14), -ENOSPC);
    assert_int_equal(put(d, fd, "AB", 0), 2);
    assert_int_equal(disk_allocate(d, fd, 15), -ENOSPC);
    disk_destroy(d);
}

static void one_has_the_lock(void **state)
{
    struct disk *d = disk_create();
    (void)state;
    disk_put(d, "/f", "", 0);
    const int one = disk_open(d, "/f", 0), other = disk_open(d, "/f", 0);
    assert_int_equal(disk_lock(d, one), 0);
    assert_int_equal(disk_lock(d, other), -EWOULDBLOCK);
    assert_int_equal(disk_close(d, one), 0);
    assert_int_equal(disk_lock(d, other), 0);
    disk_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_synced_stays),      cmocka_unit_test(writes_are_torn),
        cmocka_unit_test(a_failed_sync_is_for_good), cmocka_unit_test(calls_fail),
        cmocka_unit_test(one_has_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
