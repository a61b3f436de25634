#include "formats/trace/texts.h"
#include "formats/trace/text_pattern.h"

enum { COMMON = 8 /* texts that a pattern needs to have columns of its own */ };

struct pattern {
    sl_bytes text;
    uint32_t n_numbers;
    uint32_t used;  /* texts */
    uint32_t final; /* number in the list of patterns that are written */
};

struct builder {
    struct number_writer *w;
    struct trace_arena arena;
    struct pattern *patterns;
    uint32_t n, room;
    struct trace_map map;
    struct numbers numbers; /* of all texts, one after another */
    struct indices of_text; /* pattern */
};

static uint32_t find_pattern(struct builder *b, sl_bytes text, uint32_t n_numbers)
{
    const uint64_t hash = hash_bytes((uintptr_t)b, text);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&b->map, hash, &at)) != TRACE_NONE) {
        if (sl_eq(b->patterns[i].text, text)) {
            return i;
        }
    }
    void *patterns = b->patterns;
    const sl_bytes copy = arena_copy(&b->arena, text);
    if (!copy.p || !array_room(&patterns, b->n, &b->room, 1, sizeof *b->patterns)) {
        return TRACE_NONE;
    }
    b->patterns = patterns;
    b->patterns[b->n] = (struct pattern){.text = copy, .n_numbers = n_numbers};
    return map_add(&b->map, hash, b->n) ? b->n++ : TRACE_NONE;
}

/* Patterns and numbers of all texts. */
static bool take_apart(struct builder *b, const sl_bytes *texts, uint32_t n, uint8_t *scratch)
{
    int64_t found[PATTERN_NUMBERS];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_found;
        const size_t length = pattern_of(texts[i], scratch, found, &n_found);
        const uint32_t k = find_pattern(b, sl_slice(scratch, length), n_found);
        if (k == TRACE_NONE || !indices_add(&b->of_text, k)) {
            return false;
        }
        b->patterns[k].used++;
        for (uint32_t j = 0; j < n_found; j++) {
            if (!numbers_add(&b->numbers, found[j])) {
                return false;
            }
        }
    }
    return true;
}

/* Texts of rare patterns stay as they are: each becomes a pattern without numbers. */
static bool keep_rare(struct builder *b, const sl_bytes *texts, uint32_t n, uint8_t *scratch)
{
    uint32_t from = 0, to = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct pattern *p = &b->patterns[b->of_text.at[i]];
        const uint32_t n_numbers = p->n_numbers;
        if (n_numbers > 0 && p->used < COMMON) {
            const size_t length = pattern_plain(texts[i], scratch);
            const uint32_t k = find_pattern(b, sl_slice(scratch, length), 0);
            if (k == TRACE_NONE) {
                return false;
            }
            b->patterns[k].used++;
            b->of_text.at[i] = k;
        } else if (n_numbers > 0) {
            memmove(b->numbers.at + to, b->numbers.at + from, n_numbers * sizeof *b->numbers.at);
            to += n_numbers;
        }
        from += n_numbers;
    }
    return true;
}

/* The patterns in the order in which they first occur, and which text has which. */
static bool write_patterns(struct builder *b, sl_writer *patterns, uint32_t n)
{
    struct numbers lengths = {0}, ids = {0};
    bool fine = true;
    for (uint32_t i = 0; i < b->n; i++) {
        b->patterns[i].final = TRACE_NONE;
    }
    for (uint32_t i = 0; fine && i < n; i++) {
        struct pattern *p = &b->patterns[b->of_text.at[i]];
        if (p->final == TRACE_NONE) {
            p->final = lengths.n;
            fine = numbers_add(&lengths, (int64_t)p->text.n);
            sl_write_raw(patterns, p->text);
        }
        fine = fine && numbers_add(&ids, p->final);
    }
    write_number(&b->w->about, lengths.n);
    fine = fine && numbers_write(b->w, lengths.at, lengths.n) &&
           (lengths.n == 1 || numbers_write(b->w, ids.at, n));
    free(lengths.at);
    free(ids.at);
    return fine && !patterns->failed;
}

/* For each pattern, in the order in which they were written, a stream for each of its numbers. */
static bool write_numbers(struct builder *b, uint32_t n)
{
    struct indices by_final = {0};
    struct numbers column = {0};
    /* where the numbers of the pattern's next text are, text by text */
    uint32_t *next = calloc((size_t)n + 1, sizeof *next), *last = NULL, *first = NULL;
    last = malloc(((size_t)b->n + 1) * sizeof *last);
    first = malloc(((size_t)b->n + 1) * sizeof *first);
    uint32_t *start = malloc(((size_t)n + 1) * sizeof *start);
    bool fine = next && last && first && start;
    uint32_t at = 0;
    for (uint32_t i = 0; fine && i < b->n; i++) {
        first[i] = TRACE_NONE;
    }
    for (uint32_t i = 0; fine && i < n; i++) {
        const uint32_t k = b->of_text.at[i];
        start[i] = at;
        at += b->patterns[k].n_numbers;
        next[i] = TRACE_NONE;
        if (first[k] == TRACE_NONE) {
            first[k] = i;
            fine = indices_add(&by_final, k);
        } else {
            next[last[k]] = i;
        }
        last[k] = i;
    }
    for (uint32_t i = 0; fine && i < by_final.n; i++) {
        const uint32_t k = by_final.at[i];
        for (uint32_t slot = 0; fine && slot < b->patterns[k].n_numbers; slot++) {
            column.n = 0;
            for (uint32_t t = first[k]; fine && t != TRACE_NONE; t = next[t]) {
                fine = numbers_add(&column, b->numbers.at[start[t] + slot]);
            }
            fine = fine && numbers_write(b->w, column.at, column.n);
        }
    }
    free(next);
    free(last);
    free(first);
    free(start);
    free(by_final.at);
    free(column.at);
    return fine;
}

