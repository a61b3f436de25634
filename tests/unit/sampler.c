/* The probabilistic sampler's decisions, held against those that the Collector's own tests expect for
 * the same trace ids, and what it writes into the items that it keeps. */
#include "processors/probabilistic_sampler/sampler.h"
#include "formats/otlp/view_entries.h"
#include "tests/support/plugin_host.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

/* Half of its randomness: kept at 50 %, and not at 49 %. */
static const char half[] = "fefefefefefefefefe80000000000000";
static const char most[] = "111111111111111111ffffffffffffff"; /* kept at any percentage */

static void trace_id_of(const char *hex, uint8_t id[16])
{
    for (int i = 0; i < 16; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        id[i] = (uint8_t)byte;
    }
}

static struct sampler sampler_of(uint32_t mode, double percentage, uint32_t precision)
{
    struct sampler s = {.mode = mode,
                        .sampling_percentage = percentage,
                        .sampling_precision = precision,
                        .hash_seed = 4312};
    return s;
}

/* A span as it is on the wire, decided about. NULL: it is left out. Else its new trace state. */
static const char *decide_span(struct sampler s, const char *trace_id, const char *trace_state,
                               void (*attributes)(sl_writer *))
{
    static char text[TRACESTATE_ROOM + 1];
    uint8_t bytes[4096], fresh[8192];
    sl_span span;
    uint8_t id[16];
    sl_writer w = sl_writer_fixed(bytes, sizeof bytes), out = sl_writer_fixed(fresh, sizeof fresh);
    struct item item;
    trace_id_of(trace_id, id);
    sl_write_bytes(&w, 1, sl_slice(id, 16));
    if (trace_state[0])
        sl_write_text(&w, 3, trace_state);
    sl_write_text(&w, 5, "name");
    if (attributes)
        attributes(&w);
    assert_true(otlp_read_span(sl_written(&w), &span));
    sampler_prepare(&s);
    span_read(&span, &item);
    sampler_decide(&s, &item);
    if (!item.sampled)
        return NULL;
    sl_bytes state = sl_str(trace_state);
    if (item.changed) {
        span_write(&span, &item, &out);
        assert_false(out.failed);
        state = sl_message_bytes(sl_written(&out), 3);
        assert_true(sl_eq(sl_message_bytes(sl_written(&out), 5), sl_str("name")));
    }
    assert_true(state.n < sizeof text);
    memcpy(text, state.p, state.n);
    text[state.n] = '\0';
    return text;
}

static void check(const char *got, const char *expected, const char *about)
{
    if (!got != !expected || (got && strcmp(got, expected) != 0))
        fail_msg("%s: \"%s\", but \"%s\" was expected", about, got ? got : "left out",
                 expected ? expected : "left out");
}

/* Of the Collector's processor/probabilisticsamplerprocessor/tracesprocessor_test.go (Apache-2.0),
 * Test_tracesamplerprocessor_TraceState. */
