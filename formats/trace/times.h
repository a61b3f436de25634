/* Start and end of spans as columns: relative to what is nearest to them in their trace. Used by
 * both sides. */
#ifndef SLUICE_FORMATS_TRACE_TIMES_H
#define SLUICE_FORMATS_TRACE_TIMES_H
#include <sluice/otlp.h>

/* What a start is relative to. */
enum start_reference {
    START_OF_PARENT = 0,  /* of a root: of the trace */
    END_OF_SIBLING = 1,   /* of the sibling before it; of a first one: START_OF_PARENT */
    START_OF_SIBLING = 2, /* likewise */
    START_REFERENCES = 3
};

/* What an end is relative to. */
enum end_reference {
    END_FROM_START = 0, /* after the span's start */
    END_TO_PARENT = 1,  /* before the parent's end; of a root: before the trace's start */
    END_REFERENCES = 2
};

enum { TIME_UNITS = 3 };

/* In units of 1, 10^3 or 10^6 ns, where all starts of a class are whole. */
static inline uint64_t time_unit(uint32_t code)
{
    static const uint64_t units[TIME_UNITS] = {1, 1000, 1000000};
    return units[code];
}

struct span_times {
    uint64_t start, end;
};

/* All arithmetic wraps around. `sibling` NULL: there is none. */
static inline uint64_t start_reference(uint32_t reference, const struct span_times *parent,
                                       const struct span_times *sibling)
{
    return reference == START_OF_PARENT || !sibling ? parent->start
           : reference == END_OF_SIBLING            ? sibling->end
                                                    : sibling->start;
}

static inline int64_t start_to_value(uint64_t start, uint64_t reference, uint64_t unit)
{
    return unit == 1 ? (int64_t)(start - reference) : (int64_t)(start / unit - reference / unit);
}

static inline uint64_t value_to_start(int64_t value, uint64_t reference, uint64_t unit)
{
    return unit == 1 ? reference + (uint64_t)value : (reference / unit + (uint64_t)value) * unit;
}

static inline int64_t end_to_value(uint32_t reference, uint64_t start, uint64_t end,
                                   const struct span_times *parent)
{
    return (int64_t)(reference == END_FROM_START ? end - start : parent->end - end);
}

static inline uint64_t value_to_end(uint32_t reference, uint64_t start, int64_t value,
                                    const struct span_times *parent)
{
    return reference == END_FROM_START ? start + (uint64_t)value : parent->end - (uint64_t)value;
}

#endif