bool texts_write(struct number_writer *w, sl_writer *patterns, const sl_bytes *texts, uint32_t n)
{
    struct builder b = {.w = w, .arena = {.limit = UINT64_MAX}};
    size_t longest = 0;
    if (n == 0) {
        return true;
    }
    for (uint32_t i = 0; i < n; i++) {
        longest = texts[i].n > longest ? texts[i].n : longest;
    }
    uint8_t *scratch = malloc(longest * 3 + 1);
    const bool fine = scratch && take_apart(&b, texts, n, scratch) &&
                      keep_rare(&b, texts, n, scratch) && write_patterns(&b, patterns, n) &&
                      write_numbers(&b, n);
    free(scratch);
    arena_free(&b.arena);
    free(b.patterns);
    map_free(&b.map);
    free(b.numbers.at);
    free(b.of_text.at);
    return fine;
}

double text_cost(sl_bytes text, uint8_t *scratch)
{
    int64_t found[PATTERN_NUMBERS];
    uint32_t n_found;
    const size_t length = pattern_of(text, scratch, found, &n_found);
    if (n_found == 0) {
        return (double)text.n * 4;
    }
    return pattern_bits(sl_slice(scratch, length), found);
}

/* ---- reading ---- */

struct read_pattern {
    sl_bytes text;
    uint32_t n_numbers, used, next;
    uint64_t most;    /* bytes of a text */
    int64_t *numbers; /* of the first text; those of one text are `used` apart */
};

static int32_t read_patterns(struct text_reader *r, struct read_pattern *patterns, uint32_t n)
{
    int64_t *lengths = arena_get(r->numbers->scratch, n, sizeof *lengths);
    if (!lengths) {
        return SL_ERR_NOMEM;
    }
    const int32_t status = numbers_read(r->numbers, lengths, n);
    for (uint32_t i = 0; status == SL_OK && i < n; i++) {
        const uint64_t length = (uint64_t)lengths[i];
        if (length > (uint64_t)(r->patterns_end - r->patterns)) {
            return SL_ERR_INVALID;
        }
        patterns[i].text = sl_slice(r->patterns, (size_t)length);
        patterns[i].n_numbers = pattern_numbers(patterns[i].text, &patterns[i].most);
        r->patterns += length;
        if (patterns[i].n_numbers == TRACE_NONE) {
            return SL_ERR_INVALID;
        }
    }
    return status;
}

static int32_t read_columns(struct text_reader *r, struct read_pattern *patterns, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct read_pattern *p = &patterns[i];
        p->numbers =
            arena_get(r->numbers->scratch, (uint64_t)p->n_numbers * p->used, sizeof *p->numbers);
        if (!p->numbers) {
            return SL_ERR_NOMEM;
        }
        for (uint32_t slot = 0; slot < p->n_numbers; slot++) {
            const int32_t status =
                numbers_read(r->numbers, p->numbers + (size_t)slot * p->used, p->used);
            if (status != SL_OK) {
                return status;
            }
        }
    }
    return SL_OK;
}

static int32_t put_together(struct text_reader *r, struct read_pattern *patterns,
                            const int64_t *ids, const uint8_t *wanted, sl_bytes *texts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct read_pattern *p = &patterns[ids[i]];
        if (wanted && !wanted[i]) {
            texts[i] = sl_slice(NULL, 0);
            p->next += p->n_numbers > 0;
            continue;
        }
        if (p->n_numbers == 0 && p->next++ > 0) {
            texts[i] = p->text; /* made before */
            continue;
        }
        uint8_t *at = arena_get(r->arena, p->most + 1, 1);
        if (!at) {
            return SL_ERR_NOMEM;
        }
        const uint8_t *end = pattern_text(p->text, p->numbers + p->next, p->used, at);
        texts[i] = sl_slice(at, (size_t)(end - at));
        if (p->n_numbers == 0) {
            p->text = texts[i];
        } else {
            p->next++;
        }
    }
    return SL_OK;
}

int32_t texts_read(struct text_reader *r, const uint8_t *wanted, sl_bytes *texts, uint32_t n)
{
    uint64_t n_patterns;
    if (n == 0) {
        return SL_OK;
    }
    if (!read_number(r->numbers, &n_patterns) || n_patterns == 0 || n_patterns > n) {
        return SL_ERR_INVALID;
    }
    struct read_pattern *patterns = arena_zeroed(r->numbers->scratch, n_patterns, sizeof *patterns);
    int64_t *ids = arena_zeroed(r->numbers->scratch, n, sizeof *ids);
    if (!patterns || !ids) {
        return SL_ERR_NOMEM;
    }
    int32_t status = read_patterns(r, patterns, (uint32_t)n_patterns);
    if (status == SL_OK && n_patterns > 1) {
        status = numbers_read(r->numbers, ids, n);
    }
    for (uint32_t i = 0; status == SL_OK && i < n; i++) {
        if ((uint64_t)ids[i] >= n_patterns) {
            return SL_ERR_INVALID;
        }
        patterns[ids[i]].used++;
    }
    if (status == SL_OK) {
        status = read_columns(r, patterns, (uint32_t)n_patterns);
    }
    return status == SL_OK ? put_together(r, patterns, ids, wanted, texts, n) : status;
}
