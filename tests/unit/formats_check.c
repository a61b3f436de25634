/* The wire check: golden bytes, every kind of damage, and the quick check against the thorough one
 * and protobuf-c on random requests. Takes --seed N. */
#include "tests/support/otlp_flat.h"
#include "tests/support/random_otlp.h"
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The thorough check alone: the same code, with a quick check that never knows. */
#include "formats/otlp/check_fast.h"
static const uint8_t *never_known(enum otlp_type type, const uint8_t *p, const uint8_t *end,
                                  const uint8_t *limit, uint32_t max_depth, struct otlp_run *run)
{
    (void)type;
    (void)end;
    (void)limit;
    (void)max_depth;
    *run = (struct otlp_run){.records = 0};
    return p;
}
#define otlp_check_run never_known
#define otlp_check otlp_check_thorough
#include "formats/otlp/check.c"
#undef otlp_check
#undef otlp_check_run
int32_t otlp_check(uint32_t signal, const uint8_t *bytes, size_t n,
                   const struct otlp_limits *limits, struct otlp_checked *result, sl_error *error);

static uint64_t seed;

/* Does the quick check know the span to be in order? It lies at the end of what may be read, or
 * not. */
static bool known(sl_bytes span, uint32_t max_depth)
{
    enum { AFTER = 300 };
    sl_writer w = random_otlp_writer();
    struct otlp_run run;
    sl_write_bytes(&w, 2, span);
    const uint8_t *end = w.at + w.used;
    const bool alone =
        otlp_check_run(OTLP_SPAN, w.at, end, end, max_depth, &run) == end && run.records == 1;
    const uint8_t after[AFTER] = {0};
    sl_write_raw(&w, sl_slice(after, sizeof after));
    end = w.at + w.used - AFTER;
    const bool followed =
        otlp_check_run(OTLP_SPAN, w.at, end, end + AFTER, max_depth, &run) == end &&
        run.records == 1;
    assert_int_equal(alone, followed);
    free(w.at);
    return alone;
}

/* wire-formats: one span, service.name=a, name op, attribute k=v, status ERROR, flags 0x101 */
static const char golden[] =
    "\x0a\x63\x0a\x15\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01"
    "a\x12\x4a\x12\x48\x0a\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
    "\x12\x08\x01\x02\x03\x04\x05\x06\x07\x08\x2a\x02op\x30\x02\x39\x01\0\0\0\0\0\0\0"
    "\x41\x02\0\0\0\0\0\0\0\x4a\x08\x0a\x01k\x12\x03\x0a\x01v\x7a\x02\x18\x02\x85\x01\x01\x01\0\0";

static sl_bytes golden_bytes(void)
{
    return sl_slice(golden, sizeof golden - 1);
}

/* Both checks on a copy that ends where the memory does, so that sanitizers see each step beyond;
 * they agree on everything. */
static int32_t check(uint32_t signal, sl_bytes b, const struct otlp_limits *limits,
                     struct otlp_checked *checked, sl_error *error)
{
    struct otlp_checked thorough = {.items = 77};
    sl_error other = {.size = sizeof other};
    uint8_t *copy = malloc(b.n ? b.n : 1);
    if (b.n) {
        memcpy(copy, b.p, b.n);
    }
    error->text[0] = 0;
    checked->items = checked->records = 77;
    const int32_t status = otlp_check(signal, copy, b.n, limits, checked, error);
    assert_int_equal(otlp_check_thorough(signal, copy, b.n, limits, &thorough, &other), status);
    if (status == SL_OK) {
        assert_int_equal(checked->items, thorough.items);
        assert_int_equal(checked->records, thorough.records);
    } else {
        assert_string_equal(error->text, other.text);
        assert_int_equal(error->code, status);
        assert_int_equal(checked->items, 77);
    }
    free(copy);
    return status;
}

