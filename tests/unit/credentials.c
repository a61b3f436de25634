/* Files that are read again, and comparing secrets. */
#include "extensions/credentials/watched_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

#define SECOND INT64_C(1000000000)

struct directory {
    char path[64], file[96], other[96], link[96];
};

static int set_up(void **state)
{
    struct directory *d = calloc(1, sizeof *d);
    assert_non_null(d);
    (void)snprintf(d->path, sizeof d->path, "/tmp/sluice-credentials-XXXXXX");
    assert_non_null(mkdtemp(d->path));
    (void)snprintf(d->file, sizeof d->file, "%s/file", d->path);
    (void)snprintf(d->other, sizeof d->other, "%s/other", d->path);
    (void)snprintf(d->link, sizeof d->link, "%s/link", d->path);
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    struct directory *d = *state;
    (void)unlink(d->file);
    (void)unlink(d->other);
    (void)unlink(d->link);
    (void)rmdir(d->path);
    free(d);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void expect(struct watched_file *w, int64_t now, enum watched_news news, const char *text)
{
    sl_error error = {.size = sizeof error};
    char *got;
    size_t n;
    assert_int_equal(watched_file_look(w, now, &got, &n, &error), news);
    if (text) {
        assert_non_null(got);
        assert_string_equal(got, text);
        assert_int_equal(n, strlen(text));
    } else {
        assert_null(got);
    }
    if (news == WATCHED_FAILED)
        assert_non_null(strstr(error.text, w->path));
    secret_free(got, n);
}

/* Looks until the file's last change is old enough to count as seen. */
static void settle(struct watched_file *w, int64_t *now)
{
    enum watched_news news = WATCHED_CHANGED;
    while (news != WATCHED_SAME) {
        char *text;
        size_t n;
        sl_error error = {.size = sizeof error};
        *now += SECOND;
        news = watched_file_look(w, *now, &text, &n, &error);
        assert_int_not_equal(news, WATCHED_FAILED);
        secret_free(text, n);
    }
}

static void is_read_again_when_it_has_changed(void **state)
{
    const struct directory *d = *state;
    struct watched_file w;
    int64_t now = 5;
    write_file(d->file, "one");
    watched_file_init(&w, d->file, 16);
    expect(&w, now, WATCHED_CHANGED, "one");
    settle(&w, &now);
    write_file(d->file, "two");
    expect(&w, now + SECOND - 1, WATCHED_SAME, NULL); /* too early to look */
    expect(&w, now += SECOND, WATCHED_CHANGED, "two");
    write_file(d->file, "six"); /* at once, of the same length */
    expect(&w, now += SECOND, WATCHED_CHANGED, "six");
    settle(&w, &now);
    write_file(d->other, "new");
    assert_int_equal(rename(d->other, d->file), 0);
    expect(&w, now += SECOND, WATCHED_CHANGED, "new");
}

static void follows_a_link_that_is_switched(void **state)
{
    const struct directory *d = *state;
    struct watched_file w;
    int64_t now = 0;
    write_file(d->file, "one");
    write_file(d->other, "two");
    assert_int_equal(symlink(d->file, d->link), 0);
    watched_file_init(&w, d->link, 16);
    expect(&w, now, WATCHED_CHANGED, "one");
    settle(&w, &now);
    assert_int_equal(unlink(d->link), 0);
    assert_int_equal(symlink(d->other, d->link), 0);
    expect(&w, now += SECOND, WATCHED_CHANGED, "two");
}

static void a_failure_is_told_once(void **state)
{
    const struct directory *d = *state;
    struct watched_file w;
    int64_t now = 0;
    watched_file_init(&w, d->file, 4);
    expect(&w, now, WATCHED_FAILED, NULL);
    expect(&w, now += SECOND, WATCHED_SAME, NULL);
    write_file(d->file, "1234");
    expect(&w, now += SECOND, WATCHED_CHANGED, "1234");
    settle(&w, &now);
    write_file(d->file, "12345"); /* more than it may have */
    expect(&w, now += SECOND, WATCHED_FAILED, NULL);
    expect(&w, now += SECOND, WATCHED_SAME, NULL);
    assert_int_equal(unlink(d->file), 0);
    assert_int_equal(mkfifo(d->file, 0600), 0); /* nobody writes into it: must not wait */
    expect(&w, now += SECOND, WATCHED_SAME, NULL);
    assert_int_equal(unlink(d->file), 0);
    write_file(d->file, "ok");
    expect(&w, now += SECOND, WATCHED_CHANGED, "ok");
}

static void secrets_are_compared_whole(void **state)
{
    (void)state;
    assert_true(secret_equal(sl_str("token"), sl_str("token")));
    assert_true(secret_equal(sl_str(""), sl_str("")));
    assert_false(secret_equal(sl_str("token"), sl_str("tokem")));
    assert_false(secret_equal(sl_str("Token"), sl_str("token")));
    assert_false(secret_equal(sl_str("token"), sl_str("token1")));
    assert_false(secret_equal(sl_str("token"), sl_str("")));
    assert_true(sl_eq(secret_trim(sl_str(" \t a b\r\n")), sl_str("a b")));
    assert_int_equal(secret_trim(sl_str(" \n ")).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_read_again_when_it_has_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follows_a_link_that_is_switched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_is_told_once, set_up, tear_down),
        cmocka_unit_test(secrets_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
