/* The file exporter when the system fails it: after every failure of every call, at every place, the
 * file holds whole records only, those that were acknowledged among them, and it goes on by itself.
 */
#include "tests/unit/exporter_file_support.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- calls that fail ---- */

/* File scope: the calls have no argument for it. */
static struct {
    int calls, fail_at, error; /* from which call on, counted from 1; 0: none */
    bool goes_on;              /* failing */
    int short_by;              /* bytes that a failing writev still writes; -1: none */
    int syncs, sync_error;
} faults;

static bool fails(void)
{
    faults.calls++;
    if (!faults.fail_at ||
        (faults.goes_on ? faults.calls < faults.fail_at : faults.calls != faults.fail_at))
        return false;
    errno = faults.error;
    return true;
}

static int faulty_openat(int directory, const char *name, int flags, mode_t mode)
{
    return fails() ? -1 : file_calls_of_system.openat(directory, name, flags, mode);
}

static ssize_t faulty_writev(int fd, const struct iovec *v, int n)
{
    if (!fails())
        return file_calls_of_system.writev(fd, v, n);
    if (faults.short_by > 0 && v[0].iov_len > (size_t)faults.short_by) {
        const struct iovec some = {v[0].iov_base, (size_t)faults.short_by};
        faults.fail_at = faults.calls + 1; /* the disk is full right behind it */
        return file_calls_of_system.writev(fd, &some, 1);
    }
    errno = faults.error;
    return -1;
}

static int faulty_ftruncate(int fd, off_t size)
{
    return fails() ? -1 : file_calls_of_system.ftruncate(fd, size);
}

static int faulty_fdatasync(int fd)
{
    __atomic_fetch_add(&faults.syncs, 1, __ATOMIC_SEQ_CST);
    if (faults.sync_error) {
        errno = faults.sync_error;
        faults.sync_error = 0; /* and a second call would claim that all is well */
        return -1;
    }
    return file_calls_of_system.fdatasync(fd);
}

static int faulty_renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
    return fails() ? -1 : file_calls_of_system.renameat2(from, old, to, name, flags);
}

static const struct file_calls faulty = {faulty_openat, faulty_writev, faulty_ftruncate,
                                         faulty_fdatasync, faulty_renameat2};

/* ---- tests ---- */

/* Records that are larger than the JSON writer's buffer, so that one takes several writes. */
static const sl_bytes *large_request(void)
{
    enum { MANY = 3000 };
    static uint8_t bytes[MANY * 9];
    static sl_bytes segment;
    for (size_t i = 0; i < MANY; i++)
        memcpy(bytes + i * 9, two_spans, 9);
    segment = sl_slice(bytes, sizeof bytes);
    return &segment;
}

static void check_file(const char *path, uint32_t format, bool zstd, size_t least)
{
    static char text[4 << 20];
    const size_t n = fixture_read(path, text, sizeof text);
    uint64_t end = 0;
    sl_error error = {.size = sizeof error};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(recover_end(fd, n, zstd || format == FORMAT_PROTO, zstd, &end, &error), SL_OK);
    close(fd);
    assert_int_equal(end, n);
    size_t records = 0;
    for (size_t i = 0; i < n; records++) {
        const uint8_t *p = (const uint8_t *)text + i;
        i += zstd || format == FORMAT_PROTO
                 ? 4 + ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3])
                 : (size_t)((const uint8_t *)memchr(p, '\n', n - i) - p) + 1;
    }
    assert_true(records >= least);
}

