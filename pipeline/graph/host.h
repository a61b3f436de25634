/* The host's table that every component and instance gets, and the interfaces behind it. */
#ifndef SLUICE_PIPELINE_HOST_H
#define SLUICE_PIPELINE_HOST_H
#include "pipeline/graph/graph.h"

void host_init(struct host *, struct component *, struct instance *);
/* [any] An interface of the host by its id, or NULL. */
const void *host_interface(const sl_host *, const char *id);

/* inspect.c */
extern const sl_inspect inspect_table;

static inline struct host *host_of(const sl_host *h)
{
    return (struct host *)(uintptr_t)h;
}
#endif
