/* The reader's side of number_code.h. Whatever the bytes are, it stays within them. */
#include "formats/trace/bits.h"
#include "formats/trace/number_code.h"
#include "formats/trace/number_split.h"

struct head {
    uint32_t kind, transform;
    bool listed;
    int64_t base;
    uint64_t unit;
};

bool read_number(struct number_reader *r, uint64_t *v)
{
    const uint8_t *p = sl_get_varint(r->about, r->about_end, v);
    r->about = p ? p : r->about;
    return p;
}

static int64_t unzigzag(uint64_t v)
{
    return sl_get_sint(v);
}

static bool read_head(struct number_reader *r, struct head *head)
{
    uint64_t first, base = 0;
    head->unit = 1;
    if (!read_number(r, &first) || first > 127) {
        return false;
    }
    head->kind = (uint32_t)first & 7;
    head->transform = (uint32_t)first >> 3 & 3;
    head->listed = first & NUMBERS_LISTED;
    if ((head->transform != NUMBERS_ZIGZAG && !read_number(r, &base)) ||
        ((first & NUMBERS_UNIT) && !read_number(r, &head->unit))) {
        return false;
    }
    head->base = unzigzag(base);
    return true;
}

static bool read_packed(struct number_reader *r, const uint8_t *end, uint64_t *x, uint32_t n,
                        uint64_t width)
{
    struct bit_reader bits = {.at = r->bits, .n_bytes = (uint64_t)(end - r->bits)};
    if (width > 64 || width * n > bits.n_bytes * 8) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        x[i] = get_bits(&bits, (uint32_t)width);
    }
    return get_bits_end(&bits) == end;
}

static bool read_coded(struct number_reader *r, const uint8_t *end, struct number_split split,
                       uint64_t *x, uint32_t n)
{
    struct symbol_value values[RANS_SYMBOLS];
    const uint8_t *p = rans_read_model(&r->model, n, r->bits, end);
    if (!p) {
        return false;
    }
    for (uint32_t i = 0; i < r->model.symbols; i++) {
        values[i] = value_of_symbol(split, i);
        if (values[i].bits == UINT32_MAX && r->model.frequency[i] > 0) {
            return false;
        }
    }
    p = rans_decode(&r->model, r->slots, p, end, r->symbols, n);
    if (!p) {
        return false;
    }
    struct bit_reader bits = {.at = p, .n_bytes = (uint64_t)(end - p)};
    for (uint32_t i = 0; i < n; i++) {
        const struct symbol_value *value = &values[r->symbols[i]];
        x[i] = value->value | get_bits(&bits, value->bits);
    }
    return get_bits_end(&bits) == end;
}

/* Numbers of a kind other than constant. */
static bool read_plan(struct number_reader *r, const struct head *head, uint64_t *x, uint32_t n)
{
    uint64_t width = 0, bytes;
    if ((head->kind == NUMBERS_PACKED && !read_number(r, &width)) || !read_number(r, &bytes) ||
        bytes > (uint64_t)(r->bits_end - r->bits)) {
        return false;
    }
    const uint8_t *end = r->bits + bytes;
    const bool read = head->kind == NUMBERS_PACKED
                          ? read_packed(r, end, x, n, width)
                          : read_coded(r, end, number_splits[head->kind - NUMBERS_CODED], x, n);
    r->bits = end;
    return read;
}

/* From x to the numbers that were written. All arithmetic wraps around. */
static void restore(const struct head *head, const uint64_t *x, int64_t *v, uint32_t n)
{
    const uint64_t base = (uint64_t)head->base, unit = head->unit;
    uint64_t last = 0;
    switch (head->transform) {
    case NUMBERS_FROM_BASE:
        for (uint32_t i = 0; i < n; i++) {
            v[i] = (int64_t)(base + x[i] * unit);
        }
        break;
    case NUMBERS_ZIGZAG:
        for (uint32_t i = 0; i < n; i++) {
            v[i] = unzigzag(x[i]);
        }
        break;
    case NUMBERS_DELTA:
        for (uint32_t i = 0; i < n; i++) {
            last += (uint64_t)unzigzag(x[i]);
            v[i] = (int64_t)(base + last * unit);
        }
        break;
    default: /* last: the next number that has not been */
        for (uint32_t i = 0; i < n; i++) {
            v[i] = (int64_t)(base + (last - x[i]) * unit);
            last += x[i] == 0;
        }
    }
}