static void accepts(uint32_t signal, sl_bytes b, uint32_t items)
{
    struct otlp_checked checked;
    sl_error error = {.size = sizeof error};
    if (check(signal, b, NULL, &checked, &error) != SL_OK) {
        fail_msg("refused: %s", error.text);
    }
    assert_int_equal(checked.items, items);
}

static void refuses(uint32_t signal, sl_bytes b, const char *text)
{
    struct otlp_checked checked;
    sl_error error = {.size = sizeof error};
    assert_int_equal(check(signal, b, NULL, &checked, &error), SL_ERR_INVALID);
    assert_string_equal(error.text, text);
}

static void refuses_inside(uint32_t signal, sl_bytes b, const char *part)
{
    struct otlp_checked checked;
    sl_error error = {.size = sizeof error};
    assert_int_equal(check(signal, b, NULL, &checked, &error), SL_ERR_INVALID);
    if (!strstr(error.text, part)) {
        fail_msg("\"%s\" lacks \"%s\"", error.text, part);
    }
}

/* ---- building requests ---- */

/* resource_spans[0].scope_spans[0].spans[before] = record */
static sl_bytes in_span(sl_writer *w, uint32_t before, sl_bytes record)
{
    *w = random_otlp_writer();
    const size_t rs = sl_write_begin(w, 1), ss = sl_write_begin(w, 2);
    for (uint32_t i = 0; i < before; i++) {
        sl_write_bytes(w, 2, sl_slice("", 0));
    }
    sl_write_bytes(w, 2, record);
    sl_write_end(w, ss);
    sl_write_end(w, rs);
    return sl_written(w);
}

static void span_accepted(const char *bytes, size_t n)
{
    sl_writer w;
    accepts(SL_TRACES, in_span(&w, 0, sl_slice(bytes, n)), 1);
    free(w.at);
}

static void span_refused(const char *bytes, size_t n, const char *text)
{
    sl_writer w;
    refuses(SL_TRACES, in_span(&w, 0, sl_slice(bytes, n)), text);
    free(w.at);
}

#define SPAN_OK(literal) span_accepted(literal, sizeof(literal) - 1)
#define SPAN_BAD(literal, text) span_refused(literal, sizeof(literal) - 1, text)
#define AT "resource_spans[0].scope_spans[0].spans[0]"

/* ---- tests ---- */

static void test_golden(void **state)
{
    (void)state;
    struct otlp_checked checked;
    sl_error error = {.size = sizeof error};
    assert_int_equal(golden_bytes().n, 101);
    accepts(SL_TRACES, golden_bytes(), 1);
    assert_true(known(sl_slice(golden_bytes().p + 29, 72), 32));

    uint8_t twice[202]; /* requests one after another are one */
    memcpy(twice, golden, 101);
    memcpy(twice + 101, golden, 101);
    assert_int_equal(check(SL_TRACES, sl_slice(twice, 202), NULL, &checked, &error), SL_OK);
    assert_int_equal(checked.items, 2);
    assert_int_equal(checked.records, 2);

    accepts(SL_TRACES, sl_slice(NULL, 0), 0);
    accepts(SL_TRACES, sl_slice("\x0a\x00", 2), 0);
}

static void test_other_signals_are_unsupported(void **state)
{
    (void)state;
    struct otlp_checked checked;
    sl_error error = {.size = sizeof error};
    assert_int_equal(otlp_check(SL_PROFILES, golden_bytes().p, 101, NULL, &checked, &error),
                     SL_ERR_UNSUPPORTED);
    assert_int_equal(otlp_check(SL_PROFILES, golden_bytes().p, 101, NULL, &checked, NULL),
                     SL_ERR_UNSUPPORTED);
    assert_int_equal(
        otlp_check(SL_TRACES, golden_bytes().p, (size_t)UINT32_MAX + 1, NULL, &checked, &error),
        SL_ERR_TOO_LARGE);
}