static void trace_states(void **state)
{
    static const struct {
        const char *about, *trace_id, *trace_state;
        double percentage;
        uint32_t precision;
        const char *equalizing, *proportional; /* NULL: left out */
    } cases[] = {
        {"100 percent", half, "", 100, 0, "ot=th:0", "ot=th:0"},
        {"50 percent sampled", half, "", 50, 0, "ot=th:8", "ot=th:8"},
        {"25 percent sampled", "ddddddddddddddddddc0000000000000", "", 25, 0, "ot=th:c", "ot=th:c"},
        {"25 percent unsampled", "ddddddddddddddddddb0000000000000", "", 25, 0, NULL, NULL},
        {"1 percent sampled", half, "ot=rv:FD70A3D70A3D71", 1, 0,
         "ot=rv:FD70A3D70A3D71;th:fd70a3d70a3d71", "ot=rv:FD70A3D70A3D71;th:fd70a3d70a3d71"},
        {"precision 4", half, "ot=rv:FD70A3D70A3D71", 1, 4, "ot=rv:FD70A3D70A3D71;th:fd70a",
         "ot=rv:FD70A3D70A3D71;th:fd70a"},
        {"precision 3", half, "ot=rv:FD70A3D70A3D71", 1, 3, NULL, NULL},
        {"1 percent not sampled", half, "ot=rv:FD70A3D70A3D70", 1, 0, NULL, NULL},
        {"49 percent", half, "", 49, 0, NULL, NULL},
        {"1 percent with rvalue", half, "ot=rv:fd70B000000000", 1, 0,
         "ot=rv:fd70B000000000;th:fd70a3d70a3d71", "ot=rv:fd70B000000000;th:fd70a3d70a3d71"},
        {"1 percent with tid", "a0a0a0a0a0a0a0a0a0fe000000000000", "", 1, 4, "ot=th:fd70a",
         "ot=th:fd70a"},
        {"incoming 50 percent", half, "ot=rv:90000000000000;th:80000000000000", 50, 0,
         "ot=rv:90000000000000;th:8", NULL},
        {"incoming 50 percent at 25, not sampled", half, "ot=th:8", 25, 0, NULL, NULL},
        {"incoming 50 percent at 25, sampled", "ffffffffffffffffffffffffffffffff", "ot=th:8", 25, 0,
         "ot=th:c", "ot=th:e"},
        {"equalizing vs proportional", half, "ot=rv:c0000000000000;th:8", 50, 0,
         "ot=rv:c0000000000000;th:8", "ot=rv:c0000000000000;th:c"},
        {"inconsistent arriving threshold", half, "ot=rv:40000000000000;th:8", 100, 0,
         "ot=rv:40000000000000;th:0", "ot=rv:40000000000000;th:0"},
        {"40 percent precision 3", half, "ot=rv:a0000000000000", 40, 3,
         "ot=rv:a0000000000000;th:99a", "ot=rv:a0000000000000;th:99a"},
        {"arriving 50 at 40 precision 6", "a0a0a0a0a0a0a0a0a0d0000000000000", "ot=th:8", 40, 6,
         "ot=th:99999a", "ot=th:cccccd"},
        {"arriving 50 at 40 partly", "a0a0a0a0a0a0a0a0a0b0000000000000", "ot=th:8", 40, 3,
         "ot=th:99a", NULL},
        {"arriving 50 at 40 not sampled", "a0a0a0a0a0a0a0a0a080000000000000", "ot=th:8", 40, 3,
         NULL, NULL},
        {"200 percent", half, "", 200, 0, "ot=th:0", "ot=th:0"},
        {"tiny probability", most, "ot=th:fffc", 100 * 0x1p-14, 0, "ot=th:fffc", "ot=th:fffffff"},
        {"almost 100 percent", most, "", (1 - 8e-7) * 100, 10, "ot=th:00000cccccccd",
         "ot=th:00000cccccccd"},
        {"underflow", most, "ot=th:fffffffffffff8", 0x1p-4, 0, "ot=th:fffffffffffff8", NULL},
        {"others are kept", half, "a=1, ot=x:y;th:0;z1:-._ ,,\tb@c=2 3", 50, 0,
         "ot=th:8;x:y;z1:-._,a=1,b@c=2 3", "ot=th:8;x:y;z1:-._,a=1,b@c=2 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(decide_span(sampler_of(MODE_EQUALIZING, cases[i].percentage, cases[i].precision),
                          cases[i].trace_id, cases[i].trace_state, NULL),
              cases[i].equalizing, cases[i].about);
        check(decide_span(sampler_of(MODE_PROPORTIONAL, cases[i].percentage, cases[i].precision),
                          cases[i].trace_id, cases[i].trace_state, NULL),
              cases[i].proportional, cases[i].about);
    }
}