static void every_call(void **state)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS, ENFILE};
    const sl_bytes zstd = sl_str("zstd");
    (void)state;
    for (unsigned kind = 0; kind < 3 * 2 * 2; kind++) {
        const struct exporter exporter = {.format = kind % 3 == 0 ? FORMAT_JSON : FORMAT_PROTO,
                                          .compression_name =
                                              kind % 3 == 2 ? zstd : sl_slice(NULL, 0),
                                          .append = 1,
                                          .rotating = kind / 3 % 2,
                                          .rotation = {.max_megabytes = 1},
                                          .calls = &faulty};
        const bool goes_on = kind / 6;
        bool done = false;
        for (int at = 1; !done; at++) {
            struct fixture f;
            size_t delivered = 0;
            memset(&faults, 0, sizeof faults);
            fixture_open(&f, exporter);
            assert_int_equal(fixture_start(&f), SL_OK);
            assert_int_equal(fixture_send_spans(&f), SL_OK);
            faults.calls = 0;
            faults.fail_at = at;
            faults.error = errors[at % 5];
            faults.goes_on = goes_on;
            faults.short_by = at % 3 == 0 ? 3 : -1;
            for (int i = 0; i < 6; i++)
                delivered += fixture_send(&f, SL_TRACES, large_request(), 1, 1) == SL_OK;
            done = faults.calls < at;
            faults.fail_at = 0;
            assert_true(delivered == 6 || !done);
            assert_int_equal(fixture_send_spans(&f), SL_OK); /* the space is back */
            fixture_stop(&f);
            size_t least = exporter.rotating ? 1 : delivered + 2;
            check_file(f.path, exporter.format, kind % 3 == 2, least);
            fixture_close(&f);
        }
    }
}

/* Health follows: an operator sees trouble while there is some, and not after it. */
static void is_told(void **state)
{
    struct fixture f;
    (void)state;
    memset(&faults, 0, sizeof faults);
    fixture_open(&f, (struct exporter){.calls = &faulty});
    assert_int_equal(fixture_start(&f), SL_OK);
    faults = (typeof(faults)){.fail_at = 1, .error = ENOSPC, .goes_on = true};
    assert_int_equal(fixture_send_spans(&f), SL_ERR_IO);
    assert_int_equal(f.h->status, SL_STATUS_RECOVERABLE);
    assert_non_null(strstr(f.h->status_text, "No space left"));
    assert_non_null(strstr(f.send.error.text, "No space left"));
    assert_string_equal(f.send.why, "io");
    faults.fail_at = 0;
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(f.h->status, SL_STATUS_OK);
    fixture_close(&f);
}

static void always_synced(void **state)
{
    struct fixture f;
    (void)state;
    memset(&faults, 0, sizeof faults);
    fixture_open(&f, (struct exporter){.fsync = FSYNC_ALWAYS, .calls = &faulty});
    assert_int_equal(fixture_start(&f), SL_OK);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(fixture_send_spans(&f), SL_OK);
        assert_int_equal(faults.syncs, i);
    }
    /* what the disk may not have is written anew, and not believed the second time */
    faults.sync_error = EIO;
    assert_int_equal(fixture_send_spans(&f), SL_ERR_IO);
    assert_non_null(strstr(f.send.error.text, "syncing"));
    assert_int_equal(fixture_size(f.path), 3 * strlen(two_spans_json));
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(fixture_size(f.path), 4 * strlen(two_spans_json));
    fixture_close(&f);
}

static void synced_later(void **state)
{
    struct fixture f;
    (void)state;
    memset(&faults, 0, sizeof faults);
    fixture_open(&f, (struct exporter){
                         .fsync = FSYNC_INTERVAL, .flush_interval = 1000000, .calls = &faulty});
    assert_int_equal(fixture_start(&f), SL_OK);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(fixture_send_spans(&f), SL_OK);
        while (__atomic_load_n(&faults.syncs, __ATOMIC_SEQ_CST) < i) /* or CTest's time is up */
            (void)usleep(100);
    }
    fixture_stop(&f);
    /* an hour is not waited for at the end */
    f.exporter.flush_interval = INT64_C(3600) * 1000000000;
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    fixture_stop(&f);
    assert_int_equal(faults.syncs, 4);
    fixture_close(&f);
}

static void never_synced(void **state)
{
    struct fixture f;
    (void)state;
    memset(&faults, 0, sizeof faults);
    fixture_open(&f, (struct exporter){.calls = &faulty});
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    fixture_close(&f);
    assert_int_equal(faults.syncs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call),    cmocka_unit_test(is_told),
        cmocka_unit_test(always_synced), cmocka_unit_test(synced_later),
        cmocka_unit_test(never_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
