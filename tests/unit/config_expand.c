/* ${...}: the cases of the collector's own tests (confmap/internal/e2e), and its errors. */
#include "config_support.h"
#include <unistd.h>

struct expected {
    const char *yaml; /* the value of `a` */
    const char *text; /* what a field for text gets; NULL: no text */
    uint32_t kind;
    bool quoted; /* always text: not read as a number or a boolean */
};

static const char *const environment[] = {"NUMBER=123",
                                          "OCTAL=0123",
                                          "HEX=0xdeadbeef",
                                          "QUOTED=\"0123\"",
                                          "TAGGED=!!str 0123",
                                          "LIST=[filelog, '${env:WORD}']",
                                          "MAP={b: \"${env:NUMBER}\", c: x$$y}",
                                          "BROKEN=[\"a\",",
                                          "IP=1111:1111::",
                                          "WORD=word",
                                          "EMPTY=",
                                          "DOLLARS=$$${NUMBER}",
                                          "NEST=The ${env:NEST2} end",
                                          "NEST2=<${WORD}>",
                                          "NAME=WORD",
                                          "TRUE=true",
                                          "COMMENT=true # ${env:hello.world}",
                                          "TILDE=~",
                                          "BAD=@x",
                                          NULL};

static const char *text_of(const struct config_node *n)
{
    return n->original.p              ? (const char *)n->original.p
           : n->kind == CONFIG_SCALAR ? (const char *)n->text.p
                                      : NULL;
}

