/* Patterns: that they mean what Go says, that matching is bounded, how all matches are found, and what
 * is known of them before. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "formats/pattern/needs.h"
#include "formats/pattern/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pcre2.h>

static struct pattern *compiled(const char *text)
{
    struct pattern *p = NULL;
    sl_error error = {.size = sizeof error};
    if (pattern_compile(sl_str(text), &p, &error) != SL_OK)
        fail_msg("%s", error.text);
    return p;
}

static void means_what_go_says(void **state)
{
    static const struct {
        const char *pattern, *text, *match; /* NULL: none */
    } cases[] = {
        {"", "abc", ""},
        {"b+", "abbc", "bb"},
        {"a|ab", "ab", "a"}, /* the first alternative, not the longest */
        {"^b", "a\nb", NULL},
        {"(?m)^b", "a\nb", "b"},
        {"a$", "a\n", NULL}, /* only at the very end */
        {".", "\n", NULL},
        {"(?s).", "\n", "\n"},
        {".", "\r", "\r"},
        {"(?i)STRASSE", "strasse", "strasse"},
        {"(?i)\xc3\xa4", "\xc3\x84", "\xc3\x84"},
        {"^.$", "\xc3\xa4", "\xc3\xa4"},
        {"\\pL+",
         "1\xc3\xa4"
         "b2",
         "\xc3\xa4"
         "b"},
        {"\\d", "\xd9\xa1", NULL}, /* digits are ASCII */
        {"\\w+", "\xc3\xa4", NULL},
        {"[[:alpha:]]+", "12ab", "ab"},
        {"(?U)a+", "aaa", "a"},
        {"\\x{e4}", "\xc3\xa4", "\xc3\xa4"},
        {"\\Qa.b\\E", "axb a.b", "a.b"},
        {"a.c",
         "a\xff"
         "c",
         NULL}, /* not UTF-8 */
        {"c",
         "a\xff"
         "c",
         "c"},
        {"4[0-9]{12}(?:[0-9]{3})?", "x4111111111111111y", "4111111111111111"},
    };
    struct pattern_matcher *m = pattern_matcher_create(4);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pattern *p = compiled(cases[i].pattern);
        const sl_bytes text = sl_str(cases[i].text);
        const int32_t found = pattern_match(p, m, text);
        if (found != (cases[i].match ? PATTERN_YES : PATTERN_NO))
            fail_msg("%s on \"%s\": %d", cases[i].pattern, cases[i].text, found);
        if (cases[i].match)
            assert_true(sl_eq(pattern_group(m, text, 0), sl_str(cases[i].match)));
        pattern_free(p);
    }
    pattern_matcher_free(m);
}

static void groups_have_names(void **state)
{
    struct pattern *p = compiled("(?P<one>a)(b)(?<two>c)?");
    struct pattern_matcher *m = pattern_matcher_create(3);
    const sl_bytes text = sl_str("xab");
    (void)state;
    assert_int_equal(pattern_groups(p), 3);
    assert_true(sl_eq(pattern_group_name(p, 1), sl_str("one")));
    assert_int_equal(pattern_group_name(p, 2).n, 0);
    assert_true(sl_eq(pattern_group_name(p, 3), sl_str("two")));
    assert_int_equal(pattern_match(p, m, text), PATTERN_YES);
    assert_true(sl_eq(pattern_group(m, text, 1), sl_str("a")));
    assert_null(pattern_group(m, text, 3).p); /* took no part */
    assert_null(pattern_group(m, text, 9).p);
    pattern_matcher_free(m);
    pattern_free(p);
}

