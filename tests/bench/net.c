/* Addresses and sockets of the benchmark's plain-socket programs, see net.h. */
#include "tests/bench/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool parse(const char *text, struct sockaddr_in *out)
{
    const char *colon = strrchr(text, ':');
    char host[64];
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port > 65535)
        return false;
    memset(out, 0, sizeof *out);
    out->sin_family = AF_INET;
    out->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

static int fail(const char *what, const char *address, int fd)
{
    fprintf(stderr, "cannot %s %s: %s\n", what, address, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static void set_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int net_listen(const char *address)
{
    struct sockaddr_in a;
    if (!parse(address, &a)) {
        errno = EINVAL;
        return fail("listen on", address, -1);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(fd, (const struct sockaddr *)&a, sizeof a) || listen(fd, 1024))
        return fail("listen on", address, fd);
    return fd;
}

int net_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        set_no_delay(fd);
    return fd;
}

int net_try(const char *address)
{
    struct sockaddr_in a;
    if (!parse(address, &a)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        int problem = errno;
        close(fd);
        errno = problem;
        return -1;
    }
    set_no_delay(fd);
    return fd;
}

int net_connect(const char *address)
{
    int fd = net_try(address);
    return fd >= 0 ? fd : fail("connect to", address, -1);
}
