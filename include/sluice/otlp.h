/* sluice/otlp.h - reading and writing the bytes of OTLP. C11 and C++; header-only. */
#ifndef SLUICE_OTLP_H
#define SLUICE_OTLP_H
#include <sluice/plugin.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire is little-endian, and so must the machine be"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- writer -------------------------------------------------------------------------------- */

/* Writes protobuf fields one after another. What is written is used, zeros and empty strings too:
 * leaving out a field that has its default is the caller's choice. Zero it, then set `at` and
 * `room`, or `grow`. Failing is sticky: write everything, then look at `failed` once. */
typedef struct sl_writer sl_writer;
struct sl_writer {
    uint8_t *at;
    size_t used, room;
    /* Makes room for `more` bytes behind `used` (updates at and room) or returns false. NULL: the
     * memory is fixed. */
    bool (*grow)(sl_writer *, size_t more);
    void *ctx; /* grow's */
    bool failed;
};

static inline sl_writer sl_writer_fixed(void *at, size_t room)
{
    sl_writer w;
    w.at = (uint8_t *)at;
    w.used = 0;
    w.room = room;
    w.grow = NULL;
    w.ctx = NULL;
    w.failed = false;
    return w;
}

static inline sl_writer sl_writer_growing(bool (*grow)(sl_writer *, size_t more), void *ctx)
{
    sl_writer w = sl_writer_fixed(NULL, 0);
    w.grow = grow;
    w.ctx = ctx;
    return w;
}

static inline sl_bytes sl_written(const sl_writer *w)
{
    return sl_slice(w->at, w->used);
}

/* Room for `more` bytes at at[used]; false once the writer has failed. */
static inline bool sl_writer_room(sl_writer *w, size_t more)
{
    if (more <= w->room - w->used && !w->failed) {
        return true;
    }
    if (w->failed || !w->grow || !w->grow(w, more) || more > w->room - w->used) {
        w->failed = true;
        return false;
    }
    return true;
}

/* Bytes that the varint takes: 1 to 10. */
static inline size_t sl_varint_size(uint64_t v)
{
#if defined(__GNUC__)
    return (size_t)((9 * (63 - __builtin_clzll(v | 1)) + 73) / 64);
#else
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) {
        n++;
    }
    return n;
#endif
}

static inline size_t sl_tag_size(uint32_t field)
{
    return sl_varint_size((uint64_t)field << 3);
}

/* The put functions need room that was checked before, and return what follows. */
static inline uint8_t *sl_put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *p++ = (uint8_t)(v | 0x80);
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *sl_put_tag(uint8_t *p, uint32_t field, uint32_t wire_type)
{
    return sl_put_varint(p, ((uint64_t)field << 3) | wire_type);
}

static inline uint8_t *sl_put_slice(uint8_t *p, sl_bytes b)
{
    if (b.n) {
        memcpy(p, b.p, b.n);
    }
    return p + b.n;
}

enum sl_wire_type { SL_VARINT = 0, SL_FIXED64 = 1, SL_BYTES = 2, SL_FIXED32 = 5 };

static inline void sl_write_raw(sl_writer *w, sl_bytes b)
{
    if (sl_writer_room(w, b.n)) {
        w->used = (size_t)(sl_put_slice(w->at + w->used, b) - w->at);
    }
}

static inline void sl_write_varint(sl_writer *w, uint32_t field, uint64_t v)
{
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(v))) {
        w->used = (size_t)(sl_put_varint(sl_put_tag(w->at + w->used, field, SL_VARINT), v) - w->at);
    }
}

/* int32, int64, enum: a negative number takes ten bytes. */
static inline void sl_write_int(sl_writer *w, uint32_t field, int64_t v)
{
    sl_write_varint(w, field, (uint64_t)v);
}

static inline void sl_write_bool(sl_writer *w, uint32_t field, bool v)
{
    sl_write_varint(w, field, v ? 1 : 0);
}

/* sint32, sint64 */
static inline void sl_write_sint(sl_writer *w, uint32_t field, int64_t v)
{
    sl_write_varint(w, field, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static inline void sl_write_fixed64(sl_writer *w, uint32_t field, uint64_t v)
{
    if (sl_writer_room(w, sl_tag_size(field) + sizeof v)) {
        uint8_t *p = sl_put_tag(w->at + w->used, field, SL_FIXED64);
        memcpy(p, &v, sizeof v);
        w->used = (size_t)(p + sizeof v - w->at);
    }
}

static inline void sl_write_fixed32(sl_writer *w, uint32_t field, uint32_t v)
{
    if (sl_writer_room(w, sl_tag_size(field) + sizeof v)) {
        uint8_t *p = sl_put_tag(w->at + w->used, field, SL_FIXED32);
        memcpy(p, &v, sizeof v);
        w->used = (size_t)(p + sizeof v - w->at);
    }
}

static inline void sl_write_double(sl_writer *w, uint32_t field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    sl_write_fixed64(w, field, bits);
}

/* bytes, string, and messages that are already encoded */
static inline void sl_write_bytes(sl_writer *w, uint32_t field, sl_bytes b)
{
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(b.n) + b.n)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), b.n);
        w->used = (size_t)(sl_put_slice(p, b) - w->at);
    }
}

static inline void sl_write_text(sl_writer *w, uint32_t field, const char *text)
{
    sl_write_bytes(w, field, sl_str(text));
}

/* A nested message: mark = sl_write_begin(w, field); its fields; sl_write_end(w, mark). The length
 * is written at the end in as few bytes as it needs, which moves the message where the guess was
 * wrong: `_sized` with a message that is known to be large avoids that. Ends in reverse order. */