static int32_t read_list(struct number_reader *r, uint64_t n_list, uint64_t **list)
{
    struct head head;
    *list = arena_get(r->scratch, n_list, sizeof **list);
    if (!*list) {
        return SL_ERR_NOMEM;
    }
    uint64_t *x = arena_get(r->scratch, n_list, sizeof *x);
    if (!x) {
        return SL_ERR_NOMEM;
    }
    if (!read_head(r, &head) || head.listed) {
        return SL_ERR_INVALID;
    }
    memset(x, 0, (size_t)n_list * sizeof *x);
    if (head.kind != NUMBERS_CONSTANT && !read_plan(r, &head, x, (uint32_t)n_list)) {
        return SL_ERR_INVALID;
    }
    restore(&head, x, (int64_t *)*list, (uint32_t)n_list);
    for (uint64_t i = 1; i < n_list; i++) {
        (*list)[i] += (*list)[i - 1];
    }
    return SL_OK;
}

static int32_t read_listed(struct number_reader *r, const struct head *head, int64_t *v, uint32_t n)
{
    uint64_t n_list, *list;
    if (!read_number(r, &n_list) || n_list == 0 || n_list > NUMBERS_LIST_MAX ||
        head->kind == NUMBERS_CONSTANT || !read_plan(r, head, r->x, n)) {
        return SL_ERR_INVALID;
    }
    const int32_t status = read_list(r, n_list, &list);
    for (uint32_t i = 0; status == SL_OK && i < n; i++) {
        if (r->x[i] >= n_list) {
            return SL_ERR_INVALID;
        }
        v[i] = (int64_t)((uint64_t)head->base + list[r->x[i]] * head->unit);
    }
    return status;
}

int32_t numbers_read_some(struct number_reader *r, int64_t *v, uint32_t n, bool *constant)
{
    struct head head;
    *constant = false;
    if (n == 0) {
        return SL_OK;
    }
    if (!read_head(r, &head)) {
        return SL_ERR_INVALID;
    }
    if (head.kind == NUMBERS_CONSTANT && head.transform != NUMBERS_FROM_MOST) {
        *constant = true;
        v[0] = head.base;
        return SL_OK;
    }
    if (n > r->room) {
        const uint32_t room = n < UINT32_MAX / 2 ? n + n / 2 : n;
        r->x = arena_get(r->arena, room, sizeof *r->x);
        r->symbols = arena_get(r->arena, room, sizeof *r->symbols);
        r->room = r->x && r->symbols ? room : 0;
    }
    if (n > r->room) {
        return SL_ERR_NOMEM;
    }
    if (head.listed) {
        return read_listed(r, &head, v, n);
    }
    if (head.kind == NUMBERS_CONSTANT) {
        memset(r->x, 0, n * sizeof *r->x);
    } else if (!read_plan(r, &head, r->x, n)) {
        return SL_ERR_INVALID;
    }
    restore(&head, r->x, v, n);
    return SL_OK;
}

int32_t numbers_read(struct number_reader *r, int64_t *v, uint32_t n)
{
    bool constant;
    const int32_t status = numbers_read_some(r, v, n, &constant);
    for (uint32_t i = 1; status == SL_OK && constant && i < n; i++) {
        v[i] = v[0];
    }
    return status;
}

/* Steps over the content of a stream. */
static bool skip_content(struct number_reader *r, const struct head *head)
{
    uint64_t width, bytes;
    if (head->kind == NUMBERS_CONSTANT) {
        return true;
    }
    if ((head->kind == NUMBERS_PACKED && !read_number(r, &width)) || !read_number(r, &bytes) ||
        bytes > (uint64_t)(r->bits_end - r->bits)) {
        return false;
    }
    r->bits += bytes;
    return true;
}

int32_t numbers_skip(struct number_reader *r, uint32_t n)
{
    struct head head, list;
    uint64_t n_list;
    if (n == 0) {
        return SL_OK;
    }
    if (!read_head(r, &head) || (head.listed && !read_number(r, &n_list)) ||
        !skip_content(r, &head)) {
        return SL_ERR_INVALID;
    }
    return !head.listed || (read_head(r, &list) && skip_content(r, &list)) ? SL_OK : SL_ERR_INVALID;
}