/* The same file's TestHashingFunction: 50 percent. */
static void hashes(void **state)
{
    static const struct {
        uint32_t seed;
        const char *trace_id;
        bool sampled;
    } cases[] = {
        {653, "474a03c76d75951a4b4c537ced8f1122", true},
        {563, "53a518291e91307e43cd8467bb06f986", true},
        {142, "a56a02f843b9bc6ee0b13889249e90e6", true},
        {904, "4e40762d3ee97a1c0932e4fa584f89a8", false},
        {445, "5224507db93db513f0ea2a4b4e0578c8", true},
        {38, "0c8717ced36216037af657e9d7f8b35b", true},
        {561, "2a8aa76c18d08e1e8be935541f9318c7", false},
        {757, "9e3d0f9481dc422cb613ea550897ae71", false},
        {22, "66a66c516ac22054673e5da5e6492545", false},
        {172, "84a1ce7bcea3e66194e72b4aa2694e31", true},
        {552, "a811a7def34ca4b98d8e320afd115fad", false},
        {546, "e3a345cc8dbb6f014bfa1edad3981820", true},
        {315, "a71effb50e28d27cbdc9892f3765b8c2", false},
        {510, "55ee665a3fa22f8ea1b744ce15a7339d", false},
        {230, "7a5006be4d0ce7b542d59f83cd6f1c41", false},
        {544, "825b8fb9cfd45867794f4cd8a5a699bd", false},
        {790, "7629ecbea89398bfd9752a2f51c2c137", true},
        {555, "de6cdfb44d69e211f886c57120d7bda0", true},
        {147, "a8a5c3bb9205883fae17ead6675b2450", false},
        {238, "937e6cb3332dbe87062fa3997f48f425", false},
        {6, "d6a68b47c66d1f94eed46b8ddc72faf4", false},
        {16, "2533c732bed8c1ba4721c25a1205f06c", false},
        {936, "ecc770b4be885dfc8d6fa135bc2c93bb", true},
        {99, "497f02db51c898ac441aae18a8b7ced9", false},
        {773, "988481445600bb91bbe23e3103034bcd", true},
        {928, "f1813835ac0f456721ef3aac39c0269a", true},
        {235, "1999920085682c007eb3a6984d2a7f05", true},
        {460, "60c3b9a2dde734d71ba5cca7eb164bce", true},
    };
    uint8_t zeros[16] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sampler s = sampler_of(MODE_HASH_SEED, 50, 4);
        s.hash_seed = cases[i].seed;
        assert_int_equal(decide_span(s, cases[i].trace_id, "", NULL) != NULL, cases[i].sampled);
    }
    /* TestEmptyHashFunction */
    assert_int_equal(randomness_of_hash(0, sl_slice(NULL, 0)) & 0x3fff, 0x3515);
    assert_int_equal(randomness_of_hash(0, sl_slice(zeros, 16)) & 0x3fff, 0x2455);
}

/* Test_tracesamplerprocessor_HashSeedTraceState. */
static void hash_thresholds(void **state)
{
    static const struct {
        float percentage;
        const char *threshold;
    } cases[] = {{100, "0"}, {75, "4"}, {50, "8"}, {25, "c"}, {10, "e668"}, {100.0F / 3, "aaac"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sampler s = sampler_of(MODE_HASH_SEED, (double)cases[i].percentage, 4);
        char id[40], th[40];
        int found = 0;
        for (uint32_t k = 1; found < 10; k++) {
            snprintf(id, sizeof id, "%032x", k * 2654435761u);
            const char *text = decide_span(s, id, "", NULL);
            struct sampling_state read;
            if (!text)
                continue;
            found++;
            assert_true(tracestate_read(sl_str(text), &read));
            snprintf(th, sizeof th, ";th:%s", cases[i].threshold);
            assert_string_equal(strstr(text, ";"), th);
            assert_true(read.threshold <= read.randomness);
        }
    }
    /* what is too little for 14 bits is nothing */
    assert_null(decide_span(sampler_of(MODE_HASH_SEED, 0.005, 4), most, "", NULL));
    /* what was sampled by OpenTelemetry's rules is not touched */
    check(decide_span(sampler_of(MODE_HASH_SEED, 1, 4), half, "ot=th:8", NULL), "ot=th:8", "th");
    check(decide_span(sampler_of(MODE_HASH_SEED, 1, 4), half, "ot=rv:00000000000000", NULL),
          "ot=rv:00000000000000", "rv");
}

/* Test_tracesamplerprocessor_TraceStateErrors and _MissingRandomness. */
static void errors(void **state)
{
    static const char none[] = "00000000000000000000000000000000";
    static const struct {
        const char *trace_id, *trace_state;
    } cases[] = {
        {half, "ot=rv:abababababababab"},
        {half, "ot=th:abababababababab"},
        {half, "ot=th:-1"},
        {"ffffffffffffffffff70000000000000", "ot=th:8"},
        {half, "ot=th:8;rv:70000000000000"},
        {half, "ot=th:8;"},
        {half, "ot="},
        {half, "ot=TH:8"},
        {half, "=x"},
        {half, "A=x"},
        {half, "a=x=y"},
        {half, "a=\x7f"},
        {none, ""},
    };
    char longest[TRACESTATE_MAX + 2] = "a=";
    (void)state;
    for (uint32_t mode = MODE_PROPORTIONAL; mode <= MODE_EQUALIZING; mode++) {
        struct sampler s = sampler_of(mode, 100, 4);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            s.fail_closed = 1;
            assert_null(decide_span(s, cases[i].trace_id, cases[i].trace_state, NULL));
            s.fail_closed = 0;
            assert_non_null(decide_span(s, cases[i].trace_id, cases[i].trace_state, NULL));
        }
        /* what cannot be read is handed on as it is */
        check(decide_span(s, half, "ot=th:-1", NULL), "ot=th:-1", "malformed");
        s.fail_closed = 1;
        memset(longest + 2, 'x', sizeof longest - 3);
        assert_null(decide_span(s, half, longest, NULL));
    }
    static const struct {
        double percentage;
        bool fail_closed, sampled;
    } missing[] = {{0, true, false},  {62, true, false}, {100, true, false},
                   {0, false, false}, {62, false, true}, {100, false, true}};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        struct sampler s = sampler_of(MODE_HASH_SEED, missing[i].percentage, 4);
        s.fail_closed = missing[i].fail_closed;
        assert_int_equal(decide_span(s, none, "", NULL) != NULL, missing[i].sampled);
    }
}

