/* YAML to trees: what is read, where it stands, and what is refused. */
#include "config_support.h"

static void keeps_positions(void **state)
{
    (void)state;
    struct loaded l = parse("receivers:\n"
                            "  otlp:\n"
                            "    endpoint: 'a b'\n"
                            "    list: [x, \"y\"]\n"
                            "nothing:\n");
    assert_int_equal(l.status, SL_OK);
    assert_silent(&l);
    const struct config_node *n = at(&l, "receivers.otlp.endpoint");
    assert_non_null(n);
    assert_string_equal(n->text.p, "a b");
    assert_true(n->quoted);
    assert_string_equal(n->at.file, "a.yaml");
    assert_int_equal(n->key_at.line, 3);
    assert_int_equal(n->key_at.column, 5);
    assert_int_equal(n->at.line, 3);
    assert_int_equal(n->at.column, 15);
    n = at(&l, "receivers.otlp.list");
    assert_int_equal(n->kind, CONFIG_LIST);
    assert_int_equal(n->n, 2);
    assert_false(n->first->quoted);
    assert_true(n->last->quoted);
    assert_int_equal(n->last->at.column, 15);
    assert_int_equal(at(&l, "nothing")->kind, CONFIG_NULL);
    assert_null(at(&l, "nothing.at.all"));
    unload(&l);
}

static void reads_kinds(void **state)
{
    (void)state;
    struct loaded l = parse("a: ~\nb: null\nc: ''\nd: !!str null\ne: |\n  two\n  lines\nf: {}\n"
                            "g: []\nh: !!int '5'\ni: \"n\\u00e9\"\n");
    assert_int_equal(l.status, SL_OK);
    assert_int_equal(at(&l, "a")->kind, CONFIG_NULL);
    assert_int_equal(at(&l, "b")->kind, CONFIG_NULL);
    assert_int_equal(at(&l, "c")->kind, CONFIG_SCALAR);
    assert_int_equal(at(&l, "d")->kind, CONFIG_SCALAR);
    assert_true(at(&l, "d")->quoted);
    assert_string_equal(text_at(&l, "e"), "two\nlines\n");
    assert_true(at(&l, "e")->quoted);
    assert_int_equal(at(&l, "f")->kind, CONFIG_MAP);
    assert_int_equal(at(&l, "g")->kind, CONFIG_LIST);
    assert_false(at(&l, "h")->quoted);
    assert_string_equal(text_at(&l, "i"), "n\xc3\xa9");
    assert_string_equal(config_kind_name(at(&l, "a")), "nothing");
    assert_string_equal(config_kind_name(at(&l, "h")), "a number");
    assert_string_equal(config_kind_name(at(&l, "c")), "text");
    assert_string_equal(config_kind_name(at(&l, "f")), "a map");
    assert_string_equal(config_kind_name(at(&l, "g")), "a list");
    unload(&l);
    l = parse("# nothing\n");
    assert_int_equal(l.status, SL_OK);
    assert_null(l.tree.root);
    unload(&l);
}

static void expands_aliases_and_merge_keys(void **state)
{
    (void)state;
    struct loaded l = parse("base: &b {x: 1, y: {z: 2}}\n"
                            "more: &m {y: 9, w: 3}\n"
                            "copy: *b\n"
                            "late: {x: 5, <<: *b}\n"
                            "early: {<<: [*m, *b], q: 1}\n"
                            "word: &w text\n"
                            "again: *w\n"
                            "quoted: {'<<': 1}\n");
    assert_int_equal(l.status, SL_OK);
    assert_silent(&l);
    assert_string_equal(text_at(&l, "copy.y.z"), "2");
    assert_int_equal(at(&l, "copy.y.z")->at.line, 1);
    assert_string_equal(text_at(&l, "late.x"), "5");
    assert_string_equal(text_at(&l, "late.y.z"), "2");
    assert_string_equal(text_at(&l, "early.y"), "9");
    assert_string_equal(text_at(&l, "early.x"), "1");
    assert_string_equal(text_at(&l, "early.w"), "3");
    assert_null(at(&l, "early.<<"));
    assert_string_equal(text_at(&l, "again"), "text");
    assert_string_equal(text_at(&l, "quoted.<<"), "1");
    assert_ptr_not_equal(at(&l, "copy"), at(&l, "base"));
    unload(&l);
}

