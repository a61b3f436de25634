/* The file exporter: what stands in the file, in both formats, and that no part of a record does
 * after a failure. */
#include "exporters/file/file.h"
#include "tests/support/plugin_host.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

static const int64_t S = 1000000000;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct exporter exporter;
    char directory[64], path[128];
    sl_send send;
    sl_error error;
};

static int32_t start(struct fixture *f)
{
    f->error = (sl_error){.size = sizeof f->error};
    f->exporter.base.host = &f->h->host;
    f->exporter.directory_permissions = sl_str("0750");
    if (!f->exporter.path.n)
        f->exporter.path = sl_str(f->path);
    const int32_t status = f->type->prepare(&f->exporter, &f->error);
    return status == SL_OK ? f->type->start(&f->exporter, &f->error) : status;
}

static void open_file(struct fixture *f, struct exporter exporter)
{
    *f = (struct fixture){
        .h = plugin_host_create(), .type = sluice_plugin.types[0], .exporter = exporter};
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/sluice-file-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof f->path, "%s/out", f->directory);
}

static void stop(struct fixture *f)
{
    f->type->stop(&f->exporter);
    f->type->stop(&f->exporter);
    f->type->destroy(&f->exporter);
}

static void close_file(struct fixture *f)
{
    stop(f);
    plugin_host_destroy(f->h);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->directory), 0);
}

static int32_t send_payload(struct fixture *f, uint32_t signal, const sl_bytes *segments,
                            uint32_t n)
{
    sl_delivery *d = plugin_host_delivery_of(f->h, signal, segments, n, 1);
    const int32_t status = plugin_host_send(f->type, &f->exporter, d, &f->send);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    return status;
}

/* resource_spans { scope_spans { spans { name: "a" } } }, cut in two between records */
static const uint8_t span[] = {0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, 'a',
                               0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, 'b'};
static const char span_json[] = "{\"resourceSpans\":["
                                "{\"resource\":{},\"scopeSpans\":[{\"scope\":{},\"spans\":[{"
                                "\"name\":\"a\",\"status\":{}}]}]},"
                                "{\"resource\":{},\"scopeSpans\":[{\"scope\":{},\"spans\":[{"
                                "\"name\":\"b\",\"status\":{}}]}]}]}\n";

static int32_t send_span(struct fixture *f)
{
    const sl_bytes segments[] = {sl_slice(span, 9), sl_slice(span + 9, 9)};
    return send_payload(f, SL_TRACES, segments, 2);
}

static size_t read_file(const char *path, char *at, size_t room)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    const ssize_t n = read(fd, at, room);
    close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static void json_lines(void **state)
{
    struct fixture f;
    char text[2048];
    struct stat st;
    (void)state;
    open_file(&f, (struct exporter){0});
    assert_int_equal(start(&f), SL_OK);
    assert_int_equal(send_span(&f), SL_OK);
    assert_int_equal(send_span(&f), SL_OK);
    const size_t n = read_file(f.path, text, sizeof text);
    const size_t line = strlen(span_json);
    assert_int_equal(n, 2 * line);
    assert_memory_equal(text, span_json, line);
    assert_memory_equal(text + line, span_json, line);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(fcntl(f.exporter.output->fd, F_GETFD) & FD_CLOEXEC);
    /* the other signals have their own keys */
    const sl_bytes empty = sl_slice("\x0a\x00", 2);
    assert_int_equal(send_payload(&f, SL_METRICS, &empty, 1), SL_OK);
    assert_int_equal(send_payload(&f, SL_LOGS, &empty, 1), SL_OK);
    assert_int_equal(send_payload(&f, SL_PROFILES, &empty, 1), SL_ERR_UNSUPPORTED);
    text[read_file(f.path, text, sizeof text - 1)] = '\0';
    assert_non_null(strstr(text + 2 * line, "\"resourceMetrics\""));
    assert_non_null(strstr(text + 2 * line, "\"resourceLogs\""));
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 4);
    close_file(&f);
}

