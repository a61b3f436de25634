#include "formats/trace/rans.h"
#include "formats/trace/bits.h"

/* States stay in [LOW, LOW << 16). */
enum { LOW = 1 << 16 };

/* How many bits of a frequency are kept below its highest: what more would save in n symbols must
 * pay for writing it. */
static uint32_t mantissa_of(size_t n)
{
    return n < 512 ? 1 : n < 16384 ? 2 : 4;
}

static uint32_t bit_length(uint32_t v)
{
    return v ? 32 - (uint32_t)__builtin_clz(v) : 0;
}

/* ---- models ---- */

/* The nearest frequency with at most `mantissa` bits below its highest. */
static uint32_t rounded(uint32_t f, uint32_t mantissa)
{
    const uint32_t n = bit_length(f);
    if (n <= mantissa + 1) {
        return f;
    }
    const uint32_t drop = n - mantissa - 1;
    return ((f + (1u << (drop - 1))) >> drop) << drop;
}

/* Gives what is left of the total to the most frequent symbol, or takes what is too much from it.
 * False: it cannot bear that. */
static bool settle(struct rans_model *model)
{
    uint32_t sum = 0, most = 0;
    for (uint32_t i = 0; i < model->symbols; i++) {
        sum += model->frequency[i];
        most = model->frequency[i] > model->frequency[most] ? i : most;
    }
    const int64_t f = (int64_t)model->frequency[most] + RANS_TOTAL - sum;
    model->frequency[most] = (uint16_t)f;
    return f > 0 && f <= RANS_TOTAL;
}

/* A frequency is written as its length, in unary as the difference from the one before, then what
 * is below its highest bit. */
static void write_model(const struct rans_model *model, uint32_t mantissa, sl_writer *to)
{
    if (!sl_writer_room(to, (size_t)model->symbols * 4 + 16)) {
        return;
    }
    struct bit_writer bits = {.p = to->at + to->used};
    put_bits(&bits, model->symbols - 1, 10);
    uint32_t before = 0;
    for (uint32_t i = 0; i < model->symbols; i++) {
        const uint32_t f = model->frequency[i], n = bit_length(f);
        const uint32_t step = n >= before ? 2 * (n - before) : 2 * (before - n) - 1;
        put_bits(&bits, ((uint64_t)1 << step) - 1, step + 1);
        if (n > 1) {
            const uint32_t kept = n - 1 < mantissa ? n - 1 : mantissa;
            put_bits(&bits, (f >> (n - 1 - kept)) & ((1u << kept) - 1), kept);
        }
        before = n;
    }
    to->used = (size_t)(put_bits_end(&bits) - to->at);
}

void rans_make_model(struct rans_model *model, const uint32_t *counts, uint32_t symbols,
                     sl_writer *to)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < symbols; i++) {
        sum += counts[i];
    }
    /* Rounding up may give more than the most frequent symbol can bear: then again with smaller
     * shares. As the alphabet is at most a quarter of the total, that ends. */
    model->symbols = symbols;
    for (uint64_t total = RANS_TOTAL;; total -= total / 8) {
        for (uint32_t i = 0; i < symbols; i++) {
            const uint64_t share = (counts[i] * total + sum / 2) / sum;
            model->frequency[i] =
                (uint16_t)(share > 0 ? rounded((uint32_t)share, mantissa_of(sum)) : counts[i] > 0);
        }
        struct rans_model settled = *model;
        if (settle(&settled)) {
            write_model(model, mantissa_of(sum), to);
            *model = settled;
            return;
        }
    }
}

const uint8_t *rans_read_model(struct rans_model *model, size_t n_symbols, const uint8_t *p,
                               const uint8_t *end)
{
    const uint32_t mantissa = mantissa_of(n_symbols);
    struct bit_reader bits = {.at = p, .n_bytes = (uint64_t)(end - p)};
    model->symbols = (uint32_t)get_bits(&bits, 10) + 1;
    uint32_t before = 0;
    for (uint32_t i = 0; i < model->symbols; i++) {
        const uint32_t unary = (uint32_t)get_bits(&bits, 32);
        const uint32_t step = unary == UINT32_MAX ? 32 : (uint32_t)__builtin_ctz(~unary);
        const uint32_t n = step % 2 ? before - (step + 1) / 2 : before + step / 2;
        if (n > RANS_BITS + 1) {
            return NULL;
        }
        bits.bit = bits.bit - 32 + step + 1;
        uint32_t f = n > 0;
        if (n > 1) {
            const uint32_t kept = n - 1 < mantissa ? n - 1 : mantissa;
            f = (1u << kept | (uint32_t)get_bits(&bits, kept)) << (n - 1 - kept);
        }
        model->frequency[i] = (uint16_t)f;
        before = n;
    }
    return settle(model) ? get_bits_end(&bits) : NULL;
}

