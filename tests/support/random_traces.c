#include "tests/support/random_traces.h"
#include "tests/support/random_otlp.h"
#include <stdio.h>

enum { LONGEST_TRACE = 40 };

struct maker {
    uint64_t *state;
    uint32_t flags;
    sl_writer *to;
    uint8_t trace_id[16];
    uint8_t ids[LONGEST_TRACE][8];
    uint64_t start[LONGEST_TRACE];
    uint32_t n; /* spans of the trace so far */
    uint64_t time;
};

static uint32_t below(const struct maker *m, uint32_t n)
{
    return random_below(m->state, n);
}

/* Where odd things are wished, one in n. */
static bool odd(const struct maker *m, uint32_t n)
{
    return (m->flags & RANDOM_TRACES_ODD) && below(m, n) == 0;
}

static void random_bytes(const struct maker *m, uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint8_t)random_u64(m->state);
    }
}

static sl_bytes text(const struct maker *m, char room[80], const char *format)
{
    const int n = snprintf(room, 80, format, below(m, 3000), (unsigned)random_u64(m->state));
    return sl_slice(room, (size_t)n);
}

static void value(const struct maker *m, uint32_t field, uint32_t depth)
{
    char room[80];
    const size_t any = sl_write_begin(m->to, field);
    switch (below(m, depth < 4 ? 9 : 6)) {
    case 0:
        sl_write_bool(m->to, 2, below(m, 2));
        break;
    case 1:
        sl_write_int(m->to, 3, (int64_t)random_u64(m->state) >> below(m, 64));
        break;
    case 2:
        sl_write_double(m->to, 4, below(m, 100000) / 100.0);
        break;
    case 3:
        sl_write_bytes(m->to, 7, sl_slice(&m->time, below(m, 9)));
        break;
    case 4:
        break;
    case 6: { /* a list */
        const size_t list = sl_write_begin(m->to, 5);
        for (uint32_t i = below(m, 4); i > 0; i--) {
            value(m, 1, depth + 1);
        }
        sl_write_end(m->to, list);
        break;
    }
    case 7: { /* a map */
        const size_t map = sl_write_begin(m->to, 6);
        for (uint32_t i = below(m, 4); i > 0; i--) {
            const size_t pair = sl_write_begin(m->to, 1);
            sl_write_bytes(m->to, 1, text(m, room, "k%u"));
            value(m, 2, depth + 1);
            sl_write_end(m->to, pair);
        }
        sl_write_end(m->to, map);
        break;
    }
    default:
        sl_write_bytes(m->to, 1,
                       text(m, room, below(m, 2) ? "/users/%u/orders" : "request-%.0u%08x"));
    }
    if (odd(m, 50)) {
        sl_write_varint(m->to, 100, 1);
    }
    sl_write_end(m->to, any);
}

static void attributes(const struct maker *m, uint32_t field, uint32_t n)
{
    static const char *const keys[] = {"http.route", "user.id", "", "net.peer.port",
                                       "db.statement"};
    char room[80];
    for (; n > 0; n--) {
        const size_t pair = sl_write_begin(m->to, field);
        if (m->flags & RANDOM_TRACES_MANY_NAMES) {
            sl_write_bytes(m->to, 1, text(m, room, "key.%u.%x"));
        } else if (!odd(m, 10)) {
            sl_write_text(m->to, 1, keys[n % 5]);
        }
        if (!odd(m, 10)) {
            value(m, 2, 0);
        }
        sl_write_end(m->to, pair);
    }
}

static uint64_t time_near(const struct maker *m, uint64_t time)
{
    return odd(m, 20) ? 0 : odd(m, 20) ? UINT64_MAX - below(m, 9) : time + below(m, 50000000);
}

static void event(const struct maker *m)
{
    const size_t mark = sl_write_begin(m->to, 11);
    sl_write_fixed64(m->to, 1, time_near(m, m->start[m->n]));
    if (!odd(m, 4)) {
        sl_write_text(m->to, 2, below(m, 2) ? "exception" : "message");
    }
    attributes(m, 3, below(m, 3));
    if (odd(m, 4)) {
        sl_write_varint(m->to, 4, below(m, 3));
    }
    if (odd(m, 10)) {
        sl_write_text(m->to, 77, "unknown");
    }
    sl_write_end(m->to, mark);
}

static void link(const struct maker *m)
{
    uint8_t id[16];
    random_bytes(m, id, sizeof id);
    const size_t mark = sl_write_begin(m->to, 13);
    sl_write_bytes(m->to, 1, sl_slice(id, odd(m, 8) ? 0 : 16));
    sl_write_bytes(m->to, 2, sl_slice(id, 8));
    if (below(m, 2)) {
        sl_write_text(m->to, 3, "vendor=1");
    }
    attributes(m, 4, below(m, 2));
    sl_write_varint(m->to, 5, below(m, 2));
    sl_write_fixed32(m->to, 6, below(m, 2) * 257);
    sl_write_end(m->to, mark);
}

