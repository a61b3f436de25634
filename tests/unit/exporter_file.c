/* The file exporter: what stands in the file, in both formats, and that no part of a record does
 * after a failure. */
#include "tests/unit/exporter_file_support.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const int64_t S = 1000000000;

static void json_lines(void **state)
{
    struct fixture f;
    char text[2048];
    struct stat st;
    (void)state;
    fixture_open(&f, (struct exporter){0});
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    const size_t n = fixture_read(f.path, text, sizeof text);
    const size_t line = strlen(two_spans_json);
    assert_int_equal(n, 2 * line);
    assert_memory_equal(text, two_spans_json, line);
    assert_memory_equal(text + line, two_spans_json, line);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(fcntl(f.exporter.output->fd, F_GETFD) & FD_CLOEXEC);
    /* the other signals have their own keys */
    const sl_bytes empty = sl_slice("\x0a\x00", 2);
    assert_int_equal(fixture_send(&f, SL_METRICS, &empty, 1, 1), SL_OK);
    assert_int_equal(fixture_send(&f, SL_LOGS, &empty, 1, 1), SL_OK);
    assert_int_equal(fixture_send(&f, SL_PROFILES, &empty, 1, 1), SL_ERR_UNSUPPORTED);
    text[fixture_read(f.path, text, sizeof text - 1)] = '\0';
    assert_non_null(strstr(text + 2 * line, "\"resourceMetrics\""));
    assert_non_null(strstr(text + 2 * line, "\"resourceLogs\""));
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 6);
    fixture_close(&f);
}

static void proto_records(void **state)
{
    struct fixture f;
    char text[2048];
    (void)state;
    fixture_open(&f, (struct exporter){.format = FORMAT_PROTO});
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(fixture_read(f.path, text, sizeof text), 22);
    assert_memory_equal(text, "\x00\x00\x00\x12", 4);
    assert_memory_equal(text + 4, two_spans, 18);
    /* more segments than one system call takes, some of them empty */
    sl_bytes many[2000];
    for (size_t i = 0; i < 2000; i++)
        many[i] = sl_slice("\x0a\x00", i % 2 ? 2 : 0);
    assert_int_equal(fixture_send(&f, SL_TRACES, many, 2000, 1), SL_OK);
    assert_int_equal(fixture_read(f.path, text, sizeof text), 22 + 4 + 2000);
    assert_memory_equal(text + 22, "\x00\x00\x07\xd0\x0a\x00\x0a\x00", 8);
    struct stat st;
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_size, 22 + 4 + 2000);
    fixture_close(&f);
}

static void append_and_empty(void **state)
{
    struct fixture f;
    struct stat st;
    (void)state;
    fixture_open(&f, (struct exporter){.append = 1});
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fixture_start(&f), SL_OK);
        assert_int_equal(fixture_send_spans(&f), SL_OK);
        fixture_stop(&f);
    }
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_size, 2 * strlen(two_spans_json));
    fixture_close(&f);
}

/* Without `append` a file from before is emptied once, and what this process wrote is not: there may
 * have been reloads in between. */
static void empties_only_what_others_wrote(void **state)
{
    struct fixture f;
    struct stat st;
    (void)state;
    fixture_open(&f, (struct exporter){.append = 0});
    FILE *before = fopen(f.path, "w");
    assert_non_null(before);
    assert_true(fputs("of another process\n", before) >= 0);
    assert_int_equal(fclose(before), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(fixture_start(&f), SL_OK);
        assert_int_equal(fixture_send_spans(&f), SL_OK);
        fixture_stop(&f);
        assert_int_equal(stat(f.path, &st), 0);
        assert_int_equal(st.st_size, i * strlen(two_spans_json));
    }
    fixture_close(&f);
}

static void directories(void **state)
{
    struct fixture f;
    char deep[160], path[200];
    struct stat st;
    (void)state;
    fixture_open(&f, (struct exporter){0});
    snprintf(deep, sizeof deep, "%s/a/b", f.directory);
    snprintf(path, sizeof path, "%s/out", deep);
    f.exporter.path = sl_str(path);
    assert_int_equal(fixture_start(&f), SL_ERR_IO);
    assert_non_null(strstr(f.error.text, "create_directory: true"));
    f.exporter.create_directory = 1;
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    fixture_close(&f);
}

static void malformed_bytes_leave_no_trace(void **state)
{
    struct fixture f;
    char text[2048];
    (void)state;
    fixture_open(&f, (struct exporter){0});
    assert_int_equal(fixture_start(&f), SL_OK);
    /* so much good text in front that a part has been written when the damage is found */
    enum { GOOD = 20000 };
    uint8_t *bytes = malloc(GOOD * 9 + 2);
    for (size_t i = 0; i < GOOD; i++)
        memcpy(bytes + i * 9, two_spans, 9);
    memcpy(bytes + GOOD * 9, "\x0a\x55", 2);
    const sl_bytes segment = sl_slice(bytes, GOOD * 9 + 2);
    assert_int_equal(fixture_send(&f, SL_TRACES, &segment, 1, 1), SL_ERR_INVALID);
    free(bytes);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(fixture_read(f.path, text, sizeof text), strlen(two_spans_json));
    fixture_close(&f);
}

