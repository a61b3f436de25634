/* What the benchmarks' destinations have in common, see sink.h. */
#include "tests/bench/sink.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_usage(const struct sink *s)
{
    fprintf(stderr,
            "%s --listen HOST:PORT [--items N] [--refuse | --stall] [--retry-after SECONDS]\n"
            "  --items N       items in each request, for the count\n"
            "  --refuse        start by answering that the service is unavailable\n"
            "  --stall         start by answering nothing\n"
            "SIGUSR1 switches between OK and --refuse/--stall (default: --stall); what was\n"
            "held back is refused then, so that each request has one answer;\n"
            "SIGUSR2 prints the counts; SIGTERM and SIGINT print them and end.\n",
            s->program);
}

static sigset_t served_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    return set;
}

static bool parse_count(const char *text, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

bool sink_init(struct sink *s, const char *program, int argc, char **argv,
               bool (*more)(void *ctx, const char *name, char *value), void *ctx)
{
    memset(s, 0, sizeof *s);
    s->program = program;
    s->items = 1;
    s->other = SINK_STALL;
    bool good = true;
    for (int i = 1; i < argc && good; i++) {
        char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--refuse") == 0) {
            s->other = SINK_REFUSE;
            s->mode = SINK_REFUSE;
        } else if (strcmp(argv[i], "--stall") == 0) {
            s->mode = SINK_STALL;
        } else if (value && strcmp(argv[i], "--listen") == 0) {
            s->listen = value;
            i++;
        } else if (value && strcmp(argv[i], "--items") == 0) {
            good = parse_count(value, &s->items);
            i++;
        } else if (value && strcmp(argv[i], "--retry-after") == 0) {
            good = parse_count(value, &s->retry_after);
            i++;
        } else {
            good = more && value && strncmp(argv[i], "--", 2) == 0 && more(ctx, argv[i] + 2, value);
            i++;
        }
    }
    if (!good || !s->listen) {
        print_usage(s);
        return false;
    }
    sigset_t set = served_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return true;
}

enum sink_mode sink_take(struct sink *s, bool whole, size_t bytes)
{
    if (!whole) {
        atomic_fetch_add_explicit(&s->broken, 1, memory_order_relaxed);
        return SINK_REFUSE;
    }
    enum sink_mode mode = (enum sink_mode)atomic_load_explicit(&s->mode, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->bytes, bytes, memory_order_relaxed);
    if (mode == SINK_OK) {
        atomic_fetch_add_explicit(&s->acknowledged, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&s->acknowledged_bytes, bytes, memory_order_relaxed);
    }
    return mode;
}

static void print_counts(struct sink *s)
{
    printf("{\"requests\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"items\":%" PRIu64
           ",\"bytes\":%" PRIu64 ",\"acknowledged_bytes\":%" PRIu64 ",\"broken\":%" PRIu64 "}\n",
           s->requests, s->acknowledged, s->acknowledged * s->items, s->bytes,
           s->acknowledged_bytes, s->broken);
    fflush(stdout);
}

void sink_wait(struct sink *s)
{
    sigset_t set = served_signals();
    for (;;) {
        int number = 0;
        if (sigwait(&set, &number))
            continue;
        if (number == SIGUSR1) {
            atomic_store(&s->mode, s->mode == SINK_OK ? (int)s->other : (int)SINK_OK);
            continue;
        }
        print_counts(s);
        if (number != SIGUSR2)
            return;
    }
}
