/* The public readers and the writer of <sluice/otlp.h>. */
#include <sluice/otlp.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_text(sl_bytes a, const char *text)
{
    assert_int_equal(a.n, strlen(text));
    if (a.n) {
        assert_memory_equal(a.p, text, a.n);
    }
}

static bool grow(sl_writer *w, size_t more)
{
    size_t *calls = w->ctx;
    const size_t room = w->used + more + 10;
    uint8_t *at = room <= 1 << 24 ? realloc(w->at, room) : NULL;
    *calls += 1;
    if (!at) {
        return false;
    }
    w->at = at;
    w->room = room;
    return true;
}

/* ---- writer ---- */

static void test_numbers_are_written_as_protobuf_does(void **state)
{
    (void)state;
    static const char golden[] = "\x08\x00\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x18\x01"
                                 "\x30\x01\x38\x02\x85\x01\x01\x02\x03\x04"
                                 "\x49\x00\x00\x00\x00\x00\x00\xf0\x3f\x52\x00\xfa\x3e\x02hi";
    uint8_t at[64];
    sl_writer w = sl_writer_fixed(at, sizeof golden - 1); /* it fits to the byte */
    sl_write_varint(&w, 1, 0);
    sl_write_int(&w, 2, -1);
    sl_write_bool(&w, 3, true);
    sl_write_sint(&w, 6, -1);
    sl_write_sint(&w, 7, 1);
    sl_write_fixed32(&w, 16, 0x04030201);
    sl_write_double(&w, 9, 1.0);
    sl_write_bytes(&w, 10, sl_slice(NULL, 0));
    sl_write_text(&w, 1007, "hi");
    assert_false(w.failed);
    assert_int_equal(w.used, sizeof golden - 1);
    assert_memory_equal(at, golden, sizeof golden - 1);
}

static void test_varint_sizes(void **state)
{
    (void)state;
    uint8_t at[SL_VARINT_MAX];
    for (int bit = 0; bit < 64; bit++) {
        for (int less = 0; less < 2; less++) {
            const uint64_t v = (UINT64_C(1) << bit) - (uint64_t)less;
            uint64_t read;
            const uint8_t *end = sl_put_varint(at, v);
            assert_int_equal(end - at, sl_varint_size(v));
            assert_ptr_equal(sl_get_varint(at, end, &read), end);
            assert_true(read == v);
            assert_null(sl_get_varint(at, end - 1, &read));
        }
    }
    assert_int_equal(sl_get_sint(1), -1);
    assert_int_equal(sl_get_sint(UINT64_MAX), INT64_MIN);
}

static void test_failing_is_sticky(void **state)
{
    (void)state;
    uint8_t at[8];
    for (size_t room = 0; room <= sizeof at; room++) {
        sl_writer w = sl_writer_fixed(at, room);
        const size_t outer = sl_write_begin(&w, 1);
        const size_t inner = sl_write_begin(&w, 2);
        sl_write_text(&w, 3, "ab");
        sl_write_end(&w, inner);
        sl_write_end(&w, outer);
        assert_int_equal(w.failed, room < 8);
        assert_true(w.used <= room);
        sl_write_bool(&w, 1, true);
        assert_true(w.failed);
        const size_t used = w.used;
        sl_write_raw(&w, sl_slice(NULL, 0));
        sl_write_attr_text(&w, 1, sl_str(""), sl_str(""));
        assert_int_equal(w.used, used);
    }
    size_t calls = 0;
    sl_writer w = sl_writer_growing(grow, &calls);
    uint8_t *much = calloc(1 << 24, 1);
    sl_write_bytes(&w, 1, sl_slice(much, 1 << 24)); /* more than grow gives */
    free(much);
    assert_true(w.failed);
    sl_write_bool(&w, 1, true);
    assert_int_equal(calls, 1);
    assert_int_equal(w.used, 0);
    free(w.at);
}

