/* One completion queue of gRPC's C core for the whole process, shared by the plugins that use gRPC.
 * The plugin "grpc_loop" (loaded through sl_plugins by whoever needs it) owns the queue and polls
 * it. Two queues polled by two threads cost about half as much CPU again: the core hands the role
 * of the poller to another thread at every event. Measured in README.md. */
#ifndef SLUICE_FORMATS_GRPC_LOOP_H
#define SLUICE_FORMATS_GRPC_LOOP_H
#include "sluice/plugin.h"

#include <grpc/grpc.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#define GRPC_LOOP_PLUGIN "grpc_loop"
#define GRPC_LOOP "sluice.grpc_loop/1"

/* Every tag on the queue is the address of one of these, mostly the first member of something
 * larger. */
typedef struct grpc_loop_event grpc_loop_event;
struct grpc_loop_event {
    /* On a thread of the loop, which serves everybody else too: must not block. */
    void (*run)(grpc_loop_event *, bool ok);
};

/* To be called for an event just before gRPC is given it as a tag: what was written before is seen
 * by `run`. gRPC's own locks see to that, but ThreadSanitizer cannot see them in a library that was
 * built without it. */
static inline void grpc_loop_hand_over(grpc_loop_event *event)
{
#ifdef __SANITIZE_THREAD__
    __tsan_release(event);
#else
    (void)event;
#endif
}

typedef struct grpc_loop {
    uint32_t size;
    uint32_t reserved;
    /* [control] The queue, of type "next"; gRPC is initialised. `threads` (1 to 16) poll it at
     * least, from now on. */
    int32_t (*take)(uint32_t threads, grpc_completion_queue **queue, sl_error *);
    /* [control] Once for each take, when all tags of the caller's have come back: servers are shut
     * down, calls have ended. Not from a thread of the loop. */
    void (*give)(void);
} grpc_loop;

#endif
