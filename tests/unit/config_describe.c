/* Describing tables: each form names every key once, stops at recursion and can be read back. */
#include "config_kinds.h"
#include "config_support.h"
#include "pipeline/config/describe.h"

static char *described(int32_t (*describe)(FILE *, const sl_field *), const sl_field *fields)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    assert_int_equal(describe(out, fields), SL_OK);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void wants(const char *text, const char *const *parts)
{
    for (; *parts; parts++)
        if (!strstr(text, *parts))
            fail_msg("wanted: %s\nfound: %s", *parts, text);
}

static void text_for_people(void **state)
{
    static const char *const parts[] = {
        "flag  (boolean, default true)\n    A flag.\n",
        "offset  (whole number between -10 and 10, default -3)\n",
        "text  (text, default default)\n",
        "password  (text, secret)\n",
        "wait  (duration between 0s and 1h, default 5s)\n",
        "any_wait  (duration, default 0s",
        "size  (size between 1KiB and 1GiB, default 64KiB)\n",
        "color  (one of red, green, Blue, default green)\n",
        "  limit  (whole number between 1 and 100 requests, default 20)\n",
        "\nca_file  (text)\n", /* inline: at the top */
        "  type  (one of always, latency, values, and, required)\n",
        "  latency  (map, where type is latency)\n",
        "    threshold_ms  (whole number in ms, required)\n",
        "    sub_policy  (list of maps)\n        All of.\n        Its keys are those of "
        "policies[].\n",
        "old  (whole number, default 0, deprecated)\n",
        "gc  (anything, has no effect in Sluice)\n    C has no garbage collection.\n",
        NULL};
    (void)state;
    char *text = described(describe_text, kinds_fields);
    wants(text, parts);
    assert_null(strstr(text, "common"));
    free(text);
    text = described(describe_text, NULL);
    assert_string_equal(text, "");
    free(text);
}

static void yaml_for_scripts(void **state)
{
    (void)state;
    char *text = described(describe_yaml, kinds_fields);
    struct loaded l = parse(text);
    if (l.status)
        fail_msg("%s\n%s", said(&l), text);
    assert_int_equal(l.tree.root->kind, CONFIG_LIST);
    assert_int_equal(l.tree.root->n, 20); /* 19 keys, of which one stands for two inline ones */
    const struct config_node *n = l.tree.root->first;
    assert_string_equal(config_find(n, sl_str("key"))->text.p, "flag");
    assert_string_equal(config_find(n, sl_str("type"))->text.p, "boolean");
    assert_string_equal(config_find(n, sl_str("default"))->text.p, "true");
    for (; n; n = n->next)
        if (sl_eq(config_find(n, sl_str("key"))->text, sl_str("policies")))
            break;
    assert_non_null(n);
    const struct config_node *keys = config_find(n, sl_str("keys"));
    assert_int_equal(keys->n, 5); /* name, type and the three choices with keys */
    const struct config_node *sub = config_find(keys->last, sl_str("keys"))->first;
    assert_string_equal(config_find(sub, sl_str("keys_as_in"))->text.p, "policies[]");
    unload(&l);
    free(text);
    text = described(describe_yaml, NULL);
    assert_string_equal(text, "[]\n");
    free(text);
}

static void markdown_for_the_reference(void **state)
{
    static const sl_field pipes[] = {{.key = "k", .kind = SL_FIELD_BOOL, .help = "a | b <c>"},
                                     SL_END};
    static const char *const parts[] = {
        "| key | type | default | meaning |\n| --- | --- | --- | --- |\n",
        "| `http` | map |  | A server. |\n",
        "| `http.tls.insecure` | boolean | `true` | Plain text. |\n",
        "| `policies[].type` | `always`, `latency`, `values`, `and` |  | What it looks at. "
        "*required.* |\n",
        "| `policies[].latency.threshold_ms` | whole number in ms |  | Longer than. *required.* "
        "|\n",
        "| `policies[].and.sub_policy` | list of maps |  | All of. Keys as in `policies[]`. |\n",
        NULL};
    (void)state;
    char *text = described(describe_markdown, kinds_fields);
    wants(text, parts);
    free(text);
    text = described(describe_markdown, pipes);
    assert_non_null(strstr(text, "a \\| b \\<c>"));
    free(text);
}

static int32_t schema(FILE *out, const sl_field *fields)
{
    return describe_json_schema(out, fields, "https://example.com/s");
}

static void json_schema_for_editors(void **state)
{
    (void)state;
    char *text = described(schema, kinds_fields);
    struct loaded l = parse(text); /* JSON is YAML */
    if (l.status)
        fail_msg("%s\n%s", said(&l), text);
    const struct config_node *properties = at(&l, "properties");
    assert_int_equal(properties->n, 20);
    assert_string_equal(text_at(&l, "properties.offset.minimum"), "-10");
    assert_string_equal(text_at(&l, "properties.ratio.maximum"), "1");
    assert_string_equal(text_at(&l, "properties.flag.default"), "true");
    assert_false(at(&l, "properties.flag.default")->quoted);
    const struct config_node *color = at(&l, "properties.color.anyOf");
    assert_int_equal(config_find(color->first, sl_str("enum"))->n, 4); /* the names, and null */
    assert_string_equal(config_find(color->last, sl_str("pattern"))->text.p, "[$][{]");
    assert_string_equal(text_at(&l, "properties.offset.pattern"), "[$][{]");
    assert_non_null(strstr(text_at(&l, "properties.wait.description"), "between 0s and 1h"));
    assert_string_equal(text_at(&l, "properties.gc.x-ignored"), "true");
    assert_string_equal(text_at(&l, "properties.http.additionalProperties"), "false");
    assert_string_equal(text_at(&l, "properties.old.deprecated"), "true");
    assert_string_equal(text_at(&l, "properties.password.writeOnly"), "true");
    const struct config_node *items = at(&l, "properties.policies.items");
    assert_int_equal(config_find(items, sl_str("required"))->n, 2);
    static const char *const again[] = {"properties", "and",  "properties", "sub_policy",
                                        "items",      "$ref", NULL};
    const struct config_node *ref = config_at(items, again);
    assert_non_null(ref);
    assert_string_equal(ref->text.p, "#/properties/policies/items");
    assert_string_equal(text_at(&l, "$id"), "https://example.com/s");
    unload(&l);
    free(text);
    text = described(schema, NULL);
    assert_non_null(strstr(text, "\"properties\":{},\"additionalProperties\":false}"));
    free(text);
}

static int32_t part(FILE *out, const sl_field *fields)
{
    static const struct describe_reference references[] = {{"gc", "/definitions/gc"}, {NULL, NULL}};
    return describe_json_part(out, fields, "/definitions/a", "What it is.", references);
}

static void json_schema_within_another(void **state)
{
    (void)state;
    char *text = described(part, kinds_fields);
    static const char *const parts[] = {"{\"description\":\"What it is.\",",
                                        "\"#/definitions/a/properties/policies/items\"",
                                        "\"gc\":{\"$ref\":\"#/definitions/gc\"}", NULL};
    wants(text, parts);
    assert_null(strstr(text, "$schema"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_for_people),
        cmocka_unit_test(yaml_for_scripts),
        cmocka_unit_test(markdown_for_the_reference),
        cmocka_unit_test(json_schema_for_editors),
        cmocka_unit_test(json_schema_within_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
