/* Rewriting requests: what stays, changes and vanishes, in random requests against protobuf-c, and
 * in requests whose parts are too long to be copied; and changing attributes. Takes --seed N. */
#include "formats/otlp/attr_edit.h"
#include "formats/otlp/check.h"
#include "formats/otlp/rewrite.h"
#include "formats/otlp/view.h"
#include "tests/support/otlp_flat.h"
#include "tests/support/random_otlp.h"
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SEGMENTS_MAX = 16, ITEMS_MAX = 4096 };

static uint64_t seed;

static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
static const enum otlp_type tops[] = {OTLP_TRACES_DATA, OTLP_METRICS_DATA, OTLP_LOGS_DATA};

static bool grow(sl_writer *w, size_t more)
{
    const size_t room = w->used + more + 64; /* often, so that memory moves */
    uint8_t *at = malloc(room);
    if (w->used) {
        memcpy(at, w->at, w->used);
    }
    free(w->at);
    w->at = at;
    w->room = room;
    return true;
}

/* What is done to each item, decided beforehand. */
enum what { KEEP, APPEND, REPLACE, DROP };

struct plan {
    uint8_t what[ITEMS_MAX];
    uint32_t at;
    uint32_t headers; /* seen */
    bool mark_headers;
};

/* Unknown fields: legal in every message, and kept by protobuf-c behind all others. */
static const uint8_t mark[] = {0xe2, 0x76, 3, 'n', 'e', 'w'};

static enum otlp_verdict item(void *ctx, sl_bytes record, uint32_t metric_type,
                              struct otlp_parts *parts)
{
    struct plan *plan = ctx;
    (void)metric_type;
    switch (plan->what[plan->at++]) {
    case APPEND:
        otlp_parts_add(parts, record.p, record.n);
        otlp_parts_add(parts, mark, sizeof mark);
        return OTLP_CHANGE;
    case REPLACE:
        otlp_parts_add(parts, mark, sizeof mark);
        return OTLP_CHANGE;
    case DROP:
        return OTLP_DROP;
    default:
        return OTLP_KEEP;
    }
}

static enum otlp_verdict header(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct plan *plan = ctx;
    plan->headers++;
    otlp_parts_add(parts, record.p, record.n);
    otlp_parts_add(parts, mark, sizeof mark);
    return plan->mark_headers ? OTLP_CHANGE : OTLP_KEEP;
}

struct rewritten {
    struct otlp_rewriter r;
    uint64_t keep[ITEMS_MAX / 64];
    sl_bytes segments[SEGMENTS_MAX];
    uint32_t n_segments;
    sl_bytes all; /* the new request */
};

/* Each segment on memory of its own, so that sanitizers see each step beyond. */
static void split(struct rewritten *w, sl_bytes request)
{
    const uint8_t *from = request.p;
    sl_wire f = sl_wire_of(request);
    w->n_segments = 0;
    for (;;) {
        const bool more = w->n_segments < SEGMENTS_MAX - 1 && sl_wire_next(&f);
        if (more && random_below(&seed, 3)) {
            continue;
        }
        const uint8_t *to = more ? f.p : f.end;
        uint8_t *copy = malloc((size_t)(to - from) + 1);
        sl_put_slice(copy, sl_slice(from, (size_t)(to - from)));
        w->segments[w->n_segments++] = sl_slice(copy, (size_t)(to - from));
        from = to;
        if (!more) {
            return;
        }
    }
}

static int32_t rewrite(struct rewritten *w, uint32_t signal, sl_bytes request,
                       const struct otlp_rewrite_calls *calls, void *ctx)
{
    memset(w, 0, sizeof *w);
    memset(w->keep, 0xff, sizeof w->keep);
    split(w, request);
    w->r.keep = w->keep;
    w->r.out = sl_writer_growing(grow, NULL);
    const int32_t status = otlp_rewrite(&w->r, signal, w->segments, w->n_segments, calls, ctx);
    if (status != SL_OK) {
        return status;
    }
    uint8_t *at = malloc((size_t)w->r.bytes + 1), *p = at;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < w->r.n; i++) {
        const struct otlp_stretch *s = &w->r.stretches[i];
        assert_true(s->n > 0);
        p = sl_put_slice(p, sl_slice(s->p ? s->p : w->r.out.at + s->at, s->n));
        bytes += s->n;
    }
    assert_int_equal(bytes, w->r.bytes);
    w->all = sl_slice(at, (size_t)bytes);
    return SL_OK;
}

