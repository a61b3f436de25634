/* Holds records until nothing older can come any more, and gives them back in order of time; of the
 * same time, in the order in which they came. One thread. */
#ifndef SLUICE_GENERATE_ORDER_H
#define SLUICE_GENERATE_ORDER_H

#include "sluice/plugin.h"

/* More records than this are not held at once. */
#define ORDER_MAX 8000000u

struct order_record {
    uint64_t time;
    uint64_t sequence; /* set by order_push */
    uint8_t *bytes;    /* owned; free() */
    uint32_t n;
    uint32_t resource;
    uint32_t items;
    uint16_t scope;
    uint8_t signal;
};

struct order {
    struct order_record *heap;
    uint32_t n;
    uint32_t room;
    uint64_t sequence;
};

void order_deinit(struct order *o);

/* Copies `bytes`. */
enum sl_status order_push(struct order *o, const struct order_record *record, sl_bytes bytes);
/* Takes the oldest record if it is older than `before`; the caller frees its bytes. */
bool order_pop(struct order *o, uint64_t before, struct order_record *out);

#endif