static void test_truncation_at_every_byte(void **state)
{
    (void)state;
    for (size_t n = 1; n < 101; n++) {
        struct otlp_checked checked;
        sl_error error = {.size = sizeof error};
        assert_int_equal(check(SL_TRACES, sl_slice(golden, n), NULL, &checked, &error),
                         SL_ERR_INVALID);
    }
    refuses(SL_TRACES, sl_slice(golden, 1),
            "resource_spans[0]: the message ends inside a number (offset 0)");
    refuses(SL_TRACES, sl_slice(golden, 100),
            "resource_spans[0]: 99 bytes, but the message has only 98 left (offset 0)");
}

static void test_ids(void **state)
{
    (void)state;
    char bytes[70000] = {0x0a};
    sl_writer w;
    SPAN_OK("\x0a\x00\x12\x00\x22\x00"); /* as some encoders write what is not set */
    SPAN_BAD("\x0a\x0f"
             "123456789012345",
             AT ".trace_id: 15 bytes, must be 0 or 16 (offset 6)");
    SPAN_BAD("\x12\x07"
             "1234567",
             AT ".span_id: 7 bytes, must be 0 or 8 (offset 6)");
    SPAN_BAD("\x22\x09"
             "123456789",
             AT ".parent_span_id: 9 bytes, must be 0 or 8 (offset 6)");
    SPAN_BAD("\x6a\x0a\x0a\x08"
             "12345678",
             AT ".links[0].trace_id: 8 bytes, must be 0 or 16 (offset 8)");
    refuses_inside(SL_TRACES, in_span(&w, 12, sl_slice("\x0a\x01x", 3)),
                   "resource_spans[0].scope_spans[0].spans[12].trace_id: 1 bytes");
    free(w.at);
    bytes[1] = (char)0x80; /* 64 KiB */
    bytes[2] = (char)0x80;
    bytes[3] = 4;
    refuses_inside(SL_TRACES, in_span(&w, 0, sl_slice(bytes, 4 + 65536)), "trace_id: 65536 bytes");
    free(w.at);
    refuses_inside(SL_LOGS, sl_slice("\x0a\x07\x12\x05\x12\x03\x52\x01x", 9),
                   "resource_logs[0].scope_logs[0].log_records[0].span_id: 1 bytes");
    refuses_inside(SL_METRICS,
                   sl_slice("\x0a\x0d\x12\x0b\x12\x09\x2a\x07\x0a\x05\x2a\x03\x22\x01x", 15),
                   "metrics[0].gauge.data_points[0].exemplars[0].span_id: 1 bytes");
}

