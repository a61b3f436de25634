/* Binding: every kind of field, defaults, presence, unions, recursion, raw subtrees. */
#include "config_kinds.h"
#include "config_support.h"

struct bound {
    struct loaded l;
    struct config_bound *owner;
    const struct kinds *k;
    int32_t status;
};

static struct bound bind(const char *yaml)
{
    static const char *const environment[] = {
        "NUMBER=0123", "TEXT=a,b", "EMPTY=", "IP=1:2::", "FIVE=5s", "YES=true", NULL};
    char config[2000];
    (void)snprintf(config, sizeof config, "yaml:%s", yaml);
    struct bound b = {.l = load(.configs = {config}, .environment = environment)};
    assert_int_equal(b.l.status, SL_OK);
    struct config_part part = {kinds_fields, sizeof(struct kinds), NULL};
    b.status = config_bind("processor \"kinds\"", b.l.tree.root, (struct config_place){"a", 1, 1},
                           &part, 1, NULL, &b.l.d, &b.owner);
    if (b.status)
        fail_msg("%s", said(&b.l));
    b.k = part.out;
    return b;
}

static void unbind(struct bound *b)
{
    config_free(b->owner);
    unload(&b->l);
}

static void fills_defaults(void **state)
{
    (void)state;
    struct bound b = bind("{}");
    assert_silent(&b.l);
    assert_null(b.k->base.host);
    assert_int_equal(b.k->flag, 1);
    assert_int_equal(b.k->count, 7);
    assert_int_equal(b.k->offset, -3);
    assert_true(b.k->total == 1ull << 40);
    assert_true(b.k->ratio == 0.5);
    assert_string_equal(b.k->text.p, "default");
    assert_int_equal(b.k->text.n, 7);
    assert_int_equal(b.k->text_present, 0);
    assert_null(b.k->password.p);
    assert_int_equal(b.k->wait, 5000000000);
    assert_int_equal(b.k->any_wait, 0);
    assert_int_equal(b.k->size, 65536);
    assert_int_equal(b.k->color, 1);
    assert_int_equal(b.k->names.n, 0);
    assert_int_equal(b.k->headers.n, 0);
    assert_int_equal(b.k->policies.n, 0);
    assert_null(b.k->anything);
    /* An absent struct has its defaults too. */
    assert_int_equal(b.k->http_present, 0);
    assert_string_equal(b.k->http.endpoint.p, "localhost:4318");
    assert_int_equal(b.k->http.limit, 20);
    assert_int_equal(b.k->http.tls.insecure, 1);
    assert_int_equal(b.k->common.insecure, 1);
    unbind(&b);
    struct config_part part = {kinds_fields, sizeof(struct kinds), NULL};
    struct loaded l = parse("");
    struct config_bound *owner;
    assert_int_equal(
        config_bind("x", NULL, (struct config_place){"a", 1, 1}, &part, 1, NULL, &l.d, &owner),
        SL_OK);
    assert_int_equal(((struct kinds *)part.out)->http.limit, 20);
    config_free(owner);
    unload(&l);
}