/* Every size of the file at which the space ends: what does not fit is taken back whole, and goes
 * in once there is space. */
static void no_space(void **state)
{
    struct fixture f;
    struct rlimit before;
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (uint32_t format = 0; format < 2; format++) {
        const size_t record = format == FORMAT_PROTO ? 22 : strlen(two_spans_json);
        for (size_t limit = record; limit <= 2 * record; limit++) {
            struct stat st;
            fixture_open(&f, (struct exporter){.format = format});
            assert_int_equal(fixture_start(&f), SL_OK);
            assert_int_equal(fixture_send_spans(&f), SL_OK);
            const struct rlimit low = {limit, before.rlim_max};
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
            const int32_t status = fixture_send_spans(&f);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
            assert_int_equal(status, limit < 2 * record ? SL_ERR_IO : SL_OK);
            if (status != SL_OK)
                assert_non_null(strstr(f.send.error.text, f.path));
            assert_int_equal(stat(f.path, &st), 0);
            assert_int_equal(st.st_size, limit < 2 * record ? record : 2 * record);
            assert_int_equal(fixture_send_spans(&f), SL_OK);
            fixture_close(&f);
        }
    }
}

static void full_device(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, (struct exporter){.path = sl_str("/dev/full")});
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_ERR_IO);
    assert_non_null(strstr(f.send.error.text, "No space left"));
    assert_string_equal(f.send.why, "io");
    fixture_close(&f);
}

/* A pipe that nobody empties: the attempt ends at its deadline or at stop, and no other record
 * follows the part of one. */
static void stuck_pipe(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, (struct exporter){0});
    assert_int_equal(mkfifo(f.path, 0600), 0);
    assert_int_equal(fixture_start(&f), SL_ERR_IO); /* nobody has opened it for reading */
    const int reader = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(fixture_start(&f), SL_OK);
    int32_t status = SL_OK;
    for (int i = 0; i < 10000 && status == SL_OK; i++) {
        f.send.deadline_ns = sl_now(&f.h->host) + S / 5;
        status = fixture_send_spans(&f);
    }
    assert_int_equal(status, SL_ERR_TIMEOUT);
    if (f.exporter.output->torn) {
        assert_int_equal(fixture_send_spans(&f), SL_ERR_IO);
        assert_non_null(strstr(f.h->log, "ends with a part of a record"));
    }
    close(reader);
    fixture_close(&f);
}

static void standard_output(void **state)
{
    struct fixture f;
    char text[2048];
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    const int before = dup(STDOUT_FILENO);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    fixture_open(&f, (struct exporter){.path = sl_str("/dev/stdout")});
    const int32_t started = fixture_start(&f), sent = fixture_send_spans(&f);
    const int flags = fcntl(STDOUT_FILENO, F_GETFL);
    assert_int_equal(dup2(before, STDOUT_FILENO), STDOUT_FILENO);
    close(before);
    assert_int_equal(started, SL_OK);
    assert_int_equal(sent, SL_OK);
    assert_false(flags & O_NONBLOCK);
    assert_int_equal(read(ends[0], text, sizeof text), strlen(two_spans_json));
    close(ends[0]);
    close(ends[1]);
    fixture_close(&f);
}

static void stopped_exporter_refuses(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, (struct exporter){0});
    assert_int_equal(fixture_start(&f), SL_OK);
    f.type->stop(&f.exporter);
    assert_int_equal(fixture_send_spans(&f), SL_ERR_SHUTDOWN);
    fixture_close(&f);
}