static void test_lengths_take_as_few_bytes_as_they_need(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};
    for (size_t i = 0; i < 8; i++) {
        for (size_t g = 0; g < 8; g++) {
            size_t calls = 0;
            sl_writer w = sl_writer_growing(grow, &calls);
            uint8_t *content = malloc(sizes[i] + 1);
            memset(content, 'x', sizes[i]);
            sl_write_text(&w, 1, "in front");
            const size_t mark = sl_write_begin_sized(&w, 20, sizes[g]);
            sl_write_raw(&w, sl_slice(content, sizes[i]));
            sl_write_end(&w, mark);
            sl_write_text(&w, 2, "behind");
            assert_false(w.failed);
            assert_int_equal(w.used, 10 + 2 + sl_varint_size(sizes[i]) + sizes[i] + 8);
            sl_wire r = sl_wire_of(sl_written(&w));
            assert_true(sl_wire_next(&r) && sl_wire_next(&r));
            assert_int_equal(r.number, 20);
            assert_int_equal(r.bytes.n, sizes[i]);
            assert_memory_equal(r.bytes.n ? r.bytes.p : content, content, sizes[i]);
            assert_true(sl_wire_next(&r));
            assert_text(r.bytes, "behind");
            assert_false(sl_wire_next(&r));
            assert_ptr_equal(r.p, r.end);
            free(content);
            free(w.at);
        }
    }
}

/* ---- wire ---- */

