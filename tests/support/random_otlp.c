/* Random OTLP. One thread. */
#include "tests/support/random_otlp.h"
#include <stdlib.h>
#include <time.h>

enum { FIELDS_MAX = 256, DEPTH_MAX = 12, HEAP_MAX = 1 << 28 };

struct maker {
    uint64_t *state;
    uint32_t flags;
    uint32_t size;
};

struct piece {
    size_t at, n;
};

/* splitmix64 */
uint64_t random_u64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(random_u64(state) % n);
}

static bool heap_grow(sl_writer *w, size_t more)
{
    const size_t room = 2 * (w->used + more) + 256;
    uint8_t *at = room <= HEAP_MAX ? realloc(w->at, room) : NULL;
    if (!at) {
        abort();
    }
    w->at = at;
    w->room = room;
    return true;
}

sl_writer random_otlp_writer(void)
{
    return sl_writer_growing(heap_grow, NULL);
}

static bool chance(const struct maker *m, uint32_t flag, uint32_t one_in)
{
    return (m->flags & flag) && random_below(m->state, one_in) == 0;
}

static void write_number(const struct maker *m, sl_writer *w, uint64_t v)
{
    uint8_t bytes[SL_VARINT_MAX];
    size_t n = (size_t)(sl_put_varint(bytes, v) - bytes);
    while (n < 5 && chance(m, RANDOM_LONG, 4)) { /* protobuf-c takes no longer tags and lengths */
        bytes[n - 1] |= 0x80;
        bytes[n++] = 0;
    }
    sl_write_raw(w, sl_slice(bytes, n));
}

static void write_tag(const struct maker *m, sl_writer *w, uint32_t number, uint32_t wire)
{
    write_number(m, w, (uint64_t)number << 3 | wire);
}

static void write_slice(const struct maker *m, sl_writer *w, sl_bytes b)
{
    write_number(m, w, b.n);
    sl_write_raw(w, b);
}

static void write_text(const struct maker *m, sl_writer *w)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x99",
                                             "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    char text[400];
    size_t n = 0;
    size_t wanted =
        random_below(m->state, 8) ? random_below(m->state, 40) : random_below(m->state, 300);
    while (n < wanted) {
        if (chance(m, RANDOM_UNICODE, 8)) {
            const char *c = characters[random_below(m->state, 5)];
            memcpy(text + n, c, strlen(c));
            n += strlen(c);
        } else {
            text[n++] = (char)random_below(m->state, 0x80);
        }
    }
    write_slice(m, w, sl_slice(text, n));
}

static uint64_t any_number(const struct maker *m)
{
    return random_u64(m->state) >> random_below(m->state, 64);
}

static void write_random(const struct maker *m, sl_writer *w, size_t n)
{
    uint8_t bytes[64];
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)random_u64(m->state);
    }
    sl_write_raw(w, sl_slice(bytes, n));
}

static void write_packed(const struct maker *m, sl_writer *w, uint32_t number, uint8_t kind)
{
    const uint32_t n = random_below(m->state, 6);
    const bool varint = kind == OTLP_PACKED_VARINT;
    if (random_below(m->state, 2)) { /* one by one */
        for (uint32_t i = 0; i < n; i++) {
            write_tag(m, w, number, varint ? SL_VARINT : SL_FIXED64);
            if (varint) {
                write_number(m, w, any_number(m));
            } else {
                write_random(m, w, 8);
            }
        }
        return;
    }
    sl_writer numbers = random_otlp_writer();
    for (uint32_t i = 0; i < n; i++) {
        if (varint) {
            write_number(m, &numbers, any_number(m));
        } else {
            write_random(m, &numbers, 8);
        }
    }
    write_tag(m, w, number, SL_BYTES);
    write_slice(m, w, sl_written(&numbers));
    free(numbers.at);
}

static void message(const struct maker *m, enum otlp_type type, uint32_t depth, sl_writer *to);

