/* Takes spans apart into tokens. One thread at a time. */
#ifndef SLUICE_FORMATS_TRACE_TOKENS_H
#define SLUICE_FORMATS_TRACE_TOKENS_H
#include "formats/trace/span_set.h"
#include "formats/trace/token.h"

struct token {
    uint32_t kind;
    sl_bytes key;   /* of an attribute */
    sl_bytes text;  /* of COLUMN_TEXT */
    int64_t number; /* of COLUMN_NUMBER */
};

enum { TOKENS_MAX = 4096 /* a span with more is kept as it is */ };

struct tokens {
    struct token *at;
    uint32_t n, room;
    sl_bytes name;
    uint32_t kind, status, flags;
    bool has_status;
    bool rest; /* the one token is TOKEN_REST or TOKEN_WHOLE */
    bool failed;
    sl_writer rest_bytes;
    uint64_t unit;     /* events' times are cut to multiples of it; 0: as they are */
    struct token none; /* where there is no memory for one */
};

/* Fills `tokens` from a span; slices point into its record, or into rest_bytes, until the next
 * call. False: no memory. */
bool tokens_of(struct tokens *tokens, const struct set_span *span);

/* Makes TOKEN_REST the one token. */
bool tokens_rest(struct tokens *tokens, const struct set_span *span);

void tokens_init(struct tokens *tokens);
void tokens_deinit(struct tokens *tokens);

#endif