static void reads_every_kind(void **state)
{
    (void)state;
    struct bound b = bind("flag: false\ncount: 0x10\noffset: -10\ntotal: 18446744073709551615\n"
                          "ratio: 1\ntext: 'x y'\npassword: hunter2\nwait: 1m30s\nany_wait: -1h\n"
                          "size: 64KiB\ncolor: blue\nnames: [a, 0x1F, true, 'c d']\n"
                          "headers: {X-Key: v, n: 1_0, none: }\n"
                          "http: {endpoint: 0.0.0.0:1, tls: {ca_file: f, insecure: false}}\n"
                          "ca_file: common\ninsecure: FALSE\n");
    assert_silent(&b.l);
    assert_int_equal(b.k->flag, 0);
    assert_int_equal(b.k->count, 16);
    assert_int_equal(b.k->offset, -10);
    assert_true(b.k->total == UINT64_MAX);
    assert_true(b.k->ratio == 1.0);
    assert_string_equal(b.k->text.p, "x y");
    assert_int_equal(b.k->text_present, 1);
    assert_string_equal(b.k->password.p, "hunter2");
    assert_int_equal(b.k->wait, 90000000000);
    assert_int_equal(b.k->any_wait, -3600000000000);
    assert_int_equal(b.k->size, 65536);
    assert_int_equal(b.k->color, 2); /* names may differ by case */
    assert_int_equal(b.k->names.n, 4);
    static const char *const names[] = {"a", "0x1F", "true", "c d"};
    for (uint32_t i = 0; i < 4; i++)
        assert_string_equal(SL_LIST_AT(sl_bytes, b.k->names, i)->p, names[i]);
    assert_int_equal(b.k->headers.n, 3);
    const sl_meta_entry *h = SL_LIST_AT(sl_meta_entry, b.k->headers, 0);
    assert_string_equal(h->key.p, "X-Key");
    assert_string_equal(h->value.p, "v");
    assert_string_equal(SL_LIST_AT(sl_meta_entry, b.k->headers, 1)->value.p, "1_0");
    assert_string_equal(SL_LIST_AT(sl_meta_entry, b.k->headers, 2)->value.p, "");
    assert_int_equal(b.k->http_present, 1);
    assert_string_equal(b.k->http.endpoint.p, "0.0.0.0:1");
    assert_int_equal(b.k->http.tls_present, 1);
    assert_string_equal(b.k->http.tls.ca_file.p, "f");
    assert_int_equal(b.k->http.tls.insecure, 0);
    assert_string_equal(b.k->common.ca_file.p, "common");
    assert_int_equal(b.k->common.insecure, 0);
    unbind(&b);
}

static void null_means_default_or_present(void **state)
{
    (void)state;
    struct bound b = bind("flag:\ncount:\ntext:\nnames:\nheaders:\npolicies:\nhttp:\nanything:\n");
    assert_silent(&b.l);
    assert_int_equal(b.k->flag, 1);
    assert_int_equal(b.k->count, 7);
    assert_string_equal(b.k->text.p, "default");
    assert_int_equal(b.k->text_present, 0);
    assert_int_equal(b.k->names.n, 0);
    assert_int_equal(b.k->http_present, 1); /* `grpc:` alone switches it on */
    assert_string_equal(b.k->http.endpoint.p, "localhost:4318");
    assert_int_equal(b.k->http.tls_present, 0);
    assert_non_null(b.k->anything);
    assert_int_equal(b.k->anything->kind, 0);
    unbind(&b);
}

static void text_is_what_was_written(void **state)
{
    (void)state;
    struct bound b = bind("text: 0123\npassword: true\nhttp: {endpoint: 1.50}\n");
    assert_string_equal(b.k->text.p, "0123");
    assert_string_equal(b.k->password.p, "true");
    assert_string_equal(b.k->http.endpoint.p, "1.50");
    unbind(&b);
    b = bind("text: '${env:NUMBER}'\ncount: ${env:NUMBER}\npassword: ${env:IP}\n"
             "wait: ${env:FIVE}\nflag: ${env:YES}\nhttp: {endpoint: '${env:EMPTY}'}\n"
             "headers: {a: '${env:IP}', b: '${env:NUMBER}'}\nnames: ['${env:IP}']\n");
    assert_string_equal(b.k->text.p, "0123");
    assert_int_equal(b.k->count, 83);
    assert_string_equal(b.k->password.p, "1:2::");
    assert_int_equal(b.k->wait, 5000000000);
    assert_int_equal(b.k->flag, 1);
    assert_string_equal(b.k->http.endpoint.p, "");
    assert_int_equal(b.k->http.endpoint.n, 0);
    assert_string_equal(SL_LIST_AT(sl_meta_entry, b.k->headers, 0)->value.p, "1:2::");
    assert_string_equal(SL_LIST_AT(sl_meta_entry, b.k->headers, 1)->value.p, "0123");
    assert_string_equal(SL_LIST_AT(sl_bytes, b.k->names, 0)->p, "1:2::");
    unbind(&b);
}

