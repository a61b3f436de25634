/* What protobuf-c reads in an export request, item by item: the second opinion for the tests of
 * checking and cutting. One thread. */
#ifndef SLUICE_TESTS_OTLP_FLAT_H
#define SLUICE_TESTS_OTLP_FLAT_H
#include <protobuf-c/protobuf-c.h>
#include <sluice/plugin.h>

/* Encoded again by protobuf-c: the resource without its scopes, the scope without its items, of
 * metrics the metric without its points, and the item. */
struct otlp_flat_item {
    uint8_t *at;
    size_t n;
    size_t record; /* where the item itself begins */
};

struct otlp_flat {
    struct otlp_flat_item *items;
    uint32_t n;
};

/* False: protobuf-c cannot read it. */
bool otlp_flat_init(struct otlp_flat *flat, uint32_t signal, sl_bytes request);
void otlp_flat_deinit(struct otlp_flat *flat);

#endif