static void rewritten_free(struct rewritten *w)
{
    for (uint32_t i = 0; i < w->n_segments; i++) {
        free((void *)(uintptr_t)w->segments[i].p);
    }
    free((void *)(uintptr_t)w->all.p);
    free(w->r.out.at);
    otlp_rewriter_free(&w->r);
}

static void check_sound(const struct rewritten *w, uint32_t signal)
{
    struct otlp_checked checked;
    sl_error error = {.size = sizeof error};
    if (otlp_check(signal, w->all.p, w->all.n, NULL, &checked, &error) != SL_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(checked.items, w->r.items);
}

/* Aligned means: each stretch can be read by itself. */
static void check_aligned(const struct rewritten *w, uint32_t signal)
{
    for (uint32_t i = 0; w->r.aligned && i < w->r.n; i++) {
        const struct otlp_stretch *s = &w->r.stretches[i];
        struct otlp_checked checked;
        assert_int_equal(
            otlp_check(signal, s->p ? s->p : w->r.out.at + s->at, s->n, NULL, &checked, NULL),
            SL_OK);
    }
}

static void compare(const struct otlp_flat *old, const struct otlp_flat *new,
                    const struct plan *plan, const struct rewritten *w)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < old->n; i++) {
        assert_int_equal(sl_mask_test(w->keep, i), plan->what[i] != DROP);
        if (plan->what[i] == DROP) {
            continue;
        }
        assert_true(k < new->n);
        const struct otlp_flat_item *a = &old->items[i], *b = &new->items[k++];
        assert_int_equal(a->record, b->record);
        assert_memory_equal(a->at, b->at, a->record);
        const size_t a_n = plan->what[i] == REPLACE ? 0 : a->n - a->record;
        const size_t more = plan->what[i] == KEEP ? 0 : sizeof mark;
        assert_int_equal(b->n - b->record, a_n + more);
        assert_memory_equal(a->at + a->record, b->at + b->record, a_n);
        assert_memory_equal(b->at + b->record + a_n, mark, more);
    }
    assert_int_equal(k, new->n);
}

static void one_random(uint32_t s, uint32_t flags, uint32_t size)
{
    static struct rewritten w;
    static struct plan plan;
    const struct otlp_rewrite_calls calls = {.item = item};
    sl_writer request = random_otlp_writer();
    struct otlp_flat old, new;
    random_otlp(&seed, tops[s], flags, size, &request);
    assert_true(otlp_flat_init(&old, signals[s], sl_written(&request)));
    assert_true(old.n <= ITEMS_MAX);
    plan = (struct plan){.at = 0};
    const uint32_t mood = random_below(&seed, 5); /* mostly one thing, or all of them */
    bool changes = false;
    for (uint32_t i = 0; i < old.n; i++) {
        plan.what[i] =
            (uint8_t)(mood < 4 && random_below(&seed, 8) ? mood : random_below(&seed, 4));
        changes |= plan.what[i] != KEEP;
    }
    assert_int_equal(rewrite(&w, signals[s], sl_written(&request), &calls, &plan), SL_OK);
    assert_int_equal(plan.at, old.n);
    assert_int_equal(w.r.seen, old.n);
    assert_int_equal(w.r.changed, changes);
    if (changes) {
        check_sound(&w, signals[s]);
        check_aligned(&w, signals[s]);
        assert_true(otlp_flat_init(&new, signals[s], w.all));
        compare(&old, &new, &plan, &w);
        otlp_flat_deinit(&new);
    }
    rewritten_free(&w);
    otlp_flat_deinit(&old);
    free(request.at);
}

static void random_items(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 600; round++) {
        /* protobuf-c 1.4 cannot merge all messages that come in parts */
        const uint32_t flags = random_below(&seed, RANDOM_OTLP_FLAGS) & ~(uint32_t)RANDOM_REPEATED;
        one_random(round % 3, flags, 1 + random_below(&seed, 3));
    }
}