struct refusal {
    const char *text, *said;
};

static void refuses_with_a_place(void **state)
{
    static const struct refusal all[] = {
        {"a: 1\nb: 2\na: 3\n", "a.yaml:3:1: error: duplicate key \"a\" (it already stands at 1:1)"},
        {"a: {<<: {b: 1}, <<: {c: 1}}\n", "a.yaml:1:17: error: duplicate key \"<<\""},
        {"a: *x\n", "a.yaml:1:4: error: the anchor \"x\" of this alias is not defined above it"},
        {"a: &x [1, *x]\n", "a.yaml:1:11: error: the anchor \"x\" contains itself"},
        {"a: &x {<<: *x}\n", "a.yaml:1:12: error: the anchor \"x\" contains itself"},
        {"a: {<<: 5}\n", "a.yaml:1:9: error: \"<<\" wants a map or a list of maps, found a number"},
        {"a: {<<: [x]}\n", "a.yaml:1:10: error: \"<<\" wants a map"},
        {"a: !!python/object:os.system x\n",
         "a.yaml:1:4: error: the tag \"tag:yaml.org,2002:python"},
        {"a: !mine {b: 1}\n", "a.yaml:1:4: error: the tag \"!mine\" is not supported"},
        {"a: !!binary aGk=\n", "is not supported here"},
        {"a: !!map [1]\n", "is not supported here"},
        {"a: 1\n---\nb: 2\n", "a.yaml:2:1: error: a second document begins here"},
        {"[1, 2]: 3\n", "a.yaml:1:1: error: a key must be text, not a list"},
        {"? {a: [1, {b: 2}]}\n: 3\n", "a.yaml:1:3: error: a key must be text, not a map"},
        {"x: &k a\n*k : 3\n", "a.yaml:2:1: error: an alias cannot be a key"},
        {"'': 3\n", "a.yaml:1:1: error: a key is empty"},
        {"\"a\\0b\": 3\n", "a.yaml:1:1: error: a key contains a NUL character"},
        {"a: \"b\\0c\"\n", "a.yaml:1:4: error: a value contains a NUL character"},
        {"a: [1\n", "a.yaml:2:1: error: "},
        {"a: 1\n  b: 2\n", "a.yaml:2:4: error: mapping values are not allowed"},
        {"a:\n\t- b\n", "a.yaml:2:1: error: found character that cannot start any token"},
        {"a: \"open\n", "a.yaml:2:1: error: found unexpected end of stream"},
        {"a: b\nc: \xff\n", "a.yaml:2:4: error: this is not UTF-8 text"},
        {"a: \xc3\xa9\xed\xa0\x80\n", "a.yaml:1:5: error: this is not UTF-8 text"},
        {"a: \x01\n", "a.yaml:1:4: error: this is not UTF-8 text"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct loaded l = parse(all[i].text);
        assert_int_not_equal(l.status, SL_OK);
        assert_null(l.tree.root);
        assert_said(&l, all[i].said);
        unload(&l);
    }
    static const char nul[] = "a: 1\nb: \0evil\n";
    struct loaded l = parse_bytes(sl_slice(nul, sizeof nul - 1));
    assert_said(&l, "a.yaml:2:4: error: a NUL character");
    unload(&l);
    static const char utf16[] = "\xff\xfe"
                                "a\0:\0 \0"
                                "1\0";
    l = parse_bytes(sl_slice(utf16, sizeof utf16 - 1));
    assert_int_not_equal(l.status, SL_OK);
    unload(&l);
}

static void goes_on_after_an_error(void **state)
{
    (void)state;
    struct loaded l = parse("a: 1\na: {x: [1, 2]}\nb: 1\n? [k]\n: {v: *none}\nb: 2\nc: *x\n");
    assert_int_equal(l.d.count[CONFIG_ERROR], 4);
    assert_string_equal(
        said(&l), "a.yaml:2:1: error: duplicate key \"a\" (it already stands at 1:1)\n"
                  "a.yaml:4:3: error: a key must be text, not a list\n"
                  "a.yaml:6:1: error: duplicate key \"b\" (it already stands at 3:1)\n"
                  "a.yaml:7:4: error: the anchor \"x\" of this alias is not defined above it\n");
    unload(&l);
}

/* ---- bounds -------------------------------------------------------------------------------- */

static struct loaded parse_nested(uint32_t depth)
{
    char text[200] = "";
    assert_true(2 * depth < sizeof text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return parse(text);
}

static void bounds_depth(void **state)
{
    (void)state;
    struct loaded l = parse_nested(CONFIG_MAX_DEPTH);
    assert_int_equal(l.status, SL_OK);
    assert_int_equal(tree_height(l.tree.root), CONFIG_MAX_DEPTH);
    unload(&l);
    l = parse_nested(CONFIG_MAX_DEPTH + 1);
    assert_int_equal(l.status, SL_ERR_TOO_LARGE);
    assert_said(&l, "a.yaml:1:33: error: more than 32 levels of maps and lists");
    unload(&l);
    /* Each alias is one level deeper than the last. */
    char text[4096] = "a0: &a0 [x]\n";
    for (int i = 1; i < 40; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "a%d: &a%d [*a%d]\n", i, i,
                       i - 1);
    l = parse(text);
    assert_int_equal(l.status, SL_ERR_INVALID);
    assert_said(&l, "more than 32 levels");
    unload(&l);
    char *open = malloc(100001);
    assert_non_null(open);
    memset(open, '[', 100000);
    open[100000] = '\0';
    l = parse(open);
    assert_int_equal(l.status, SL_ERR_TOO_LARGE);
    unload(&l);
    free(open);
}

static void refuses_alias_bombs(void **state)
{
    (void)state;
    char text[4096] = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text),
                       "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                       i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    struct loaded l = parse(text);
    assert_int_equal(l.status, SL_ERR_TOO_LARGE);
    assert_said(&l, "more than 65536 values");
    assert_true(l.tree.nodes <= CONFIG_MAX_NODES);
    assert_true(l.tree.arena.used < 32u * 1024 * 1024);
    unload(&l);
    char anchors[24000] = "";
    for (int i = 0; i < 1100; i++)
        (void)snprintf(anchors + strlen(anchors), sizeof anchors - strlen(anchors), "k%d: &a%d x\n",
                       i, i);
    l = parse(anchors);
    assert_said(&l, "more than 1024 anchors");
    unload(&l);
}

static void bounds_size_and_nodes(void **state)
{
    (void)state;
    size_t n = CONFIG_MAX_FILE + 1;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'x', n);
    text[n] = '\0';
    struct loaded l = parse_bytes(sl_slice(text, n));
    assert_int_equal(l.status, SL_ERR_TOO_LARGE);
    assert_said(&l, "a.yaml: error: larger than 1048576 bytes");
    unload(&l);
    l = parse_bytes(sl_slice(text, n - 1)); /* one scalar of a MiB */
    assert_int_equal(l.status, SL_OK);
    assert_int_equal(l.tree.root->text.n, n - 1);
    unload(&l);
    text[0] = '[';
    for (size_t i = 1; i < n; i++)
        text[i] = i % 2 ? '1' : ',';
    l = parse_bytes(sl_slice(text, n - 1));
    assert_int_equal(l.status, SL_ERR_TOO_LARGE);
    assert_said(&l, "more than 65536 values");
    unload(&l);
    free(text);
}

