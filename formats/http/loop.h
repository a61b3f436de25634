/* One libuv loop for the whole process, shared by the plugins that speak HTTP. The plugin
 * "http_loop" (loaded through sl_plugins by whoever needs it) runs it on a thread of its own. A
 * request that comes in, goes through the pipeline and out again on one thread wakes nobody up; see
 * README.md for what that is worth. */
#ifndef SLUICE_FORMATS_HTTP_LOOP_H
#define SLUICE_FORMATS_HTTP_LOOP_H
#include "sluice/plugin.h"

#include <uv.h>

#define HTTP_LOOP_PLUGIN "http_loop"
#define HTTP_LOOP "sluice.http_loop/1"

/* Something to be run on the loop; the caller's memory until it has run. */
typedef struct http_loop_task http_loop_task;
struct http_loop_task {
    void (*run)(http_loop_task *); /* on the loop's thread: must not block */
    http_loop_task *next;          /* the loop's */
};

typedef struct http_loop {
    uint32_t size;
    uint32_t reserved;
    /* [control] The loop runs from now on. */
    int32_t (*take)(uv_loop_t **loop, sl_error *);
    /* [control] Once for each take, when everything of the caller's on the loop has been closed and
     * every task has run. Not on the loop's thread. */
    void (*give)(void);
    /* [any] Is this the loop's thread? */
    bool (*is_here)(void);
    /* [any] between take and give. Tasks run in the order in which they were posted. */
    void (*post)(http_loop_task *);
} http_loop;

#endif