/* Headers get a mark; what is in them stays as it was. */
static void random_headers(void **state)
{
    static struct rewritten w;
    (void)state;
    for (uint32_t round = 0; round < 300; round++) {
        const uint32_t s = round % 3;
        const struct otlp_rewrite_calls calls = {.resource = round & 1 ? header : NULL,
                                                 .scope = round & 1 ? NULL : header};
        struct plan plan = {.mark_headers = true};
        sl_writer request = random_otlp_writer();
        random_otlp(&seed, tops[s], random_below(&seed, RANDOM_OTLP_FLAGS), 2, &request);
        const sl_bytes old = sl_written(&request);
        assert_int_equal(rewrite(&w, signals[s], old, &calls, &plan), SL_OK);
        assert_int_equal(w.r.changed, plan.headers > 0);
        if (w.r.changed) {
            const sl_bytes both[] = {old, w.all};
            struct otlp_view_plan sizes[2];
            sl_view views[2];
            void *memory[2];
            for (int i = 0; i < 2; i++) {
                assert_int_equal(otlp_view_plan(signals[s], &both[i], 1, &sizes[i], NULL), SL_OK);
                memory[i] = malloc(sizes[i].bytes + 1);
                assert_int_equal(otlp_view_build(&sizes[i], memory[i], &views[i], NULL), SL_OK);
            }
            assert_int_equal(views[0].items.n, views[1].items.n);
            const sl_array *at = round & 1 ? &views[1].resources : &views[1].scopes;
            assert_int_equal(at->n, plan.headers);
            for (uint32_t i = 0; i < at->n; i++) {
                const sl_bytes record = *(const sl_bytes *)sl_array_at(at, i); /* first member */
                assert_true(record.n >= sizeof mark);
                assert_memory_equal(record.p + record.n - sizeof mark, mark, sizeof mark);
            }
            free(memory[0]);
            free(memory[1]);
        }
        rewritten_free(&w);
        free(request.at);
    }
}

/* ---- long parts ---- */

static sl_bytes long_logs(uint8_t *at, size_t room, size_t body)
{
    static uint8_t text[20000];
    memset(text, 'x', sizeof text);
    sl_writer w = sl_writer_fixed(at, room);
    for (int r = 0; r < 3; r++) {
        const size_t resource = sl_write_begin(&w, 1);
        const size_t inner = sl_write_begin(&w, 1);
        sl_write_attr_text(&w, 1, sl_str("service.name"), sl_str("s"));
        sl_write_end(&w, inner);
        const size_t scope = sl_write_begin(&w, 2);
        for (int i = 0; i < 2; i++) {
            const size_t record = sl_write_begin(&w, 2);
            sl_write_value_text(&w, 5, sl_slice(text, body));
            sl_write_end(&w, record);
        }
        sl_write_end(&w, scope);
        sl_write_end(&w, resource);
    }
    assert_false(w.failed);
    return sl_written(&w);
}

static void long_parts_are_referenced(void **state)
{
    static struct rewritten w;
    static uint8_t at[200000];
    (void)state;
    const sl_bytes old = long_logs(at, sizeof at, 20000);
    struct plan plan = {.mark_headers = true, .what = {APPEND, KEEP, KEEP, DROP, DROP, DROP}};
    const struct otlp_rewrite_calls items = {.item = item};
    assert_int_equal(rewrite(&w, SL_LOGS, old, &items, &plan), SL_OK);
    check_sound(&w, SL_LOGS);
    assert_int_equal(w.r.items, 3);
    assert_true(w.r.out.used < 1000); /* all bodies are where they were */
    assert_false(w.r.aligned);
    rewritten_free(&w);

    plan = (struct plan){.mark_headers = true};
    const struct otlp_rewrite_calls headers = {.resource = header};
    assert_int_equal(rewrite(&w, SL_LOGS, old, &headers, &plan), SL_OK);
    assert_int_equal(w.r.seen, 0); /* nobody looked inside */
    w.r.items = 6;
    check_sound(&w, SL_LOGS);
    assert_true(w.r.out.used < 1000);
    rewritten_free(&w);

    plan = (struct plan){.what = {DROP, DROP, KEEP, KEEP, DROP, DROP}};
    assert_int_equal(rewrite(&w, SL_LOGS, old, &items, &plan), SL_OK);
    assert_int_equal(w.r.bytes, old.n / 3); /* the middle resource, by itself */
    assert_int_equal(w.r.out.used, 0);
    assert_true(w.r.aligned);
    rewritten_free(&w);

    plan = (struct plan){.what = {DROP, DROP, DROP, DROP, DROP, DROP}};
    assert_int_equal(rewrite(&w, SL_LOGS, old, &items, &plan), SL_OK);
    assert_int_equal(w.r.items + w.r.bytes, 0);
    rewritten_free(&w);
}

