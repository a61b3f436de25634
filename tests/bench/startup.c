/* Measures how long a program takes from exec to its first good OTLP answer: starts it, polls its
 * ports without a pause, sends one small request as soon as a connection stands, and prints the
 * times as a JSON line. The request over gRPC is a hand-made HTTP/2 exchange, because a gRPC client
 * would itself take milliseconds to load. One thread. */
#include "tests/bench/net.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_NS (10 * 1000000000ull)

enum { RECEIVED_MAX = 4096 };

/* One span: ResourceSpans{service.name=a}{ScopeSpans{Span "op"}}. */
static const uint8_t otlp_request[] = {
    0x0a, 0x63, 0x0a, 0x15, 0x0a, 0x13, 0x0a, 0x0c, 's',  'e',  'r',  'v',  'i',  'c',  'e',
    '.',  'n',  'a',  'm',  'e',  0x12, 0x03, 0x0a, 0x01, 'a',  0x12, 0x4a, 0x12, 0x48, 0x0a,
    0x10, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
    0x0f, 0x10, 0x12, 0x08, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x2a, 0x02, 'o',
    'p',  0x30, 0x02, 0x39, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x41, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4a, 0x08, 0x0a, 0x01, 'k',  0x12, 0x03, 0x0a, 0x01,
    'v',  0x7a, 0x02, 0x18, 0x02, 0x85, 0x01, 0x01, 0x01, 0x00, 0x00};