static void substitutes(void **state)
{
    static const struct expected all[] = {
        {"${env:NUMBER}", "123", CONFIG_SCALAR, false},
        {"'${NUMBER}'", "123", CONFIG_SCALAR, false},
        {"in ${env:NUMBER} line", "in 123 line", CONFIG_SCALAR, true},
        {"${env:NUMBER}${NUMBER}", "123123", CONFIG_SCALAR, true},
        {"${env:OCTAL}", "0123", CONFIG_SCALAR, false},
        {"${env:HEX}", "0xdeadbeef", CONFIG_SCALAR, false},
        {"${env:QUOTED}", "\"0123\"", CONFIG_SCALAR, true},
        {"x${env:QUOTED}", "x\"0123\"", CONFIG_SCALAR, true},
        {"${env:TAGGED}", "!!str 0123", CONFIG_SCALAR, true},
        {"${env:LIST}", "[filelog, 'word']", CONFIG_LIST, false},
        {"x${env:LIST}", "x[filelog, 'word']", CONFIG_SCALAR, true},
        {"${env:MAP}", "{b: \"123\", c: x$y}", CONFIG_MAP, false},
        {"${env:BROKEN}", "[\"a\",", CONFIG_SCALAR, true},
        {"${env:BAD}", "@x", CONFIG_SCALAR, true},
        {"${env:IP}", "1111:1111::", CONFIG_MAP, false},
        {"${env:TRUE}", "true", CONFIG_SCALAR, false},
        {"${env:EMPTY}", "", CONFIG_NULL, false},
        {"${env:TILDE}", "~", CONFIG_NULL, false},
        {"<${env:EMPTY}>", "<>", CONFIG_SCALAR, true},
        {"${env:UNSET:-17}", "17", CONFIG_SCALAR, false},
        {"${env:UNSET:-}", "", CONFIG_SCALAR, true},
        {"${env:UNSET:-a:-b}", "a:-b", CONFIG_SCALAR, true},
        {"${env:NUMBER:-17}", "123", CONFIG_SCALAR, false},
        {"${env:${env:NAME}}", "word", CONFIG_SCALAR, true},
        {"${env:UNSET:-${env:NUMBER}}", "123", CONFIG_SCALAR, false},
        {"${env:NEST}", "The <word> end", CONFIG_SCALAR, true},
        {"x ${env:NEST}", "x The <word> end", CONFIG_SCALAR, true},
        {"${yaml:[1, 2]}", "[1, 2]", CONFIG_LIST, false},
        /* expand-escaped-env.yaml */
        {"$$WORD", "$WORD", CONFIG_SCALAR, false},
        {"$$$$WORD", "$$WORD", CONFIG_SCALAR, false},
        {"$$${WORD}", "$word", CONFIG_SCALAR, true},
        {"some${WORD}text", "somewordtext", CONFIG_SCALAR, true},
        {"some$${WORD}text", "some${WORD}text", CONFIG_SCALAR, false},
        {"$${ONE}$${TWO}", "${ONE}${TWO}", CONFIG_SCALAR, false},
        {"text$$", "text$", CONFIG_SCALAR, false},
        {"$$", "$", CONFIG_SCALAR, false},
        {"$${1}$${env:2}", "${1}${env:2}", CONFIG_SCALAR, false},
        {"$${env:${WORD}}", "${env:word}", CONFIG_SCALAR, true},
        {"$${env:$${WORD}}", "${env:${WORD}}", CONFIG_SCALAR, false},
        {"env:MAP_VALUE_2}$${WORD}{", "env:MAP_VALUE_2}${WORD}{", CONFIG_SCALAR, false},
        {"$WORD", "$WORD", CONFIG_SCALAR, false},
        {"${env:DOLLARS}", "$123", CONFIG_SCALAR, true},
        {"${env:UNSET:-$${env:UNSET}}", "${env:UNSET:-${env:UNSET}}", CONFIG_SCALAR, false},
        /* The collector leaves the second one here as it is. */
        {"$${WORD} ${WORD}", "${WORD} word", CONFIG_SCALAR, true},
        {"${", "${", CONFIG_SCALAR, false},
        {"}${", "}${", CONFIG_SCALAR, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char config[200];
        (void)snprintf(config, sizeof config,
                       all[i].yaml[0] == '\'' ? "yaml:a: %s" : "yaml:a: \"%s\"", all[i].yaml);
        struct loaded l = load(.configs = {config}, .environment = environment);
        if (l.status)
            fail_msg("%s: %s", all[i].yaml, said(&l));
        const struct config_node *n = at(&l, "a");
        assert_int_equal(n->kind, all[i].kind);
        if (!text_of(n) || strcmp(text_of(n), all[i].text) != 0)
            fail_msg("%s: found %s", all[i].yaml, text_of(n) ? text_of(n) : "no text");
        /* What has no ${...} keeps the quotes that it stands in, here and in the file. */
        if (n->kind == CONFIG_SCALAR && strstr(all[i].yaml, "${env:"))
            assert_int_equal(n->quoted, all[i].quoted || !n->original.p);
        unload(&l);
    }
}

static void values_may_be_trees(void **state)
{
    (void)state;
    struct loaded l = load(.configs = {"yaml:\n\nx: {a: '${env:MAP}', l: [1, '${env:LIST}']}"},
                           .environment = environment);
    assert_int_equal(l.status, SL_OK);
    assert_string_equal(text_at(&l, "x.a.b"), "123");
    assert_false(at(&l, "x.a.b")->quoted);
    assert_string_equal(text_at(&l, "x.a.c"), "x$y");
    assert_int_equal(at(&l, "x.a.b")->at.line, 3); /* where the scalar names it */
    assert_int_equal(at(&l, "x.a.b")->at.column, 8);
    const struct config_node *inner = at(&l, "x.l")->last;
    assert_int_equal(inner->kind, CONFIG_LIST);
    assert_string_equal(inner->last->text.p, "word");
    unload(&l);
}

static void the_collector_forgets_a_broken_original(void **state)
{
    (void)state; /* issue 10787 */
    struct loaded l = load(.configs = {"yaml:a: ${env:COMMENT}"}, .environment = environment);
    assert_int_equal(l.status, SL_OK);
    assert_silent(&l);
    assert_string_equal(text_at(&l, "a"), "true");
    assert_null(at(&l, "a")->original.p);
    unload(&l);
}

static void reads_files(void **state)
{
    char path[] = "/tmp/sluice-expand-XXXXXX", config[120];
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "secret\n", 7), 7);
    (void)snprintf(config, sizeof config, "yaml:a: ${file:%s}\nb: x${file:%s}", path, path);
    struct loaded l = load(.configs = {config});
    assert_int_equal(l.status, SL_OK);
    assert_string_equal(text_at(&l, "a"), "secret\n"); /* the newline stays, as in the collector */
    assert_string_equal(text_at(&l, "b"), "xsecret\n");
    unload(&l);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "b: [1,\n  2]\nc: \xc3\xa9\n", 18, 0), 18);
    l = load(.configs = {config});
    assert_int_equal(at(&l, "a.b")->n, 2);
    assert_string_equal(text_at(&l, "a.c"), "\xc3\xa9");
    unload(&l);
    assert_int_equal(pwrite(fd, "\xff\0", 2, 0), 2);
    l = load(.configs = {config});
    assert_said(&l, "is not UTF-8 text");
    unload(&l);
    (void)close(fd);
    (void)unlink(path);
}

static void warns_of_what_is_not_set(void **state)
{
    (void)state;
    struct loaded l = load(.configs = {"yaml:a: ${env:UNSET}\nb: x${UNSET}"});
    assert_int_equal(l.status, SL_OK);
    assert_int_equal(at(&l, "a")->kind, CONFIG_NULL);
    assert_string_equal(at(&l, "a")->original.p, "");
    assert_string_equal(text_at(&l, "b"), "x");
    assert_said(&l, "--config=yaml:1:4: warning: the environment variable UNSET is not set");
    assert_said(&l, "--config=yaml:2:4: warning: ");
    unload(&l);
}

