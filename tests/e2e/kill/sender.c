/* The sender of the kill tests: sends spans that never come again, each once, and writes into its
 * ledger what was acknowledged, after the answer has come. It outlives every process that it sends
 * to: while nobody listens it tries on. SIGTERM: begins no more requests, waits for the answers,
 * ends. One thread, beside those of gRPC. */
#include "commands/generate/send.h"
#include "tests/e2e/kill/ledger.h"
#include "tests/e2e/kill/span.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROUND = 512, /* requests that are made at a time; the sender ends and begins them together */
    SPANS_MAX = 16
};

static const char usage[] =
    "kill_sender --to grpc://HOST:PORT|http://HOST:PORT --ledger FILE [options]\n"
    "  --connections N  --in-flight N   (default: 1, 1)\n"
    "  --rate N                         spans a second (default: as fast as answers come)\n";

/* A signal handler can reach nothing but a variable of file scope. */
static atomic_bool stop;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stop, true);
}

struct sender {
    struct send_options options;
    struct ledger *ledger;
    uint64_t next; /* span number */
    uint64_t first[ROUND];
    struct send_request requests[ROUND];
    uint8_t *bytes;
};

static void mark(struct sender *s, size_t request, uint8_t what)
{
    for (uint32_t i = 0; i < s->requests[request].items; i++)
        atomic_store(&s->ledger->spans[s->first[request] + i], what);
}

static void on_done(void *ctx, size_t request, uint64_t sequence, enum send_outcome outcome)
{
    struct sender *s = ctx;
    (void)sequence;
    atomic_fetch_add(&s->ledger->requests, 1);
    if (outcome != SEND_ACKNOWLEDGED)
        return;
    mark(s, request, LEDGER_ACKNOWLEDGED);
    atomic_fetch_add(&s->ledger->acknowledged, s->requests[request].items);
}

/* All of the round counts as sent before any of it is: nobody may have seen a span that was not. */
static void make_round(struct sender *s)
{
    uint8_t *p = s->bytes;
    for (size_t i = 0; i < ROUND; i++) {
        const uint32_t n = 1 + (uint32_t)(span_mix(s->next) % SPANS_MAX);
        const size_t bytes = span_request(s->next, n, p);
        s->first[i] = s->next;
        s->requests[i] =
            (struct send_request){.body = sl_slice(p, bytes), .items = n, .signal = SL_TRACES};
        mark(s, i, LEDGER_UNKNOWN);
        s->next += n;
        p += bytes;
    }
    atomic_store(&s->ledger->issued, s->next);
}

static int run(struct sender *s)
{
    struct send_report report = {0};
    while (!atomic_load(&stop)) {
        sl_error error = {.size = sizeof error};
        if (s->next + ROUND * SPANS_MAX > LEDGER_SPANS) {
            fputs("kill_sender: the ledger is full\n", stderr);
            return 1;
        }
        make_round(s);
        enum sl_status status;
        do {
            status = send_run(&s->options, s->requests, ROUND, &report, &error);
        } while (status == SL_ERR_UNAVAILABLE && !atomic_load(&stop));
        if (strcmp(report.last_problem, "no answer in time") == 0)
            atomic_fetch_add(&s->ledger->unanswered, 1);
        if (status != SL_OK && status != SL_ERR_UNAVAILABLE) {
            fprintf(stderr, "kill_sender: %s\n", error.text);
            return 1;
        }
    }
    return 0;
}

static bool parse_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 0 && *out < 1e9;
}

static bool parse_command_line(struct sender *s, int argc, char **argv)
{
    static const struct option longs[] = {
        {"to", required_argument, NULL, 't'},          {"ledger", required_argument, NULL, 'l'},
        {"connections", required_argument, NULL, 'c'}, {"in-flight", required_argument, NULL, 'i'},
        {"rate", required_argument, NULL, 'r'},        {NULL, 0, NULL, 0}};
    int id;
    while ((id = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        double n = 0;
        if (id == 't') {
            s->options.endpoint = optarg;
            s->options.protocol = strncmp(optarg, "http:", 5) == 0 ? SEND_HTTP : SEND_GRPC;
        } else if (id == 'l') {
            s->ledger = ledger_open(optarg);
        } else if (id == '?' || !parse_number(optarg, &n)) {
            return false;
        } else if (id == 'c') {
            s->options.connections = (uint32_t)n;
        } else if (id == 'i') {
            s->options.in_flight = (uint32_t)n;
        } else {
            s->options.items_per_second = n;
        }
    }
    return optind == argc && s->ledger && s->options.endpoint;
}

int main(int argc, char **argv)
{
    struct sender *s = calloc(1, sizeof *s);
    if (!s || !parse_command_line(s, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    s->bytes = malloc((size_t)ROUND * (SPANS_MAX * (SPAN_MAX + 16) + 256));
    if (!s->bytes)
        return 1;
    s->options.timeout_ns = UINT64_C(10000000000);
    s->options.requests = ROUND;
    s->options.stop = &stop;
    s->options.on_done = on_done;
    s->options.ctx = s;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    const int code = run(s);
    free(s->bytes);
    free(s);
    return code;
}
