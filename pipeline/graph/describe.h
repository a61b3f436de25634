/* What a graph is, in words for an operator: `sluice validate` prints it. */
#ifndef SLUICE_PIPELINE_GRAPH_DESCRIBE_H
#define SLUICE_PIPELINE_GRAPH_DESCRIBE_H
#include "pipeline/graph/graph.h"
#include <stdio.h>

/* One line for each pipeline of a graph that was not started: its nodes in the order of the flow,
 * and what an acknowledgement means; then one for each about what a crash loses. */
void graph_describe(const struct graph *, FILE *);
#endif
