/* Codecs: components without a config entry, found by their encoding and signal, made on first demand
 * and kept as long as the process. Any thread. */
#ifndef SLUICE_PIPELINE_CODECS_H
#define SLUICE_PIPELINE_CODECS_H
#include "pipeline/graph/graph.h"

struct codecs *codecs_create(void);
/* After the last graph. */
void codecs_destroy(struct codecs *);
/* NULL: there is none, or it cannot decode. */
struct component *codecs_find(struct runtime *, const char *encoding, uint32_t signal);
#endif