static void test_malformed_bytes_end_the_iteration(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, good; /* fields before the fault */
    } cases[] = {
        {"\x08", 1, 0},
        {"\x08\x01\x00\x01", 4, 1},
        {"\x08\x01\x0b\x0c", 4, 1},
        {"\x08\x01\x0e\x01", 4, 1},
        {"\x08\x01\x12\x05xxxx", 8, 1},
        {"\x08\x01\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13, 1},
        {"\x08\x01\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14, 1},
        {"\x08\x01\x11xxxxxxx", 10, 1},
        {"\x08\x01\x15xxx", 6, 1},
        {"\x08\x01\xff\xff\xff\xff\xff\xff\x01", 9, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *copy = malloc(cases[i].n);
        memcpy(copy, cases[i].bytes, cases[i].n);
        sl_wire w = sl_wire_of(sl_slice(copy, cases[i].n));
        size_t good = 0;
        while (sl_wire_next(&w)) {
            good++;
        }
        assert_int_equal(good, cases[i].good);
        assert_ptr_equal(w.p, copy + 2 * good); /* the field that is malformed */
        assert_false(sl_wire_next(&w));
        sl_bytes message;
        sl_repeated r = sl_repeated_of(sl_slice(copy, cases[i].n), 2);
        assert_false(sl_repeated_next(&r, &message));
        assert_false(sl_repeated_next(&r, &message));
        free(copy);
    }
    sl_repeated beyond = sl_repeated_in(sl_str("\x12\x00"), 0, 3, 2);
    sl_bytes message;
    assert_false(sl_repeated_next(&beyond, &message));
}

/* ---- values and attributes ---- */

static void test_attributes(void **state)
{
    (void)state;
    uint8_t at[512];
    sl_writer w = sl_writer_fixed(at, sizeof at);
    sl_write_attr_text(&w, 9, sl_str("text"), sl_str("value"));
    sl_write_text(&w, 5, "another field between them");
    sl_write_attr_int(&w, 9, sl_str("int"), -7);
    sl_write_attr_double(&w, 9, sl_str("double"), 2.5);
    sl_write_attr_bool(&w, 9, sl_str("bool"), true);
    sl_write_attr_text(&w, 9, sl_str("twice"), sl_str("first"));
    sl_write_attr_text(&w, 9, sl_str("twice"), sl_str("second"));
    sl_write_attr_text(&w, 9, sl_str("empty"), sl_str(""));
    const size_t kv = sl_write_begin(&w, 9);
    sl_write_text(&w, 1, "bytes");
    sl_write_value_bytes(&w, 2, sl_slice("\0\xff", 2));
    sl_write_end(&w, kv);
    sl_write_bytes(&w, 9, sl_str("\x0a\x07nothing"));
    assert_false(w.failed);

    const sl_attrs attrs = sl_repeated_of(sl_written(&w), 9);
    static const char *const keys[] = {"text",  "int",   "double", "bool",   "twice",
                                       "twice", "empty", "bytes",  "nothing"};
    static const uint32_t types[] = {SL_VALUE_TEXT, SL_VALUE_INT,   SL_VALUE_DOUBLE,
                                     SL_VALUE_BOOL, SL_VALUE_TEXT,  SL_VALUE_TEXT,
                                     SL_VALUE_TEXT, SL_VALUE_BYTES, SL_VALUE_EMPTY};
    sl_attrs all = attrs;
    sl_bytes key;
    sl_value value;
    for (size_t i = 0; i < 9; i++) {
        assert_true(sl_attr_next(&all, &key, &value));
        assert_text(key, keys[i]);
        assert_int_equal(value.type, types[i]);
    }
    assert_false(sl_attr_next(&all, &key, &value));

    assert_text(sl_attr_text(attrs, "text"), "value");
    assert_text(sl_attr_text(attrs, "twice"), "first"); /* of equal keys the first counts */
    assert_non_null(sl_attr_text(attrs, "empty").p);
    assert_null(sl_attr_text(attrs, "int").p);
    assert_null(sl_attr_text(attrs, "tex").p);
    assert_int_equal(sl_attr_int(attrs, "int", 1), -7);
    assert_int_equal(sl_attr_int(attrs, "double", 1), 1);
    assert_true(sl_attr_number(attrs, "int", 1) == -7.0);
    assert_true(sl_attr_number(attrs, "double", 1) == 2.5);
    assert_true(sl_attr_number(attrs, "bool", 1) == 1.0);
    assert_true(sl_attr_number(attrs, "absent", 9) == 9.0);
    assert_true(sl_attr_find(attrs, sl_str("text"), &value));
    assert_true(sl_value_is(&value, "value"));
    assert_false(sl_value_is(&value, "valu"));
    assert_true(sl_attr_find(attrs, sl_str("bool"), &value));
    assert_int_equal(value.number.u, 1);
    assert_false(sl_value_is(&value, ""));
    assert_true(sl_attr_find(attrs, sl_str("bytes"), &value));
    assert_int_equal(value.bytes.n, 2);
    assert_false(sl_attr_find(attrs, sl_str("absent"), &value));
    assert_int_equal(value.type, SL_VALUE_EMPTY);
}

static void test_values_in_unusual_encodings(void **state)
{
    (void)state;
    sl_value v = sl_value_of(sl_str("\x0a\x01x\x18\x05")); /* of several, the last */
    assert_int_equal(v.type, SL_VALUE_INT);
    assert_int_equal(v.number.i, 5);
    assert_int_equal(v.bytes.n, 0);
    v = sl_value_of(sl_str("\x18\x05\x0a\x01x"));
    assert_text(v.bytes, "x");
    assert_int_equal(v.number.u, 0);
    v = sl_value_of(sl_str("\x40\x05")); /* string_value_strindex: not outside profiles */
    assert_int_equal(v.type, SL_VALUE_EMPTY);
    v = sl_value_of(sl_str("\x08\x05\x1d"
                           "1234")); /* wrong wire types */
    assert_int_equal(v.type, SL_VALUE_EMPTY);
    v = sl_value_of(sl_str("\x10\x80\x02")); /* every truth but 0 is 1 */
    assert_int_equal(v.number.u, 1);

    sl_bytes key, any;
    sl_attr_split(sl_slice("\x12\x03\x0a\x01v\x12\x00\x0a\x01k", 10), &key,
                  &any); /* value in parts */
    assert_text(key, "k");
    assert_text(sl_value_of(any).bytes, "v");
}

static void test_walking_a_value(void **state)
{
    (void)state;
    uint8_t at[256];
    sl_writer w = sl_writer_fixed(at, sizeof at);
    const size_t map = sl_write_begin(&w, 6); /* {a: [1, "two", []], b: {}, c: true} */
    size_t kv = sl_write_begin(&w, 1);
    sl_write_text(&w, 1, "a");
    size_t any = sl_write_begin(&w, 2);
    const size_t list = sl_write_begin(&w, 5);
    sl_write_value_int(&w, 1, 1);
    sl_write_value_text(&w, 1, sl_str("two"));
    sl_write_bytes(&w, 1, sl_slice("\x2a\x00", 2));
    sl_write_end(&w, list);
    sl_write_end(&w, any);
    sl_write_end(&w, kv);
    kv = sl_write_begin(&w, 1);
    sl_write_text(&w, 1, "b");
    any = sl_write_begin(&w, 2);
    sl_write_bytes(&w, 6, sl_slice(NULL, 0));
    sl_write_end(&w, any);
    sl_write_end(&w, kv);
    sl_write_attr_bool(&w, 1, sl_str("c"), true);
    sl_write_end(&w, map);
    assert_false(w.failed);

    static const struct {
        int32_t step;
        uint32_t type, depth;
        const char *key;
    } steps[] = {{SL_WALK_OPEN, SL_VALUE_MAP, 1, NULL},
                 {SL_WALK_OPEN, SL_VALUE_LIST, 2, "a"},
                 {SL_WALK_VALUE, SL_VALUE_INT, 3, NULL},
                 {SL_WALK_VALUE, SL_VALUE_TEXT, 3, NULL},
                 {SL_WALK_OPEN, SL_VALUE_LIST, 3, NULL},
                 {SL_WALK_CLOSE, 0, 3, NULL},
                 {SL_WALK_CLOSE, 0, 2, NULL},
                 {SL_WALK_OPEN, SL_VALUE_MAP, 2, "b"},
                 {SL_WALK_CLOSE, 0, 2, NULL},
                 {SL_WALK_VALUE, SL_VALUE_BOOL, 2, "c"},
                 {SL_WALK_CLOSE, 0, 1, NULL},
                 {SL_WALK_END, 0, 0, NULL},
                 {SL_WALK_END, 0, 0, NULL}};
    const sl_value value = sl_value_of(sl_written(&w));
    sl_value_walk walk;
    sl_value_walk_begin(&walk, &value);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(sl_value_walk_next(&walk), steps[i].step);
        assert_int_equal(walk.depth, steps[i].depth);
        if (steps[i].step == SL_WALK_OPEN || steps[i].step == SL_WALK_VALUE) {
            assert_int_equal(walk.value.type, steps[i].type);
        }
        assert_text(walk.key, steps[i].key ? steps[i].key : "");
    }
    const sl_value plain = sl_value_of(sl_str("\x18\x05"));
    sl_value_walk_begin(&walk, &plain);
    assert_int_equal(sl_value_walk_next(&walk), SL_WALK_VALUE);
    assert_int_equal(walk.depth, 1);
    assert_int_equal(sl_value_walk_next(&walk), SL_WALK_END);
}

static void test_a_walk_has_a_limit(void **state)
{
    (void)state;
    uint8_t at[2][1024];
    for (uint32_t depth = SL_VALUE_DEPTH_MAX - 1; depth <= SL_VALUE_DEPTH_MAX + 1; depth++) {
        sl_bytes any = sl_slice("\x2a\x00", 2); /* the innermost list is one level, too */
        for (uint32_t i = 1; i < depth; i++) {
            sl_writer w = sl_writer_fixed(at[i % 2], sizeof at[0]);
            const size_t list = sl_write_begin(&w, 5);
            sl_write_bytes(&w, 1, any);
            sl_write_end(&w, list);
            assert_false(w.failed);
            any = sl_written(&w);
        }
        const sl_value value = sl_value_of(any);
        sl_value_walk walk;
        uint32_t opened = 0;
        int32_t step;
        sl_value_walk_begin(&walk, &value);
        while ((step = sl_value_walk_next(&walk)) > 0) {
            opened += step == SL_WALK_OPEN;
        }
        assert_int_equal(step, depth > SL_VALUE_DEPTH_MAX ? SL_WALK_TOO_DEEP : SL_WALK_END);
        assert_int_equal(opened, depth > SL_VALUE_DEPTH_MAX ? SL_VALUE_DEPTH_MAX : depth);
    }
}

/* ---- points ---- */

static void test_numbers_packed_and_not(void **state)
{
    (void)state;
    static const uint64_t few[] = {1, 300, UINT64_MAX};
    uint8_t at[256];
    sl_number number;
    for (uint32_t wire = 0; wire < 2; wire++) {
        sl_writer w = sl_writer_fixed(at, sizeof at);
        for (uint32_t part = 0; part < 2; part++) {
            if (wire == SL_VARINT) {
                sl_write_packed_varint(&w, 2, few, 3);
                sl_write_varint(&w, 2, 4);
            } else {
                sl_write_packed_fixed64(&w, 2, few, 3);
                sl_write_fixed64(&w, 2, 4);
            }
            sl_write_bytes(&w, 2, sl_slice(NULL, 0));
            sl_write_varint(&w, 3, 99);
        }
        sl_write_packed_varint(&w, 2, few, 0);
        assert_false(w.failed);
        sl_numbers numbers = sl_numbers_of(sl_written(&w), 2, wire);
        assert_int_equal(sl_numbers_count(numbers), 8);
        for (uint32_t i = 0; i < 8; i++) {
            assert_true(sl_numbers_next(&numbers, &number));
            assert_true(number.u == (i % 4 < 3 ? few[i % 4] : 4));
        }
        assert_false(sl_numbers_next(&numbers, &number));
        assert_false(sl_numbers_next(&numbers, &number));
    }
    /* a run that ends inside a number gives the whole ones, then what follows */
    sl_numbers cut = sl_numbers_of(sl_str("\x12\x09"
                                          "12345678x\x11"
                                          "abcdefgh"),
                                   2, SL_FIXED64);
    assert_int_equal(sl_numbers_count(cut), 2);
    cut = sl_numbers_of(sl_str("\x12\x02\x01\xff\x10\x05"), 2, SL_VARINT);
    assert_int_equal(sl_numbers_count(cut), 2);
}

static sl_point point_of(const sl_writer *w, uint8_t type)
{
    sl_point p;
    memset(&p, 0, sizeof p);
    p.record = sl_written(w);
    p.type = type;
    p.attrs_end = p.exemplars_end = (uint32_t)w->used;
    return p;
}

static void write_exemplar(sl_writer *w, uint32_t field)
{
    const size_t mark = sl_write_begin(w, field);
    sl_write_fixed64(w, 2, 77);
    sl_write_bytes(w, 4, sl_str("8 bytes."));
    sl_write_bytes(w, 5, sl_str("sixteen bytes..."));
    sl_write_double(w, 3, 1.5);
    sl_write_attr_text(w, 7, sl_str("filtered"), sl_str("yes"));
    sl_write_end(w, mark);
}

static void assert_exemplar(const sl_point *p)
{
    sl_exemplar e;
    sl_repeated all = sl_point_exemplars(p);
    assert_true(sl_exemplar_next(&all, &e));
    assert_int_equal(e.time_ns, 77);
    assert_text(e.span_id, "8 bytes.");
    assert_text(e.trace_id, "sixteen bytes...");
    assert_int_equal(e.value_type, SL_VALUE_DOUBLE);
    assert_true(e.value.f == 1.5);
    assert_text(sl_attr_text(sl_exemplar_attrs(&e), "filtered"), "yes");
    assert_false(sl_exemplar_next(&all, &e));
}

static void test_histograms(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 2, 3};
    static const double bounds[] = {0.5, 1.0};
    uint8_t at[256];
    sl_number number;
    sl_writer w = sl_writer_fixed(at, sizeof at);
    sl_write_fixed64(&w, 4, 6);
    sl_write_double(&w, 5, -2.5);
    sl_write_packed_fixed64(&w, 6, counts, 3);
    sl_write_packed_double(&w, 7, bounds, 2);
    sl_write_double(&w, 12, 0);
    sl_write_attr_text(&w, 9, sl_str("k"), sl_str("v"));
    write_exemplar(&w, 8);
    assert_false(w.failed);
    const sl_point p = point_of(&w, SL_METRIC_HISTOGRAM);
    const sl_histogram h = sl_point_histogram(&p);
    assert_int_equal(h.count, 6);
    assert_true(h.sum == -2.5);
    assert_int_equal(h.has, SL_HAS_SUM | SL_HAS_MAX); /* a maximum of 0 is given, too */
    assert_int_equal(sl_numbers_count(h.bucket_counts), 3);
    sl_numbers b = h.bounds;
    assert_true(sl_numbers_next(&b, &number) && number.f == 0.5);
    assert_true(sl_numbers_next(&b, &number) && number.f == 1.0);
    assert_false(sl_numbers_next(&b, &number));
    assert_text(sl_attr_text(sl_point_attrs(&p), "k"), "v");
    assert_exemplar(&p);
}

