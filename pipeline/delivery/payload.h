/* Payloads: immutable, counted bytes of one signal, in segments. A payload owns its buffer, or
 * lists segments of other payloads that it holds references to. Any thread, once it is closed. */
#ifndef SLUICE_PIPELINE_PAYLOAD_H
#define SLUICE_PIPELINE_PAYLOAD_H
#include "pipeline/memory/memory.h"
#include <sluice/plugin.h>

struct payload_index;

struct payload {
    sl_payload pub;
    _Atomic uint32_t refs;
    uint32_t n_sources;
    struct memory *memory;
    uint8_t *buffer; /* own bytes, or NULL */
    uint64_t capacity;
    struct payload **sources;    /* whose bytes the segments show; n_sources of them */
    sl_bytes own;                /* the one segment of a payload with a buffer */
    struct rewritten *rewritten; /* what the segments of a rewritten payload need; or NULL */
    _Atomic(struct payload_index *) index;
    _Atomic(struct payload *) flat; /* this payload in one piece, made on demand */
};

/* What a payload's bytes are held to when it is closed. */
struct payload_limits {
    uint32_t max_depth; /* nesting of attribute values */
};

static inline struct payload *payload_of(const sl_payload *p)
{
    return (struct payload *)(uintptr_t)p;
}

/* An open payload with a buffer to write to; NULL: no memory, or the budget is used up. */
struct payload *payload_open(struct memory *, uint64_t capacity);
int32_t payload_grow(struct payload *, uint64_t capacity);
/* Closes it: checks OTLP (encoding NULL) and counts its items, or believes `items`. */
int32_t payload_close(struct payload *, const struct payload_limits *, uint64_t used,
                      uint32_t signal, const char *encoding, uint32_t items, sl_error *);
/* For bytes that the runtime itself cut from checked ones. */
void payload_close_trusted(struct payload *, uint64_t used, uint32_t signal, uint32_t items);

/* The same where only a part of the buffer is the payload. */
void payload_close_part(struct payload *, sl_bytes part, uint32_t signal, const char *encoding,
                        uint32_t items);

/* The same for bytes of which some are still those of `from`: see sl_rewrite in plugin.h. */
int32_t payload_close_rewritten(struct payload *, struct payload *from, uint64_t used,
                                const sl_bytes *segments, uint32_t n, uint32_t signal,
                                uint32_t items, uint32_t flags);

/* A payload of `n_segments` listed segments (to be filled in by the caller) with room for
 * `n_sources` references. */
struct payload *payload_list(struct memory *, uint32_t n_segments, uint32_t n_sources);
/* Takes one reference to `source` for the list. */
void payload_list_hold(struct payload *list, struct payload *source);

void payload_ref(struct payload *);
void payload_unref(struct payload *);

int32_t payload_flatten(struct payload *, sl_bytes *);
/* Spans, points or log records; SL_ERR_UNSUPPORTED for other signals and encodings. */
int32_t payload_view(struct payload *, sl_view *);
void payload_index_destroy(struct payload_index *); /* index.c; NULL is legal */
#endif
