/* Channel arguments of the benchmark's gRPC programs: the few that all of them set, and what the
 * command line adds as `--arg key=integer`, so that a setting can be tried on both sides of a
 * comparison without a rebuild. Used by one thread. */
#ifndef SLUICE_BENCH_GRPC_ARGS_H
#define SLUICE_BENCH_GRPC_ARGS_H

#include <grpc/grpc.h>
#include <stdbool.h>

enum { GRPC_ARGS_MAX = 24 };

struct grpc_args {
    grpc_arg list[GRPC_ARGS_MAX];
    grpc_channel_args args; /* points into list: the struct must not be moved after init */
};

void grpc_args_init(struct grpc_args *a);

/* `key` must outlive the struct. False when the list is full. */
bool grpc_args_add(struct grpc_args *a, const char *key, int value);

/* Splits `text` ("key=integer") in place; `text` must outlive the struct. False when malformed. */
bool grpc_args_parse(struct grpc_args *a, char *text);

#endif
