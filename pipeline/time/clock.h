/* The host's clock and its timers. In the product time is CLOCK_MONOTONIC and a thread runs what
 * is due; in tests time stands still until clock_advance moves it and runs what became due.
 * Any thread unless a function says otherwise. */
#ifndef SLUICE_PIPELINE_CLOCK_H
#define SLUICE_PIPELINE_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

struct clock;

/* One timer; embedded in its owner. Zero it before use. */
struct clock_timer {
    void (*fire)(struct clock_timer *);
    int64_t due_ns;
    uint32_t slot; /* 1-based place in the heap; 0: not armed */
};

struct clock *clock_create(bool is_virtual);
/* Armed timers are forgotten. */
void clock_destroy(struct clock *);
/* `wake` is called, from any thread, when the earliest deadline has moved forward. */
void clock_on_wake(struct clock *, void (*wake)(void *), void *arg);

int64_t clock_now(struct clock *);
int64_t clock_wall(struct clock *);

/* Keeps room for `n` more timers, so that arming them cannot fail; nonzero: no memory. */
int clock_reserve(struct clock *, uint32_t n);
void clock_unreserve(struct clock *, uint32_t n);

/* Arms, or moves, the timer. Nonzero: no memory for one that no room was reserved for. `fire`
 * runs once, on the thread that runs the clock, without a lock. */
int clock_arm(struct clock *, struct clock_timer *, int64_t due_ns);
/* Disarms it; when this returns, `fire` is not running and will not run. Not from within `fire`. */
void clock_disarm(struct clock *, struct clock_timer *);

/* Runs what is due; returns the next deadline, INT64_MAX for none. One thread. */
int64_t clock_run(struct clock *);
/* Virtual clocks: moves time in steps from deadline to deadline, running what is due. */
void clock_advance(struct clock *, int64_t ns);
#endif
