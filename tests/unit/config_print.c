/* Printing trees: what is printed reads back as the same tree, and secrets are left out. */
#include "config_kinds.h"
#include "config_support.h"
#include "pipeline/config/print.h"

static char *print(const struct loaded *l, bool json, config_is_secret secret, void *user)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    assert_int_equal(
        (json ? config_print_json : config_print_yaml)(out, l->tree.root, secret, user), SL_OK);
    assert_int_equal(fclose(out), 0);
    return text;
}

static const char all_shapes[] =
    "a: 1\n"
    "b: {c: [1, [2, [], {d: x, e: {}}], {f: ~}], g: {}}\n"
    "text: ['', yes, 'yes', 'true', '1', ' x', 'x ', \"a\\nb\", 'k: v',\n"
    "  '#c', '- d', \"\\u0001\", \"q\\\"\\\\\", 'null', ~, 5s, '5s', é]\n"
    "numbers: [0x1F, 0123, 1.50, -0, .inf, 1_000, 5e3]\n"
    "'odd key: x': 1\n"
    "'true': 2\n"
    "block: |\n  one\n  two\n";

static void yaml_reads_back_as_the_same(void **state)
{
    (void)state;
    struct loaded l = parse(all_shapes);
    assert_int_equal(l.status, SL_OK);
    char *text = print(&l, false, NULL, NULL);
    struct loaded again = parse(text);
    if (again.status)
        fail_msg("%s\n%s", said(&again), text);
    /* Quotes may come or go, but not the meaning: compare what is printed from both. */
    char *twice = print(&again, false, NULL, NULL);
    assert_string_equal(text, twice);
    assert_string_equal(text_at(&again, "block"), "one\ntwo\n");
    assert_true(config_find(again.tree.root, sl_str("text"))->first->quoted);
    free(text);
    free(twice);
    unload(&again);
    unload(&l);
}

static void odd_characters_and_long_keys_survive(void **state)
{
    (void)state;
    char yaml[1000] = "text: [\"\\x85 \\u2028 \\u2029 \\ufeff \\x80 \\u00e9 \\uffff "
                      "\\U0001F600\"]\nmap:\n  - k: v\n    ? ";
    size_t n = strlen(yaml);
    memset(yaml + n, 'k', 300);
    (void)snprintf(yaml + n + 300, sizeof yaml - n - 300, "\n    : {a: 1}\n");
    struct loaded l = parse(yaml);
    assert_int_equal(l.status, SL_OK);
    char *text = print(&l, false, NULL, NULL);
    struct loaded again = parse(text);
    if (again.status)
        fail_msg("%s\n%s", said(&again), text);
    assert_true(sl_eq(at(&l, "text")->first->text, at(&again, "text")->first->text));
    assert_int_equal(at(&again, "map")->first->n, 2);
    assert_int_equal(at(&again, "map")->first->last->key.n, 300);
    assert_int_equal(at(&again, "map")->first->last->kind, CONFIG_MAP);
    free(text);
    unload(&again);
    unload(&l);
}

static void yaml_is_laid_out_in_blocks(void **state)
{
    (void)state;
    struct loaded l = parse("otlp: {protocols: {grpc: , http: {endpoint: 'a:1'}}}\n"
                            "list: [x, [q, {z: 1, w: []}], {}]\ntimeout: 5s\nport: '80'\n");
    char *text = print(&l, false, NULL, NULL);
    assert_string_equal(text, "otlp:\n"
                              "  protocols:\n"
                              "    grpc: null\n"
                              "    http:\n"
                              "      endpoint: a:1\n"
                              "list:\n"
                              "  - x\n"
                              "  - - q\n"
                              "    - z: 1\n"
                              "      w: []\n"
                              "  - {}\n"
                              "timeout: 5s\n"
                              "port: \"80\"\n");
    free(text);
    unload(&l);
    l = parse("{}");
    text = print(&l, false, NULL, NULL);
    assert_string_equal(text, "{}\n");
    free(text);
    unload(&l);
}

static void json_has_types(void **state)
{
    (void)state;
    struct loaded l = parse("a: [0x1F, 0123, 1.50, '1', true, ~, .inf, -7, \"a\\tb\\\"\\u0001\"]\n"
                            "b: {}\nc: []\nd: {e: {f: 18446744073709551615}}\n");
    char *text = print(&l, true, NULL, NULL);
    assert_string_equal(text, "{\n"
                              "  \"a\": [\n    31,\n    83,\n    1.5,\n    \"1\",\n    true,\n"
                              "    null,\n    \".inf\",\n    -7,\n    \"a\\tb\\\"\\u0001\"\n  ],\n"
                              "  \"b\": {},\n  \"c\": [],\n"
                              "  \"d\": {\n    \"e\": {\n      \"f\": 18446744073709551615\n    }\n"
                              "  }\n}\n");
    free(text);
    unload(&l);
}

static bool by_table(void *top, const struct config_node *n)
{
    return config_secret_in(kinds_fields, top, n);
}

static void secrets_are_left_out(void **state)
{
    (void)state;
    struct loaded l = parse("text: shown\npassword: hunter2\nheaders: {a: hunter2, b: [hunter2]}\n"
                            "pasword: hunter2\nanything: {x: [shown]}\ngc: shown\n"
                            "http: {tls: {ca_file: shown, typo: hunter2}}\nca_file: shown\n"
                            "policies: [{name: shown, type: shown, values: {key: shown, values: "
                            "[shown]}, and: {sub_policy: [{name: shown, latncy: hunter2}]}}]\n");
    for (int json = 0; json < 2; json++) {
        char *text = print(&l, json, by_table, l.tree.root);
        assert_null(strstr(text, "hunter2"));
        int shown = 0, redacted = 0;
        for (const char *at = text; (at = strstr(at, "shown")); at++)
            shown++;
        for (const char *at = text; (at = strstr(at, CONFIG_REDACTED)); at++)
            redacted++;
        assert_int_equal(shown, 10);
        assert_int_equal(redacted, 6);
        free(text);
    }
    /* A node that is not below the top is nothing the table knows about. */
    const struct config_node *other = config_find(l.tree.root, sl_str("http"));
    assert_true(config_secret_in(kinds_fields, other, config_find(l.tree.root, sl_str("text"))));
    unload(&l);
}

static void a_broken_stream_is_told(void **state)
{
    (void)state;
    struct loaded l = parse("a: 1");
    FILE *out = fopen("/dev/null", "r");
    assert_non_null(out);
    assert_int_equal(config_print_yaml(out, l.tree.root, NULL, NULL), SL_ERR_IO);
    assert_int_equal(config_print_json(out, l.tree.root, NULL, NULL), SL_ERR_IO);
    (void)fclose(out);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_characters_and_long_keys_survive),
        cmocka_unit_test(yaml_reads_back_as_the_same),
        cmocka_unit_test(yaml_is_laid_out_in_blocks),
        cmocka_unit_test(json_has_types),
        cmocka_unit_test(secrets_are_left_out),
        cmocka_unit_test(a_broken_stream_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