static void test_exponential_histograms(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 300};
    uint8_t at[256];
    sl_number number;
    sl_writer w = sl_writer_fixed(at, sizeof at);
    sl_write_attr_text(&w, 1, sl_str("k"), sl_str("v"));
    sl_write_fixed64(&w, 4, 10);
    sl_write_double(&w, 5, 3);
    sl_write_sint(&w, 6, -1);
    sl_write_fixed64(&w, 7, 2);
    size_t mark = sl_write_begin(&w, 8);
    sl_write_sint(&w, 1, -5);
    sl_write_packed_varint(&w, 2, counts, 2);
    sl_write_end(&w, mark);
    mark = sl_write_begin(&w, 9);
    sl_write_sint(&w, 1, 7);
    sl_write_end(&w, mark);
    sl_write_double(&w, 12, -1);
    sl_write_double(&w, 14, 0.25);
    write_exemplar(&w, 11);
    assert_false(w.failed);
    const sl_point p = point_of(&w, SL_METRIC_EXPONENTIAL);
    const sl_exponential e = sl_point_exponential(&p);
    assert_int_equal(e.count, 10);
    assert_int_equal(e.zero_count, 2);
    assert_int_equal(e.scale, -1);
    assert_int_equal(e.has, SL_HAS_SUM | SL_HAS_MIN);
    assert_true(e.sum == 3 && e.min == -1 && e.zero_threshold == 0.25);
    assert_int_equal(e.positive_offset, -5);
    assert_int_equal(e.negative_offset, 7);
    assert_int_equal(sl_numbers_count(e.negative), 0);
    sl_numbers positive = e.positive;
    assert_true(sl_numbers_next(&positive, &number) && number.u == 1);
    assert_true(sl_numbers_next(&positive, &number) && number.u == 300);
    assert_text(sl_attr_text(sl_point_attrs(&p), "k"), "v");
    assert_exemplar(&p);
}