/* Lengths around those at which they take one byte more. */
static void lengths_change_size(void **state)
{
    static struct rewritten w;
    static uint8_t at[200000];
    (void)state;
    for (size_t body = 0; body < 300; body++) {
        for (int what = APPEND; what <= REPLACE; what++) {
            const sl_bytes old = long_logs(at, sizeof at, body < 200 ? body : body * 54);
            struct plan plan = {.at = 0};
            const struct otlp_rewrite_calls calls = {.item = item};
            memset(plan.what, what, 6);
            assert_int_equal(rewrite(&w, SL_LOGS, old, &calls, &plan), SL_OK);
            check_sound(&w, SL_LOGS);
            check_aligned(&w, SL_LOGS);
            rewritten_free(&w);
        }
    }
}

static void without_memory(void **state)
{
    static struct rewritten w;
    static uint8_t at[2000], room[40];
    const struct otlp_rewrite_calls calls = {.item = item};
    struct plan plan = {.what = {APPEND, APPEND, APPEND, APPEND, APPEND, APPEND}};
    const sl_bytes old = long_logs(at, sizeof at, 10);
    (void)state;
    memset(&w, 0, sizeof w);
    for (size_t n = 0; n < sizeof room; n++) {
        plan.at = 0;
        w.r.out = sl_writer_fixed(room, n);
        assert_int_equal(otlp_rewrite(&w.r, SL_LOGS, &old, 1, &calls, &plan), SL_ERR_NOMEM);
    }
    otlp_rewriter_free(&w.r);
}

static void malformed(void **state)
{
    static struct rewritten w;
    static uint8_t at[2000];
    const struct otlp_rewrite_calls calls = {.item = item};
    const sl_bytes old = long_logs(at, sizeof at, 10);
    (void)state;
    for (size_t n = 0; n < old.n; n++) {
        static struct plan plan;
        plan = (struct plan){.at = 0};
        memset(plan.what, APPEND, sizeof plan.what);
        const int32_t status = rewrite(&w, SL_LOGS, sl_slice(old.p, n), &calls, &plan);
        assert_int_equal(status, n % (old.n / 3) == 0 ? SL_OK : SL_ERR_INVALID);
        rewritten_free(&w);
    }
}

/* ---- attributes ---- */

struct editor {
    struct otlp_keys keys;
    struct otlp_attr_edit e;
    struct otlp_parts parts;
    uint8_t all[4096];
};

static void editor_init(struct editor *ed, bool all)
{
    static const char *const names[] = {"a", "key", "long.key.of.some.length"};
    memset(ed, 0, sizeof *ed);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(otlp_keys_add(&ed->keys, sl_str(names[i])), i);
    }
    assert_int_equal(otlp_keys_add(&ed->keys, sl_str("key")), 1);
    ed->e.keys = &ed->keys;
    ed->e.all = all;
}

static void editor_deinit(struct editor *ed)
{
    otlp_attrs_free(&ed->e);
    otlp_keys_free(&ed->keys);
    otlp_parts_free(&ed->parts);
}

/* "key=value" of all attributes of the stored record, one after another, behind its other bytes. */
static const char *stored(struct editor *ed)
{
    static char text[4096];
    uint8_t *p = ed->all;
    sl_bytes key;
    sl_value value;
    otlp_parts_clear(&ed->parts);
    assert_true(otlp_attrs_store(&ed->e, &ed->parts));
    for (uint32_t i = 0; i < ed->parts.n; i++) {
        p = sl_put_slice(p, ed->parts.at[i]);
    }
    assert_int_equal(p - ed->all, ed->parts.bytes);
    const sl_bytes record = sl_slice(ed->all, (size_t)(p - ed->all));
    sl_attrs attrs = sl_repeated_of(record, ed->e.field);
    size_t n = (size_t)snprintf(text, sizeof text, "%.*s:", (int)sl_message_bytes(record, 5).n,
                                (const char *)sl_message_bytes(record, 5).p);
    while (sl_attr_next(&attrs, &key, &value)) {
        n += (size_t)snprintf(text + n, sizeof text - n, " %.*s=", (int)key.n, (const char *)key.p);
        if (value.type == SL_VALUE_INT) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%lld", (long long)value.number.i);
        } else {
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)value.bytes.n,
                                  (const char *)value.bytes.p);
        }
    }
    return text;
}

