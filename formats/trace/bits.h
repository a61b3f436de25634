/* Bits in the order in which they are written, the lowest of a byte first. Inline; any thread. */
#ifndef SLUICE_FORMATS_TRACE_BITS_H
#define SLUICE_FORMATS_TRACE_BITS_H
#include <sluice/otlp.h>

/* Writes into memory that the caller has measured: 8 bytes more than the bits need. */
struct bit_writer {
    uint8_t *p;
    uint64_t held;
    uint32_t n_held; /* below 8 between calls */
};

/* n up to 56; the bits of v above n are 0. */
static inline void put_bits_short(struct bit_writer *w, uint64_t v, uint32_t n)
{
    w->held |= v << w->n_held;
    w->n_held += n;
    memcpy(w->p, &w->held, sizeof w->held);
    w->p += w->n_held / 8;
    w->held >>= w->n_held & ~7u;
    w->n_held &= 7;
}

/* n up to 64 */
static inline void put_bits(struct bit_writer *w, uint64_t v, uint32_t n)
{
    if (n > 32) {
        put_bits_short(w, v & UINT32_MAX, 32);
        put_bits_short(w, v >> 32, n - 32);
    } else {
        put_bits_short(w, v, n);
    }
}

/* Behind the last byte. */
static inline uint8_t *put_bits_end(struct bit_writer *w)
{
    if (w->n_held) {
        *w->p++ = (uint8_t)w->held;
    }
    return w->p;
}

/* Never reads beyond the end: bits that are not there are 0. */
struct bit_reader {
    const uint8_t *at;
    uint64_t n_bytes;
    uint64_t bit; /* the next one */
};

/* n up to 56 */
static inline uint64_t get_bits_short(struct bit_reader *r, uint32_t n)
{
    const uint64_t byte = r->bit / 8;
    uint64_t v = 0;
    if (byte + 8 <= r->n_bytes) {
        v = sl_get_fixed64(r->at + byte);
    } else {
        for (uint64_t i = byte; i < r->n_bytes; i++) {
            v |= (uint64_t)r->at[i] << (8 * (i - byte));
        }
    }
    v = (v >> (r->bit & 7)) & (((uint64_t)1 << n) - 1);
    r->bit += n;
    return v;
}

/* n up to 64 */
static inline uint64_t get_bits(struct bit_reader *r, uint32_t n)
{
    if (n <= 56) {
        return get_bits_short(r, n);
    }
    const uint64_t low = get_bits_short(r, 32);
    return low | get_bits_short(r, n - 32) << 32;
}

/* Behind the last byte that was read, or NULL where it would be beyond the end. */
static inline const uint8_t *get_bits_end(const struct bit_reader *r)
{
    const uint64_t bytes = r->bit / 8 + (r->bit % 8 != 0);
    return bytes <= r->n_bytes ? r->at + bytes : NULL;
}

#endif
