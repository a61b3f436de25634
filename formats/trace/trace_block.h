/* Blocks of traces: the compressed form in which Sluice stores spans. The format is specified in
 * docs/trace-format.md. Pure functions, any thread; a block that is open is one thread's at a time.
 */
#ifndef SLUICE_FORMATS_TRACE_TRACE_BLOCK_H
#define SLUICE_FORMATS_TRACE_TRACE_BLOCK_H
#include <sluice/otlp.h>

/* What a block does not keep. */
enum trace_mode {
    TRACE_DERIVED_IDS = 1,  /* span ids: the reader makes others from trace id and position */
    TRACE_MICROSECONDS = 2, /* start, end and events' times are cut to whole microseconds */
    TRACE_MILLISECONDS = 4, /* to whole milliseconds; not with TRACE_MICROSECONDS */
    TRACE_MODES = 7
};

enum { TRACE_LEVEL_DEFAULT = 9, TRACE_LEVEL_MAX = 22 };

struct trace_options {
    uint32_t mode;  /* of enum trace_mode */
    uint32_t level; /* of zstd for text; 0: TRACE_LEVEL_DEFAULT */
};

/* Modes do not reach what is kept as it came: spans with fields that Sluice does not know, or with
 * ids of other lengths. */

/* Appends a block of all spans in the requests: OTLP export requests, or stretches of whole
 * top-level records, that were checked. Resources and scopes without spans are left out, as are
 * unknown fields of the request itself. SL_ERR_INVALID: the bytes are malformed;
 * SL_ERR_TOO_LARGE: 2^32 spans or more; SL_ERR_NOMEM. Where it fails `to` may have grown. */
int32_t trace_block_encode(const struct trace_options *options, const sl_bytes *requests,
                           uint32_t n_requests, sl_writer *to, sl_error *error);

/* What the head of a block says. */
struct trace_block_info {
    uint64_t bytes; /* of the block */
    uint32_t mode;
    uint32_t n_spans, n_traces;
    uint64_t otlp_bytes;              /* of the requests */
    uint64_t first_ns, last_ns;       /* earliest start and latest end */
    uint64_t shortest_ns, longest_ns; /* durations; a span that ends before it starts has 0 */
    uint32_t n_errors;                /* spans with status error */
    uint64_t section_bytes[4];        /* enum trace_section */
};

enum trace_section { TRACE_TOPOLOGY, TRACE_IDS, TRACE_SPAN_IDS, TRACE_VALUES, TRACE_SECTIONS };

/* Reads the head of the block at the start of `bytes`, which may hold more or less than the block:
 * SL_ERR_NOT_FOUND where the head is cut off. SL_ERR_INVALID: this is no block, or it is damaged;
 * SL_ERR_UNSUPPORTED: of a version or mode that this reader does not know. */
int32_t trace_block_info(sl_bytes bytes, struct trace_block_info *info, sl_error *error);

/* Appends all spans of the block, which is `bytes` whole, as one export request. `limit`: the
 * memory that may be used beside `to`, and the bytes that may be appended; beyond that
 * SL_ERR_TOO_LARGE. SL_ERR_INVALID: the block is damaged; the text says where. */
int32_t trace_block_decode(sl_bytes bytes, uint64_t limit, sl_writer *to, sl_error *error);

/* What values of one kind take in a block's ids and values; what the topology takes is not told
 * apart. */
struct trace_column {
    const char *what; /* "starts", "int", ... */
    sl_bytes key;     /* of an attribute; else empty */
    uint64_t values, bytes;
};
typedef void trace_column_sink(void *ctx, const struct trace_column *column);

/* Tells what is in a block, which it decodes for that. Fails as trace_block_decode. */
int32_t trace_block_columns(sl_bytes bytes, uint64_t limit, trace_column_sink *sink, void *ctx,
                            sl_error *error);

/* What a search looks for: a trace with a span that has all of this. Zero fields do not matter. */
struct trace_query {
    bool by_id;
    uint8_t trace_id[16];
    sl_bytes service, name;  /* .p NULL: any */
    uint64_t min_ns, max_ns; /* duration; max_ns 0: any */
    uint64_t from_ns, to_ns; /* start; to_ns 0: any */
    bool errors;             /* with status error */
};

/* Appends the traces of a block that may have what is looked for, whole as far as the block has
 * them, as one export request. `*traces`: how many there are. They surely have the id; the rest
 * is told by the spans: names that are values, and spans that are kept as they came, are not looked
 * at. A block in which nothing can match costs a look at its head, its ids, or its topology.
 * Fails as trace_block_decode. */
int32_t trace_block_query(sl_bytes bytes, const struct trace_query *query, uint64_t limit,
                          sl_writer *to, uint32_t *traces, sl_error *error);

/* The bytes of the head of a block, whose head trace_block_info has accepted. */
size_t trace_block_head_bytes(sl_bytes block);

#endif