static void test_summaries(void **state)
{
    (void)state;
    uint8_t at[256];
    double quantile, value;
    sl_writer w = sl_writer_fixed(at, sizeof at);
    sl_write_fixed64(&w, 4, 10);
    sl_write_double(&w, 5, 3);
    for (int i = 0; i < 2; i++) {
        const size_t mark = sl_write_begin(&w, 6);
        sl_write_double(&w, 1, 0.5 * i);
        sl_write_double(&w, 2, 10.0 * i);
        sl_write_end(&w, mark);
    }
    sl_write_attr_text(&w, 7, sl_str("k"), sl_str("v"));
    const sl_point p = point_of(&w, SL_METRIC_SUMMARY);
    sl_summary s = sl_point_summary(&p);
    assert_int_equal(s.count, 10);
    assert_true(s.sum == 3);
    assert_true(sl_quantile_next(&s.quantiles, &quantile, &value) && quantile == 0 && value == 0);
    assert_true(sl_quantile_next(&s.quantiles, &quantile, &value));
    assert_true(quantile == 0.5 && value == 10.0);
    assert_false(sl_quantile_next(&s.quantiles, &quantile, &value));
    assert_text(sl_attr_text(sl_point_attrs(&p), "k"), "v");
}

/* ---- spans, events, links ---- */