static void test_numbers_and_lengths(void **state)
{
    (void)state;
    SPAN_OK("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    SPAN_OK("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"); /* bits above the 64th are dropped */
    SPAN_OK("\x30\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00");
    SPAN_BAD("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x01",
             AT ".kind: a number of more than ten bytes (offset 6)");
    SPAN_BAD("\x30\xff\xff", AT ".kind: the message ends inside a number (offset 6)");
    SPAN_BAD("\x39\x01\x02", AT ".start_time_unix_nano: 8 bytes, but the message has only 2 left "
                                "(offset 6)");
    SPAN_BAD("\x85\x01\x02", AT ".flags: 4 bytes, but the message has only 1 left (offset 6)");
    SPAN_BAD("\x2a\x80\x80\x80\x80\x08", /* 2^31 */
             AT ".name: 2147483648 bytes, but the message has only 0 left (offset 6)");
    SPAN_BAD("\x2a\xff\xff\xff\xff\x0f",
             AT ".name: 4294967295 bytes, but the message has only 0 left (offset 6)");
    SPAN_BAD("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
             AT ".name: 9223372036854775807 bytes, but the message has only 0 left (offset 6)");
    SPAN_BAD("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
             AT ".name: 18446744073709551615 bytes, but the message has only 0 left (offset 6)");
    SPAN_OK("\x2a\x82\x80\x00op"); /* a length in more bytes than it needs */
    SPAN_OK("\xaa\x80\x00\x02op"); /* a tag, too */
}

static void test_wire_types(void **state)
{
    (void)state;
    SPAN_BAD("\x00\x01", AT ": field number 0 (offset 6)");
    SPAN_BAD("\x80\x80\x80\x80\x10\x01", AT ": field number 536870912 (offset 6)");
    SPAN_BAD("\x28\x01", AT ".name: wire type 0, must be 2 (offset 6)");
    SPAN_BAD("\x38\x01", AT ".start_time_unix_nano: wire type 0, must be 1 (offset 6)");
    SPAN_BAD("\x48\x01", AT ".attributes[0]: wire type 0, must be 2 (offset 6)");
    SPAN_BAD("\x8b\x06\x8c\x06",
             AT ".field 97: wire type 3: groups are not part of OTLP (offset 6)");
    SPAN_BAD("\x8c\x06", AT ".field 97: wire type 4: groups are not part of OTLP (offset 6)");
    SPAN_BAD("\x0b\x0c", AT ".trace_id: wire type 3, must be 2 (offset 6)");
    SPAN_BAD("\x8e\x06", AT ".field 97: wire type 6 (offset 6)");
    SPAN_OK("\x88\x06\x01\x89\x06"
            "12345678\x8a\x06\x02\xff\xff\x8d\x06"
            "1234"); /* unknown fields of all kinds */
    refuses(SL_TRACES, sl_slice("\x07", 1), "field number 0 (offset 0)");
}

static void test_unknown_fields_are_passed_over(void **state)
{
    (void)state;
    accepts(SL_TRACES, sl_slice("\xc2\x3e\x01x", 4), 0); /* 1000, once instrumentation libraries */
    accepts(SL_TRACES, sl_slice("\x0a\x04\xc2\x3e\x01x", 6), 0);
}

static void test_text_is_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t valid; /* bytes before the fault; all of them: no fault */
    } cases[] = {{"plain", 5},
                 {"\x7f", 1},
                 {"\x80", 0},
                 {"a\xbf", 1},
                 {"\xc0\xaf", 0},
                 {"\xc1\xbf", 0},
                 {"\xc2\x80", 2},
                 {"\xc2", 0},
                 {"\xc2x", 0},
                 {"\xdf\xbf", 2},
                 {"\xe0\x9f\xbf", 0},
                 {"\xe0\xa0\x80", 3},
                 {"\xed\x9f\xbf", 3},
                 {"\xed\xa0\x80", 0},
                 {"\xed\xbf\xbf", 0},
                 {"\xee\x80\x80", 3},
                 {"\xef\xbf\xbf", 3},
                 {"\xef\xbf", 0},
                 {"\xf0\x8f\xbf\xbf", 0},
                 {"\xf0\x90\x80\x80", 4},
                 {"\xf4\x8f\xbf\xbf", 4},
                 {"\xf4\x90\x80\x80", 0},
                 {"\xf5\x80\x80\x80", 0},
                 {"\xf8\x88\x80\x80\x80", 0},
                 {"\xfe", 0},
                 {"\xff", 0},
                 {"twelve bytes\xc3\xa9 and then some more\xff.", 33}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = strlen(cases[i].bytes);
        assert_int_equal(otlp_utf8_valid((const uint8_t *)cases[i].bytes, n), cases[i].valid);
        sl_writer record = random_otlp_writer(), w;
        sl_write_text(&record, 5, cases[i].bytes);
        if (cases[i].valid == n) {
            accepts(SL_TRACES, in_span(&w, 0, sl_written(&record)), 1);
        } else {
            char text[140];
            snprintf(text, sizeof text, AT ".name: not UTF-8 at byte %zu of %zu (offset 6)",
                     cases[i].valid, n);
            refuses(SL_TRACES, in_span(&w, 0, sl_written(&record)), text);
        }
        free(record.at);
        free(w.at);
    }
    SPAN_OK("\x2a\x03"
            "a\0b");
    SPAN_BAD("\x4a\x09\x0a\x01k\x12\x04\x0a\x02\xc3\x28",
             AT ".attributes[0].value.string_value: not UTF-8 at byte 0 of 2 (offset 13)");
    SPAN_BAD("\x4a\x07\x0a\x01\xff\x12\x02\x10\x01",
             AT ".attributes[0].key: not UTF-8 at byte 0 of 1 (offset 8)");
    SPAN_OK("\x4a\x09\x0a\x01k\x12\x04\x3a\x02\xc3\x28"); /* bytes are not text */
}

