/* The file exporter with group_by: which file a resource's data goes to, that no value leads out of
 * the directory, and how items end whose files differ. */
#include "sluice/otlp.h"
#include "tests/unit/exporter_file_support.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static uint8_t request[1 << 16];
static sl_writer writer;

/* A ResourceSpans whose resource has `tenant`, with spans of that name. NULL: no attribute. */
static void add(const char *tenant, int spans)
{
    const size_t envelope = sl_write_begin(&writer, 1), resource = sl_write_begin(&writer, 1);
    sl_write_attr_text(&writer, 1, sl_str("service.name"), sl_str("s"));
    if (tenant)
        sl_write_attr_text(&writer, 1, sl_str("tenant"), sl_str(tenant));
    sl_write_end(&writer, resource);
    const size_t scope = sl_write_begin(&writer, 2);
    for (int i = 0; i < spans; i++) {
        const size_t span = sl_write_begin(&writer, 2);
        sl_write_text(&writer, 5, tenant ? tenant : "none");
        sl_write_end(&writer, span);
    }
    sl_write_end(&writer, scope);
    sl_write_end(&writer, envelope);
}

static void begin(void)
{
    writer = sl_writer_fixed(request, sizeof request);
}

static int32_t send(struct fixture *f, uint32_t items)
{
    const sl_bytes segment = sl_written(&writer);
    assert_false(writer.failed);
    return fixture_send(f, SL_TRACES, &segment, 1, items);
}

static void open_groups(struct fixture *f, const char *pattern, struct exporter exporter)
{
    exporter.group_by.enabled = 1;
    fixture_open(f, exporter);
    snprintf(f->path, sizeof f->path, "%s/%s", f->directory, pattern);
    assert_int_equal(fixture_start(f), SL_OK);
}

static int count(const char *directory, const char *name, const char *what)
{
    static char text[1 << 16];
    char path[1300];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    text[fixture_read(path, text, sizeof text - 1)] = '\0';
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void apart(void **state)
{
    struct fixture f;
    (void)state;
    open_groups(&f, "*.json", (struct exporter){0});
    begin();
    add("a", 2);
    add("b", 1);
    add("a", 3);
    assert_int_equal(send(&f, 6), SL_OK);
    assert_string_equal(fixture_list(&f), "a.json b.json");
    assert_int_equal(count(f.directory, "a.json", "\"name\":\"a\""), 5);
    assert_int_equal(count(f.directory, "a.json", "resourceSpans"), 1); /* one line */
    assert_int_equal(count(f.directory, "b.json", "\"name\":\"b\""), 1);
    assert_int_equal(count(f.directory, "b.json", "\"name\":\"a\""), 0);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 6);
    /* and again in another run, behind what is there */
    fixture_stop(&f);
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_int_equal(send(&f, 6), SL_OK);
    assert_int_equal(count(f.directory, "a.json", "\"name\":\"a\""), 10);
    fixture_close(&f);
}

static void without_the_attribute(void **state)
{
    struct fixture f;
    (void)state;
    open_groups(&f, "*.json", (struct exporter){0});
    begin();
    add(NULL, 2);
    add("a", 1);
    add(NULL, 4);
    assert_int_equal(send(&f, 7), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 1);
    assert_int_equal(plugin_host_count(f.h, SL_DROPPED), 6);
    assert_string_equal(f.h->why[0], "no_group_attribute");
    assert_non_null(strstr(f.h->log, "without the text attribute \"tenant\" is dropped"));
    begin();
    add(NULL, 3);
    assert_int_equal(send(&f, 3), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_DROPPED), 9);
    assert_string_equal(fixture_list(&f), "a.json");
    fixture_close(&f);
}

static void cleaned_values(void **state)
{
    static const struct {
        const char *value, *clean;
    } cases[] = {
        {"a", "a"},
        {"", ""},
        {"a/b", "a/b"},
        {"/a", "a"},
        {"//a//b/", "a/b"},
        {"./a/./b", "a/b"},
        {"..", ""},
        {"../../etc/passwd", "etc/passwd"},
        {"a/../../../b", "b"},
        {"a/b/..", "a"},
        {"a/b/../../..", ""},
        {"...", "..."},
        {"a\nb\x7f\\c", "a_b__c"},
        {"\xc3\xa4", "\xc3\xa4"},
    };
    char out[PLACE_VALUE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = place_clean(sl_str(cases[i].value), out);
        assert_int_equal(n, strlen(cases[i].clean));
        assert_memory_equal(out, cases[i].clean, n);
    }
    assert_int_equal(place_clean(sl_slice("a\0b", 3), out), 3);
    assert_memory_equal(out, "a_b", 3);
    /* of any length, and those that begin alike stay apart */
    char two[2][PLACE_VALUE_MAX], value[4000];
    memset(value, 'x', sizeof value);
    for (int i = 0; i < 2; i++) {
        value[3999] = (char)('0' + i);
        assert_int_equal(place_clean(sl_slice(value, sizeof value), two[i]), PLACE_NAME_MAX);
    }
    assert_memory_not_equal(two[0], two[1], PLACE_NAME_MAX);
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = i % 2 ? '/' : 'y';
    assert_true(place_clean(sl_slice(value, sizeof value), out) < PLACE_VALUE_MAX);
    memset(value, '.', sizeof value);
    assert_true(place_clean(sl_slice(value, sizeof value), out) < PLACE_VALUE_MAX);
}

