/* Those who wait for room. */
#include "pipeline/graph/waiters.h"
#include "pipeline/graph/lane.h"
#include <stdlib.h>

struct waiter {
    struct waiter *next;
    const sl_hear *hear;
    const struct component *emitter; /* whose `hear` it is; NULL: the runtime's own */
    struct lane *lane;               /* where a lane waits */
};

bool waiters_add(struct waiter **list, const struct component *emitter, const sl_hear *hear,
                 struct lane *lane)
{
    for (const struct waiter *w = *list; w; w = w->next)
        if (w->hear == hear && w->lane == lane)
            return true;
    struct waiter *w = malloc(sizeof *w);
    if (!w)
        return false;
    *w = (struct waiter){.next = *list, .hear = hear, .emitter = emitter, .lane = lane};
    *list = w;
    return true;
}

void waiters_tell(struct waiter *list)
{
    while (list) {
        struct waiter *next = list->next;
        if (list->lane)
            lane_poke(list->lane);
        else if (list->hear->ready)
            list->hear->ready(list->hear->ctx);
        free(list);
        list = next;
    }
}

void waiters_free(struct waiter *list)
{
    while (list) {
        struct waiter *next = list->next;
        free(list);
        list = next;
    }
}

static void take_out(struct waiter **at)
{
    struct waiter *w = *at;
    *at = w->next;
    free(w);
}

static bool is_gone(const struct waiter *w)
{
    return w->lane ? w->lane->closed : w->emitter && w->emitter->state == COMPONENT_STOPPED;
}

void waiters_forget_gone(struct waiter **at)
{
    while (*at) {
        if (is_gone(*at))
            take_out(at);
        else
            at = &(*at)->next;
    }
}

void waiters_forget(struct waiter **at, const sl_hear *hear)
{
    while (*at) {
        if ((*at)->hear == hear)
            take_out(at);
        else
            at = &(*at)->next;
    }
}