static void lists_have_short_forms(void **state)
{
    (void)state;
    struct bound b = bind("names: a,b c,,d\nheaders: [{name: k, value: v}, {name: k}]\n");
    assert_int_equal(b.k->names.n, 4);
    assert_string_equal(SL_LIST_AT(sl_bytes, b.k->names, 1)->p, "b c");
    assert_string_equal(SL_LIST_AT(sl_bytes, b.k->names, 2)->p, "");
    assert_string_equal(SL_LIST_AT(sl_bytes, b.k->names, 3)->p, "d");
    assert_int_equal(b.k->headers.n, 2);
    assert_string_equal(SL_LIST_AT(sl_meta_entry, b.k->headers, 0)->value.p, "v");
    assert_string_equal(SL_LIST_AT(sl_meta_entry, b.k->headers, 1)->value.p, "");
    unbind(&b);
    b = bind("names: ''\n");
    assert_int_equal(b.k->names.n, 0);
    unbind(&b);
    b = bind("names: ${env:TEXT}\nheaders: {}\n");
    assert_int_equal(b.k->names.n, 2);
    unbind(&b);
}

static void unions_and_recursion(void **state)
{
    (void)state;
    struct bound b =
        bind("policies:\n"
             "- {name: slow, type: latency, latency: {threshold_ms: 500}}\n"
             "- {name: all, type: always}\n"
             "- {name: some, type: values}\n"
             "- name: both\n"
             "  type: and\n"
             "  and:\n"
             "    sub_policy:\n"
             "    - {name: x, type: values, values: {key: q, values: [1]}}\n"
             "    - {name: y, type: and, and: {sub_policy: [{name: z, type: always}]}}\n");
    assert_silent(&b.l);
    assert_int_equal(b.k->policies.n, 4);
    const struct kinds_policy *p = SL_LIST_AT(struct kinds_policy, b.k->policies, 0);
    assert_string_equal(p->name.p, "slow");
    assert_int_equal(p->type, 1);
    assert_int_equal(p->u.latency.threshold_ms, 500);
    assert_int_equal(SL_LIST_AT(struct kinds_policy, b.k->policies, 1)->type, 0);
    p = SL_LIST_AT(struct kinds_policy, b.k->policies, 2);
    assert_int_equal(p->type, 2); /* without a map of its own: the defaults */
    assert_string_equal(p->u.values.key.p, "k");
    p = SL_LIST_AT(struct kinds_policy, b.k->policies, 3);
    assert_int_equal(p->u.all.sub_policy.n, 2);
    const struct kinds_policy *x = SL_LIST_AT(struct kinds_policy, p->u.all.sub_policy, 0);
    assert_string_equal(x->u.values.key.p, "q");
    assert_int_equal(x->u.values.values.n, 1);
    const struct kinds_policy *y = SL_LIST_AT(struct kinds_policy, p->u.all.sub_policy, 1);
    assert_string_equal(SL_LIST_AT(struct kinds_policy, y->u.all.sub_policy, 0)->name.p, "z");
    unbind(&b);
}

static void raw_subtrees_keep_places(void **state)
{
    (void)state;
    struct bound b = bind("\nanything:\n  a: [1, 'two', {b: ~}]\n  empty: {}\n");
    struct config_bound *owner = b.owner;
    const sl_raw *r = b.k->anything;
    unload(&b.l); /* the struct lives longer than the tree */
    assert_int_equal(r->size, sizeof *r);
    assert_int_equal(r->kind, 3);
    assert_int_equal(r->n, 2);
    const sl_raw *a = &r->children[0];
    assert_string_equal(a->key.p, "a");
    assert_int_equal(a->kind, 2);
    assert_int_equal(a->line, 3);
    assert_int_equal(a->column, 6);
    assert_string_equal(a->file, "--config=yaml");
    assert_int_equal(a->n, 3);
    assert_string_equal(a->children[0].text.p, "1");
    assert_int_equal(a->children[0].quoted, 0);
    assert_int_equal(a->children[1].quoted, 1);
    assert_string_equal(a->children[2].children[0].key.p, "b");
    assert_int_equal(a->children[2].children[0].kind, 0);
    assert_int_equal(r->children[1].kind, 3);
    assert_null(r->children[1].children);
    config_free(owner);
}

