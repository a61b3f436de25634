/* The journal's checksums and headers: what is written is what is read, and nothing else is. */
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/format.h"

#include <setjmp.h>
#include <sluice/plugin.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 3720, appendix B.4, and the usual check value. */
static void known_checksums(void **state)
{
    uint8_t bytes[32];
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62A8AB43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46DD794E);
}

/* In whatever pieces, from whatever address, by whichever instructions. */
static void checksums_agree(void **state)
{
    enum { N = 60000 };
    uint8_t *bytes = malloc(N);
    uint32_t random = 1;
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < N; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(random >> 24);
    }
    for (size_t n = 0; n < N; n = n * 5 / 4 + 1)
        for (size_t from = 0; from < 9 && from <= n; from += 3) {
            const uint32_t whole = crc32c(0, bytes + from, n - from);
            assert_int_equal(crc32c_portable(0, bytes + from, n - from), whole);
            const size_t cut = from + (n - from) / 3;
            assert_int_equal(crc32c(crc32c(0, bytes + from, cut - from), bytes + cut, n - cut),
                             whole);
        }
    free(bytes);
}

static const struct segment_head head = {.id = 7,
                                         .salt = 0x1122334455667788,
                                         .first_seq = 1000,
                                         .previous_id = 6,
                                         .previous_end = 9000,
                                         .previous_salt = 3,
                                         .created_ns = 1700000000000000000,
                                         .bytes = 1 << 20,
                                         .stream = "in traces/in"};

static void segment_heads(void **state)
{
    uint8_t bytes[FORMAT_HEAD_BYTES];
    struct segment_head read;
    (void)state;
    format_encode_head(&head, bytes);
    assert_int_equal(format_decode_head(bytes, &read), SL_OK);
    assert_memory_equal(&read, &head, sizeof head);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(format_decode_head(bytes, &read), SL_ERR_INVALID);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* what a newer Sluice wrote is told from damage */
    format_put32(bytes + 8, FORMAT_VERSION + 1);
    format_put32(bytes + 12, crc32c(crc32c(0, bytes, 12), bytes + 16, sizeof bytes - 16));
    assert_int_equal(format_decode_head(bytes, &read), SL_ERR_UNSUPPORTED);
}

static void record_heads(void **state)
{
    const struct record_head record = {.body_crc = 5,
                                       .bytes = 100,
                                       .items = 3,
                                       .prefix = 1,
                                       .type = RECORD_COPY,
                                       .seq = 1 << 20,
                                       .arrived_ns = -1};
    const uint32_t seed = format_seed(head.id, head.salt);
    const uint64_t room = format_room(100);
    uint8_t bytes[FORMAT_RECORD_BYTES];
    struct record_head read;
    (void)state;
    assert_int_equal(room, 40 + 104);
    format_encode_record(&record, seed, bytes);
    assert_true(format_decode_record(bytes, seed, room, &read));
    assert_memory_equal(&read, &record, sizeof record);
    assert_false(format_decode_record(bytes, seed, room - 8, &read));
    assert_false(format_decode_record(bytes, format_seed(head.id + 1, head.salt), room, &read));
    assert_false(format_decode_record(bytes, format_seed(head.id, head.salt + 1), room, &read));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(format_decode_record(bytes, seed, UINT64_MAX, &read));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* zeros are the end, whatever their checksum */
    memset(bytes, 0, sizeof bytes);
    format_put32(bytes, crc32c(seed, bytes + 4, sizeof bytes - 4));
    assert_false(format_decode_record(bytes, seed, UINT64_MAX, &read));
}

static void names(void **state)
{
    char name[FORMAT_NAME_MAX];
    uint64_t id;
    (void)state;
    format_segment_name(0xABC, name);
    assert_string_equal(name, "0000000000000abc.seg");
    assert_true(format_is_segment(name, &id));
    assert_int_equal(id, 0xABC);
    format_spare_name(5, name);
    assert_true(format_is_spare(name, &id));
    assert_false(format_is_segment(name, &id));
    assert_false(format_is_segment("0000000000000000.seg", &id));
    assert_false(format_is_segment("0000000000000abC.seg", &id));
    assert_false(format_is_segment("0000000000000abc.seg~", &id));
    assert_false(format_is_segment("abc.seg", &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_checksums), cmocka_unit_test(checksums_agree),
        cmocka_unit_test(segment_heads),   cmocka_unit_test(record_heads),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
