/* Streams of numbers and lists of texts: what is written is read again, whatever the values are, and
 * cut or changed bytes are never read beyond their end. Takes --seed N. */
#include "formats/trace/doubles.h"
#include "formats/trace/text_pattern.h"
#include "formats/trace/texts.h"
#include "tests/support/random_otlp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LONGEST = 6000, ROUNDS = 600, ARENA = 64 * 1024 * 1024 };

static uint64_t seed;

/* ---- numbers ---- */

/* Numbers of one of the kinds that columns have. */
static void fill(int64_t *v, uint32_t n)
{
    const uint32_t kind = random_below(&seed, 12);
    const uint64_t most = random_u64(&seed) >> random_below(&seed, 64);
    const uint64_t unit = random_below(&seed, 2) ? 1 : 1 + random_below(&seed, 1000000);
    int64_t few[40], last = (int64_t)random_u64(&seed) >> random_below(&seed, 64), top = 0;
    for (uint32_t i = 0; i < 40; i++) {
        few[i] = (int64_t)random_u64(&seed) >> random_below(&seed, 64);
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t r = random_u64(&seed);
        switch (kind) {
        case 0:
            v[i] = last;
            break;
        case 1:
            v[i] = (int64_t)r;
            break;
        case 2:
            v[i] = (int64_t)(r % (most + 1 ? most + 1 : 1));
            break;
        case 3:
            v[i] = few[r % 40];
            break;
        case 4:
            v[i] = few[(r % 40) * (r >> 32) % 40 % (1 + r % 39)];
            break;
        case 5:
            v[i] = last = (int64_t)((uint64_t)last + (r >> 45));
            break;
        case 6: /* mostly new, now and then one that has been */
            v[i] = r % 8 && top < INT32_MAX ? top++ : (int64_t)(r >> 8) % (top + 1);
            top = v[i] >= top ? v[i] + 1 : top;
            break;
        case 7:
            v[i] = (int64_t)(r >> 50) - 8000;
            break;
        case 8:
            v[i] = (int64_t)((r % 1000) * unit);
            break;
        case 9:
            v[i] = (int64_t)(r >> random_below(&seed, 64));
            break;
        case 10:
            v[i] = i % 2 ? INT64_MIN : INT64_MAX;
            break;
        default:
            v[i] = (int64_t)i;
        }
    }
}

struct reading {
    struct number_reader *r;
    struct trace_arena arena, scratch;
    uint8_t *about, *bits; /* copies of their own, so that sanitizers see each step beyond */
};

static uint8_t *copy_of(sl_bytes bytes)
{
    uint8_t *at = malloc(bytes.n + (bytes.n == 0));
    (void)sl_put_slice(at, bytes);
    return at;
}

static void begin_reading(struct reading *reading, sl_bytes about, sl_bytes bits)
{
    memset(reading, 0, sizeof *reading);
    reading->arena.limit = reading->scratch.limit = ARENA;
    reading->about = copy_of(about);
    reading->bits = copy_of(bits);
    reading->r = calloc(1, sizeof *reading->r);
    reading->r->about = reading->about;
    reading->r->about_end = reading->about + about.n;
    reading->r->bits = reading->bits;
    reading->r->bits_end = reading->bits + bits.n;
    reading->r->arena = &reading->arena;
    reading->r->scratch = &reading->scratch;
}

static void end_reading(struct reading *reading)
{
    arena_free(&reading->arena);
    arena_free(&reading->scratch);
    free(reading->about);
    free(reading->bits);
    free(reading->r);
}

static void numbers_come_back(void **state)
{
    static int64_t v[LONGEST], back[LONGEST];
    struct number_writer w;
    struct reading reading;
    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t n =
            random_below(&seed, 4) ? random_below(&seed, 60) : random_below(&seed, LONGEST);
        fill(v, n);
        number_writer_init(&w);
        assert_true(numbers_write(&w, v, n));
        assert_true(numbers_write(&w, v, n / 2));
        begin_reading(&reading, sl_written(&w.about), sl_written(&w.bits));
        assert_int_equal(numbers_read(reading.r, back, n), SL_OK);
        assert_memory_equal(back, v, n * sizeof *v);
        assert_int_equal(numbers_read(reading.r, back, n / 2), SL_OK);
        assert_memory_equal(back, v, n / 2 * sizeof *v);
        assert_ptr_equal(reading.r->about, reading.r->about_end);
        assert_ptr_equal(reading.r->bits, reading.r->bits_end);
        end_reading(&reading);
        number_writer_deinit(&w);
    }
}