/* The quick check sees a text's wrong byte wherever it stands. */
static void test_wrong_byte_anywhere(void **state)
{
    (void)state;
    /* no length is '~': they are below 120, or of two bytes */
    for (size_t n = 0; n < 300; n += n < 20 ? 1 : n == 98 ? 42 : 13) {
        sl_writer record = random_otlp_writer();
        const uint8_t id[16] = {0xff, 0x80};
        char text[301];
        memset(text, '~', sizeof text);
        sl_write_bytes(&record, 1, sl_slice(id, 16));
        sl_write_fixed64(&record, 7, UINT64_C(0x8081828384858687));
        sl_write_attr_text(&record, 9, sl_str("~~"), sl_slice(text, n));
        sl_write_attr_int(&record, 9, sl_str("~"), -1);
        const size_t end = record.used;
        assert_true(known(sl_slice(record.at, end), 32));
        for (size_t i = 0; i < end; i++) {
            if (record.at[i] != '~') {
                continue;
            }
            const uint8_t kept = record.at[i];
            sl_writer w;
            record.at[i] = 0xbf;
            assert_false(known(sl_slice(record.at, end), 32));
            refuses_inside(SL_TRACES, in_span(&w, 0, sl_written(&record)), "not UTF-8");
            free(w.at);
            record.at[i] = kept;
        }
        free(record.at);
    }
}

/* Numbers and lengths with bytes above 0x7f between texts hide no such byte in a text, nor do they
 * make a good text unknown. */
static void test_wrong_byte_among_numbers(void **state)
{
    (void)state;
    static const size_t texts[] = {3, 60, 140, 30, 5000};
    static const double doubles[] = {-1.5, -1e9, 0.1};
    static char text[5001];
    memset(text, '~', sizeof text);
    for (uint32_t long_texts = 0; long_texts < 2; long_texts++) {
        sl_writer record = random_otlp_writer();
        for (uint32_t i = 0; i < 64; i++) { /* varints of one to ten bytes */
            sl_write_attr_int(&record, 9, sl_str("~~~"), (int64_t)(UINT64_C(1) << i));
            sl_write_attr_bool(&record, 9, sl_str("~"), i & 1);
            sl_write_attr_double(&record, 9, sl_str("~~"), doubles[i % 3]);
            if (i % 16 == 0) {
                sl_write_attr_text(&record, 9, sl_str("~"),
                                   sl_slice(text, texts[i / 16 + long_texts]));
            }
        }
        const size_t end = record.used;
        assert_true(known(sl_slice(record.at, end), 32));
        for (size_t i = 0; i < end; i++) {
            if (record.at[i] == '~' && (i == 0 || record.at[i - 1] == 0x01 || i % 37 == 0)) {
                record.at[i] = 0xbf;
                assert_false(known(sl_slice(record.at, end), 32));
                record.at[i] = '~';
            }
        }
        free(record.at);
    }
}

