/* A host for unit tests of processors and exporters: it keeps the debt of each item, plays the
 * output, and has a clock that the test moves. Deliveries made by it carry an id for each item, so
 * that a test sees where each one went; their payloads hold those ids, 8 bytes each, unless the
 * test gives bytes of its own. Logs, allocations and payload references are counted, and an
 * allocation can be made to fail. Payload references, logs and clock may be used by any thread,
 * everything else by one. */
#ifndef SLUICE_TESTS_PLUGIN_HOST_H
#define SLUICE_TESTS_PLUGIN_HOST_H
#include "sluice/plugin.h"

#include <pthread.h>

enum { HOST_IDS_MAX = 1 << 20, HOST_TIMERS = 8, HOST_METRICS_MAX = 32, HOST_LOG_ROOM = 1 << 20 };

struct host_metric {
    char name[128];
    int64_t value;
};

struct plugin_host {
    sl_host host; /* what the plugin is given */
    pthread_mutex_t mutex;
    int64_t now_ns; /* 0: the real clock */
    const char *name;

    /* items by id: SL_OUTCOMES while one has not ended */
    uint32_t ids;
    uint8_t outcome[HOST_IDS_MAX];
    const char *why[HOST_IDS_MAX];

    /* the output: what was forwarded, oldest first */
    sl_delivery **out;
    uint32_t out_n, out_room;
    uint32_t out_full_at; /* forward answers FULL from so many on; 0: never */
    uint32_t live;        /* delivery handles that have not ended */

    const sl_plugin *loadable[2]; /* what sl_plugins loads, by its interface, whatever the name */
    /* the interface of the one other component there is; NULL: none */
    const char *extension_name, *extension_id;
    const void *extension;
    uint32_t metadata_unrefs;

    bool not_ready;
    int64_t timer_ns[HOST_TIMERS];

    uint32_t allocations; /* live ones */
    uint32_t calls;       /* of allocate and derive */
    uint32_t fail_at;     /* the call that fails, counted from 1; 0: none */
    bool fail_on;         /* and all after it */
    uint32_t payload_refs;
    uint64_t payload_most; /* a payload of more bytes is refused; 0: none is */

    uint64_t *mask; /* the last one given */
    uint32_t derives;
    struct host_metric metrics[HOST_METRICS_MAX];
    uint32_t metric_n;
    uint64_t memory_used, memory_granted; /* what sl_memory says */
    uint64_t memory_after_trim;           /* what it says after a trim; 0: the same */
    uint32_t trims;
    int32_t status;          /* the last one reported; 0: none */
    char status_text[256];   /* with it */
    char log[HOST_LOG_ROOM]; /* all lines: "LEVEL text key=value ...\n" */
    size_t log_used;
};

struct plugin_host *plugin_host_create(void);
/* Fails the test when a delivery, payload reference or allocation is left. */
void plugin_host_destroy(struct plugin_host *);

/* A delivery of n items with new ids. `metadata` may be NULL, and is copied by reference only: it
 * outlives the delivery. */
sl_delivery *plugin_host_delivery(struct plugin_host *, uint32_t n, const sl_metadata *metadata);
/* The same with bytes of the test's, in segments that are copied one by one. */
sl_delivery *plugin_host_delivery_of(struct plugin_host *, uint32_t signal,
                                     const sl_bytes *segments, uint32_t n_segments, uint32_t n);
uint64_t plugin_host_id(const sl_delivery *, uint32_t item);

/* Takes the oldest of the output; NULL: nothing there. The caller settles it. */
sl_delivery *plugin_host_take(struct plugin_host *);
/* Ends the delivery: what is unclaimed ends as said. */
void plugin_host_end(struct plugin_host *, sl_delivery *, int32_t outcome, const char *why);
/* The number of items that ended so. SL_OUTCOMES: have not ended. */
uint32_t plugin_host_count(const struct plugin_host *, int32_t outcome);
int64_t plugin_host_metric(const struct plugin_host *, const char *name);

/* Prepares, starts and opens a processor whose config is the component; it must go well. */
void plugin_host_open(struct plugin_host *, const sl_type *type, void *config, void **instance);
/* Closes the instance, if there is one, and destroys the processor and the host. */
void plugin_host_close(struct plugin_host *, const sl_type *type, void *config, void *instance);

/* One attempt of an exporter, and what the host makes of it. Returns the status. */
int32_t plugin_host_send(const sl_type *type, void *component, sl_delivery *, sl_send *send);
/* The same through sluice.async_send/1, waiting for its end. */
int32_t plugin_host_begin(const sl_type *type, void *component, sl_delivery *, sl_send *send);

#endif
