/* One side of the HTTP server comparison: libmicrohttpd, epoll, one thread of its own. The library
 * hands a body over in pieces from its own buffer, which are put together in one of ours. */
#include "tests/bench/http_choice/body_pool.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct server {
    struct body_pool pool;
    struct MHD_Response *empty;
};

struct request {
    size_t size, used;
    uint8_t *body;
};

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **state)
{
    struct server *s = (struct server *)ctx;
    struct request *r = (struct request *)*state;
    (void)url;
    (void)method;
    (void)version;
    if (!r) {
        const char *length =
            MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
        r = (struct request *)calloc(1, sizeof *r);
        if (!r)
            return MHD_NO;
        *state = r;
        r->size = length ? strtoul(length, NULL, 10) : 0;
        r->body = body_take(&s->pool, r->size);
        return r->body ? MHD_YES : MHD_NO;
    }
    if (*data_n > 0) {
        if (*data_n > r->size - r->used)
            return MHD_NO;
        memcpy(r->body + r->used, data, *data_n);
        r->used += *data_n;
        *data_n = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, s->empty);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct server *s = (struct server *)ctx;
    struct request *r = (struct request *)*state;
    (void)connection;
    (void)code;
    if (!r)
        return;
    body_give(&s->pool, r->body, r->size);
    free(r);
    *state = NULL;
}

int main(int argc, char **argv)
{
    struct server s = {.pool.keep = false};
    size_t memory = 32 * 1024; /* the library's default for a connection */
    int port = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--pool") == 0)
            s.pool.keep = true;
        else if (strcmp(argv[i], "--memory") == 0 && i + 1 < argc)
            memory = strtoul(argv[++i], NULL, 10);
        else
            port = atoi(argv[i]);
    }
    if (port <= 0) {
        fputs("bench_http_mhd [--pool] [--memory BYTES-PER-CONNECTION] PORT\n", stderr);
        return 2;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s.empty = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(s.empty, "Content-Type", "application/x-protobuf");
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TURBO,
                         (uint16_t)port, NULL, NULL, on_request, &s, MHD_OPTION_SOCK_ADDR,
                         (struct sockaddr *)&address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, &s, MHD_OPTION_END);
    if (!daemon)
        return 1;
    int number;
    sigwait(&set, &number);
    MHD_stop_daemon(daemon);
    return 0;
}
