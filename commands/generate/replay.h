/* Recorded requests: files of 4-byte big-endian lengths, each with that many bytes of one export
 * request, as the file exporter writes them (format: proto). A file is mapped, not copied. */
#ifndef SLUICE_GENERATE_REPLAY_H
#define SLUICE_GENERATE_REPLAY_H

#include "sluice/plugin.h"

struct replay {
    const uint8_t *at;
    size_t n;
};

/* The error names the file and what is wrong with it. */
enum sl_status replay_open(struct replay *r, const char *path, sl_error *error);
void replay_close(struct replay *r);

/* Called for each request with its signal and number of items. Another status than SL_OK ends the
 * reading. */
typedef enum sl_status replay_sink(void *ctx, enum sl_signal signal, sl_bytes request,
                                   uint32_t items);

enum sl_status replay_run(const struct replay *r, const char *path, replay_sink *sink, void *ctx,
                          sl_error *error);

/* Which signal a request carries, and how many spans, points or log records. SL_ERR_INVALID if it
 * is none. A request without any record is taken for traces. */
enum sl_status request_inspect(sl_bytes request, enum sl_signal *signal, uint32_t *items);

#endif