static void subdirectories(void **state)
{
    struct fixture f;
    (void)state;
    open_groups(&f, "by/p-*/data.json", (struct exporter){0});
    begin();
    add("a/b", 1);
    add("../../../up", 1);
    assert_int_equal(send(&f, 2), SL_OK);
    assert_int_equal(count(f.directory, "by/p-a/b/data.json", "resourceSpans"), 1);
    assert_int_equal(count(f.directory, "by/p-up/data.json", "resourceSpans"), 1);
    assert_string_equal(fixture_list(&f), "by");
    fixture_close(&f);
}

/* Nor does a link that lies there: not as a directory, and not as the file. */
static void no_link_is_followed(void **state)
{
    struct fixture f;
    char outside[64] = "/tmp/sluice-outside-XXXXXX", link[256], target[256];
    (void)state;
    assert_non_null(mkdtemp(outside));
    open_groups(&f, "*", (struct exporter){0});
    snprintf(link, sizeof link, "%s/d", f.directory);
    assert_int_equal(symlink(outside, link), 0);
    snprintf(link, sizeof link, "%s/file", f.directory);
    snprintf(target, sizeof target, "%s/file", outside);
    assert_int_equal(symlink(target, link), 0);
    begin();
    add("d/x", 1);
    add("file", 2);
    add("good", 4);
    assert_int_equal(send(&f, 7), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 3);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 4);
    assert_non_null(strstr(f.h->log, "data is refused"));
    fixture_close(&f);
    assert_int_equal(rmdir(outside), 0); /* nothing was made in it */
}

/* One value's file stands where another value wants a directory. */
static void values_in_each_others_way(void **state)
{
    struct fixture f;
    (void)state;
    open_groups(&f, "*", (struct exporter){0});
    begin();
    add("a", 1);
    add("a/b", 2);
    assert_int_equal(send(&f, 3), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 1);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 2);
    fixture_close(&f);
}

static void few_open_files(void **state)
{
    struct fixture f;
    char tenant[16];
    (void)state;
    open_groups(&f, "*.proto",
                (struct exporter){.format = FORMAT_PROTO, .group_by = {.max_open_files = 3}});
    for (int round = 0; round < 4; round++) {
        begin();
        for (int i = 0; i < 20; i++) {
            snprintf(tenant, sizeof tenant, "t%02d", i);
            add(tenant, 1);
        }
        assert_int_equal(send(&f, 20), SL_OK);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(tenant, sizeof tenant, "t%02d", i);
        char name[128];
        snprintf(name, sizeof name, "%s/%s.proto", f.directory, tenant);
        char text[1024];
        const size_t n = fixture_read(name, text, sizeof text);
        assert_int_equal(n % 4, 0);
        assert_memory_equal(text, text + n / 4, n / 4); /* four records, all the same */
    }
    int open_files = 0;
    for (int fd = 3; fd < 200; fd++) {
        char link[64], target[256];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const ssize_t n = readlink(link, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        open_files += strstr(target, f.directory) != NULL;
    }
    assert_int_equal(open_files, 3);
    fixture_close(&f);
}

/* ---- what is tried again is only what was not written ---- */

static const char *broken; /* the file that cannot be opened; the calls have no argument for it */

static int choosy_openat(int directory, const char *name, int flags, mode_t mode)
{
    if (broken && strcmp(name, broken) == 0) {
        errno = ENFILE;
        return -1;
    }
    return file_calls_of_system.openat(directory, name, flags, mode);
}

static void some_fail(void **state)
{
    struct file_calls calls = file_calls_of_system;
    struct fixture f;
    (void)state;
    calls.openat = choosy_openat;
    open_groups(&f, "*", (struct exporter){.calls = &calls});
    begin();
    add("a", 1);
    add("b", 2);
    add(NULL, 3);
    add("c", 4);
    broken = "b";
    const sl_bytes segment = sl_written(&writer);
    sl_delivery *d = plugin_host_delivery_of(f.h, SL_TRACES, &segment, 1, 10);
    assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_ERR_IO);
    assert_int_equal(d->unclaimed, 2);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 5);
    assert_int_equal(plugin_host_count(f.h, SL_DROPPED), 3);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    broken = NULL;
    fixture_close(&f);
}

static void without_memory(void **state)
{
    struct fixture f;
    (void)state;
    open_groups(&f, "*", (struct exporter){0});
    begin();
    add("a", 1);
    add("b", 1);
    f.h->fail_at = f.h->calls + 1;
    assert_int_equal(send(&f, 2), SL_ERR_NOMEM);
    assert_string_equal(fixture_list(&f), "");
    assert_int_equal(send(&f, 2), SL_OK);
    assert_string_equal(fixture_list(&f), "a b");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apart),
        cmocka_unit_test(without_the_attribute),
        cmocka_unit_test(cleaned_values),
        cmocka_unit_test(subdirectories),
        cmocka_unit_test(no_link_is_followed),
        cmocka_unit_test(values_in_each_others_way),
        cmocka_unit_test(few_open_files),
        cmocka_unit_test(some_fail),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