/* As Go's ReplaceAllStringFunc(text, "<match>") */
static void all_matches_are_found(void **state)
{
    static const struct {
        const char *pattern, *text, *all;
    } cases[] = {
        {"a", "banana", "b<a>n<a>n<a>"},
        {".*", "abc", "<abc>"},
        {".*", "", "<>"},
        {".*", "a\nb", "<a>\n<b>"},
        {"", "ab", "<>a<>b<>"},
        {"x*", "axb", "<>a<x>b<>"},
        {"", "\xc3\xa4", "<>\xc3\xa4<>"},
        {"z", "abc", "abc"},
        {"\\bfoo", "foo foofoo", "<foo> <foo>foo"},
    };
    struct pattern_matcher *m = pattern_matcher_create(0);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pattern *p = compiled(cases[i].pattern);
        const sl_bytes text = sl_str(cases[i].text);
        struct pattern_all all = {.at = 0};
        char out[128] = "";
        size_t n = 0, done = 0;
        while (pattern_next(p, m, text, &all) == PATTERN_YES) {
            n += (size_t)snprintf(out + n, sizeof out - n, "%.*s<%.*s>", (int)(all.begin - done),
                                  (const char *)text.p + done, (int)(all.end - all.begin),
                                  (const char *)text.p + all.begin);
            done = all.end;
        }
        (void)snprintf(out + n, sizeof out - n, "%s", (const char *)text.p + done);
        assert_string_equal(out, cases[i].all);
        pattern_free(p);
    }
    pattern_matcher_free(m);
}

/* Matches far behind the first window of places are found. */
static void long_texts_are_searched(void **state)
{
    enum { N = 200000 };
    struct pattern *p = compiled("[0-9]+z");
    struct pattern_matcher *m = pattern_matcher_create(0);
    char *text = malloc(N);
    (void)state;
    memset(text, 'a', N);
    memcpy(text + N - 3, "42z", 3);
    assert_int_equal(pattern_match(p, m, sl_slice(text, N)), PATTERN_YES);
    assert_int_equal(pattern_group(m, sl_slice(text, N), 0).n, 3);
    assert_int_equal(pattern_match(p, m, sl_slice(text, N - 1)), PATTERN_NO);
    free(text);
    pattern_free(p);
    pattern_matcher_free(m);
}

static void hostile_texts_are_costly(void **state)
{
    static const char *const patterns[] = {"(a+)+b", "(a|a)*b", "(.*)*b", "(a*)*(a*)*b"};
    enum { N = 5000 };
    static char text[N];
    struct pattern_matcher *m = pattern_matcher_create(2);
    (void)state;
    memset(text, 'a', N);
    memcpy(text + N - 2, "cb", 2); /* the b is there, but never where it would match */
    text[N - 1] = 'c';
    text[0] = 'b';
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct pattern *p = compiled(patterns[i]);
        const int32_t found = pattern_find(p, m, sl_slice(text, N), 1);
        assert_true(found == PATTERN_COSTLY || found == PATTERN_NO);
        pattern_free(p);
    }
    struct pattern *p = compiled("(a+)+[bd]$");
    assert_int_equal(pattern_match(p, m, sl_slice(text + 1, N - 2)), PATTERN_COSTLY);
    pattern_free(p);
    pattern_matcher_free(m);
}

