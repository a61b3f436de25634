/* Reads what servers answer: partial successes and retry delays, from protobuf bytes. Both are
 * a few fields deep, so that a walk over tags is all that is needed. Any thread. */
#include "commands/generate/send_core.h"

#include <stdlib.h>

static bool read_varint(sl_bytes *in, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in->n == 0)
            return false;
        uint8_t byte = *in->p;
        in->p++;
        in->n--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return false;
}

struct field {
    uint64_t number;
    uint64_t value; /* of a varint */
    sl_bytes bytes; /* of a length-delimited field */
};

/* 1: a field was read; 0: the end; -1: malformed. */
static int read_field(sl_bytes *in, struct field *f)
{
    uint64_t tag, n;
    f->value = 0;
    f->bytes = sl_slice(NULL, 0);
    if (in->n == 0)
        return 0;
    if (!read_varint(in, &tag))
        return -1;
    f->number = tag >> 3;
    switch (tag & 7) {
    case 0:
        return read_varint(in, &f->value) ? 1 : -1;
    case 1:
        n = 8;
        break;
    case 2:
        if (!read_varint(in, &n))
            return -1;
        break;
    case 5:
        n = 4;
        break;
    default:
        return -1;
    }
    if (n > in->n)
        return -1;
    f->bytes = sl_slice(in->p, (size_t)n);
    in->p += n;
    in->n -= (size_t)n;
    return 1;
}

bool send_read_partial(sl_bytes body, struct send_answer *answer)
{
    struct field f, inner;
    int more, deeper;
    while ((more = read_field(&body, &f)) > 0) {
        if (f.number != 1)
            continue;
        while ((deeper = read_field(&f.bytes, &inner)) > 0) {
            if (inner.number == 1 && inner.value > 0) {
                answer->partial = true;
                answer->rejected = inner.value;
            }
        }
        if (deeper < 0)
            return false;
    }
    return more == 0;
}

/* google.protobuf.Duration in RetryInfo, field 1 of both. */
static void read_delay(sl_bytes info, struct send_answer *answer)
{
    struct field f, part;
    while (read_field(&info, &f) > 0) {
        if (f.number != 1)
            continue;
        answer->delayed = true;
        answer->delay_ns = 0;
        while (read_field(&f.bytes, &part) > 0) {
            if (part.number == 1 && part.value < 1000000)
                answer->delay_ns += part.value * SEND_NS_PER_S;
            else if (part.number == 2 && part.value < SEND_NS_PER_S)
                answer->delay_ns += part.value;
        }
    }
}

void send_read_retry_info(sl_bytes status, struct send_answer *answer)
{
    struct field f, part;
    while (read_field(&status, &f) > 0) {
        if (f.number != 3)
            continue;
        bool retry_info = false;
        sl_bytes value = sl_slice(NULL, 0);
        while (read_field(&f.bytes, &part) > 0) {
            if (part.number == 1)
                retry_info = sl_eq(part.bytes, sl_str("type.googleapis.com/google.rpc.RetryInfo"));
            else if (part.number == 2)
                value = part.bytes;
        }
        if (retry_info)
            read_delay(value, answer);
    }
}