static void refuses_with_a_place(void **state)
{
    static const char *const own[] = {"LOOP=${env:LOOP}",
                                      "GROW={a: '${env:GROW}'}",
                                      "LONG=x${env:LONG}",
                                      "B0=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                      "B1=${B0}${B0} ${B0}",
                                      "B2=${B1}${UNSET}${B1}",
                                      "NAMED=$x",
                                      "LATIN=\xe9",
                                      NULL};
    static const struct {
        const char *yaml, *said;
    } all[] = {
        {"${vault:x}", "--config=yaml:1:4: error: unknown scheme \"vault\""},
        {"${NAME:-x}", "a default is written ${env:NAME:-default}"},
        {"${http://x/y}", "Sluice does not read its configuration over \"http\""},
        {"x${1:y}", "--config=yaml:1:4: error: \"${1:y}\" does not begin with a scheme"},
        {"${env:a b}", "\"a b\" cannot be the name"},
        {"${}", "\"\" cannot be the name"},
        {"${env:$x}", "contains a $"},
        {"${env:${env:NAMED}}", "contains a $"},
        {"${file:/nowhere}", "--config=yaml:1:4: error: cannot open the file \"/nowhere\""},
        {"${file:/dev/zero}", "\"/dev/zero\" is not a regular file"},
        {"${env:LATIN}", "the value of \"LATIN\" is not UTF-8 text"},
        {"${env:LOOP}", "more than 1000 substitutions; does \"${env:LOOP}\" refer to itself?"},
        {"${env:LONG}", "more than 1000 substitutions"},
        {"${env:GROW}", "does \"${env:GROW}\" refer to itself?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char config[200];
        (void)snprintf(config, sizeof config, "yaml:a: \"%s\"\n", all[i].yaml);
        struct loaded l = load(.configs = {config}, .environment = own);
        assert_int_not_equal(l.status, SL_OK);
        assert_said(&l, all[i].said);
        unload(&l);
    }
    struct loaded l = load(.configs = {"yaml:a: ${x:}\nb: ${y:}\n"});
    assert_int_equal(l.d.count[CONFIG_ERROR], 2); /* all at once */
    unload(&l);
}

static void bounds_what_it_makes(void **state)
{
    /* Each of 40 variables holds the next one twice. */
    static char texts[41][64];
    const char *bomb[42] = {NULL};
    (void)state;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "V%d=${env:V%d} ${env:V%d}", i, i + 1, i + 1);
        bomb[i] = texts[i];
    }
    bomb[40] = "V40=0123456789";
    struct loaded l = load(.configs = {"yaml:a: ${env:V0}"}, .environment = bomb);
    assert_int_not_equal(l.status, SL_OK);
    assert_said(&l, "more than 1000 substitutions");
    unload(&l);
    char *large = malloc(CONFIG_MAX_FILE / 2 + 10);
    assert_non_null(large);
    memset(large, 'x', CONFIG_MAX_FILE / 2 + 9);
    large[CONFIG_MAX_FILE / 2 + 9] = '\0';
    memcpy(large, "L=", 2);
    l = load(.configs = {"yaml:a: ${env:L} ${env:L}"},
             .environment = (const char *const[]){large, NULL});
    assert_said(&l, "the text is larger than 1048576 bytes");
    unload(&l);
    free(large);
    for (int i = 0; i < 40; i++)
        (void)snprintf(texts[i], sizeof texts[i], "V%d={a: '${env:V%d}'}", i, i + 1);
    l = load(.configs = {"yaml:a: ${env:V0}"}, .environment = bomb);
    assert_said(&l, "more than 32 levels of maps and lists, with what ${...} stands for");
    unload(&l);
    for (int i = 0; i < 40; i++)
        (void)snprintf(texts[i], sizeof texts[i], "V%d=['${env:V%d}','${env:V%d}']", i, i + 1,
                       i + 1);
    l = load(.configs = {"yaml:a: ${env:V0}"}, .environment = bomb);
    assert_int_not_equal(l.status, SL_OK);
    assert_true(l.d.count[CONFIG_ERROR] + l.d.out_of_memory > 0);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(substitutes),
        cmocka_unit_test(values_may_be_trees),
        cmocka_unit_test(the_collector_forgets_a_broken_original),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(warns_of_what_is_not_set),
        cmocka_unit_test(refuses_with_a_place),
        cmocka_unit_test(bounds_what_it_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