/* ---- sampling.priority of spans ---- */

static void priority_2(sl_writer *w)
{
    sl_write_attr_int(w, 9, sl_str("sampling.priority"), 2);
}
static void priority_half(sl_writer *w)
{
    sl_write_attr_double(w, 9, sl_str("sampling.priority"), 0.5);
}
static void priority_text(sl_writer *w)
{
    sl_write_attr_text(w, 9, sl_str("sampling.priority"), sl_str("0.5"));
}
static void priority_0(sl_writer *w)
{
    sl_write_attr_int(w, 9, sl_str("sampling.priority"), 0);
}
static void priority_0_double(sl_writer *w)
{
    sl_write_attr_double(w, 9, sl_str("sampling.priority"), 0);
}
static void priority_0_text(sl_writer *w)
{
    sl_write_attr_text(w, 9, sl_str("other"), sl_str("1"));
    sl_write_attr_text(w, 9, sl_str("sampling.priority"), sl_str("0.0"));
    sl_write_attr_int(w, 9, sl_str("sampling.priority"), 7); /* the first counts */
}
static void priority_less(sl_writer *w)
{
    sl_write_attr_int(w, 9, sl_str("sampling.priority"), -1);
}
static void priority_nan(sl_writer *w)
{
    sl_write_attr_text(w, 9, sl_str("sampling.priority"), sl_str("NaN"));
}
static void priority_no_number(sl_writer *w)
{
    sl_write_attr_text(w, 9, sl_str("sampling.priority"), sl_str("1 and more"));
}
static void priority_of_another(sl_writer *w)
{
    sl_write_attr_int(w, 9, sl_str("sampling_priority"), 2);
    sl_write_attr_int(w, 9, sl_str("no.sampling.priority"), 2);
}
static void priority_far(sl_writer *w) /* longer than one byte tells, and value in front of key */
{
    const size_t pair = sl_write_begin(w, 9);
    char text[300];
    memset(text, '0', sizeof text);
    text[0] = '1';
    sl_write_value_int(w, 2, 3);
    sl_write_text(w, 1, "sampling.priority");
    sl_write_bytes(w, 77, sl_slice(text, sizeof text));
    sl_write_end(w, pair);
}

