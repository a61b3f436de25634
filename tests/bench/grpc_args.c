/* Channel arguments of the benchmark's gRPC programs, see grpc_args.h. */
#include "tests/bench/grpc_args.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void grpc_args_init(struct grpc_args *a)
{
    memset(a, 0, sizeof *a);
    a->args.args = a->list;
    grpc_args_add(a, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 64 << 20);
    /* without this, two servers share a port silently and a run measures the wrong one */
    grpc_args_add(a, GRPC_ARG_ALLOW_REUSEPORT, 0);
}

bool grpc_args_add(struct grpc_args *a, const char *key, int value)
{
    if (a->args.num_args == GRPC_ARGS_MAX)
        return false;
    grpc_arg *arg = &a->list[a->args.num_args++];
    arg->type = GRPC_ARG_INTEGER;
    arg->key = (char *)(uintptr_t)key; /* gRPC takes char *, and only reads it */
    arg->value.integer = value;
    return true;
}

bool grpc_args_parse(struct grpc_args *a, char *text)
{
    char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return false;
    char *end;
    errno = 0;
    long value = strtol(eq + 1, &end, 10);
    if (end == eq + 1 || *end != '\0' || errno || value < INT_MIN || value > INT_MAX)
        return false;
    *eq = '\0';
    return grpc_args_add(a, text, (int)value);
}