static void needs_are_known(void **state)
{
    static const struct {
        const char *pattern, *needs;
    } cases[] = {
        {"[a-z.]+@[a-z.]+\\.[a-z]+", "@."},
        {"4[0-9]{12}(?:[0-9]{3})?", "4"},
        {"\\d{3}-\\d{2}-\\d{4}", "-"},
        {"a=b+;c", ";="},
        {"1=:#%", "#%1"}, /* the rare ones first, and no more than three */
        {"password", ""},
        {"@?#*%{0,3}!+", "!"},
        {"(@)(?:#)", ""},
        {"@|#", ""},
        {"[@]]#", "]#"},
        {"[]@]#", "#"},
        {"[^]@]#", "#"},
        {"[[:alpha:]@]#", "#"},
        {"[\\]@]#", "#"},
        {"@\\Q?\\E", ""},
        {"@{,3}", ""},
        {"(?i)@", ""},
        {"(?=x)@", ""},
        {"@\\x{23}", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pattern_needs needs = {.n = 0};
        pattern_needs_read(&needs, sl_str(cases[i].pattern));
        if (!sl_eq(sl_slice(needs.at, needs.n), sl_str(cases[i].needs)))
            fail_msg("%s needs %.*s", cases[i].pattern, (int)needs.n, (const char *)needs.at);
    }
}

static size_t random_text(const char *const *parts, size_t n, char at[64])
{
    size_t used = 0;
    for (int i = rand() % 9; i > 0; i--) {
        const char *part = parts[(size_t)rand() % n];
        used = (size_t)(stpcpy(at + used, part) - at);
    }
    at[used] = '\0';
    return used;
}

/* Random patterns over random texts: the same as PCRE2 by itself finds, which knows no needs. */
static void needs_change_no_match(void **state)
{
    static const char *const parts[] = {
        "@", "#",        "a",   "1",   ".",    "-",   "\\.",       "\\d", "\\w", "[",
        "]", "^",        "[^",  "(",   ")",    "(?:", "(?i)",      "|",   "*",   "+",
        "?", "{",        "}",   "{2}", "{0,}", ",",   "[:digit:]", "\\",  "\\Q", "\\E",
        "$", "\xc3\xa4", "\\b", "A",   "(?=",  "\\K", "(?<=@)"};
    static const char *const texts[] = {"@", "#", "a", "1", ".",       "-",
                                        "A", "{", "}", ",", "\xc3\xa4"};
    const char *given_seed = getenv("SEED");
    const unsigned seed = given_seed ? (unsigned)strtoul(given_seed, NULL, 10) : 20260802;
    struct pattern_matcher *m = pattern_matcher_create(20);
    pcre2_match_data *data = pcre2_match_data_create(20, NULL);
    uint32_t compiled_n = 0, found_n = 0;
    (void)state;
    print_message("SEED=%u\n", seed);
    srand(seed);
    for (int run = 0; run < 30000; run++) {
        struct pattern *p = NULL;
        sl_error error = {.size = sizeof error};
        char pattern[64], text[64];
        int code;
        PCRE2_SIZE offset;
        const size_t n_pattern = random_text(parts, sizeof parts / sizeof *parts, pattern);
        if (pattern_compile(sl_slice(pattern, n_pattern), &p, &error) != SL_OK)
            continue;
        pcre2_code *alone = pcre2_compile(
            (PCRE2_SPTR)pattern, n_pattern,
            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY, &code, &offset, NULL);
        assert_non_null(alone);
        for (int i = 0; i < 20; i++) {
            const size_t n = random_text(texts, sizeof texts / sizeof *texts, text);
            const bool found =
                pcre2_match(alone, (PCRE2_SPTR)text, n, 0, 0, data, NULL) != PCRE2_ERROR_NOMATCH;
            if (pattern_match(p, m, sl_slice(text, n)) != (found ? PATTERN_YES : PATTERN_NO))
                fail_msg("\"%s\" in \"%s\": PCRE2 says %d", pattern, text, found);
            found_n += found;
        }
        compiled_n++;
        pcre2_code_free(alone);
        pattern_free(p);
    }
    assert_true(compiled_n > 5000 && found_n > 10000);
    pcre2_match_data_free(data);
    pattern_matcher_free(m);
}

static void wrong_patterns_are_refused(void **state)
{
    static const char *const wrong[] = {"a(", "[", "(?P<n>a)(?P<n>b)", "\\C", "*"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pattern *p = NULL;
        sl_error error = {.size = sizeof error};
        assert_int_equal(pattern_compile(sl_str(wrong[i]), &p, &error), SL_ERR_INVALID);
        assert_non_null(strstr(error.text, wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_what_go_says),       cmocka_unit_test(groups_have_names),
        cmocka_unit_test(all_matches_are_found),    cmocka_unit_test(long_texts_are_searched),
        cmocka_unit_test(needs_are_known),          cmocka_unit_test(needs_change_no_match),
        cmocka_unit_test(hostile_texts_are_costly), cmocka_unit_test(wrong_patterns_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