static void span_priority(void **state)
{
    static void (*const keeps[])(sl_writer *) = {priority_2, priority_half, priority_text,
                                                 priority_far};
    static void (*const leaves[])(sl_writer *) = {priority_0, priority_0_double, priority_0_text};
    static void (*const none[])(sl_writer *) = {priority_less, priority_nan, priority_no_number,
                                                priority_of_another};
    (void)state;
    for (uint32_t mode = 0; mode <= MODE_EQUALIZING; mode++) {
        for (size_t i = 0; i < sizeof keeps / sizeof *keeps; i++)
            assert_non_null(decide_span(sampler_of(mode, 0, 4), half, "", keeps[i]));
        for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
            assert_null(decide_span(sampler_of(mode, 100, 4), half, "", leaves[i]));
        for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
            assert_null(decide_span(sampler_of(mode, 0, 4), half, "", none[i]));
            assert_non_null(decide_span(sampler_of(mode, 100, 4), half, "", none[i]));
        }
    }
    check(decide_span(sampler_of(MODE_PROPORTIONAL, 1, 4), half, "", priority_2), "ot=th:0",
          "sampled by priority");
    check(decide_span(sampler_of(MODE_PROPORTIONAL, 0, 4), half, "ot=th:4", priority_2), "ot=th:4",
          "the probability is not raised");
}

/* ---- where the trace state stands in the record ---- */

static void rewritten_records(void **state)
{
    uint8_t bytes[512], fresh[1024];
    (void)state;
    for (int order = 0; order < 4; order++) {
        sl_writer w = sl_writer_fixed(bytes, sizeof bytes), out = sl_writer_fixed(fresh, 1024);
        sl_span span;
        uint8_t id[16];
        struct item item;
        struct sampler s = sampler_of(MODE_PROPORTIONAL, 100, 4);
        trace_id_of(half, id);
        if (order == 1)
            sl_write_text(&w, 3, "a=1");
        if (order == 2)
            sl_write_text(&w, 5, "first");
        sl_write_bytes(&w, 1, sl_slice(id, 16));
        if (order == 3)
            sl_write_text(&w, 3, "a=0"); /* the last counts, and no other is left */
        sl_write_varint(&w, 1000, 7);
        if (order >= 2)
            sl_write_text(&w, 3, "a=1");
        sl_write_fixed64(&w, 7, 9);
        assert_true(otlp_read_span(sl_written(&w), &span));
        sampler_prepare(&s);
        span_read(&span, &item);
        sampler_decide(&s, &item);
        assert_true(item.sampled && item.changed);
        span_write(&span, &item, &out);
        const sl_bytes record = sl_written(&out);
        sl_repeated states = sl_repeated_of(record, 3);
        sl_bytes text;
        assert_true(sl_repeated_next(&states, &text));
        assert_true(sl_eq(text, sl_str(order ? "ot=th:0,a=1" : "ot=th:0")));
        assert_false(sl_repeated_next(&states, &text));
        assert_int_equal(sl_message_number(record, 1000), 7);
        assert_int_equal(sl_message_number(record, 7), 9);
        assert_memory_equal(sl_message_bytes(record, 1).p, span.trace_id, 16);
    }
}

/* ---- logs ---- */

struct log_case {
    sl_writer w;
    uint8_t bytes[1024];
};

static void log_begin(struct log_case *c)
{
    c->w = sl_writer_fixed(c->bytes, sizeof c->bytes);
    sl_write_fixed64(&c->w, 1, 5);
}

static void log_text(struct log_case *c, const char *key, const char *value)
{
    sl_write_attr_text(&c->w, 6, sl_str(key), sl_str(value));
}

/* NULL: left out. Else "randomness threshold" of the new record; "-" where there is none. */
static const char *decide_log(struct sampler s, const char *trace_id, struct log_case *c)
{
    static char text[64];
    uint8_t fresh[2048];
    sl_writer out = sl_writer_fixed(fresh, sizeof fresh);
    sl_log_record log = {.record = sl_written(&c->w), .attrs_end = (uint32_t)c->w.used};
    struct item item;
    char scratch[32];
    trace_id_of(trace_id, log.trace_id);
    sampler_prepare(&s);
    log_read(&s, &log, &item, scratch);
    sampler_decide(&s, &item);
    if (!item.sampled)
        return NULL;
    if (item.changed) {
        log_write(&log, &item, &out);
        assert_false(out.failed);
        assert_int_equal(sl_message_number(sl_written(&out), 1), 5);
    } else {
        out = c->w;
    }
    const sl_attrs attrs = sl_repeated_of(sl_written(&out), 6);
    const sl_bytes rv = sl_attr_text(attrs, "sampling.randomness");
    const sl_bytes th = sl_attr_text(attrs, "sampling.threshold");
    snprintf(text, sizeof text, "%.*s %.*s", rv.p ? (int)rv.n : 1, rv.p ? (const char *)rv.p : "-",
             th.p ? (int)th.n : 1, th.p ? (const char *)th.p : "-");
    return text;
}