static void status(const struct maker *m)
{
    const size_t mark = sl_write_begin(m->to, 15);
    if (below(m, 2)) {
        sl_write_text(m->to, 2, "it failed");
    }
    sl_write_varint(m->to, 3, below(m, 3));
    if (odd(m, 10)) {
        sl_write_varint(m->to, 9, 1);
    }
    sl_write_end(m->to, mark);
}

static void ids_of_span(struct maker *m)
{
    random_bytes(m, m->ids[m->n], 8);
    if (m->n > 0 && odd(m, 10)) {
        memcpy(m->ids[m->n], m->ids[below(m, m->n)], 8);
    }
    sl_write_bytes(m->to, 1, sl_slice(m->trace_id, odd(m, 30) ? 0 : 16));
    sl_write_bytes(m->to, 2, sl_slice(m->ids[m->n], odd(m, 30) ? 0 : 8));
    uint8_t parent[8];
    random_bytes(m, parent, 8);
    if (m->n > 0 && below(m, 8)) {
        memcpy(parent, m->ids[below(m, m->n)], 8);
    }
    if (odd(m, 20)) { /* itself, which with the one above makes circles */
        memcpy(parent, m->ids[m->n], 8);
    }
    if (m->n > 0 || below(m, 4) == 0) {
        sl_write_bytes(m->to, 4, sl_slice(parent, 8));
    }
}

static void span(struct maker *m)
{
    static const char *const names[] = {"GET /cart", "SELECT", "publish", "dns.lookup", "", "GET"};
    char room[80];
    m->start[m->n] = time_near(m, m->time);
    const size_t mark = sl_write_begin(m->to, 2);
    ids_of_span(m);
    if (m->flags & RANDOM_TRACES_MANY_NAMES) {
        sl_write_bytes(m->to, 5, text(m, room, "GET /users/%u/%x"));
    } else {
        sl_write_text(m->to, 5, names[below(m, 6)]);
    }
    sl_write_varint(m->to, 6, below(m, 6));
    sl_write_fixed64(m->to, 7, m->start[m->n]);
    sl_write_fixed64(m->to, 8, time_near(m, m->start[m->n]));
    attributes(m, 9, below(m, 6));
    for (uint32_t i = below(m, 8) == 0 ? below(m, 4) : 0; i > 0; i--) {
        event(m);
    }
    for (uint32_t i = below(m, 8) == 0 ? below(m, 3) : 0; i > 0; i--) {
        link(m);
    }
    if (below(m, 4) == 0) {
        status(m);
    }
    if (odd(m, 4)) {
        sl_write_varint(m->to, 10, below(m, 3));
        sl_write_varint(m->to, 12, below(m, 3));
        sl_write_varint(m->to, 14, below(m, 3));
        sl_write_text(m->to, 3, below(m, 2) ? "a=b" : "");
    }
    sl_write_fixed32(m->to, 16, odd(m, 3) ? below(m, 1000) : 257);
    if (odd(m, 20)) {
        sl_write_text(m->to, 1000, "unknown");
    }
    if (odd(m, 20)) {
        sl_write_text(m->to, 5, "another name");
    }
    sl_write_end(m->to, mark);
    m->n++;
}

static void resource(const struct maker *m)
{
    const size_t mark = sl_write_begin(m->to, 1);
    sl_write_attr_text(m->to, 1, sl_str("service.name"), sl_str(below(m, 2) ? "cart" : "orders"));
    sl_write_end(m->to, mark);
    if (below(m, 3) == 0) {
        sl_write_text(m->to, 3, "https://opentelemetry.io/schemas/1.30.0");
    }
}

void random_traces(uint64_t *state, uint32_t spans, uint32_t flags, sl_writer *to)
{
    struct maker m = {.state = state, .flags = flags, .to = to, .time = UINT64_C(1700000000) << 30};
    for (uint32_t made = 0; made < spans;) {
        const size_t record = sl_write_begin(to, 1);
        resource(&m);
        for (uint32_t scopes = 1 + below(&m, 2); scopes > 0; scopes--) {
            const size_t scope = sl_write_begin(to, 2);
            if (below(&m, 2)) {
                sl_write_bytes(to, 1, sl_slice("\x0a\x04http", 6));
            }
            for (uint32_t i = 1 + below(&m, 30); i > 0; i--, made++) {
                if (m.n == 0 || m.n == LONGEST_TRACE || below(&m, 10) == 0) {
                    m.n = 0;
                    m.time += below(&m, 100000000);
                    random_bytes(&m, m.trace_id, sizeof m.trace_id);
                }
                span(&m);
            }
            sl_write_end(to, scope);
        }
        sl_write_end(to, record);
    }
}
