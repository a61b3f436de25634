/* Watches the config's files for `run --watch`. On the main loop. */
#ifndef SLUICE_PIPELINE_WATCH_H
#define SLUICE_PIPELINE_WATCH_H
#include "pipeline/time/clock.h"
#include <uv.h>

struct watch;

/* `changed` is called on the loop when a file has other content than when it was looked at last,
 * and has been left alone for half a second of the host's clock. NULL: no memory. */
struct watch *watch_create(uv_loop_t *, struct clock *, void (*changed)(void *arg), void *arg);
/* These files from now on; they are looked at now. `also`: those that were watched before, too. A
 * nonzero errno: a folder cannot be watched, and changes there are not noticed. */
int watch_files(struct watch *, char *const *paths, uint32_t n, bool also);
/* After the loop's last run. */
void watch_destroy(struct watch *);
#endif