static sl_bytes sample(uint8_t *at, size_t room)
{
    sl_writer w = sl_writer_fixed(at, room);
    sl_write_attr_text(&w, 9, sl_str("x"), sl_str("1"));
    sl_write_attr_text(&w, 9, sl_str("key"), sl_str("2"));
    sl_write_text(&w, 5, "name");
    sl_write_attr_int(&w, 9, sl_str("a"), 3);
    sl_write_attr_text(&w, 9, sl_str("key"), sl_str("4"));
    assert_false(w.failed);
    return sl_written(&w);
}

static void attributes_are_changed(void **state)
{
    uint8_t at[512];
    struct editor ed;
    const sl_bytes record = sample(at, sizeof at);
    (void)state;
    editor_init(&ed, false);
    assert_true(otlp_attrs_load(&ed.e, record, 9));
    assert_int_equal(ed.e.n, 3); /* those whose keys are known */
    assert_null(otlp_attrs_get(&ed.e, 2));
    assert_string_equal(stored(&ed), "name: x=1 key=2 a=3 key=4");
    assert_false(ed.e.changed);

    otlp_attrs_set(&ed.e, 1, otlp_any_text(&ed.e.scratch, sl_str("new")));
    assert_true(ed.e.changed);
    assert_string_equal(stored(&ed), "name: x=1 key=new a=3");

    otlp_attrs_set(&ed.e, 2, otlp_any_int(&ed.e.scratch, -7));
    otlp_attrs_remove(&ed.e, 0);
    assert_string_equal(stored(&ed), "name: x=1 key=new long.key.of.some.length=-7");

    otlp_attrs_remove(&ed.e, 2);
    otlp_attrs_remove(&ed.e, 1);
    assert_string_equal(stored(&ed), "name: x=1");
    otlp_attrs_set(&ed.e, 1, otlp_any_text(&ed.e.scratch, sl_str("back")));
    assert_string_equal(stored(&ed), "name: x=1 key=back");

    assert_true(otlp_attrs_load(&ed.e, record, 9));
    otlp_attrs_remove(&ed.e, 2);
    assert_false(ed.e.changed); /* it was not there */

    assert_true(otlp_attrs_load(&ed.e, sl_slice(NULL, 0), 9));
    otlp_attrs_set(&ed.e, 0, otlp_any_text(&ed.e.scratch, sl_str("")));
    assert_string_equal(stored(&ed), ": a=");
    editor_deinit(&ed);
}

static void all_attributes_are_loaded(void **state)
{
    uint8_t at[512];
    struct editor ed;
    (void)state;
    editor_init(&ed, true);
    assert_true(otlp_attrs_load(&ed.e, sample(at, sizeof at), 9));
    assert_int_equal(ed.e.n, 4);
    otlp_attr_replace(&ed.e, &ed.e.at[0], otlp_any_int(&ed.e.scratch, 5));
    otlp_attr_remove(&ed.e, &ed.e.at[3]);
    otlp_attrs_append(&ed.e, sl_str("more"), otlp_any_text(&ed.e.scratch, sl_str("6")));
    assert_string_equal(stored(&ed), "name: x=5 key=2 a=3 more=6");
    editor_deinit(&ed);
}

/* A record may give a key as often as it likes; each costs the same. The test's timeout tells. */
static void keys_may_stand_any_number_of_times(void **state)
{
    enum { TIMES = 1000000, PAIR = 9 };
    struct editor ed;
    sl_bytes value;
    (void)state;
    uint8_t *at = malloc(TIMES * PAIR);
    assert_non_null(at);
    sl_writer w = sl_writer_fixed(at, TIMES * PAIR);
    for (uint32_t i = 0; i < TIMES; i++) {
        sl_write_attr_int(&w, 9, sl_str("a"), i % 100);
    }
    assert_false(w.failed);
    editor_init(&ed, false);
    assert_true(otlp_attrs_load(&ed.e, sl_written(&w), 9));
    assert_int_equal(ed.e.n, TIMES);
    otlp_attrs_set(&ed.e, 0, otlp_any_int(&ed.e.scratch, 7));
    assert_string_equal(stored(&ed), ": a=7");
    value = otlp_attrs_get(&ed.e, 0)->any;
    assert_int_equal(sl_value_of(value).number.i, 7);
    uint8_t small[512];
    assert_true(otlp_attrs_load(&ed.e, sample(small, sizeof small), 9));
    assert_true(ed.e.room < 1000); /* the memory of the large one is given back */
    editor_deinit(&ed);
    free(at);
}