static void doubles_come_back(void **state)
{
    static int64_t v[LONGEST], back[LONGEST];
    struct number_writer w;
    struct reading reading;
    (void)state;
    for (uint32_t round = 0; round < ROUNDS / 4; round++) {
        const uint32_t n = random_below(&seed, 200), kind = random_below(&seed, 4);
        for (uint32_t i = 0; i < n; i++) {
            const double power = pow(10, random_below(&seed, 8));
            double d = (double)(random_u64(&seed) >> 40) / power;
            d = kind == 1 ? -d : kind == 2 && i % 7 == 0 ? -0.0 : d;
            memcpy(&v[i], &d, sizeof d);
            v[i] = kind == 3 ? (int64_t)random_u64(&seed) : v[i]; /* also not a number, infinite */
        }
        number_writer_init(&w);
        assert_true(doubles_write(&w, v, n));
        begin_reading(&reading, sl_written(&w.about), sl_written(&w.bits));
        assert_int_equal(doubles_read(reading.r, back, n), SL_OK);
        assert_memory_equal(back, v, n * sizeof *v);
        end_reading(&reading);
        number_writer_deinit(&w);
    }
}

/* Prices with two decimals take no more than the whole numbers of cents would. */
static void decimals_are_whole_numbers(void **state)
{
    static int64_t v[1000];
    struct number_writer w;
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        const double d = random_below(&seed, 65536) / 100.0;
        memcpy(&v[i], &d, sizeof d);
    }
    number_writer_init(&w);
    assert_true(doubles_write(&w, v, 1000));
    assert_in_range(w.about.used + w.bits.used, 1900, 2100);
    number_writer_deinit(&w);
}

/* Uniform numbers take little more than the information they hold. */
static void nothing_is_wasted(void **state)
{
    enum { N = 5000 };
    static int64_t v[N];
    (void)state;
    for (uint32_t most = 2; most <= 100000; most = most * 3 / 2 + 1) {
        struct number_writer w;
        for (uint32_t i = 0; i < N; i++) {
            v[i] = random_below(&seed, most);
        }
        number_writer_init(&w);
        assert_true(numbers_write(&w, v, N));
        const double floor = N * log2(most) / 8;
        assert_true((double)(w.about.used + w.bits.used) < floor * 1.02 + 80);
        number_writer_deinit(&w);
    }
}

static void changed_numbers_stay_in_bounds(void **state)
{
    static int64_t v[500], back[500];
    struct number_writer w;
    struct reading reading;
    (void)state;
    for (uint32_t round = 0; round < ROUNDS * 4; round++) {
        const uint32_t n = random_below(&seed, 500);
        fill(v, n);
        number_writer_init(&w);
        assert_true(numbers_write(&w, v, n));
        for (uint32_t i = random_below(&seed, 4); i > 0; i--) {
            sl_writer *to = random_below(&seed, 2) ? &w.about : &w.bits;
            if (to->used > 0) {
                to->at[random_u64(&seed) % to->used] = (uint8_t)random_u64(&seed);
            }
        }
        const size_t about = w.about.used - (w.about.used ? random_u64(&seed) % w.about.used : 0);
        const size_t bits = w.bits.used - (w.bits.used ? random_u64(&seed) % w.bits.used : 0);
        begin_reading(&reading, sl_slice(w.about.at, about), sl_slice(w.bits.at, bits));
        const int32_t status = numbers_read(reading.r, back, n);
        assert_true(status == SL_OK || status == SL_ERR_INVALID || status == SL_ERR_NOMEM);
        end_reading(&reading);
        number_writer_deinit(&w);
    }
}

/* ---- texts ---- */

