/* Several sources to one tree: what --config and --set may be, and how they are merged. */
#include "config_support.h"
#include <unistd.h>

/* A file that lives as long as the test. */
static const char *write_file(char path[32], const char *text)
{
    (void)snprintf(path, 32, "/tmp/sluice-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    return path;
}

static void merges_as_the_collector(void **state)
{
    (void)state;
    struct loaded l =
        load(.configs = {"yaml:a: {x: 1, y: {z: 1}}\nlist: [1, 2]\nkeep: 1\nto_map: 5\n"
                         "to_text: {a: 1}\n",
                         "yaml:a: {y: {z: 2, w: 3}}\nlist: [3]\nto_map: {b: 1}\n"
                         "to_text: 6\nnew: 1\n"});
    assert_int_equal(l.status, SL_OK);
    assert_string_equal(text_at(&l, "a.x"), "1");
    assert_string_equal(text_at(&l, "a.y.z"), "2");
    assert_string_equal(text_at(&l, "a.y.w"), "3");
    assert_int_equal(at(&l, "list")->n, 1); /* replaced, not appended */
    assert_string_equal(text_at(&l, "keep"), "1");
    assert_string_equal(text_at(&l, "to_map.b"), "1");
    assert_string_equal(text_at(&l, "to_text"), "6");
    assert_string_equal(text_at(&l, "new"), "1");
    unload(&l);
}

static void a_later_null_replaces(void **state)
{
    (void)state;
    /* confmap/README.md, "Null Maps": `processors:` takes the processors away, {} does not. */
    struct loaded l =
        load(.configs = {"yaml:processors: {batch: {timeout: 1s}}", "yaml:processors:"});
    assert_int_equal(l.status, SL_OK);
    assert_int_equal(at(&l, "processors")->kind, CONFIG_NULL);
    unload(&l);
    l = load(.configs = {"yaml:processors: {batch: {timeout: 1s}}", "yaml:processors: {}"});
    assert_string_equal(text_at(&l, "processors.batch.timeout"), "1s");
    unload(&l);
    l = load(.configs = {"yaml:grpc:", "yaml:grpc: {endpoint: x}"});
    assert_string_equal(text_at(&l, "grpc.endpoint"), "x");
    unload(&l);
    l = load(.configs = {"yaml:a: 1", "yaml:# nothing"});
    assert_string_equal(text_at(&l, "a"), "1");
    unload(&l);
}

static void keys_may_be_paths(void **state)
{
    (void)state;
    struct loaded l = load(.configs = {"yaml:exporters: {debug: {verbosity: basic, x: 1}}",
                                       "yaml:exporters::debug::verbosity: detailed"},
                           .sets = {"exporters.debug.y=2", "exporters::debug/a.b::z=[1, {c: d}]",
                                    "exporters.nop=", "exporters.debug.x = 'q=r' "});
    assert_int_equal(l.status, SL_OK);
    assert_silent(&l);
    assert_string_equal(text_at(&l, "exporters.debug.verbosity"), "detailed");
    assert_string_equal(text_at(&l, "exporters.debug.x"), "q=r");
    assert_string_equal(text_at(&l, "exporters.debug.y"), "2");
    const struct config_node *exporters = at(&l, "exporters");
    const struct config_node *named = config_find(exporters, sl_str("debug/a.b"));
    assert_int_equal(config_find(named, sl_str("z"))->n, 2);
    assert_int_equal(at(&l, "exporters.nop")->kind, CONFIG_NULL);
    unload(&l);
    /* In one file, beside what they lead to; not inside lists. */
    l = load(.configs = {"yaml:a: {b::c: 1, b: {d: 2}, e: [{f::g: 3}]}"});
    assert_string_equal(text_at(&l, "a.b.c"), "1");
    assert_string_equal(text_at(&l, "a.b.d"), "2");
    assert_non_null(config_find(at(&l, "a.e")->first, sl_str("f::g")));
    unload(&l);
}

static void keeps_each_file_s_places(void **state)
{
    char a[32], b[32], uri[64];
    (void)state;
    (void)snprintf(uri, sizeof uri, "file:%s", write_file(b, "\nx: {z: 2}\n"));
    struct loaded l = load(.configs = {write_file(a, "x: {y: 1}\n"), uri}, .sets = {"x.w=3"});
    assert_int_equal(l.status, SL_OK);
    assert_string_equal(at(&l, "x.y")->at.file, a);
    assert_string_equal(at(&l, "x.z")->at.file, b);
    assert_int_equal(at(&l, "x.z")->at.line, 2);
    assert_string_equal(at(&l, "x.w")->at.file, "--set x.w");
    assert_int_equal(at(&l, "x.w")->at.line, 0);
    unload(&l);
    static const char *const environment[] = {"CONF=a: {b: 1}", NULL};
    l = load(.configs = {"env:CONF"}, .environment = environment);
    assert_string_equal(text_at(&l, "a.b"), "1");
    assert_string_equal(at(&l, "a.b")->at.file, "env:CONF");
    unload(&l);
    (void)unlink(a);
    (void)unlink(b);
}

static void reads_pipes(void **state)
{
    int ends[2];
    char path[32];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    char text[6000];
    memset(text, '#', sizeof text);
    memcpy(text, "a: b\n", 5);
    assert_int_equal(write(ends[1], text, sizeof text), sizeof text);
    (void)close(ends[1]);
    (void)snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    struct loaded l = load(.configs = {path});
    assert_string_equal(text_at(&l, "a"), "b");
    unload(&l);
    (void)close(ends[0]);
}

static void refuses_sources(void **state)
{
    static const struct {
        const char *config, *set, *said;
    } all[] = {
        {"/nowhere/at-all.yaml", NULL,
         "--config: error: cannot open the file \"/nowhere/at-all.yaml\": No such file"},
        {"/tmp", NULL, "--config: error: \"/tmp\" is not a regular file"},
        {"/dev/zero", NULL, "--config: error: the file \"/dev/zero\" is larger than 1048576 bytes"},
        {"https://example.com/x", NULL, "Sluice does not read its configuration over \"https\""},
        {"vault:secret", NULL,
         "--config: error: unknown scheme \"vault\" (known: file, env, yaml)"},
        {"./a:b", NULL, "does not begin with a scheme; write file:./a:b"},
        {"env:NOT_SET", NULL, "--config: error: the environment variable NOT_SET is not set"},
        {"env:1A", NULL, "\"1A\" cannot be the name of an environment variable"},
        {"yaml:[1]", NULL, "--config=yaml:1:1: error: a configuration is a map, found a list"},
        {"yaml:text", NULL, "--config=yaml:1:1: error: a configuration is a map, found text"},
        {"yaml:a: [", NULL, "--config=yaml:"},
        {"yaml:a::::b: 1", NULL, "--config=yaml:1:1: error: a part of \"a::::b\" is empty"},
        {"yaml:a: 1", "a", "--set: error: no \"=\" in \"a\""},
        {"yaml:a: 1", "=x", "error: a part of \"\" is empty"},
        {"yaml:a: 1", "a..b=x", "--set a..b: error: a part of \"a..b\" is empty"},
        {"yaml:a: 1", "a.b=[1", "--set a.b: error: "},
        {"yaml:a: 1", "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=x",
         "is too deep"},
        {"yaml:a: 1", "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.b=[[[[1]]]]",
         "is too deep"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct loaded l = load(.configs = {all[i].config}, .sets = {all[i].set});
        assert_int_not_equal(l.status, SL_OK);
        assert_said(&l, all[i].said);
        unload(&l);
    }
    struct loaded l = load(.configs = {NULL});
    assert_said(&l, "no configuration: give --config FILE");
    unload(&l);
}

static void says_nothing_of_values(void **state)
{
    (void)state;
    struct loaded l = load(.configs = {"yaml:a: {key: hunter2"}, .sets = {"api.key=[hunter2"});
    assert_int_not_equal(l.status, SL_OK);
    assert_null(strstr(said(&l), "hunter2"));
    assert_int_equal(l.d.count[CONFIG_ERROR], 2); /* of all sources at once */
    unload(&l);
}

static void shows_a_bounded_number_of_errors(void **state)
{
    (void)state;
    char text[8000] = "";
    for (int i = 0; i < 150; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "a%d: *x\n", 149 - i);
    struct loaded l = parse(text);
    assert_int_equal(l.d.count[CONFIG_ERROR], 150);
    assert_int_equal(l.d.n, CONFIG_MAX_DIAGNOSTICS);
    assert_said(&l, "50 more errors are not shown");
    unload(&l);
}

static void sorts_and_blunts_diagnostics(void **state)
{
    (void)state;
    struct loaded l = parse("a: 1");
    struct config_place z = {"z.yaml", 9, 1};
    diagnostics_add(&l.d, CONFIG_ERROR, z, "first file");
    diagnostics_add(&l.d, CONFIG_NOTE, (struct config_place){"a.yaml", 2, 5}, "\033[31mred\n");
    diagnostics_add(&l.d, CONFIG_WARNING, (struct config_place){"a.yaml", 2, 4}, "before");
    z.line = 3;
    diagnostics_add(&l.d, CONFIG_ERROR, z, "above");
    diagnostics_add(&l.d, CONFIG_ERROR, (struct config_place){NULL, 0, 0}, "nowhere");
    assert_string_equal(said(&l), "z.yaml:3:1: error: above\n"
                                  "z.yaml:9:1: error: first file\n"
                                  "a.yaml:2:4: warning: before\n"
                                  "a.yaml:2:5: note: ?[31mred?\n"
                                  "error: nowhere\n");
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    diagnostics_print(&l.d, out, false);
    (void)fclose(out);
    assert_null(strstr(text, "red")); /* notes are for those who ask */
    free(text);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_as_the_collector),
        cmocka_unit_test(a_later_null_replaces),
        cmocka_unit_test(keys_may_be_paths),
        cmocka_unit_test(keeps_each_file_s_places),
        cmocka_unit_test(reads_pipes),
        cmocka_unit_test(refuses_sources),
        cmocka_unit_test(says_nothing_of_values),
        cmocka_unit_test(shows_a_bounded_number_of_errors),
        cmocka_unit_test(sorts_and_blunts_diagnostics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