/* An attribute whose value is nested `depth` deep in lists or maps. */
static sl_bytes nested(sl_writer *w, uint32_t depth, bool map)
{
    sl_writer inner = random_otlp_writer(), outer;
    sl_write_int(&inner, 3, 7);
    for (uint32_t i = 1; i < depth; i++) {
        sl_writer next = random_otlp_writer();
        const size_t any = sl_write_begin(&next, map ? 6 : 5);
        const size_t entry = sl_write_begin(&next, 1);
        if (map) {
            sl_write_bytes(&next, 2, sl_written(&inner));
        } else {
            sl_write_raw(&next, sl_written(&inner));
        }
        sl_write_end(&next, entry);
        sl_write_end(&next, any);
        free(inner.at);
        inner = next;
    }
    outer = random_otlp_writer();
    const size_t attribute = sl_write_begin(&outer, 9);
    sl_write_text(&outer, 1, "deep");
    sl_write_bytes(&outer, 2, sl_written(&inner));
    sl_write_end(&outer, attribute);
    free(inner.at);
    const sl_bytes request = in_span(w, 0, sl_written(&outer));
    free(outer.at);
    return request;
}

static void test_depth(void **state)
{
    (void)state;
    static const uint32_t limits[] = {0, 1, 2, 3, 10, 31, 64, 1000};
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        const struct otlp_limits given = {.max_depth = limits[l]};
        const uint32_t limit = !limits[l]                       ? OTLP_DEPTH_DEFAULT
                               : limits[l] > SL_VALUE_DEPTH_MAX ? SL_VALUE_DEPTH_MAX
                                                                : limits[l];
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t depth = limit + i / 2;
            struct otlp_checked checked;
            sl_error error = {.size = sizeof error};
            sl_writer w;
            const sl_bytes request = nested(&w, depth, i % 2);
            const int32_t status = check(SL_TRACES, request, &given, &checked, &error);
            assert_int_equal(status, depth > limit ? SL_ERR_INVALID : SL_OK);
            if (depth > limit) {
                char part[60];
                snprintf(part, sizeof part, "values nested deeper than %u", limit);
                assert_non_null(strstr(error.text, part));
            }
            free(w.at);
        }
    }
    for (uint32_t depth = 1000; depth <= 4000; depth += 1000) {
        sl_writer w;
        refuses_inside(SL_TRACES, nested(&w, depth, depth % 2000 == 0),
                       "values nested deeper than 32");
        free(w.at);
    }
}

/* {a: ["x", 1], b: {c: "y"}}: known quickly as deep as it may be, and the two checks agree on it
 * with any byte changed to any other. */
static void test_maps(void **state)
{
    (void)state;
    static const char map[] =
        "\x4a\x2c\x0a\x01\x6b\x12\x27\x32\x25"
        "\x0a\x10\x0a\x01\x61\x12\x0b\x2a\x09\x0a\x03\x0a\x01\x78\x0a\x02\x18\x01"
        "\x0a\x11\x0a\x01\x62\x12\x0c\x32\x0a\x0a\x08\x0a\x01\x63\x12\x03\x0a\x01\x79";
    uint8_t changed[sizeof map - 1];
    memcpy(changed, map, sizeof changed);
    assert_true(known(sl_slice(changed, sizeof changed), 3));
    assert_false(known(sl_slice(changed, sizeof changed), 2));
    for (size_t i = 0; i < sizeof changed; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            const struct otlp_limits limits = {.max_depth = 2 + byte % 2};
            struct otlp_checked checked;
            sl_error error = {.size = sizeof error};
            sl_writer w;
            changed[i] = (uint8_t)byte;
            check(SL_TRACES, in_span(&w, 0, sl_slice(changed, sizeof changed)), &limits, &checked,
                  &error);
            free(w.at);
        }
        changed[i] = (uint8_t)map[i];
    }
}

