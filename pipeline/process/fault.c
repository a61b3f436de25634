/* What a fault point does that was asked for. Compiled only with SLUICE_FAULT_POINTS. Any thread. */
#include "pipeline/process/fault.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

bool fault_is_armed; /* mutable: a point has nothing but its name, so that it can stand anywhere */

/* The point that was asked for. */
static struct {
    char name[64];
    _Atomic uint64_t left; /* passes until it kills */
} fault;

/* Before main, so that points in whatever starts first count. */
__attribute__((constructor)) static void read_environment(void)
{
    const char *text = getenv("SLUICE_FAULT");
    const size_t n = text ? strcspn(text, ":") : 0;
    if (!n || n >= sizeof fault.name)
        return;
    memcpy(fault.name, text, n);
    const uint64_t nth = text[n] ? strtoull(text + n + 1, NULL, 10) : 1;
    atomic_init(&fault.left, nth ? nth : 1);
    fault_is_armed = true;
}

/* With one call, so that no other line gets in between. */
static void say(const char *name)
{
    const struct iovec parts[] = {
        {(void *)"fault point ", 12}, {(void *)(uintptr_t)name, strlen(name)}, {(void *)"\n", 1}};
    const ssize_t n = writev(STDERR_FILENO, parts, 3);
    (void)n; /* nobody is left to be told */
}

void fault_reached(const char *name)
{
    if (strcmp(name, fault.name) || atomic_fetch_sub(&fault.left, 1) != 1)
        return;
    say(name);
    for (;;)
        (void)kill(getpid(), SIGKILL);
}
