/* Reads protobuf records from bytes that nobody has checked yet. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_WIRE_H
#define SLUICE_FORMATS_OTLP_WIRE_H
#include <sluice/otlp.h>

#define WIRE_VARINT_MAX 10 /* bytes of the longest varint */

struct wire_record {
    uint32_t number;
    uint32_t type;     /* enum sl_wire_type */
    uint64_t bits;     /* varint, fixed64, fixed32: the value; bytes: their length */
    const uint8_t *at; /* bytes: the first one, inside the input */
};

/* Returns what follows the varint, or NULL where it is cut off or longer than ten bytes. Bits above
 * the 64th are dropped, as the protobuf libraries do. */
static inline const uint8_t *wire_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    if (p < end && *p < 0x80) {
        *value = *p;
        return p + 1;
    }
    uint64_t v = 0;
    for (unsigned shift = 0; p < end && shift < 7 * WIRE_VARINT_MAX; shift += 7) {
        uint64_t byte = *p++;
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = v;
            return p;
        }
    }
    return NULL;
}

static inline uint64_t wire_fixed64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t wire_fixed32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Reads the record at p (p < end). Returns what follows it, or NULL where it is malformed: cut off,
 * a field number of 0 or above 2^29-1, or a group, which OTLP has none of. */
static inline const uint8_t *wire_read(const uint8_t *p, const uint8_t *end, struct wire_record *r)
{
    uint64_t tag;
    p = wire_varint(p, end, &tag);
    if (!p || tag < 8 || tag > UINT32_MAX) {
        return NULL;
    }
    r->number = (uint32_t)tag >> 3;
    r->type = (uint32_t)tag & 7;
    switch (r->type) {
    case SL_VARINT:
        return wire_varint(p, end, &r->bits);
    case SL_FIXED64:
        if (end - p < 8) {
            return NULL;
        }
        r->bits = wire_fixed64(p);
        return p + 8;
    case SL_BYTES:
        p = wire_varint(p, end, &r->bits);
        if (!p || r->bits > (uint64_t)(end - p)) {
            return NULL;
        }
        r->at = p;
        return p + r->bits;
    case SL_FIXED32:
        if (end - p < 4) {
            return NULL;
        }
        r->bits = wire_fixed32(p);
        return p + 4;
    default:
        return NULL;
    }
}

#endif