/* Of logsprocessor_test.go, TestLogsSamplingState. */
static void log_states(void **state)
{
    static const char none[] = "00000000000000000000000000000000";
    struct log_case c;
    struct sampler s;
    uint8_t id[16];
    char expected[64], digits[HEX_DIGITS];
    (void)state;
    log_begin(&c);
    log_text(&c, "ignored", "value");
    check(decide_log(sampler_of(MODE_PROPORTIONAL, 100, 0), half, &c), "- 0", "100 percent");
    s = sampler_of(MODE_HASH_SEED, 100, 0);
    s.hash_seed = 22;
    trace_id_of(half, id);
    (void)text_of_randomness(randomness_of_hash(22, sl_slice(id, 16)), digits);
    snprintf(expected, sizeof expected, "%.14s 0", digits);
    check(decide_log(s, half, &c), expected, "hash_seed");
    /* an attribute is hashed */
    s.hash_seed = 49;
    s.attribute_source = SOURCE_RECORD;
    s.from_attribute = sl_str("veryrandom");
    s.fail_closed = 1;
    check(decide_log(s, half, &c), NULL, "no attribute");
    log_text(&c, "veryrandom", "1234");
    (void)text_of_randomness(randomness_of_hash(49, sl_str("1234")), digits);
    snprintf(expected, sizeof expected, "%.14s 0", digits);
    check(decide_log(s, half, &c), expected, "attribute");
    s.attribute_source = SOURCE_TRACE_ID; /* there is none, so it is the attribute again */
    check(decide_log(s, none, &c), expected, "attribute for want of a trace id");
    log_begin(&c);
    sl_write_attr_int(&c.w, 6, sl_str("veryrandom"), 1234); /* as its text */
    check(decide_log(s, none, &c), expected, "number");
    /* priority */
    s = sampler_of(MODE_HASH_SEED, 0, 6);
    s.sampling_priority = sl_str("veryrandom");
    log_begin(&c);
    check(decide_log(s, half, &c), NULL, "0 percent");
    log_text(&c, "sampling.randomness", "e6147c00000000");
    sl_write_attr_double(&c.w, 6, sl_str("veryrandom"), 10.125);
    check(decide_log(s, half, &c), "e6147c00000000 e6147b", "10.125 percent by priority");
    /* incoming thresholds */
    log_begin(&c);
    log_text(&c, "sampling.threshold", "c");
    check(decide_log(sampler_of(MODE_PROPORTIONAL, 50, 0), "fefefefefefefefefef0000000000000", &c),
          "- e", "25 percent incoming");
    s = sampler_of(MODE_EQUALIZING, 50, 0);
    s.fail_closed = 1;
    check(decide_log(s, "fefefefefefefefefeb0000000000000", &c), NULL, "inconsistent");
    s.fail_closed = 0;
    check(decide_log(s, "fefefefefefefefefeb0000000000000", &c), "- 0", "inconsistent, open");
    sl_write_attr_int(&c.w, 6, sl_str("prio"), 37);
    s.sampling_priority = sl_str("prio");
    check(decide_log(s, "fefefefefefefefefefefefefefefefe", &c), "- c", "not raised");
    /* hash_seed leaves OpenTelemetry's own alone */
    log_begin(&c);
    log_text(&c, "sampling.randomness", "f2341234123412");
    check(decide_log(sampler_of(MODE_HASH_SEED, 100, 0), half, &c), "f2341234123412 -", "in use");
    /* malformed */
    log_begin(&c);
    log_text(&c, "sampling.threshold", "xyz");
    check(decide_log(sampler_of(MODE_EQUALIZING, 50, 0), half, &c), "- xyz", "malformed, open");
}

