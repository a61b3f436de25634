/* Files of blocks: their footer, and what is found without one. Takes --seed N. */
#include "formats/trace/block_file.h"
#include "formats/trace/memory.h"
#include "tests/support/random_otlp.h"
#include "tests/support/random_traces.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BLOCKS = 3 };

static uint64_t seed;

struct file {
    sl_writer bytes;
    size_t ends[BLOCKS + 1]; /* of the blocks; ends[0] is 0 */
};

static void make_file(struct file *file)
{
    struct block_footer footer = {heap_writer()};
    file->bytes = heap_writer();
    file->ends[0] = 0;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        sl_error error = {.size = sizeof error};
        sl_writer request = random_otlp_writer();
        random_traces(&seed, 20, 0, &request);
        const sl_bytes bytes = sl_written(&request);
        assert_int_equal(
            trace_block_encode(&(struct trace_options){0}, &bytes, 1, &file->bytes, &error), SL_OK);
        file->ends[i + 1] = file->bytes.used;
        assert_true(block_footer_add(
            &footer, sl_slice(file->bytes.at + file->ends[i], file->ends[i + 1] - file->ends[i])));
        free(request.at);
    }
    block_footer_write(&footer, &file->bytes);
    assert_false(file->bytes.failed);
    free(footer.heads.at);
}

static void assert_blocks(const struct file *file, const struct block_index *index, uint32_t n)
{
    assert_int_equal(index->n, n);
    assert_int_equal(index->end, file->ends[n]);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(index->at[i].at, file->ends[i]);
        assert_int_equal(index->at[i].info.bytes, file->ends[i + 1] - file->ends[i]);
    }
}

static void the_footer_tells_all_blocks(void **state)
{
    struct file file;
    struct block_index index = {0};
    sl_error error = {.size = sizeof error};
    (void)state;
    make_file(&file);
    assert_int_equal(block_index_read(sl_written(&file.bytes), &index, &error), SL_OK);
    assert_true(index.closed);
    assert_blocks(&file, &index, BLOCKS);
    block_index_free(&index);
    free(file.bytes.at);
}

static void a_cut_file_has_its_whole_blocks(void **state)
{
    struct file file;
    (void)state;
    make_file(&file);
    for (size_t n = 0; n < file.bytes.used; n++) {
        struct block_index index = {0};
        sl_error error = {.size = sizeof error};
        uint8_t *copy = malloc(n + (n == 0));
        (void)sl_put_slice(copy, sl_slice(file.bytes.at, n));
        assert_int_equal(block_index_read(sl_slice(copy, n), &index, &error), SL_OK);
        uint32_t whole = 0;
        while (whole < BLOCKS && file.ends[whole + 1] <= n) {
            whole++;
        }
        assert_false(index.closed);
        assert_blocks(&file, &index, whole);
        block_index_free(&index);
        free(copy);
    }
    free(file.bytes.at);
}

/* A changed footer is none, or is refused; what it is to tell is found without it, or not at all. */
static void a_changed_footer_tells_nothing_wrong(void **state)
{
    struct file file;
    (void)state;
    make_file(&file);
    for (size_t i = file.ends[BLOCKS]; i < file.bytes.used; i++) {
        struct block_index index = {0};
        sl_error error = {.size = sizeof error};
        file.bytes.at[i] ^= 0x55;
        const int32_t status = block_index_read(sl_written(&file.bytes), &index, &error);
        file.bytes.at[i] ^= 0x55;
        assert_true(status == SL_OK || status == SL_ERR_INVALID || status == SL_ERR_UNSUPPORTED);
        assert_false(index.closed);
        assert_blocks(&file, &index, BLOCKS);
        block_index_free(&index);
    }
    free(file.bytes.at);
}

static void foreign_bytes_are_refused(void **state)
{
    struct block_index index = {0};
    sl_error error = {.size = sizeof error};
    (void)state;
    assert_int_equal(block_index_read(sl_str("no blocks"), &index, &error), SL_ERR_INVALID);
    assert_string_equal(error.text, "at byte 0: trace block: does not begin with SLTB");
    block_index_free(&index);
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_footer_tells_all_blocks),
        cmocka_unit_test(a_cut_file_has_its_whole_blocks),
        cmocka_unit_test(a_changed_footer_tells_nothing_wrong),
        cmocka_unit_test(foreign_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