/* A million levels would take a terabyte to write honestly; the lengths can lie, though. */
static void test_depth_bomb_with_false_lengths(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    uint8_t *bomb = malloc(N);
    for (size_t i = 0; i + 4 <= N; i += 4) {
        memcpy(bomb + i, "\x2a\x7f\x0a\x7e", 4);
    }
    sl_writer w;
    sl_writer attribute = random_otlp_writer();
    const size_t kv = sl_write_begin_sized(&attribute, 9, N);
    sl_write_bytes(&attribute, 2, sl_slice(bomb, N));
    sl_write_end(&attribute, kv);
    refuses_inside(SL_TRACES, in_span(&w, 0, sl_written(&attribute)), "attributes[0].value");
    free(w.at);
    free(attribute.at);
    free(bomb);
}

static void test_large_counts(void **state)
{
    (void)state;
    static const struct {
        uint32_t signal;
        const char *repeated; /* two bytes: an empty field of the item, or the item itself */
        bool items;
    } cases[] = {{SL_TRACES, "\x12\x00", true},  {SL_TRACES, "\x4a\x00", false},
                 {SL_TRACES, "\x5a\x00", false}, {SL_TRACES, "\x6a\x00", false},
                 {SL_LOGS, "\x12\x00", true},    {SL_LOGS, "\x32\x00", false}};
    enum { N = 1 << 20 }; /* times two bytes */
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        sl_writer w = random_otlp_writer();
        const size_t rs = sl_write_begin(&w, 1), ss = sl_write_begin(&w, 2);
        const size_t item = cases[c].items ? 0 : sl_write_begin(&w, 2);
        for (uint32_t i = 0; i < N; i++) {
            sl_write_raw(&w, sl_slice(cases[c].repeated, 2));
        }
        if (!cases[c].items) {
            sl_write_end(&w, item);
        }
        sl_write_end(&w, ss);
        sl_write_end(&w, rs);
        accepts(cases[c].signal, sl_written(&w), cases[c].items ? N : 1);
        free(w.at);
    }
}

static void test_metrics(void **state)
{
    (void)state;
    /* a histogram point with bucket counts packed, one by one, and of a wrong length */
    accepts(SL_METRICS,
            sl_slice("\x0a\x16\x12\x14\x12\x12\x4a\x10\x0a\x0a\x32\x08"
                     "12345678\x0a\x00\x10\x02",
                     24),
            2);
    accepts(SL_METRICS,
            sl_slice("\x0a\x11\x12\x0f\x12\x0d\x4a\x0b\x0a\x09\x31\x31\x32\x33\x34"
                     "5678",
                     19),
            1);
    refuses_inside(SL_METRICS,
                   sl_slice("\x0a\x0d\x12\x0b\x12\x09\x4a\x07\x0a\x05\x3a\x03"
                            "123",
                            15),
                   "histogram.data_points[0].explicit_bounds[0]: 3 bytes, must be a multiple of 8");
    /* exponential buckets: varints */
    refuses_inside(SL_METRICS,
                   sl_slice("\x0a\x0e\x12\x0c\x12\x0a\x52\x08\x0a\x06\x42\x04\x12\x02\x01\xff", 16),
                   "exponential_histogram.data_points[0].positive.bucket_counts[0]: the message "
                   "ends inside a number");
    /* numbers of up to ten bytes end in their run, longer ones are none */
    for (size_t n = 1; n < 40; n++) {
        for (size_t high = 0; high <= n; high++) {
            uint8_t run[40];
            sl_writer w = random_otlp_writer();
            size_t at[6];
            static const uint32_t path[] = {1, 2, 2, 10, 1, 8};
            memset(run, 1, sizeof run);
            memset(run + (n - high) / 2, 0xff, high);
            for (size_t i = 0; i < 6; i++) {
                at[i] = sl_write_begin(&w, path[i]);
            }
            sl_write_bytes(&w, 2, sl_slice(run, n));
            for (size_t i = 6; i > 0; i--) {
                sl_write_end(&w, at[i - 1]);
            }
            if (run[n - 1] == 1 && high < 10) {
                accepts(SL_METRICS, sl_written(&w), 1);
            } else {
                refuses_inside(SL_METRICS, sl_written(&w),
                               high < 10 ? "ends inside a number" : "than ten bytes");
            }
            free(w.at);
        }
    }
    /* one kind of data, in parts: merged; two kinds: which points count would be open */
    accepts(SL_METRICS, sl_slice("\x0a\x0c\x12\x0a\x12\x08\x2a\x02\x0a\x00\x2a\x02\x0a\x00", 14),
            2);
    refuses(SL_METRICS, sl_slice("\x0a\x0c\x12\x0a\x12\x08\x2a\x02\x0a\x00\x3a\x02\x0a\x00", 14),
            "resource_metrics[0].scope_metrics[0].metrics[0].sum: a metric cannot also have gauge "
            "(offset 10)");
}