/* ---- trees --------------------------------------------------------------------------------- */

static void finds_keys_of_large_maps(void **state)
{
    (void)state;
    char *text = malloc(40000);
    assert_non_null(text);
    size_t n = 0;
    for (int i = 0; i < 2000; i++)
        n += (size_t)snprintf(text + n, 40000 - n, "key%d: %d\n", i, i);
    (void)snprintf(text + n, 40000 - n, "key77: again\n");
    struct loaded l = parse(text);
    assert_said(&l, "a.yaml:2001:1: error: duplicate key \"key77\" (it already stands at 78:1)");
    assert_int_equal(l.d.count[CONFIG_ERROR], 1);
    unload(&l);
    text[n] = '\0';
    l = parse(text);
    assert_int_equal(l.status, SL_OK);
    assert_string_equal(text_at(&l, "key1999"), "1999");
    assert_string_equal(text_at(&l, "key0"), "0");
    assert_null(at(&l, "key2000"));
    tree_remove(l.tree.root, config_find(l.tree.root, sl_str("key5")));
    assert_null(at(&l, "key5"));
    assert_int_equal(l.tree.root->n, 1999);
    assert_string_equal(text_at(&l, "key6"), "6");
    unload(&l);
    free(text);
}

static bool equal(const char *a, const char *b)
{
    struct loaded x = parse(a), y = parse(b);
    bool same = config_node_equal(x.tree.root, y.tree.root);
    assert_int_equal(same, config_node_equal(y.tree.root, x.tree.root));
    unload(&x);
    unload(&y);
    return same;
}