static size_t random_text(char *text)
{
    static const char *const parts[] = {"user-",
                                        "/",
                                        "4711",
                                        "007",
                                        "req-",
                                        "9f86d081",
                                        "A77249B600",
                                        "deadbeef",
                                        "\x01",
                                        "\x01\x02",
                                        "0",
                                        "18446744073709551616",
                                        "123456789012345678",
                                        "ce493601-ae4b-4ca7-af5d-736ddc25f0b7",
                                        "x1y2z3",
                                        "0af7651916cd43dd8448eb211c80319c",
                                        "\xc3\xa9",
                                        "SELECT ",
                                        "0000",
                                        "Z9",
                                        "e5",
                                        "1e5",
                                        "."};
    size_t n = 0;
    for (uint32_t i = random_below(&seed, 6); i > 0; i--) {
        const char *part = parts[random_below(&seed, sizeof parts / sizeof parts[0])];
        memcpy(text + n, part, strlen(part));
        n += strlen(part);
        if (random_below(&seed, 3) == 0) {
            text[n++] = (char)random_u64(&seed);
        }
        for (uint32_t k = random_below(&seed, 12); k > 0; k--) {
            text[n++] = "0123456789abcdefABCDEF"[random_below(&seed, i % 2 ? 10 : 22)];
        }
    }
    return n;
}

static void patterns_give_their_text(void **state)
{
    char text[600];
    uint8_t pattern[1800], back[2000];
    int64_t found[PATTERN_NUMBERS];
    (void)state;
    for (uint32_t round = 0; round < 20000; round++) {
        const size_t n = random_text(text);
        uint32_t n_found;
        uint64_t most;
        sl_bytes p = sl_slice(pattern, pattern_of(sl_slice(text, n), pattern, found, &n_found));
        assert_int_equal(pattern_numbers(p, &most), n_found);
        assert_int_equal(pattern_text(p, found, 1, back) - back, n);
        assert_true(most >= n);
        assert_memory_equal(back, text, n);
        p = sl_slice(pattern, pattern_plain(sl_slice(text, n), pattern));
        assert_int_equal(pattern_numbers(p, &most), 0);
        assert_int_equal(pattern_text(p, found, 1, back) - back, n);
        assert_memory_equal(back, text, n);
    }
}

static void numbers_leave_the_text(void **state)
{
    uint8_t pattern[100];
    int64_t found[PATTERN_NUMBERS];
    uint32_t n;
    (void)state;
    size_t length = pattern_of(sl_str("req-9f86d081"), pattern, found, &n);
    assert_int_equal(n, 1);
    assert_int_equal(found[0], 0x9f86d081);
    assert_memory_equal(pattern, "req-\x01\x48", length);
    length = pattern_of(sl_str("user-4711"), pattern, found, &n);
    assert_int_equal(n, 1);
    assert_int_equal(found[0], 4711);
    assert_memory_equal(pattern, "user-\x01\x01", length);
    length = pattern_of(sl_str("id=ce493601-ae4b-4ca7-af5d-736ddc25f0b7"), pattern, found, &n);
    assert_int_equal(n, 2);
    assert_int_equal(found[0], 0xce493601ae4b4ca7);
    assert_memory_equal(pattern, "id=\x01\x80", length);
}

static void texts_come_back(void **state)
{
    static char memory[400][600];
    sl_bytes texts[400], back[400];
    struct number_writer w;
    struct reading reading;
    (void)state;
    for (uint32_t round = 0; round < ROUNDS / 3; round++) {
        const uint32_t n = random_below(&seed, 400), kind = random_below(&seed, 2);
        for (uint32_t i = 0; i < n; i++) {
            size_t length = kind ? random_text(memory[i]) : 0;
            if (!kind) {
                length = (size_t)snprintf(memory[i], 600, "GET /users/%u/x-%08x",
                                          random_below(&seed, 5000), (unsigned)random_u64(&seed));
            }
            texts[i] = sl_slice(memory[i], length);
        }
        sl_writer patterns = heap_writer();
        number_writer_init(&w);
        assert_true(texts_write(&w, &patterns, texts, n));
        begin_reading(&reading, sl_written(&w.about), sl_written(&w.bits));
        uint8_t *copy = copy_of(sl_written(&patterns));
        struct text_reader r = {reading.r, copy, copy + patterns.used, &reading.arena};
        assert_int_equal(texts_read(&r, NULL, back, n), SL_OK);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(sl_eq(back[i], texts[i]));
        }
        free(copy);
        free(patterns.at);
        end_reading(&reading);
        number_writer_deinit(&w);
    }
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(doubles_come_back),
        cmocka_unit_test(decimals_are_whole_numbers),
        cmocka_unit_test(nothing_is_wasted),
        cmocka_unit_test(changed_numbers_stay_in_bounds),
        cmocka_unit_test(patterns_give_their_text),
        cmocka_unit_test(numbers_leave_the_text),
        cmocka_unit_test(texts_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