static void test_events_links_and_status(void **state)
{
    (void)state;
    uint8_t at[512];
    sl_writer w = sl_writer_fixed(at, sizeof at);
    sl_write_text(&w, 3, "state=1");
    for (int i = 0; i < 2; i++) {
        size_t mark = sl_write_begin(&w, 11);
        sl_write_fixed64(&w, 1, 100 + (uint64_t)i);
        sl_write_text(&w, 2, "event");
        sl_write_attr_int(&w, 3, sl_str("i"), i);
        sl_write_int(&w, 4, 5);
        sl_write_end(&w, mark);
        mark = sl_write_begin(&w, 13);
        sl_write_bytes(&w, 1, sl_str("sixteen bytes..."));
        sl_write_bytes(&w, 2, sl_str("8 bytes."));
        sl_write_text(&w, 3, "link=1");
        sl_write_attr_int(&w, 4, sl_str("i"), i);
        sl_write_int(&w, 5, 6);
        sl_write_fixed32(&w, 6, 0x300);
        sl_write_end(&w, mark);
    }
    size_t mark = sl_write_begin(&w, 15);
    sl_write_text(&w, 2, "it failed");
    sl_write_int(&w, 3, SL_SPAN_ERROR);
    sl_write_end(&w, mark);
    sl_write_bytes(&w, 15, sl_slice(NULL, 0)); /* merged: changes nothing */
    assert_false(w.failed);

    sl_span s;
    memset(&s, 0, sizeof s);
    s.record = sl_written(&w);
    s.events_end = s.links_end = (uint32_t)w.used;
    sl_event event;
    sl_link link;
    sl_repeated events = sl_span_events(&s), links = sl_span_links(&s);
    for (int i = 0; i < 2; i++) {
        assert_true(sl_event_next(&events, &event));
        assert_int_equal(event.time_ns, 100 + i);
        assert_text(event.name, "event");
        assert_int_equal(event.dropped_attributes, 5);
        assert_int_equal(sl_attr_int(sl_event_attrs(&event), "i", 9), i);
        assert_true(sl_link_next(&links, &link));
        assert_text(link.trace_id, "sixteen bytes...");
        assert_text(link.span_id, "8 bytes.");
        assert_text(link.trace_state, "link=1");
        assert_int_equal(link.dropped_attributes, 6);
        assert_int_equal(link.flags, 0x300);
        assert_int_equal(sl_attr_int(sl_link_attrs(&link), "i", 9), i);
    }
    assert_false(sl_event_next(&events, &event));
    assert_false(sl_link_next(&links, &link));
    assert_text(sl_message_bytes(s.record, 3), "state=1");
    assert_text(sl_span_status_message(&s), "it failed");
    assert_int_equal(sl_message_number(sl_message_bytes(s.record, 11), 1), 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_written_as_protobuf_does),
        cmocka_unit_test(test_varint_sizes),
        cmocka_unit_test(test_failing_is_sticky),
        cmocka_unit_test(test_lengths_take_as_few_bytes_as_they_need),
        cmocka_unit_test(test_malformed_bytes_end_the_iteration),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_values_in_unusual_encodings),
        cmocka_unit_test(test_walking_a_value),
        cmocka_unit_test(test_a_walk_has_a_limit),
        cmocka_unit_test(test_numbers_packed_and_not),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_exponential_histograms),
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_events_links_and_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
