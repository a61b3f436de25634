/* Ledgers, see ledger.h. */
#include "tests/e2e/kill/ledger.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *ledger_map(const char *path, size_t bytes)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *map = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return map == MAP_FAILED ? NULL : map;
}

struct ledger *ledger_open(const char *path)
{
    return ledger_map(path, sizeof(struct ledger) + LEDGER_SPANS);
}