/* ---- symbols ---- */

void rans_encode(const struct rans_model *model, const uint16_t *symbols, size_t n, uint8_t *room,
                 sl_writer *to)
{
    uint32_t start[RANS_SYMBOLS], sum = 0;
    uint32_t state[2] = {LOW, LOW};
    uint8_t *const room_end = room + 2 * n + 8;
    uint8_t *p = room_end; /* written backwards: the decoder runs the other way */
    const size_t two = n >= RANS_TWO;
    for (uint32_t i = 0; i < model->symbols; i++) {
        start[i] = sum;
        sum += model->frequency[i];
    }
    for (size_t i = n; i-- > 0;) {
        const uint32_t f = model->frequency[symbols[i]];
        uint32_t x = state[i & two];
        if (x >= (uint64_t)f << (32 - RANS_BITS)) {
            p -= 2;
            memcpy(p, &x, 2);
            x >>= 16;
        }
        state[i & two] = ((x / f) << RANS_BITS) + x % f + start[symbols[i]];
    }
    if (two) {
        p -= 4;
        memcpy(p, &state[1], 4);
    }
    p -= 4;
    memcpy(p, &state[0], 4);
    sl_write_raw(to, sl_slice(p, (size_t)(room_end - p)));
}

static void fill_slots(const struct rans_model *model, struct rans_slot slots[RANS_TOTAL])
{
    uint32_t at = 0;
    for (uint32_t s = 0; s < model->symbols; s++) {
        for (uint32_t i = 0; i < model->frequency[s]; i++) {
            slots[at++] = (struct rans_slot){(uint16_t)s, model->frequency[s], (uint16_t)i};
        }
    }
}

static inline uint32_t step_back(const struct rans_slot *slot, uint32_t x)
{
    return slot->frequency * (x >> RANS_BITS) + slot->offset;
}

const uint8_t *rans_decode(const struct rans_model *model, struct rans_slot slots[RANS_TOTAL],
                           const uint8_t *p, const uint8_t *end, uint16_t *symbols, size_t n)
{
    uint32_t state[2] = {LOW, LOW};
    const size_t two = n >= RANS_TWO;
    if ((size_t)(end - p) < (two ? 8 : 4)) {
        return NULL;
    }
    state[0] = sl_get_fixed32(p);
    p += 4;
    if (two) {
        state[1] = sl_get_fixed32(p);
        p += 4;
    }
    fill_slots(model, slots);
    size_t i = 0;
    for (; two && i + 2 <= n && end - p >= 4; i += 2) {
        const struct rans_slot *a = &slots[state[0] & (RANS_TOTAL - 1)];
        const struct rans_slot *b = &slots[state[1] & (RANS_TOTAL - 1)];
        uint32_t x = step_back(a, state[0]), y = step_back(b, state[1]);
        uint16_t word;
        symbols[i] = a->symbol;
        symbols[i + 1] = b->symbol;
        memcpy(&word, p, 2);
        const uint32_t more_x = x < LOW;
        x = more_x ? x << 16 | word : x;
        p += 2 * more_x;
        memcpy(&word, p, 2);
        const uint32_t more_y = y < LOW;
        y = more_y ? y << 16 | word : y;
        p += 2 * more_y;
        state[0] = x;
        state[1] = y;
    }
    for (; i < n; i++) {
        const struct rans_slot *slot = &slots[state[i & two] & (RANS_TOTAL - 1)];
        uint32_t x = step_back(slot, state[i & two]);
        symbols[i] = slot->symbol;
        if (x < LOW) {
            if (end - p < 2) {
                return NULL;
            }
            uint16_t word;
            memcpy(&word, p, 2);
            p += 2;
            x = x << 16 | word;
        }
        state[i & two] = x;
    }
    return state[0] == LOW && state[1] == LOW ? p : NULL;
}
