/* How fast items pass a node: what has been counted since an earlier look at the pages, at least a
 * second ago, by the time that has passed since. Nothing is done between two looks. One thread. */
#ifndef SLUICE_EXTENSIONS_ZPAGES_RATES_H
#define SLUICE_EXTENSIONS_ZPAGES_RATES_H
#include <sluice/plugin.h>

struct rates_count {
    uint64_t node; /* hash of its kind, signal and name */
    uint64_t in, out;
};

struct rates_look {
    int64_t at_ns;
    struct rates_count *counts;
    uint32_t n, room;
    bool failed; /* no memory */
};

struct rates {
    struct rates_look before, latest; /* rates are since `before` */
};

struct rate {
    double in, out; /* items a second */
};

/* Rates are since now until there have been two looks. */
void rates_init(struct rates *, int64_t now_ns);
void rates_deinit(struct rates *);
/* Someone looks now. SL_ERR_NOMEM: rates stay since the earlier look. */
int32_t rates_look(struct rates *, const sl_host *, const sl_inspect *, int64_t now_ns);
struct rate rates_of(const struct rates *, const sl_node_info *, int64_t now_ns);
/* Items that have left it well: delivered, where it is a receiver or an exporter, else handed on. */
uint64_t node_out(const sl_node_info *);
#endif
