/* Binding: everything that is refused, with its place and what would be right. */
#include "config_kinds.h"
#include "config_support.h"

static struct loaded bind(const char *yaml, int32_t *status)
{
    struct loaded l = parse(yaml);
    assert_int_equal(l.status, SL_OK);
    struct config_part part = {kinds_fields, sizeof(struct kinds), NULL};
    struct config_bound *owner;
    *status = config_bind("processor \"kinds\"", l.tree.root, (struct config_place){"a.yaml", 1, 1},
                          &part, 1, NULL, &l.d, &owner);
    assert_int_equal(*status == SL_OK, owner != NULL);
    assert_int_equal(*status == SL_OK, !diagnostics_failed(&l.d));
    config_free(owner);
    return l;
}

static void refuses_with_a_place(void **state)
{
    static const struct {
        const char *yaml, *said;
    } all[] = {
        {"[1]", "a.yaml:1:1: error: processor \"kinds\" wants a map, found a list"},
        {"x", "a.yaml:1:1: error: processor \"kinds\" wants a map, found text"},
        {"flag: 1", "a.yaml:1:7: error: \"flag\" of processor \"kinds\" wants true or false, found "
                    "\"1\""},
        {"flag: yes", "wants true or false, found \"yes\""},
        {"flag: 'true'", "wants true or false, found \"true\""},
        {"flag: {}", "wants true or false, found a map"},
        {"count: -1", "\"count\" of processor \"kinds\" wants a whole number that is not negative, "
                      "found \"-1\""},
        {"count: 4294967296",
         "\"count\" of processor \"kinds\" is too large, found \"4294967296\""},
        {"count: 1.5", "wants a whole number that is not negative, found \"1.5\""},
        {"count: '5'", "wants a whole number that is not negative, found text; remove the quotes"},
        {"count: [1]", "wants a number, found a list"},
        {"count: many", "wants a whole number that is not negative, found \"many\""},
        {"offset: 11",
         "\"offset\" of processor \"kinds\" must be between -10 and 10, found \"11\""},
        {"offset: 99999999999999999999", "must be between -10 and 10"},
        {"offset: x", "wants a whole number, found \"x\""},
        {"total: 18446744073709551616", "is too large"},
        {"ratio: 1.01", "\"ratio\" of processor \"kinds\" must be between 0 and 1, found \"1.01\""},
        {"ratio: .nan", "must be between 0 and 1"},
        {"ratio: half", "wants a number, found \"half\""},
        {"text: [a]", "\"text\" of processor \"kinds\" wants text, found a list"},
        {"wait: -1s", "\"wait\" of processor \"kinds\" must be between 0s and 1h, found \"-1s\""},
        {"wait: 2h", "must be between 0s and 1h"},
        {"wait: 5", "a.yaml:1:7: warning: \"wait\" of processor \"kinds\" has no unit and is taken "
                    "as nanoseconds (5ns)"},
        {"wait: '5'", "wants a duration such as \"1m30s\" or \"200ms\", found \"5\""},
        {"wait: 1.5", "wants a duration such as"},
        {"wait: 5 minutes", "wants a duration such as"},
        {"wait: {}", "wants a duration, found a map"},
        {"any_wait: 9999999999h", "\"any_wait\" of processor \"kinds\" is too large"},
        {"size: 1KB",
         "\"size\" of processor \"kinds\" must be between 1KiB and 1GiB, found \"1KB\""},
        {"size: 2 apples", "wants a size such as \"64KiB\", \"2MB\" or a number of bytes"},
        {"size: []", "wants a size, found a list"},
        {"color: grean", "unknown value \"grean\" of \"color\" in processor \"kinds\" (nearest: "
                         "\"green\")"},
        {"color: violet", "unknown value \"violet\" of \"color\" in processor \"kinds\" (known: "
                          "\"red\", \"green\", \"Blue\")"},
        {"color: [red]", "\"color\" of processor \"kinds\" wants a name, found a list"},
        {"names: {a: b}", "\"names\" of processor \"kinds\" wants a list of texts, found a map"},
        {"names: [a, [b]]", "a.yaml:1:12: error: \"names[1]\" of processor \"kinds\" wants text, "
                            "found a list"},
        {"names: [a, ]\n", NULL},
        {"names: [~]", "\"names[0]\" of processor \"kinds\" wants text, found nothing"},
        {"headers: text", "\"headers\" of processor \"kinds\" wants a map of texts, found "},
        {"headers: {a: [1]}", "\"headers.a\" of processor \"kinds\" wants text, found a list"},
        {"headers: [{nam: x}]",
         "wants a map of texts, or a list of {name: , value: }, found a map"},
        {"headers: [x]", "\"headers[0]\" of processor \"kinds\" wants a map of texts"},
        {"http: 5", "\"http\" of processor \"kinds\" wants a map, found a number"},
        {"http: {limit: 0}", "a.yaml:1:15: error: \"http.limit\" of processor \"kinds\" must be "
                             "between 1 and 100 requests, found \"0\""},
        {"http: {tls: {insecur: true}}", "a.yaml:1:14: error: unknown key \"insecur\" in "
                                         "\"http.tls\" of processor \"kinds\" (nearest: "
                                         "\"insecure\")"},
        {"http: {zzz: 1}", "unknown key \"zzz\" in \"http\" of processor \"kinds\" (known: "
                           "\"endpoint\", \"limit\", \"tls\")"},
        {"common: {}", "unknown key \"common\""}, /* an inline struct has no key */
        {"conut: 1", "a.yaml:1:1: error: unknown key \"conut\" in processor \"kinds\" (nearest: "
                     "\"count\")"},
        {"policies: {}", "\"policies\" of processor \"kinds\" wants a list, found a map"},
        {"policies: [x]", "\"policies[0]\" of processor \"kinds\" wants a map, found text"},
        {"policies: [{type: always}]", "a.yaml:1:12: error: missing key \"name\" in "
                                       "\"policies[0]\" of processor \"kinds\""},
        {"policies: [{name: }]", "missing key \"name\""},
        {"policies: [{name: x}]", "missing key \"type\" in \"policies[0]\""},
        {"policies: [{name: x, type: latncy}]", "a.yaml:1:28: error: unknown value \"latncy\" of "
                                                "\"policies[0].type\" in processor \"kinds\" "
                                                "(nearest: \"latency\")"},
        {"policies: [{name: x, type: [a]}]", "\"policies[0].type\" of processor \"kinds\" wants a "
                                             "name, found a list"},
        {"policies: [{name: x, type: latency}]", "missing key \"latency\" in \"policies[0]\" of"},
        {"policies: [{name: x, type: latency, latency: {}}]",
         "a.yaml:1:46: error: missing key \"threshold_ms\" in \"policies[0].latency\" of"},
        {"policies: [{name: x, type: latency, latency: 5}]",
         "\"policies[0].latency\" of processor \"kinds\" wants a map, found a number"},
        {"policies: [{name: x, type: latency, latency: {threshold_ms: 1}, values: {kee: a}}]",
         "unknown key \"kee\" in \"policies[0].values\""},
        {"policies: [{name: x, type: always, latncy: {}}]", "(nearest: \"latency\")"},
        {"policies: [{name: a, type: and, and: {sub_policy: [{name: b, type: and, and: "
         "{sub_policy: [{}]}}]}}]",
         "missing key \"type\" in \"policies[0].and.sub_policy[0].and.sub_policy[0]\" of"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int32_t status;
        struct loaded l = bind(all[i].yaml, &status);
        if (!all[i].said) {
            assert_int_equal(status, SL_OK);
        } else {
            assert_int_equal(status, strstr(all[i].said, "warning") ? SL_OK : SL_ERR_INVALID);
            assert_said(&l, all[i].said);
        }
        unload(&l);
    }
}

static void tells_what_has_no_effect(void **state)
{
    int32_t status;
    (void)state;
    struct loaded l = bind("gc: [anything]\nold: 5\nwait: 0\npolicies: [{name: x, type: always, "
                           "latency: {threshold_ms: 1}}]\n",
                           &status);
    assert_int_equal(status, SL_OK);
    assert_string_equal(
        said(&l),
        "a.yaml:1:1: note: \"gc\" of processor \"kinds\" has no effect in Sluice: C has no garbage "
        "collection.\n"
        "a.yaml:2:1: warning: \"old\" of processor \"kinds\" is deprecated: write count instead.\n"
        "a.yaml:4:36: warning: \"policies[0].latency\" of processor \"kinds\" has no effect, "
        "because "
        "\"type\" is \"always\"\n");
    unload(&l);
}

static void shows_no_secret(void **state)
{
    int32_t status;
    (void)state;
    struct loaded l = bind("password: [hunter2]\nheaders: {a: [hunter2]}\n", &status);
    assert_int_equal(status, SL_ERR_INVALID);
    assert_int_equal(l.d.count[CONFIG_ERROR], 2);
    assert_null(strstr(said(&l), "hunter2"));
    unload(&l);
}

static void reports_all_at_once_in_order(void **state)
{
    int32_t status;
    (void)state;
    struct loaded l = bind("zzzzz: 1\n"
                           "http:\n"
                           "  limit: 0\n"
                           "  tls: {x: 1, insecure: 5}\n"
                           "policies:\n"
                           "- {name: a, type: always}\n"
                           "- {name: b, type: nope}\n"
                           "flag: x\n",
                           &status);
    const char *text = said(&l);
    uint32_t last = 0, lines = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1, lines++) {
        unsigned at = 0;
        assert_int_equal(sscanf(line, "a.yaml:%u:", &at), 1);
        assert_true(at >= last);
        last = at;
    }
    assert_int_equal(lines, 6);
    unload(&l);
}

static void large_maps_of_unknown_keys_are_cheap(void **state)
{
    int32_t status;
    (void)state;
    char *yaml = malloc(700000);
    assert_non_null(yaml);
    size_t n = 0;
    for (int i = 0; i < 40000; i++)
        n += (size_t)snprintf(yaml + n, 700000 - n, "unknown%d: 1\n", i);
    struct loaded l = bind(yaml, &status);
    assert_int_equal(l.d.count[CONFIG_ERROR], 40000);
    assert_int_equal(l.d.n, CONFIG_MAX_DIAGNOSTICS);
    unload(&l);
    n = (size_t)snprintf(yaml, 700000, "policies: [");
    for (int i = 0; i < 15000; i++)
        n += (size_t)snprintf(yaml + n, 700000 - n, "{name: x, type: always},");
    (void)snprintf(yaml + n, 700000 - n, "]");
    l = bind(yaml, &status);
    assert_int_equal(status, SL_OK);
    unload(&l);
    free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_with_a_place),
        cmocka_unit_test(tells_what_has_no_effect),
        cmocka_unit_test(shows_no_secret),
        cmocka_unit_test(reports_all_at_once_in_order),
        cmocka_unit_test(large_maps_of_unknown_keys_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