struct probe {
    const char *address; /* NULL: not asked for */
    bool grpc;
    int fd;
    uint64_t connected_ns, answered_ns;
    unsigned refused; /* answers that were not good */
    uint8_t request[512];
    size_t request_n;
    uint8_t received[RECEIVED_MAX];
    size_t received_n;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void put(struct probe *p, const void *bytes, size_t n)
{
    if (n > sizeof p->request - p->request_n)
        abort();
    memcpy(p->request + p->request_n, bytes, n);
    p->request_n += n;
}

static void put_text(struct probe *p, uint8_t prefix, const char *text)
{
    uint8_t head[2] = {prefix, (uint8_t)strlen(text)};
    put(p, head, 2);
    put(p, text, head[1]);
}

static void put_frame(struct probe *p, size_t n, uint8_t type, uint8_t flags, uint8_t stream)
{
    uint8_t head[9] = {0, (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0, stream};
    put(p, head, sizeof head);
}

static void build_grpc(struct probe *p)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const char path[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    put(p, preface, sizeof preface - 1);
    put_frame(p, 0, 4, 0, 0); /* SETTINGS */
    size_t head = p->request_n;
    put_frame(p, 0, 1, 4, 1);      /* HEADERS, END_HEADERS; length below */
    put(p, "\x83\x86", 2);         /* :method POST, :scheme http */
    put_text(p, 0x04, path);       /* :path */
    put_text(p, 0x01, p->address); /* :authority */
    put(p, "\x0f", 1);             /* content-type is 31 in HPACK's table: 15 + 16 */
    put_text(p, 0x10, "application/grpc");
    put_text(p, 0x00, "te");
    put(p, "\x08trailers", 9);
    size_t n = p->request_n - head - 9;
    p->request[head + 2] = (uint8_t)n;
    uint8_t prefix[5] = {0, 0, 0, 0, sizeof otlp_request};
    put_frame(p, sizeof prefix + sizeof otlp_request, 0, 1, 1); /* DATA, END_STREAM */
    put(p, prefix, sizeof prefix);
    put(p, otlp_request, sizeof otlp_request);
}

static void build_http(struct probe *p)
{
    int n = snprintf((char *)p->request, sizeof p->request,
                     "POST /v1/traces HTTP/1.1\r\nHost: %s\r\n"
                     "Content-Type: application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                     p->address, sizeof otlp_request);
    p->request_n = (size_t)n;
    put(p, otlp_request, sizeof otlp_request);
}

/* 1: a good answer; 0: not complete; -1: another answer. */
static int judge_http(const struct probe *p)
{
    if (!memmem(p->received, p->received_n, "\r\n\r\n", 4))
        return 0;
    return memcmp(p->received, "HTTP/1.1 2", 10) == 0 ? 1 : -1;
}

/* Goes over HTTP/2 frames. Only a call that ended well has a message before its trailers. */
static int judge_grpc(const struct probe *p)
{
    bool message = false;
    size_t at = 0;
    while (p->received_n - at >= 9) {
        const uint8_t *f = p->received + at;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        if (p->received_n - at - 9 < n)
            break;
        if (f[3] == 0 && f[8] == 1)
            message = true;
        if ((f[3] == 1 && f[8] == 1 && (f[4] & 1)) || f[3] == 3 || f[3] == 7)
            return message ? 1 : -1;
        at += 9 + n;
    }
    return 0;
}

static void probe_step(struct probe *p)
{
    if (p->fd < 0) {
        p->fd = net_try(p->address);
        if (p->fd < 0)
            return;
        if (!p->connected_ns)
            p->connected_ns = now_ns();
        p->received_n = 0;
        send(p->fd, p->request, p->request_n, MSG_NOSIGNAL);
    }
    ssize_t n =
        recv(p->fd, p->received + p->received_n, RECEIVED_MAX - p->received_n, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0)
        p->received_n += (size_t)n;
    int verdict = n <= 0 ? -1 : p->grpc ? judge_grpc(p) : judge_http(p);
    if (verdict == 0)
        return;
    close(p->fd);
    p->fd = -1;
    if (verdict > 0)
        p->answered_ns = now_ns();
    else
        p->refused++;
}

/* Runs the program; *exec_ns, in shared memory, is when it was about to be executed. */
static pid_t start(char **argv, uint64_t *exec_ns)
{
    pid_t pid = fork();
    if (pid == 0) {
        *exec_ns = now_ns();
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* Ends the program, which gets two seconds for it. */
static void end(pid_t pid)
{
    kill(pid, SIGTERM);
    for (int i = 0; i < 200; i++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* The polling takes one processor for itself. */
static void stay_on_one_processor(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static bool pending(const struct probe *p)
{
    return p->address && !p->answered_ns;
}

static void print_times(const struct probe *p, const char *name, uint64_t exec_ns)
{
    if (!p->address)
        return;
    printf("\"%s_connected_ms\":%.3f,\"%s_ms\":%.3f,\"%s_refused\":%u,", name,
           (double)(p->connected_ns - exec_ns) / 1e6, name,
           (double)(p->answered_ns - exec_ns) / 1e6, name, p->refused);
}

int main(int argc, char **argv)
{
    struct probe http = {.fd = -1}, grpc = {.fd = -1, .grpc = true};
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (strcmp(argv[i], "--http") == 0)
            http.address = argv[i + 1];
        else if (strcmp(argv[i], "--grpc") == 0)
            grpc.address = argv[i + 1];
    }
    if (i + 1 >= argc || (!http.address && !grpc.address)) {
        fputs(
            "bench_startup [--http HOST:PORT] [--grpc HOST:PORT] -- /path/to/program ARGUMENT...\n",
            stderr);
        return 2;
    }
    if (http.address)
        build_http(&http);
    if (grpc.address)
        build_grpc(&grpc);
    uint64_t *exec_ns = (uint64_t *)mmap(NULL, sizeof *exec_ns, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (exec_ns == MAP_FAILED)
        return 1;
    pid_t pid = start(argv + i + 1, exec_ns);
    if (pid < 0)
        return 1;
    stay_on_one_processor();
    uint64_t deadline = now_ns() + DEADLINE_NS;
    while ((pending(&http) || pending(&grpc)) && now_ns() < deadline &&
           waitpid(pid, NULL, WNOHANG) == 0) {
        if (pending(&http))
            probe_step(&http);
        if (pending(&grpc))
            probe_step(&grpc);
    }
    bool good = !pending(&http) && !pending(&grpc);
    end(pid);
    if (!good) {
        fprintf(stderr, "bench_startup: %s gave no good answer\n", argv[i + 1]);
        return 1;
    }
    putchar('{');
    print_times(&http, "http", *exec_ns);
    print_times(&grpc, "grpc", *exec_ns);
    puts("\"unit\":\"ms from exec\"}");
    return 0;
}
