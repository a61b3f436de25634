/* docs/journal-format.md: the file that it shows byte by byte is one that the program writes and reads
 * as the page says, and `sluice journal export` cuts what has ended out of it. Usage:
 * journal_document PAGE */
#include "pipeline/cli/journal.h"
#include "pipeline/journal/crc32c.h"
#include "pipeline/journal/envelope.h"
#include "pipeline/journal/log.h"
#include "tests/support/disk_journal.h"
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BYTES = 12288 };

#define DIRECTORY "/data/in-traces"
#define ID UINT64_C(1)
#define SALT UINT64_C(0x0123456789abcdef)
#define ARRIVED INT64_C(1767225600000000000) /* 2026-01-01T00:00:00Z */

static const char *page;

/* Three empty spans in one scope. */
static const uint8_t request[] = {0x0a, 8, 0x12, 6, 0x12, 0, 0x12, 0, 0x12, 0};

/* ---- the file as the page says ---- */

/* The lines "00002000  xx xx ..." of the page; bytes that are not shown are zero. How many lines. */
static unsigned read_page(uint8_t bytes[BYTES])
{
    char line[512];
    unsigned lines = 0;
    FILE *file = fopen(page, "r");
    assert_non_null(file);
    memset(bytes, 0, BYTES);
    while (fgets(line, sizeof line, file)) {
        char *at = line;
        while (*at == ' ')
            at++;
        char *end = at;
        while (isxdigit((unsigned char)*end))
            end++;
        if (end - at != 8 || end[0] != ' ' || end[1] != ' ')
            continue;
        unsigned long offset = strtoul(at, NULL, 16);
        lines++;
        for (at = end + 2; isxdigit((unsigned char)at[0]) && isxdigit((unsigned char)at[1]);) {
            assert_true(offset < BYTES);
            bytes[offset++] = (uint8_t)strtoul(at, &end, 16);
            at = end + (*end == ' ');
            if (*at == ' ')
                break;
        }
    }
    assert_int_equal(fclose(file), 0);
    return lines;
}

/* ---- the file as the program writes it ---- */

static size_t put_record(uint8_t *bytes, size_t at, struct record_head head, const uint8_t *body)
{
    head.body_crc = crc32c(0, body, head.bytes);
    format_encode_record(&head, format_seed(ID, SALT), bytes + at);
    if (head.bytes)
        memcpy(bytes + at + FORMAT_RECORD_BYTES, body, head.bytes);
    return at + (size_t)format_room(head.bytes);
}

static void make_file(uint8_t bytes[BYTES])
{
    const struct segment_head head = {.id = ID,
                                      .salt = SALT,
                                      .first_seq = 1,
                                      .created_ns = ARRIVED,
                                      .bytes = BYTES,
                                      .stream = "in traces"};
    const sl_bytes segment = sl_slice(request, sizeof request);
    const sl_payload payload = {
        .signal = SL_TRACES, .items = 3, .n_segments = 1, .segments = &segment, .bytes = segment.n};
    const sl_meta_entry entries[] = {{sl_str("authorization"), sl_str("secret")},
                                     {sl_str("tenant"), sl_str("blue")}};
    const sl_metadata metadata = {.n = 2, .at = entries, .arrived_ns = ARRIVED};
    uint8_t body[256], ends[16];
    const size_t n = envelope_head_size(&payload, &metadata);
    assert_in_range(n, 1, sizeof body - sizeof request);
    envelope_head(&payload, &metadata, body);
    memcpy(body + n, request, sizeof request);
    memset(bytes, 0, BYTES);
    format_encode_head(&head, bytes);
    memcpy(bytes + FORMAT_HEAD_COPY_AT, bytes, FORMAT_HEAD_BYTES);
    struct record_head data = {.type = RECORD_DATA,
                               .items = 3,
                               .seq = 1,
                               .bytes = (uint32_t)(n + sizeof request),
                               .arrived_ns = ARRIVED};
    size_t at = put_record(bytes, FORMAT_RECORDS_AT, data, body);
    data.seq = 2;
    at = put_record(bytes, at, data, body);
    format_put64(ends, 2);
    format_put64(ends + 8, 1);
    at = put_record(
        bytes, at,
        (struct record_head){.type = RECORD_SETTLED, .seq = 3, .bytes = 16, .arrived_ns = ARRIVED},
        ends);
    format_put32(ends, 1);
    format_put32(ends + 4, 1);
    at = put_record(
        bytes, at,
        (struct record_head){
            .type = RECORD_PARTS, .items = 3, .seq = 1, .bytes = 8, .arrived_ns = ARRIVED},
        ends);
    (void)put_record(
        bytes, at, (struct record_head){.type = RECORD_END, .seq = 3, .arrived_ns = ARRIVED}, NULL);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    while (n && !bytes[n - 1])
        n--;
    return !n;
}