/* TestLogsSampling: how many of its hundred records are kept. */
static void log_counts(void **state)
{
    static const struct {
        const char *about;
        double percentage;
        uint32_t source;
        const char *from, *priority;
        bool fail_closed;
        int kept;
    } cases[] = {
        {"happy_path", 100, SOURCE_RECORD, "", "", false, 100},
        {"nothing", 0, SOURCE_RECORD, "", "", true, 0},
        {"roughly half", 50, SOURCE_TRACE_ID, "", "", true, 45},
        {"no sampling", 0, SOURCE_RECORD, "foo", "", false, 0},
        {"all sampling", 100, SOURCE_RECORD, "foo", "", false, 100},
        {"sampling", 50, SOURCE_RECORD, "foo", "", true, 23},
        {"as string", 50, SOURCE_RECORD, "bar", "", true, 29},
        {"priority_0_record", 0, SOURCE_RECORD, "rando", "priority", false, 25},
        {"priority_50_record", 50, SOURCE_RECORD, "rando", "priority", false, 64},
        {"priority_100_record", 100, SOURCE_RECORD, "rando", "priority", false, 100},
        {"priority_0_traceid", 0, SOURCE_TRACE_ID, "", "priority", false, 25},
        {"priority_50_traceid", 50, SOURCE_TRACE_ID, "", "priority", false, 57},
        {"priority_100_traceid", 100, SOURCE_TRACE_ID, "", "priority", false, 100},
        {"priority with field", 0, SOURCE_RECORD, "foo", "priority", false, 25},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int kept = 0;
        for (int k = 0; k < 100; k++) {
            struct sampler s = sampler_of(MODE_HASH_SEED, cases[i].percentage, 0);
            struct log_case c;
            uint8_t id[16] = {0};
            char hex[33], *at = hex;
            memset(id + 8, k, 8);
            for (int b = 0; b < 16; b++)
                at += snprintf(at, 3, "%02x", id[b]);
            s.hash_seed = 0;
            s.attribute_source = cases[i].source;
            s.from_attribute = sl_str(cases[i].from);
            s.sampling_priority = sl_str(cases[i].priority);
            s.fail_closed = cases[i].fail_closed;
            log_begin(&c);
            /* the hash with seed 123, as a number */
            uint32_t h = UINT32_C(2166136261);
            static const uint8_t seed[4] = {123, 0, 0, 0};
            for (int b = 0; b < 20; b++)
                h = (h ^ (b < 4 ? seed[b] : id[b - 4])) * UINT32_C(16777619);
            sl_write_attr_int(&c.w, 6, sl_str("rando"), (int64_t)h);
            if (k % 2 == 0) {
                const size_t pair = sl_write_begin(&c.w, 6);
                sl_write_text(&c.w, 1, "foo");
                sl_write_value_bytes(&c.w, 2, sl_slice(id, 16));
                sl_write_end(&c.w, pair);
                log_text(&c, "bar", k ? hex : ""); /* an empty trace id has no text */
            }
            if (k % 4 == 0)
                sl_write_attr_double(&c.w, 6, sl_str("priority"), 100);
            kept += decide_log(s, hex, &c) != NULL;
        }
        if (kept != cases[i].kept)
            fail_msg("%s: %d are kept, not %d", cases[i].about, kept, cases[i].kept);
    }
}

/* ---- the numbers ---- */

static void thresholds_and_probabilities(void **state)
{
    static const struct {
        double probability;
        uint32_t precision;
        const char *threshold;
    } cases[] = {{1, 4, "0"},          {0.5, 4, "8"},      {0.25, 14, "c"},  {1.0 / 3, 1, "b"},
                 {1.0 / 3, 4, "aaab"}, {0.01, 4, "fd70a"}, {0.1, 4, "e666"}, {0.99, 3, "028f"}};
    char text[HEX_DIGITS + 1];
    uint64_t t, back;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(threshold_of_probability(cases[i].probability, cases[i].precision, &t));
        text[text_of_threshold(t, text)] = '\0';
        assert_string_equal(text, cases[i].threshold);
        assert_true(threshold_of_text(sl_str(text), &back));
        assert_true(back == t);
    }
    assert_false(threshold_of_probability(0, 4, &t));
    assert_false(threshold_of_probability(1.0001, 4, &t));
    assert_false(threshold_of_probability(-1, 4, &t));
    assert_false(threshold_of_probability(NAN, 4, &t));
    assert_true(threshold_of_probability(PROBABILITY_MIN, 0, &t));
    assert_false(threshold_of_text(sl_str(""), &t));
    assert_false(threshold_of_text(sl_str("0123456789abcde"), &t));
    assert_false(randomness_of_text(sl_str("123456789abcd"), &t));
    assert_true(randomness_of_text(sl_str("9b8233f7e3a151"), &t));
    text[text_of_randomness(t, text)] = '\0';
    assert_string_equal(text, "9b8233f7e3a151");
}