/* However an attribute is written, it is found and can be hidden: what the readers of otlp.h see is
 * what the editor sees. */
static void unusual_attributes_are_found(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } pairs[] = {
        {"\x12\x03\x0a\x01v\x0a\x03key", 10},          /* the value first */
        {"\x0a\x01x\x12\x03\x0a\x01v\x0a\x03key", 13}, /* two keys: the last counts */
        {"\x0a\x03key", 5},                            /* no value */
        {"\x0a\x83\x00key\x12\x03\x0a\x01v", 11},      /* long lengths */
        {"\x18\x01\x0a\x03key\x12\x03\x0a\x01v", 12},  /* unknown fields */
        {"\x0a\x03key\x12\x03\x0a\x01v\x18\x01", 12},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        for (int behind = 0; behind < 2; behind++) { /* the record's last field, or not */
            uint8_t at[256];
            struct editor ed;
            sl_writer w = sl_writer_fixed(at, sizeof at);
            sl_write_bytes(&w, 9, sl_slice(pairs[i].bytes, pairs[i].n));
            if (behind) {
                sl_write_text(&w, 5, "name");
                sl_write_fixed32(&w, 16, 0x101);
                sl_write_attr_text(&w, 9, sl_str("x"), sl_str("1"));
            }
            editor_init(&ed, false);
            assert_true(otlp_attrs_load(&ed.e, sl_written(&w), 9));
            assert_non_null(otlp_attrs_get(&ed.e, 1));
            otlp_attrs_remove(&ed.e, 1);
            assert_string_equal(stored(&ed), behind ? "name: x=1" : ":");
            assert_true(otlp_attrs_load(&ed.e, sl_written(&w), 9));
            otlp_attrs_set(&ed.e, 1, otlp_any_text(&ed.e.scratch, sl_str("****")));
            assert_string_equal(stored(&ed), behind ? "name: key=**** x=1" : ": key=****");
            editor_deinit(&ed);
        }
    }
}

/* Random spans: the editor and the iterator agree on all attributes. */
static void random_attributes(void **state)
{
    struct editor ed;
    (void)state;
    editor_init(&ed, true);
    for (uint32_t round = 0; round < 2000; round++) {
        sl_writer w = random_otlp_writer();
        random_otlp(&seed, OTLP_SPAN, random_below(&seed, RANDOM_OTLP_FLAGS), 3, &w);
        /* of exactly its size, so that sanitizers see each step beyond */
        uint8_t *copy = malloc(w.used ? w.used : 1);
        const sl_bytes record = sl_slice(copy, w.used);
        if (w.used) {
            memcpy(copy, w.at, w.used);
        }
        sl_bytes key;
        sl_value value;
        uint32_t n = 0;
        sl_attrs attrs = sl_repeated_of(record, 9);
        assert_true(otlp_attrs_load(&ed.e, record, 9));
        while (sl_attr_next(&attrs, &key, &value)) {
            assert_true(n < ed.e.n);
            const sl_value mine = sl_value_of(ed.e.at[n].any);
            assert_true(sl_eq(ed.e.at[n].key, key));
            assert_int_equal(mine.type, value.type);
            assert_int_equal(mine.number.u, value.number.u);
            assert_true(sl_eq(mine.bytes, value.bytes));
            n++;
        }
        assert_int_equal(ed.e.n, n);
        free(copy);
        free(w.at);
    }
    editor_deinit(&ed);
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_items),
        cmocka_unit_test(random_headers),
        cmocka_unit_test(long_parts_are_referenced),
        cmocka_unit_test(lengths_change_size),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(malformed),
        cmocka_unit_test(attributes_are_changed),
        cmocka_unit_test(all_attributes_are_loaded),
        cmocka_unit_test(keys_may_stand_any_number_of_times),
        cmocka_unit_test(unusual_attributes_are_found),
        cmocka_unit_test(random_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