/* What the page should show. */
static void print_file(const uint8_t *bytes)
{
    for (size_t at = 0; at < BYTES; at += 16) {
        if (is_zero(bytes + at, 16))
            continue;
        (void)printf("    %08zx ", at);
        for (size_t i = 0; i < 16; i++)
            (void)printf(" %02x", bytes[at + i]);
        (void)printf("  ");
        for (size_t i = 0; i < 16; i++)
            (void)printf("%c", isprint(bytes[at + i]) ? bytes[at + i] : '.');
        (void)printf("\n");
    }
}

static void it_is_what_is_written(void **state)
{
    static uint8_t shown[BYTES], made[BYTES];
    (void)state;
    make_file(made);
    if (!read_page(shown) || memcmp(shown, made, BYTES)) {
        print_file(made);
        fail_msg("%s does not show this", page);
    }
}

/* ---- read ---- */

static int64_t read_clock(void *ctx)
{
    (void)ctx;
    return ARRIVED;
}

static void it_is_read_as_the_page_says(void **state)
{
    static uint8_t bytes[BYTES], body[256];
    struct disk *d = disk_create();
    const struct journal_io io = disk_journal_io(d);
    const struct journal_config config = {.directory = DIRECTORY,
                                          .stream = "in traces",
                                          .io = &io,
                                          .segment_bytes = 65536,
                                          .max_bytes = 1 << 20,
                                          .now = read_clock};
    struct journal *journal;
    struct journal_record r;
    struct envelope e;
    uint64_t mask = 0;
    sl_error error = {.size = sizeof error};
    (void)state;
    assert_true(read_page(bytes) > 0);
    assert_int_equal(disk_mkdir(d, "/data"), 0);
    assert_int_equal(disk_mkdir(d, DIRECTORY), 0);
    disk_put(d, DIRECTORY "/0000000000000001.seg", bytes, BYTES);
    if (journal_open(&config, &journal, &error) != SL_OK)
        fail_msg("%s", error.text);
    assert_int_equal(journal_peek(journal, &r), SL_OK);
    assert_int_equal(r.seq, 1);
    assert_int_equal(r.items, 3);
    assert_int_equal(r.arrived_ns, ARRIVED);
    assert_int_equal(journal_take(journal, &r, body), SL_OK);
    journal_open_items(journal, r.seq, &mask);
    assert_int_equal(mask, 5);
    assert_int_equal(envelope_open(sl_slice(body, r.bytes), &e, &error), SL_OK);
    assert_int_equal(e.signal, SL_TRACES);
    assert_int_equal(e.n_entries, 1);
    const sl_meta_entry entry = envelope_entry(&e.entries);
    assert_true(sl_eq(entry.key, sl_str("tenant")) && sl_eq(entry.value, sl_str("blue")));
    assert_true(sl_eq(e.payload, sl_slice(request, sizeof request)));
    assert_int_equal(journal_peek(journal, &r), SL_ERR_NOT_FOUND);
    journal_close(journal);
    disk_destroy(d);
}

/* ---- exported ---- */

static void open_items_alone_are_exported(void **state)
{
    static uint8_t bytes[BYTES];
    /* the same request with two spans, and its length */
    static const uint8_t expected[] = {0, 0, 0, 8, 0x0a, 6, 0x12, 4, 0x12, 0, 0x12, 0};
    char directory[] = "/tmp/sluice-journal-XXXXXX", path[512], out[256], command[256];
    uint8_t found[64];
    struct inspection *inspection;
    sl_error error = {.size = sizeof error};
    (void)state;
    assert_true(read_page(bytes) > 0);
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/0000000000000001.seg", directory);
    (void)snprintf(out, sizeof out, "%s/out", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, BYTES, file), BYTES);
    assert_int_equal(fclose(file), 0);
    if (inspect_open(&journal_io_posix, directory, &inspection, &error) != SL_OK)
        fail_msg("%s", error.text);
    assert_int_equal(journal_export(inspection, directory, out), CLI_OK);
    inspect_close(inspection);
    (void)snprintf(path, sizeof path, "%s/in-traces.traces.pb", out);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(found, 1, sizeof found, file), sizeof expected);
    assert_memory_equal(found, expected, sizeof expected);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_is_written),
        cmocka_unit_test(it_is_read_as_the_page_says),
        cmocka_unit_test(open_items_alone_are_exported),
    };
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s PAGE\n", argv[0]);
        return 2;
    }
    page = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