static void write_field(const struct maker *m, sl_writer *w, uint32_t number,
                        const struct otlp_field *field, uint32_t depth)
{
    static const size_t ids[] = {[OTLP_ID8] = 8, [OTLP_ID16] = 16};
    if (field->kind >= OTLP_PACKED_VARINT) {
        write_packed(m, w, number, field->kind);
        return;
    }
    write_tag(m, w, number, field->wire);
    switch (field->kind) {
    case OTLP_VARINT:
        write_number(m, w, any_number(m));
        break;
    case OTLP_FIXED32:
        write_random(m, w, 4);
        break;
    case OTLP_FIXED64:
        write_random(m, w, 8);
        break;
    case OTLP_TEXT:
        write_text(m, w);
        break;
    case OTLP_ID8:
    case OTLP_ID16: {
        const size_t n = random_below(m->state, 8) ? ids[field->kind] : 0;
        write_number(m, w, n);
        write_random(m, w, n);
        break;
    }
    case OTLP_MESSAGE: {
        sl_writer inner = random_otlp_writer();
        message(m, (enum otlp_type)field->message, depth + 1, &inner);
        write_slice(m, w, sl_written(&inner));
        free(inner.at);
        break;
    }
    default: {
        const size_t n = random_below(m->state, 64);
        write_number(m, w, n);
        write_random(m, w, n);
        break;
    }
    }
}

static void write_unknown(const struct maker *m, sl_writer *w)
{
    static const uint32_t wires[] = {SL_VARINT, SL_FIXED64, SL_BYTES, SL_FIXED32};
    const uint32_t wire = wires[random_below(m->state, 4)];
    write_tag(m, w, 100 + random_below(m->state, 100000), wire);
    if (wire == SL_VARINT) {
        write_number(m, w, any_number(m));
    } else if (wire == SL_BYTES) {
        const size_t n = random_below(m->state, 20);
        write_number(m, w, n);
        write_random(m, w, n);
    } else {
        write_random(m, w, wire == SL_FIXED64 ? 8 : 4);
    }
}

/* How often the field is to be written. */
static uint32_t occurrences(const struct maker *m, enum otlp_type type, uint32_t number,
                            const struct otlp_field *field, uint32_t choice, uint32_t depth)
{
    if ((field->flags & OTLP_DATA) || type == OTLP_ANY_VALUE) { /* one of several */
        return number == choice ? 1 + chance(m, RANDOM_REPEATED, 4) : 0;
    }
    if (field->kind == OTLP_MESSAGE && depth >= DEPTH_MAX) {
        return 0;
    }
    if (field->flags & OTLP_REPEATED) {
        return random_below(m->state, field->kind >= OTLP_PACKED_VARINT ? 3 : m->size + 1);
    }
    return random_below(m->state, 4) ? 1 + chance(m, RANDOM_REPEATED, 3) : 0;
}

static void message(const struct maker *m, enum otlp_type type, uint32_t depth, sl_writer *to)
{
    static const uint32_t data[] = {5, 7, 9, 10, 11};
    struct piece pieces[FIELDS_MAX];
    uint32_t n = 0;
    sl_writer w = random_otlp_writer();
    uint32_t choice = data[random_below(m->state, 5)];
    if (type == OTLP_ANY_VALUE) {
        choice = random_below(m->state, 3) ? 1 : random_below(m->state, 9);
        if (depth >= DEPTH_MAX && (choice == 5 || choice == 6)) {
            choice = 3;
        }
    }
    for (uint32_t number = 1; number < OTLP_FIELD_NUMBERS; number++) {
        const struct otlp_field *field = &otlp_layout[type][number];
        if (field->kind == OTLP_UNKNOWN) {
            continue;
        }
        uint32_t times = occurrences(m, type, number, field, choice, depth);
        for (; times > 0 && n < FIELDS_MAX - 1; times--) {
            const size_t at = w.used;
            write_field(m, &w, number, field, depth);
            pieces[n++] = (struct piece){at, w.used - at};
            if (chance(m, RANDOM_UNKNOWN, 10)) {
                write_unknown(m, &w);
                pieces[n - 1].n = w.used - at;
            }
        }
    }
    for (uint32_t i = n; (m->flags & RANDOM_SHUFFLED) && i > 1; i--) {
        const uint32_t j = random_below(m->state, i);
        const struct piece moved = pieces[j];
        pieces[j] = pieces[i - 1];
        pieces[i - 1] = moved;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (pieces[i].n > 0) {
            sl_write_raw(to, sl_slice(w.at + pieces[i].at, pieces[i].n));
        }
    }
    free(w.at);
}

void random_otlp(uint64_t *state, enum otlp_type type, uint32_t flags, uint32_t size, sl_writer *to)
{
    const struct maker m = {.state = state, .flags = flags, .size = size};
    message(&m, type, 0, to);
}

uint64_t random_seed(int argc, char **argv)
{
    uint64_t seed = (uint64_t)time(NULL) * 1000003;
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 0);
        }
    }
    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}