static void what_is_wrong_is_refused(void **state)
{
    static const double wrong[] = {-1, 1e-20, INFINITY, NAN, 1e300};
    const sl_type *type = sluice_plugin.types[0];
    sl_error error = {.size = sizeof error};
    struct sampler s = sampler_of(MODE_HASH_SEED, 12.5, 4);
    (void)state;
    assert_int_equal(type->prepare(&s, &error), SL_OK);
    s.sampling_percentage = 0;
    assert_int_equal(type->prepare(&s, &error), SL_OK);
    s.sampling_percentage = 1000;
    assert_int_equal(type->prepare(&s, &error), SL_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        s.sampling_percentage = wrong[i];
        assert_int_equal(type->prepare(&s, &error), SL_ERR_INVALID);
        assert_non_null(strstr(error.text, "sampling_percentage"));
    }
}

/* ---- deliveries ---- */

/* Deliveries of the test host carry ids; what is kept and dropped of them is what counts here. */
static void deliveries(void **state)
{
    static const uint8_t span[] = {0x0a, 0x10, 1,  2,  3,  4,  5,  6,  7,
                                   8,    9,    10, 11, 12, 13, 14, 15, 16};
    const sl_type *type = sluice_plugin.types[0];
    (void)state;
    for (uint32_t fail_at = 0; fail_at < 6; fail_at++) {
        struct plugin_host *h = plugin_host_create();
        struct sampler s = sampler_of(MODE_HASH_SEED, fail_at ? 50 : 0, 4);
        sl_error error = {.size = sizeof error};
        uint8_t bytes[4096];
        sl_writer w = sl_writer_fixed(bytes, sizeof bytes);
        const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
        for (uint32_t i = 0; i < 100; i++) {
            uint8_t one[sizeof span];
            memcpy(one, span, sizeof one);
            one[17] = (uint8_t)i;
            sl_write_bytes(&w, 2, sl_slice(one, sizeof one));
        }
        sl_write_end(&w, scope);
        sl_write_end(&w, resource);
        s.base.host = &h->host;
        assert_int_equal(type->start(&s, &error), SL_OK);
        const sl_bytes segment = sl_written(&w);
        sl_delivery *d = plugin_host_delivery_of(h, SL_TRACES, &segment, 1, 100);
        h->calls = 0;
        h->fail_at = fail_at > 1 ? fail_at - 1 : 0;
        const int32_t status = type->process(&s, d);
        if (status != SL_OK) { /* nothing of it is claimed */
            assert_int_equal(status, SL_ERR_NOMEM);
            assert_int_equal(d->unclaimed, 100);
            plugin_host_end(h, d, SL_FAILED, NULL);
        } else {
            sl_delivery *out = plugin_host_take(h);
            const uint32_t kept = out ? out->items : 0;
            assert_int_equal(plugin_host_count(h, SL_DROPPED), 100 - kept);
            assert_true(fail_at ? kept > 30 && kept < 70 : kept == 0);
            for (uint32_t i = 0; i < 100; i++) {
                if (h->outcome[i] == SL_DROPPED)
                    assert_string_equal(h->why[i], "sampled_out");
            }
            const char *name = "otelcol_processor_probabilistic_sampler_count_traces_sampled";
            char full[128];
            snprintf(full, sizeof full, "%s{trace_id_hash,true}", name);
            assert_int_equal(plugin_host_metric(h, full), kept);
            snprintf(full, sizeof full, "%s{trace_id_hash,false}", name);
            assert_int_equal(plugin_host_metric(h, full), fail_at ? 100 - kept : 0);
            if (out)
                plugin_host_end(h, out, SL_DELIVERED, NULL);
        }
        plugin_host_destroy(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_states),
        cmocka_unit_test(hashes),
        cmocka_unit_test(hash_thresholds),
        cmocka_unit_test(errors),
        cmocka_unit_test(span_priority),
        cmocka_unit_test(rewritten_records),
        cmocka_unit_test(log_states),
        cmocka_unit_test(log_counts),
        cmocka_unit_test(thresholds_and_probabilities),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(deliveries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
