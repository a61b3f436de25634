/* A graph in a test program: the real runtime with a virtual clock, plugins from the build tree, a
 * config as text. Assertions are cmocka's. */
#ifndef SLUICE_TESTS_GRAPH_FIXTURE_H
#define SLUICE_TESTS_GRAPH_FIXTURE_H
#include "pipeline/graph/graph.h"

struct fixture {
    struct config_tree tree;
    struct service_config config;
    struct runtime runtime;
    struct graph *graph;
    struct graph *leaving;        /* what the last reload replaced, until it is retired */
    uint32_t kept, made, removed; /* components, by the last reload */
};

/* Builds and starts; fails the test with the diagnostics if it cannot. `memory_limit` 0: none. */
void fixture_start(struct fixture *, const char *yaml, uint64_t memory_limit);
/* Builds only, and gives what diagnostics say, to be freed; NULL where the config is valid. */
char *fixture_errors(const char *yaml);
/* Reloads with another config. NULL: it is in force, and what left is to be retired; else what
 * diagnostics say, to be freed. */
char *fixture_reload(struct fixture *, const char *yaml);
/* Drains what left, for so much virtual time at most, and ends it; returns the items left in it. */
uint64_t fixture_retire(struct fixture *, int64_t wait_ns);
/* Drains (moving the clock), stops, checks that every ledger adds up and that no memory is
 * reserved, and destroys. Returns the items that were left. */
uint64_t fixture_end(struct fixture *);
/* What fixture_end does after the graph; for tests that end the graph themselves. */
void fixture_forget(struct fixture *);
/* Moves the virtual clock in small steps, letting threads run, until `done` or two minutes of real time
 * have passed; then the test fails. `step_ns` may be 0. */
void fixture_until(struct fixture *, bool (*done)(void *), void *arg, int64_t step_ns);
/* The interface of a component, by id. */
const void *fixture_interface(struct fixture *, uint32_t kind, const char *id,
                              const char *interface);
struct ledger *fixture_ledger(struct fixture *, uint32_t kind, const char *id, uint32_t signal);
#endif
