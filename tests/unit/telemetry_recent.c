/* The latest warnings and errors that a log keeps. */
#include "pipeline/telemetry/recent.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static int64_t now;
static uint32_t written;

static int64_t clock_of(void *ctx)
{
    (void)ctx;
    return now;
}

static void count_line(void *ctx, sl_bytes line)
{
    (void)ctx;
    (void)line;
    written++;
}

static struct log *open_log(void)
{
    struct log_options o;
    log_options_init(&o);
    o.wall_clock = clock_of;
    o.sink = count_line;
    now = 1000;
    written = 0;
    struct log *log = log_create(&o);
    assert_non_null(log);
    return log;
}

/* "component|level|count|at|text\n" for each. */
static void keep(void *ctx, const struct recent_line *l)
{
    char *text = ctx;
    const size_t n = strlen(text);
    (void)snprintf(text + n, 65536 - n, "%s|%s|%llu|%lld|%s\n", l->component,
                   l->level >= SL_LOG_ERROR  ? "error"
                   : l->level >= SL_LOG_WARN ? "warn"
                                             : "info",
                   (unsigned long long)l->count, (long long)l->at_ns, l->text);
}

static const char *kept(struct log *log)
{
    static char text[65536];
    text[0] = 0;
    assert_int_equal(log_recent(log, keep, text), SL_OK);
    return text;
}

static void say(struct log *log, int32_t level, const char *component, const char *text,
                const char *error)
{
    const sl_log_field of_component[] = {log_text("otelcol.component.id", component),
                                         log_text("otelcol.component.kind", "exporter")};
    const sl_log_field of_line[] = {log_text("error", error), log_text("items", "5")};
    log_write(log, level, sl_str(text), (struct log_fields){of_component, component ? 2 : 0},
              (struct log_fields){of_line, error ? 2 : 0});
    now++;
}

static void the_newest_comes_first(void **state)
{
    (void)state;
    struct log *log = open_log();
    assert_string_equal(kept(log), "");
    say(log, SL_LOG_INFO, "a", "not worth it", NULL);
    say(log, SL_LOG_INFO, "otlp/a", "Will retry", "no answer");
    say(log, SL_LOG_WARN, "otlp/a", "slow", NULL);
    say(log, SL_LOG_ERROR, NULL, "bad", NULL);
    say(log, SL_LOG_ERROR, "otlp/a", "Exporting failed", "no answer");
    assert_string_equal(kept(log), "otlp/a|error|1|1004|Exporting failed: no answer\n"
                                   "|error|1|1003|bad\n"
                                   "otlp/a|warn|1|1002|slow\n"
                                   "otlp/a|info|1|1001|Will retry: no answer\n");
    log_destroy(log);
}

static void what_is_said_again_takes_one_place(void **state)
{
    (void)state;
    struct log *log = open_log();
    for (int i = 0; i < 1000; i++)
        say(log, SL_LOG_WARN, "a", "again", NULL);
    assert_true(written < 1000); /* sampling leaves lines out; they count here */
    say(log, SL_LOG_WARN, "b", "again", NULL);
    say(log, SL_LOG_ERROR, "a", "again", NULL);
    say(log, SL_LOG_WARN, "a", "again", NULL);
    assert_string_equal(kept(log), "a|warn|1001|2002|again\n"
                                   "a|error|1|2001|again\n"
                                   "b|warn|1|2000|again\n");
    log_destroy(log);
}

static void the_oldest_makes_room(void **state)
{
    (void)state;
    struct log *log = open_log();
    say(log, SL_LOG_WARN, "a", "first", NULL);
    say(log, SL_LOG_WARN, "a", "second", NULL);
    for (int i = 0; i < RECENT_LINES - 2; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "line %d", i);
        say(log, SL_LOG_WARN, "a", text, NULL);
    }
    say(log, SL_LOG_WARN, "a", "first", NULL); /* is new again */
    say(log, SL_LOG_WARN, "a", "last", NULL);
    const char *text = kept(log);
    assert_memory_equal(text, "a|warn|1|1065|last\na|warn|2|1064|first\na|warn|1|1063|line 61\n",
                        60);
    assert_null(strstr(text, "second"));
    log_destroy(log);
}

static void long_lines_are_cut_between_characters(void **state)
{
    (void)state;
    struct log *log = open_log();
    char text[1001], component[1001];
    for (size_t i = 0; i < 1000; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    text[1000] = 0;
    memcpy(component, text, sizeof text);
    component[0] = text[0] = 'x';
    component[1] = text[1] = 'y';
    text[2] = 'z'; /* now characters end at odd places */
    memmove(text + 3, text + 4, 997);
    say(log, SL_LOG_ERROR, component, text, "never seen");
    const char *line = kept(log);
    const char *bar = strchr(line, '|');
    assert_int_equal(bar - line, 94); /* 95 would cut a character */
    const char *end = strchr(line, '\n');
    const char *begin = strrchr(line, '|') + 1;
    assert_int_equal(end - begin, 335);
    assert_null(strstr(line, "never"));
    log_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_comes_first),
        cmocka_unit_test(what_is_said_again_takes_one_place),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(long_lines_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
