/* Spans with a number that the sinks know them by; the trace of a span is its number / 4. */
#ifndef SLUICE_TESTS_NUMBERED_SPANS_H
#define SLUICE_TESTS_NUMBERED_SPANS_H
#include <sluice/otlp.h>

enum { NUMBERED_SPANS_HEAD = 128, NUMBERED_SPAN = 96 /* bytes that they take at most */ };

/* Spans first..first+n-1; returns the bytes written, 0 where there was too little room. */
static inline size_t numbered_spans_write(uint8_t *at, size_t room, uint32_t first, uint32_t n)
{
    sl_writer w = sl_writer_fixed(at, room);
    const size_t resource = sl_write_begin_sized(&w, 1, room);
    const size_t attributes = sl_write_begin(&w, 1);
    sl_write_attr_text(&w, 1, sl_str("service.name"), sl_str("test"));
    sl_write_end(&w, attributes);
    const size_t scope = sl_write_begin_sized(&w, 2, room);
    for (uint32_t i = first; i < first + n; i++) {
        const uint64_t trace[2] = {i / 4 * UINT64_C(0x9e3779b97f4a7c15) + 1, i / 4};
        const uint64_t id = i + UINT64_C(1);
        const size_t span = sl_write_begin(&w, 2);
        sl_write_bytes(&w, 1, sl_slice(trace, sizeof trace));
        sl_write_bytes(&w, 2, sl_slice(&id, sizeof id));
        sl_write_text(&w, 5, "numbered");
        sl_write_fixed64(&w, 7, i);
        sl_write_attr_int(&w, 9, sl_str("n"), i);
        sl_write_end(&w, span);
    }
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    return w.failed ? 0 : w.used;
}

#endif