static void compares_trees(void **state)
{
    (void)state;
    assert_true(
        equal("a: 1\nb: {c: [1, {d: 2}], e: x}", "b: {e: x, c: [1, {d: 2}]}\n\n# moved\na: 1"));
    assert_false(equal("a: 1", "a: 2"));
    assert_false(equal("a: 1", "a: '1'"));
    assert_false(equal("a: 1", "b: 1"));
    assert_false(equal("a: [1, 2]", "a: [2, 1]"));
    assert_false(equal("a: [1, 2]", "a: [1]"));
    assert_false(equal("a: [[1], [2, 3]]", "a: [[1], [2, 4]]"));
    assert_false(equal("a: {}", "a: []"));
    assert_false(equal("a:", "a: ''"));
    assert_true(equal("a: {b: {c: {d: [[[]]]}}}", "a: {b: {c: {d: [[[]]]}}}"));
    assert_true(config_node_equal(NULL, NULL));
    struct loaded l = parse("a: 1");
    assert_false(config_node_equal(l.tree.root, NULL));
    struct config_node *copy = tree_copy(&l.tree, l.tree.root);
    assert_non_null(copy);
    assert_true(config_node_equal(l.tree.root, copy));
    unload(&l);
}

static void walks_in_document_order(void **state)
{
    (void)state;
    struct loaded l = parse("a: [1, {b: 2}, []]\nc: 3\n");
    char steps[64] = "";
    struct config_walk walk;
    config_walk_init(&walk, l.tree.root);
    const struct config_node *n;
    for (enum config_step s; (s = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        const char *step = s == CONFIG_LEAF    ? (const char *)n->text.p
                           : s == CONFIG_ENTER ? "("
                                               : ")";
        (void)snprintf(steps + strlen(steps), sizeof steps - strlen(steps), "%s", step);
    }
    assert_string_equal(steps, "((1(2)())3)");
    config_walk_init(&walk, config_find(l.tree.root, sl_str("c")));
    assert_int_equal(config_walk_next(&walk, &n), CONFIG_LEAF);
    assert_int_equal(config_walk_next(&walk, &n), CONFIG_DONE);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_positions),
        cmocka_unit_test(reads_kinds),
        cmocka_unit_test(expands_aliases_and_merge_keys),
        cmocka_unit_test(refuses_with_a_place),
        cmocka_unit_test(goes_on_after_an_error),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(refuses_alias_bombs),
        cmocka_unit_test(bounds_size_and_nodes),
        cmocka_unit_test(finds_keys_of_large_maps),
        cmocka_unit_test(compares_trees),
        cmocka_unit_test(walks_in_document_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