static void test_long_paths_are_cut(void **state)
{
    (void)state;
    sl_writer w;
    struct otlp_checked checked;
    sl_error error = {.size = sizeof error};
    const struct otlp_limits limits = {.max_depth = 64};
    const sl_bytes request = nested(&w, 65, true);
    assert_int_equal(check(SL_TRACES, request, &limits, &checked, &error), SL_ERR_INVALID);
    assert_true(strlen(error.text) < 300);
    assert_non_null(strstr(error.text, "(offset"));
    free(w.at);
}

static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
static const enum otlp_type tops[] = {OTLP_TRACES_DATA, OTLP_METRICS_DATA, OTLP_LOGS_DATA};

static void test_random_requests_are_accepted(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 600; round++) {
        const uint32_t s = round % 3;
        struct otlp_flat flat;
        sl_writer w = random_otlp_writer();
        /* protobuf-c 1.4 cannot merge all messages that come in parts */
        const uint32_t flags = random_below(&seed, RANDOM_OTLP_FLAGS) & ~(uint32_t)RANDOM_REPEATED;
        random_otlp(&seed, tops[s], flags, 2, &w);
        assert_true(otlp_flat_init(&flat, signals[s], sl_written(&w)));
        accepts(signals[s], sl_written(&w), flat.n);
        otlp_flat_deinit(&flat);
        free(w.at);
    }
}

/* Whatever is done to the bytes, the two checks agree. */
static void test_random_damage(void **state)
{
    (void)state;
    uint32_t accepted = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        const uint32_t s = round % 3;
        struct otlp_checked checked;
        sl_error error = {.size = sizeof error};
        sl_writer w = random_otlp_writer();
        random_otlp(&seed, tops[s], random_below(&seed, RANDOM_OTLP_FLAGS), 1, &w);
        for (uint32_t i = 1 + random_below(&seed, 3); i > 0 && w.used > 0; i--) {
            const size_t at = random_below(&seed, (uint32_t)w.used);
            switch (random_below(&seed, 4)) {
            case 0:
                w.at[at] = (uint8_t)random_u64(&seed);
                break;
            case 1:
                w.at[at] ^= (uint8_t)(1u << random_below(&seed, 8));
                break;
            case 2:
                w.used = at;
                break;
            default:
                w.at[at] = (uint8_t)(w.at[at] + random_below(&seed, 3) - 1);
                break;
            }
        }
        if (check(signals[s], sl_written(&w), NULL, &checked, &error) == SL_OK) {
            accepted++;
        }
        free(w.at);
    }
    assert_in_range(accepted, 1000, 19000);
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_other_signals_are_unsupported),
        cmocka_unit_test(test_truncation_at_every_byte),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_numbers_and_lengths),
        cmocka_unit_test(test_wire_types),
        cmocka_unit_test(test_unknown_fields_are_passed_over),
        cmocka_unit_test(test_text_is_utf8),
        cmocka_unit_test(test_wrong_byte_anywhere),
        cmocka_unit_test(test_wrong_byte_among_numbers),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_depth_bomb_with_false_lengths),
        cmocka_unit_test(test_large_counts),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_long_paths_are_cut),
        cmocka_unit_test(test_random_requests_are_accepted),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