static void members_know_their_places(void **state)
{
    (void)state;
    struct config_place at;
    struct bound b = bind("\nanything:\n  a: 1\npolicies:\n  - {name: one, type: always}\n"
                          "  - name: two\n    type: always\n");
    assert_true(config_place_of(b.owner, &b.k->anything, &at));
    assert_int_equal(at.line, 3);
    assert_int_equal(at.column, 3);
    const struct kinds_policy *two = SL_LIST_AT(struct kinds_policy, b.k->policies, 1);
    assert_true(config_place_of(b.owner, &two->name, &at));
    assert_int_equal(at.line, 6);
    assert_int_equal(at.column, 11);
    at.line = 77;
    assert_false(config_place_of(b.owner, NULL, &at));
    assert_false(config_place_of(b.owner, &b, &at));
    assert_int_equal(at.line, 77);
    unbind(&b);
}

struct own {
    sl_base base;
    sl_bytes endpoint;
};
struct queue {
    uint32_t queue_size;
    uint8_t there;
};
struct host {
    struct queue sending_queue;
    int64_t timeout;
};

static void parts_share_one_map(void **state)
{
    static const sl_field own_fields[] = {SL_TEXT(struct own, endpoint, "Where."), SL_END};
    static const sl_field queue_fields[] = {
        SL_U32(struct queue, queue_size, "How long.", .def.u = 1000), SL_END};
    static const sl_struct queue_struct = {sizeof(struct queue), 0, queue_fields};
    static const sl_field host_fields[] = {
        SL_STRUCT(struct host, sending_queue, &queue_struct, "A queue.",
                  .present = offsetof(struct host, sending_queue.there) + 1),
        SL_DURATION(struct host, timeout, "For each attempt.", .def.i = 5), SL_END};
    (void)state;
    struct loaded l = parse("endpoint: e\nsending_queue: {queue_size: 3}\ntimeout: 1s\n");
    struct config_part parts[] = {{own_fields, sizeof(struct own), NULL},
                                  {host_fields, sizeof(struct host), NULL}};
    struct config_bound *owner;
    assert_int_equal(
        config_bind("exporter \"x\"", l.tree.root, l.tree.root->at, parts, 2, NULL, &l.d, &owner),
        SL_OK);
    assert_string_equal(((struct own *)parts[0].out)->endpoint.p, "e");
    const struct host *h = parts[1].out;
    assert_int_equal(h->sending_queue.queue_size, 3);
    assert_int_equal(h->sending_queue.there, 1);
    assert_int_equal(h->timeout, 1000000000);
    config_free(owner);
    unload(&l);
    l = parse("timout: 1s\nendpoind: e\n");
    assert_int_equal(
        config_bind("exporter \"x\"", l.tree.root, l.tree.root->at, parts, 2, NULL, &l.d, &owner),
        SL_ERR_INVALID);
    assert_null(owner);
    assert_null(parts[0].out);
    assert_said(&l, "unknown key \"timout\" in exporter \"x\" (nearest: \"timeout\")");
    assert_said(&l, "unknown key \"endpoind\" in exporter \"x\" (nearest: \"endpoint\")");
    unload(&l);
    l = parse("x: 1\n");
    struct config_part none = {NULL, sizeof(sl_base), NULL};
    assert_int_equal(
        config_bind("extension \"e\"", l.tree.root, l.tree.root->at, &none, 1, NULL, &l.d, &owner),
        SL_ERR_INVALID);
    assert_said(&l, "unknown key \"x\" in extension \"e\" (it takes no keys)");
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_defaults),
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(null_means_default_or_present),
        cmocka_unit_test(text_is_what_was_written),
        cmocka_unit_test(lists_have_short_forms),
        cmocka_unit_test(unions_and_recursion),
        cmocka_unit_test(raw_subtrees_keep_places),
        cmocka_unit_test(members_know_their_places),
        cmocka_unit_test(parts_share_one_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