static void proto_records(void **state)
{
    struct fixture f;
    char text[2048];
    (void)state;
    open_file(&f, (struct exporter){.format = FORMAT_PROTO});
    assert_int_equal(start(&f), SL_OK);
    assert_int_equal(send_span(&f), SL_OK);
    assert_int_equal(read_file(f.path, text, sizeof text), 22);
    assert_memory_equal(text, "\x00\x00\x00\x12", 4);
    assert_memory_equal(text + 4, span, 18);
    /* more segments than one system call takes, some of them empty */
    sl_bytes many[2000];
    for (size_t i = 0; i < 2000; i++)
        many[i] = sl_slice("\x0a\x00", i % 2 ? 2 : 0);
    assert_int_equal(send_payload(&f, SL_TRACES, many, 2000), SL_OK);
    assert_int_equal(read_file(f.path, text, sizeof text), 22 + 4 + 2000);
    assert_memory_equal(text + 22, "\x00\x00\x07\xd0\x0a\x00\x0a\x00", 8);
    struct stat st;
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_size, 22 + 4 + 2000);
    close_file(&f);
}

static void append_and_empty(void **state)
{
    struct fixture f;
    struct stat st;
    (void)state;
    open_file(&f, (struct exporter){.append = 1});
    for (int i = 0; i < 2; i++) {
        assert_int_equal(start(&f), SL_OK);
        assert_int_equal(send_span(&f), SL_OK);
        stop(&f);
    }
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_size, 2 * strlen(span_json));
    f.exporter.append = 0;
    assert_int_equal(start(&f), SL_OK);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_size, 0);
    close_file(&f);
}

static void directories(void **state)
{
    struct fixture f;
    char deep[160], path[200];
    struct stat st;
    (void)state;
    open_file(&f, (struct exporter){0});
    snprintf(deep, sizeof deep, "%s/a/b", f.directory);
    snprintf(path, sizeof path, "%s/out", deep);
    f.exporter.path = sl_str(path);
    assert_int_equal(start(&f), SL_ERR_IO);
    assert_non_null(strstr(f.error.text, "create_directory: true"));
    f.exporter.create_directory = 1;
    assert_int_equal(start(&f), SL_OK);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    (void)unlink(path);
    (void)rmdir(deep);
    *strrchr(deep, '/') = '\0';
    (void)rmdir(deep);
    close_file(&f);
}

static void malformed_bytes_leave_no_trace(void **state)
{
    struct fixture f;
    char text[2048];
    (void)state;
    open_file(&f, (struct exporter){0});
    assert_int_equal(start(&f), SL_OK);
    /* so much good text in front that a part has been written when the damage is found */
    enum { GOOD = 20000 };
    uint8_t *bytes = malloc(GOOD * 9 + 2);
    for (size_t i = 0; i < GOOD; i++)
        memcpy(bytes + i * 9, span, 9);
    memcpy(bytes + GOOD * 9, "\x0a\x55", 2);
    const sl_bytes segment = sl_slice(bytes, GOOD * 9 + 2);
    assert_int_equal(send_payload(&f, SL_TRACES, &segment, 1), SL_ERR_INVALID);
    free(bytes);
    assert_int_equal(send_span(&f), SL_OK);
    assert_int_equal(read_file(f.path, text, sizeof text), strlen(span_json));
    close_file(&f);
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
        const size_t record = format == FORMAT_PROTO ? 22 : strlen(span_json);
        for (size_t limit = record; limit <= 2 * record; limit++) {
            struct stat st;
            open_file(&f, (struct exporter){.format = format});
            assert_int_equal(start(&f), SL_OK);
            assert_int_equal(send_span(&f), SL_OK);
            const struct rlimit low = {limit, before.rlim_max};
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
            const int32_t status = send_span(&f);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
            assert_int_equal(status, limit < 2 * record ? SL_ERR_IO : SL_OK);
            if (status != SL_OK)
                assert_non_null(strstr(f.send.error.text, f.path));
            assert_int_equal(stat(f.path, &st), 0);
            assert_int_equal(st.st_size, limit < 2 * record ? record : 2 * record);
            assert_int_equal(send_span(&f), SL_OK);
            close_file(&f);
        }
    }
}