static void what_is_wrong_is_refused(void **state)
{
    const sl_raw encoding = {.size = sizeof encoding,
                             .kind = 1,
                             .text = sl_str("otlp"),
                             .file = "a.yaml",
                             .line = 7,
                             .column = 5};
    static const char *const modes[] = {"", "0x", "9", "77777", "07777777"};
    static const char *const patterns[] = {"/x", "/x*/y*", "*", "*/x", "/x*/../y", "/x/*/", ""};
    const struct exporter good = {.path = sl_str("/x"), .directory_permissions = sl_str("0755")};
    const sl_type *type = sluice_plugin.types[0];
    sl_error error = {.size = sizeof error};
    struct exporter e = good;
    (void)state;
    assert_int_equal(type->prepare(&e, &error), SL_OK);
    e.compression_name = sl_str("");
    assert_int_equal(type->prepare(&e, &error), SL_OK);
    assert_int_equal(e.compression, COMPRESSION_NONE);
    e.compression_name = sl_str("gzip");
    assert_int_equal(type->prepare(&e, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "\"gzip\" is not supported; it may be zstd"));
    e = good;
    e.encoding = &encoding;
    assert_int_equal(type->prepare(&e, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "a.yaml:7:5: key \"encoding\""));
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        e = good;
        e.directory_permissions = sl_str(modes[i]);
        assert_int_equal(type->prepare(&e, &error), SL_ERR_INVALID);
    }
    e = good;
    e.path = sl_slice("/x\0y", 4);
    assert_int_equal(type->prepare(&e, &error), SL_ERR_INVALID);
    e.path = sl_slice("", 0);
    assert_int_equal(type->prepare(&e, &error), SL_ERR_INVALID);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        e = good;
        e.path = sl_str(patterns[i]);
        e.group_by = (struct group_by){1, sl_str("tenant"), 1};
        assert_int_equal(type->prepare(&e, &error), SL_ERR_INVALID);
    }
    e.path = sl_str("/x/*.json");
    assert_int_equal(type->prepare(&e, &error), SL_OK);
    e.group_by.resource_attribute = sl_str("");
    assert_int_equal(type->prepare(&e, &error), SL_ERR_INVALID);
}

/* Two exporters of one process, and another process: a file has one writer. */
static void one_writer(void **state)
{
    struct fixture f, g;
    (void)state;
    fixture_open(&f, (struct exporter){0});
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    fixture_open(&g, (struct exporter){.path = sl_str(f.path)});
    g.h->name = "file/other";
    assert_int_equal(fixture_start(&g), SL_ERR_STATE);
    assert_non_null(strstr(g.error.text, "exporter \"file/test\" writes it too"));
    assert_int_equal(fixture_size(f.path), strlen(two_spans_json)); /* and did not empty it */
    const pid_t child = fork();
    if (child == 0) {
        /* the lock is this description's: the child's own is another */
        const int fd = open(f.path, O_RDWR | O_CLOEXEC);
        struct stat st;
        struct lock lock;
        sl_error error = {.size = sizeof error};
        (void)fstat(fd, &st);
        _exit(lock_take(&lock, fd, &st, "file/child", &error) == SL_ERR_STATE ? 0 : 1);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    fixture_stop(&f);
    assert_int_equal(fixture_start(&g), SL_OK);
    fixture_close(&g);
    fixture_close(&f);
}

struct ending {
    struct fixture *f;
    pthread_t thread;
};

static void *end_forerunner(void *arg)
{
    const struct ending *e = arg;
    fixture_stop(e->f);
    return NULL;
}

/* After a reload the component's forerunner may still write: what comes to the new one waits. */
static void forerunner(void **state)
{
    struct fixture f, g;
    (void)state;
    fixture_open(&f, (struct exporter){.format = FORMAT_PROTO});
    assert_int_equal(fixture_start(&f), SL_OK);
    fixture_open(&g,
                 (struct exporter){.path = sl_str(f.path), .format = FORMAT_PROTO, .append = 1});
    assert_int_equal(fixture_start(&g), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    struct ending ending = {.f = &f};
    assert_int_equal(pthread_create(&ending.thread, NULL, end_forerunner, &ending), 0);
    assert_int_equal(fixture_send_spans(&g), SL_OK);
    pthread_join(ending.thread, NULL);
    assert_int_equal(fixture_size(f.path), 2 * 22);
    fixture_close(&g);
    fixture_close(&f);
}

/* A tool renames or removes the file, or empties it. */
static void moved_away(void **state)
{
    struct fixture f;
    char old[160];
    (void)state;
    fixture_open(&f, (struct exporter){.format = FORMAT_PROTO});
    f.h->now_ns = S;
    snprintf(old, sizeof old, "%s.1", f.path);
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(rename(f.path, old), 0);
    assert_int_equal(fixture_send_spans(&f), SL_OK); /* looked at once a second */
    assert_int_equal(fixture_size(old), 2 * 22);
    f.h->now_ns += S;
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(fixture_size(old), 2 * 22);
    assert_int_equal(fixture_size(f.path), 22);
    assert_int_equal(unlink(f.path), 0);
    f.h->now_ns += S;
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(fixture_size(f.path), 22);
    assert_int_equal(truncate(f.path, 0), 0);
    assert_int_equal(fixture_send_spans(&f), SL_OK);
    assert_int_equal(fixture_size(f.path), 22);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines),
        cmocka_unit_test(proto_records),
        cmocka_unit_test(append_and_empty),
        cmocka_unit_test(empties_only_what_others_wrote),
        cmocka_unit_test(directories),
        cmocka_unit_test(malformed_bytes_leave_no_trace),
        cmocka_unit_test(no_space),
        cmocka_unit_test(full_device),
        cmocka_unit_test(stuck_pipe),
        cmocka_unit_test(standard_output),
        cmocka_unit_test(stopped_exporter_refuses),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(one_writer),
        cmocka_unit_test(forerunner),
        cmocka_unit_test(moved_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
