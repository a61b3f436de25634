/* How numbers become symbols and raw bits: see struct number_split. Internal; inline. */
#ifndef SLUICE_FORMATS_TRACE_NUMBER_SPLIT_H
#define SLUICE_FORMATS_TRACE_NUMBER_SPLIT_H
#include "formats/trace/number_code.h"

struct symbol {
    uint32_t symbol, bits; /* bits: how many raw ones follow, the lowest of the number */
};

static inline struct symbol split_number(struct number_split split, uint64_t v)
{
    if (v >> split.direct == 0) {
        return (struct symbol){(uint32_t)v, 0};
    }
    const uint32_t top = 63 - (uint32_t)__builtin_clzll(v), bits = top - split.mantissa;
    const uint32_t head = (uint32_t)(v >> bits) & ((1u << split.mantissa) - 1);
    return (struct symbol){(1u << split.direct) + ((top - split.direct) << split.mantissa) + head,
                           bits};
}

/* The number that a symbol stands for but for its raw bits. UINT32_MAX bits: there is none. */
struct symbol_value {
    uint64_t value;
    uint32_t bits;
};

static inline struct symbol_value value_of_symbol(struct number_split split, uint32_t symbol)
{
    if (symbol >> split.direct == 0) {
        return (struct symbol_value){symbol, 0};
    }
    const uint32_t rest = symbol - (1u << split.direct);
    const uint32_t top = split.direct + (rest >> split.mantissa), bits = top - split.mantissa;
    if (top > 63) {
        return (struct symbol_value){0, UINT32_MAX};
    }
    const uint64_t head = (uint64_t)1 << split.mantissa | (rest & ((1u << split.mantissa) - 1));
    return (struct symbol_value){head << bits, bits};
}

#endif