static void full_device(void **state)
{
    struct fixture f;
    (void)state;
    open_file(&f, (struct exporter){.path = sl_str("/dev/full")});
    assert_int_equal(start(&f), SL_OK);
    assert_int_equal(send_span(&f), SL_ERR_IO);
    assert_non_null(strstr(f.send.error.text, "No space left"));
    assert_string_equal(f.send.why, "io");
    close_file(&f);
}

/* A pipe that nobody empties: the attempt ends at its deadline or at stop, and no other record
 * follows the part of one. */
static void stuck_pipe(void **state)
{
    struct fixture f;
    (void)state;
    open_file(&f, (struct exporter){0});
    assert_int_equal(mkfifo(f.path, 0600), 0);
    assert_int_equal(start(&f), SL_ERR_IO); /* nobody has opened it for reading */
    const int reader = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(start(&f), SL_OK);
    int32_t status = SL_OK;
    for (int i = 0; i < 10000 && status == SL_OK; i++) {
        f.send.deadline_ns = sl_now(&f.h->host) + S / 5;
        status = send_span(&f);
    }
    assert_int_equal(status, SL_ERR_TIMEOUT);
    if (f.exporter.output->cut_off) {
        assert_int_equal(send_span(&f), SL_ERR_IO);
        assert_non_null(strstr(f.h->log, "ends with a part of a record"));
    }
    close(reader);
    close_file(&f);
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
    open_file(&f, (struct exporter){.path = sl_str("/dev/stdout")});
    const int32_t started = start(&f), sent = send_span(&f);
    const int flags = fcntl(STDOUT_FILENO, F_GETFL);
    assert_int_equal(dup2(before, STDOUT_FILENO), STDOUT_FILENO);
    close(before);
    assert_int_equal(started, SL_OK);
    assert_int_equal(sent, SL_OK);
    assert_false(flags & O_NONBLOCK);
    assert_int_equal(read(ends[0], text, sizeof text), strlen(span_json));
    close(ends[0]);
    close(ends[1]);
    close_file(&f);
}

static void stopped_exporter_refuses(void **state)
{
    struct fixture f;
    (void)state;
    open_file(&f, (struct exporter){0});
    assert_int_equal(start(&f), SL_OK);
    f.type->stop(&f.exporter);
    assert_int_equal(send_span(&f), SL_ERR_SHUTDOWN);
    close_file(&f);
}

static void what_is_missing_is_refused(void **state)
{
    const sl_raw null = {.size = sizeof null, .file = "a.yaml", .line = 7, .column = 5};
    const sl_raw empty = {.size = sizeof empty, .kind = 1};
    const sl_raw zstd = {.size = sizeof zstd, .kind = 1, .text = sl_str("zstd")};
    static const char *const modes[] = {"", "0x", "9", "77777", "07777777"};
    const struct exporter good = {.path = sl_str("/x"), .directory_permissions = sl_str("0755")};
    const sl_type *type = sluice_plugin.types[0];
    sl_error error = {.size = sizeof error};
    struct exporter e = good;
    (void)state;
    e.compression = &empty;
    assert_int_equal(type->prepare(&e, &error), SL_OK);
    e.compression = &zstd;
    assert_int_equal(type->prepare(&e, &error), SL_ERR_UNSUPPORTED);
    e = good;
    e.rotation = &null; /* the key alone switches it on */
    assert_int_equal(type->prepare(&e, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "a.yaml:7:5: key \"rotation\""));
    e = good;
    e.encoding = &zstd;
    assert_int_equal(type->prepare(&e, &error), SL_ERR_UNSUPPORTED);
    e = good;
    e.compression_params = &null;
    assert_int_equal(type->prepare(&e, &error), SL_ERR_UNSUPPORTED);
    e = good;
    e.group_by.enabled = 1;
    assert_int_equal(type->prepare(&e, &error), SL_ERR_UNSUPPORTED);
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines),
        cmocka_unit_test(proto_records),
        cmocka_unit_test(append_and_empty),
        cmocka_unit_test(directories),
        cmocka_unit_test(malformed_bytes_leave_no_trace),
        cmocka_unit_test(no_space),
        cmocka_unit_test(full_device),
        cmocka_unit_test(stuck_pipe),
        cmocka_unit_test(standard_output),
        cmocka_unit_test(stopped_exporter_refuses),
        cmocka_unit_test(what_is_missing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