static inline size_t sl_write_begin_sized(sl_writer *w, uint32_t field, size_t guess)
{
    const size_t reserved = sl_varint_size(guess);
    if (!sl_writer_room(w, sl_tag_size(field) + reserved)) {
        return 0;
    }
    w->used = (size_t)(sl_put_tag(w->at + w->used, field, SL_BYTES) - w->at);
    w->used += reserved;
    return w->used * 16 + reserved;
}

static inline size_t sl_write_begin(sl_writer *w, uint32_t field)
{
    return sl_write_begin_sized(w, field, 0);
}

static inline void sl_write_end(sl_writer *w, size_t mark)
{
    const size_t start = mark / 16, reserved = mark % 16;
    if (w->failed) {
        return;
    }
    const size_t n = w->used - start, needed = sl_varint_size(n);
    if (needed != reserved) {
        if (needed > reserved && !sl_writer_room(w, needed - reserved)) {
            return;
        }
        memmove(w->at + start - reserved + needed, w->at + start, n);
        w->used = start - reserved + needed + n;
    }
    sl_put_varint(w->at + start - reserved, n);
}

/* Packed repeated numbers; nothing is written for none. */
static inline void sl_write_packed_varint(sl_writer *w, uint32_t field, const uint64_t *v, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += sl_varint_size(v[i]);
    }
    if (n && sl_writer_room(w, sl_tag_size(field) + sl_varint_size(bytes) + bytes)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), bytes);
        for (size_t i = 0; i < n; i++) {
            p = sl_put_varint(p, v[i]);
        }
        w->used = (size_t)(p - w->at);
    }
}

static inline void sl_write_packed_fixed64(sl_writer *w, uint32_t field, const uint64_t *v,
                                           size_t n)
{
    if (n) {
        sl_write_bytes(w, field, sl_slice(v, n * sizeof *v));
    }
}

static inline void sl_write_packed_double(sl_writer *w, uint32_t field, const double *v, size_t n)
{
    if (n) {
        sl_write_bytes(w, field, sl_slice(v, n * sizeof *v));
    }
}

/* AnyValue as field `field`: of a KeyValue 2, of an ArrayValue 1, of a LogRecord's body 5. */
static inline void sl_write_value_text(sl_writer *w, uint32_t field, sl_bytes v)
{
    const size_t inner = 1 + sl_varint_size(v.n) + v.n;
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(inner) + inner)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), inner);
        *p++ = 0x0a; /* string_value */
        w->used = (size_t)(sl_put_slice(sl_put_varint(p, v.n), v) - w->at);
    }
}

static inline void sl_write_value_bytes(sl_writer *w, uint32_t field, sl_bytes v)
{
    const size_t mark = sl_write_begin_sized(w, field, v.n);
    sl_write_bytes(w, 7, v);
    sl_write_end(w, mark);
}

static inline void sl_write_value_bool(sl_writer *w, uint32_t field, bool v)
{
    const size_t mark = sl_write_begin(w, field);
    sl_write_bool(w, 2, v);
    sl_write_end(w, mark);
}

static inline void sl_write_value_int(sl_writer *w, uint32_t field, int64_t v)
{
    const size_t mark = sl_write_begin(w, field);
    sl_write_int(w, 3, v);
    sl_write_end(w, mark);
}

static inline void sl_write_value_double(sl_writer *w, uint32_t field, double v)
{
    const size_t mark = sl_write_begin(w, field);
    sl_write_double(w, 4, v);
    sl_write_end(w, mark);
}

/* KeyValue as field `field`, one attribute. For values of other kinds:
 *     kv = sl_write_begin(w, field); sl_write_bytes(w, 1, key);
 *     v = sl_write_begin(w, 2); list = sl_write_begin(w, 5);
 *     sl_write_value_text(w, 1, first); sl_write_value_text(w, 1, second);
 *     sl_write_end(w, list); sl_write_end(w, v); sl_write_end(w, kv); */
static inline void sl_write_attr_text(sl_writer *w, uint32_t field, sl_bytes key, sl_bytes value)
{
    const size_t any = 1 + sl_varint_size(value.n) + value.n;
    const size_t kv = 1 + sl_varint_size(key.n) + key.n + 1 + sl_varint_size(any) + any;
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(kv) + kv)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), kv);
        *p++ = 0x0a; /* key */
        p = sl_put_slice(sl_put_varint(p, key.n), key);
        *p++ = 0x12; /* value */
        p = sl_put_varint(p, any);
        *p++ = 0x0a; /* string_value */
        w->used = (size_t)(sl_put_slice(sl_put_varint(p, value.n), value) - w->at);
    }
}

static inline void sl_write_attr_bool(sl_writer *w, uint32_t field, sl_bytes key, bool value)
{
    const size_t mark = sl_write_begin_sized(w, field, key.n + 8);
    sl_write_bytes(w, 1, key);
    sl_write_value_bool(w, 2, value);
    sl_write_end(w, mark);
}

static inline void sl_write_attr_int(sl_writer *w, uint32_t field, sl_bytes key, int64_t value)
{
    const size_t mark = sl_write_begin_sized(w, field, key.n + 8);
    sl_write_bytes(w, 1, key);
    sl_write_value_int(w, 2, value);
    sl_write_end(w, mark);
}

static inline void sl_write_attr_double(sl_writer *w, uint32_t field, sl_bytes key, double value)
{
    const size_t mark = sl_write_begin_sized(w, field, key.n + 8);
    sl_write_bytes(w, 1, key);
    sl_write_value_double(w, 2, value);
    sl_write_end(w, mark);
}

#ifdef __cplusplus
}
#endif
#endif
