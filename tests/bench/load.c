/* The benchmarks' load program: sends the requests of a framed file (four bytes of big-endian
 * length before each, as the file exporter writes) through the load sender, and prints its report
 * as one JSON line. One thread, beside those of gRPC. */
#include "commands/generate/send.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADERS_MAX = 32 };

static const char usage[] =
    "bench_load --file FILE --to grpc://HOST:PORT|http://HOST:PORT [options]\n"
    "  --signal traces|metrics|logs   what the file holds (default: traces)\n"
    "  --requests N         how many to send (default: each of the file once)\n"
    "  --duration SECONDS   begin none after this\n"
    "  --connections N --in-flight N  (default: 1, 1)\n"
    "  --rate N             requests a second; --item-rate N: items a second\n"
    "  --items-per-request N          instead of counting them\n"
    "  --gzip  --timeout SECONDS  --retries N  --header NAME=VALUE\n"
    "  --ledger FILE        a line for each request: sequence, index in the file, outcome\n";

/* SIGINT ends the run early; the report is still printed. A signal handler can reach nothing but
 * a variable of file scope. */
static atomic_bool stop;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stop, true);
}

static bool read_varint(sl_bytes *in, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && in->n > 0; shift += 7) {
        uint8_t byte = *in->p++;
        in->n--;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* Goes to the next field that has a length. False at the end, or where the bytes are malformed. */
static bool next_field(sl_bytes *in, uint32_t *number, sl_bytes *content)
{
    uint64_t tag, n;
    while (read_varint(in, &tag)) {
        switch (tag & 7) {
        case 0:
            if (!read_varint(in, &n))
                return false;
            continue;
        case 1:
            n = 8;
            break;
        case 2:
            if (!read_varint(in, &n))
                return false;
            break;
        case 5:
            n = 4;
            break;
        default:
            return false;
        }
        if (n > in->n)
            return false;
        *number = (uint32_t)(tag >> 3);
        *content = sl_slice(in->p, (size_t)n);
        in->p += n;
        in->n -= (size_t)n;
        if ((tag & 7) == 2)
            return true;
    }
    return false;
}

/* Records under resource and scope: field 1, then 2, then 2. */
static uint32_t count_records(sl_bytes request, sl_bytes *each, uint32_t room)
{
    uint32_t n = 0, number;
    sl_bytes resource, scope, record;
    while (next_field(&request, &number, &resource)) {
        while (number == 1 && next_field(&resource, &number, &scope)) {
            bool is_scope = number == 2;
            while (is_scope && next_field(&scope, &number, &record)) {
                if (number != 2)
                    continue;
                if (n < room)
                    each[n] = record;
                n++;
            }
            number = 1;
        }
    }
    return n;
}

/* Points of a metric: field 1 of whichever of its data is set. */
static uint32_t count_points(sl_bytes metric)
{
    uint32_t n = 0, number;
    sl_bytes data, point;
    while (next_field(&metric, &number, &data)) {
        bool is_data = number == 5 || number == 7 || (number >= 9 && number <= 11);
        while (is_data && next_field(&data, &number, &point))
            n += number == 1;
    }
    return n;
}

static uint32_t count_items(sl_bytes request, enum sl_signal signal)
{
    uint32_t records = count_records(request, NULL, 0), points = 0;
    if (signal != SL_METRICS || records == 0)
        return records;
    sl_bytes *metrics = (sl_bytes *)calloc(records, sizeof *metrics);
    if (!metrics)
        return 0;
    count_records(request, metrics, records);
    for (uint32_t i = 0; i < records; i++)
        points += count_points(metrics[i]);
    free(metrics);
    return points;
}

struct plan {
    const char *file, *ledger_path;
    FILE *ledger;
    enum sl_signal signal;
    uint32_t items; /* of each request, when told */
    struct send_header headers[HEADERS_MAX];
    struct send_options options;
};

/* Maps the file and cuts it into requests. NULL after a message on stderr. */
static struct send_request *read_requests(const struct plan *plan, size_t *count)
{
    struct stat st;
    int fd = open(plan->file, O_RDONLY | O_CLOEXEC);
    void *map = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED) {
        fprintf(stderr, "%s: %s\n", plan->file, errno ? strerror(errno) : "empty");
        return NULL;
    }
    close(fd);
    const uint8_t *p = (const uint8_t *)map, *end = p + st.st_size;
    struct send_request *requests = NULL;
    size_t n = 0, room = 0;
    while (end - p >= 4) {
        uint32_t length = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        p += 4;
        if (length > end - p)
            break;
        if (n == room) {
            room = room ? 2 * room : 64;
            struct send_request *more =
                (struct send_request *)realloc(requests, room * sizeof *requests);
            if (!more)
                abort();
            requests = more;
        }
        requests[n].body = sl_slice(p, length);
        requests[n].signal = plan->signal;
        requests[n].items = plan->items ? plan->items : count_items(requests[n].body, plan->signal);
        n++;
        p += length;
    }
    if (p != end || n == 0) {
        fprintf(stderr, "%s: not a file of framed requests\n", plan->file);
        free(requests);
        return NULL;
    }
    *count = n;
    return requests;
}

static void write_ledger(void *ctx, size_t request, uint64_t sequence, enum send_outcome outcome)
{
    static const char *const names[] = {"acknowledged", "refused_retryable", "refused_permanent",
                                        "failed"};
    struct plan *plan = (struct plan *)ctx;
    fprintf(plan->ledger, "%" PRIu64 " %zu %s\n", sequence, request, names[outcome]);
}

static void print_report(const struct send_report *r, size_t count, const struct send_request *all)
{
    uint64_t bytes = 0, items = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += all[i].body.n;
        items += all[i].items;
    }
    double seconds = (double)r->wall_ns / 1e9;
    printf("{\"sent\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"refused_retryable\":%" PRIu64
           ",\"refused_permanent\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"retries\":%" PRIu64,
           r->sent, r->acknowledged, r->refused_retryable, r->refused_permanent, r->failed,
           r->retries);
    printf(",\"items_sent\":%" PRIu64 ",\"items_acknowledged\":%" PRIu64
           ",\"items_refused_retryable\":%" PRIu64 ",\"items_refused_permanent\":%" PRIu64
           ",\"items_failed\":%" PRIu64 ",\"items_rejected\":%" PRIu64 ",\"partial\":%" PRIu64,
           r->items_sent, r->items_acknowledged, r->items_refused_retryable,
           r->items_refused_permanent, r->items_failed, r->items_rejected, r->partial);
    printf(",\"refusals\":%" PRIu64 ",\"refusals_delayed\":%" PRIu64
           ",\"bytes_acknowledged\":%" PRIu64 ",\"file_requests\":%zu,\"bytes_per_item\":%.1f",
           r->refusals, r->refusals_delayed, r->bytes_acknowledged, count,
           items ? (double)bytes / (double)items : 0);
    printf(",\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"wall_s\":%.6f"
           ",\"items_per_s\":%.0f,\"last_problem\":\"",
           (double)r->p50_ns / 1e6, (double)r->p90_ns / 1e6, (double)r->p99_ns / 1e6,
           (double)r->max_ns / 1e6, seconds,
           seconds > 0 ? (double)r->items_acknowledged / seconds : 0);
    for (const char *c = r->last_problem; *c; c++) {
        if (*c != '"' && *c != '\\' && (unsigned char)*c >= ' ')
            putchar(*c);
    }
    puts("\"}");
}

static bool parse_signal(const char *text, enum sl_signal *out)
{
    static const struct {
        const char *name;
        enum sl_signal signal;
    } known[] = {{"traces", SL_TRACES}, {"metrics", SL_METRICS}, {"logs", SL_LOGS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(text, known[i].name) == 0) {
            *out = known[i].signal;
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 0 && *out < 1e15;
}

static bool parse_header(struct plan *plan, char *text)
{
    char *eq = strchr(text, '=');
    if (!eq || plan->options.header_count == HEADERS_MAX)
        return false;
    *eq = '\0';
    plan->headers[plan->options.header_count++] =
        (struct send_header){.name = text, .value = eq + 1};
    return true;
}

enum option_id {
    OPT_FILE,
    OPT_TO,
    OPT_SIGNAL,
    OPT_GZIP,
    OPT_HEADER,
    OPT_LEDGER,
    OPT_REQUESTS, /* from here on: numbers */
    OPT_DURATION,
    OPT_CONNECTIONS,
    OPT_IN_FLIGHT,
    OPT_RATE,
    OPT_ITEM_RATE,
    OPT_ITEMS,
    OPT_TIMEOUT,
    OPT_RETRIES
};

static bool take_number(struct plan *plan, enum option_id id, const char *text)
{
    struct send_options *o = &plan->options;
    double n;
    if (!parse_number(text, &n) || (id != OPT_REQUESTS && n > 1e9))
        return false;
    switch (id) {
    case OPT_REQUESTS:
        o->requests = (uint64_t)n;
        return true;
    case OPT_DURATION:
        o->duration_ns = (uint64_t)(n * 1e9);
        return true;
    case OPT_CONNECTIONS:
        o->connections = (uint32_t)n;
        return true;
    case OPT_IN_FLIGHT:
        o->in_flight = (uint32_t)n;
        return true;
    case OPT_RATE:
        o->requests_per_second = n;
        return true;
    case OPT_ITEM_RATE:
        o->items_per_second = n;
        return true;
    case OPT_ITEMS:
        plan->items = (uint32_t)n;
        return true;
    case OPT_TIMEOUT:
        o->timeout_ns = (uint64_t)(n * 1e9);
        return true;
    case OPT_RETRIES:
        o->retries = (uint32_t)n;
        return true;
    default:
        return false;
    }
}

static bool take_option(struct plan *plan, int id, char *value)
{
    switch (id) {
    case OPT_FILE:
        plan->file = value;
        return true;
    case OPT_TO:
        plan->options.endpoint = value;
        plan->options.protocol = strncmp(value, "http:", 5) == 0 ? SEND_HTTP : SEND_GRPC;
        return true;
    case OPT_SIGNAL:
        return parse_signal(value, &plan->signal);
    case OPT_GZIP:
        plan->options.gzip = true;
        return true;
    case OPT_HEADER:
        return parse_header(plan, value);
    case OPT_LEDGER:
        plan->ledger_path = value;
        return true;
    default:
        return id >= 0 && value && take_number(plan, (enum option_id)id, value);
    }
}

static bool parse_command_line(struct plan *plan, int argc, char **argv)
{
    static const struct option longs[] = {{"file", required_argument, NULL, OPT_FILE},
                                          {"to", required_argument, NULL, OPT_TO},
                                          {"signal", required_argument, NULL, OPT_SIGNAL},
                                          {"gzip", no_argument, NULL, OPT_GZIP},
                                          {"header", required_argument, NULL, OPT_HEADER},
                                          {"ledger", required_argument, NULL, OPT_LEDGER},
                                          {"requests", required_argument, NULL, OPT_REQUESTS},
                                          {"duration", required_argument, NULL, OPT_DURATION},
                                          {"connections", required_argument, NULL, OPT_CONNECTIONS},
                                          {"in-flight", required_argument, NULL, OPT_IN_FLIGHT},
                                          {"rate", required_argument, NULL, OPT_RATE},
                                          {"item-rate", required_argument, NULL, OPT_ITEM_RATE},
                                          {"items-per-request", required_argument, NULL, OPT_ITEMS},
                                          {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                          {"retries", required_argument, NULL, OPT_RETRIES},
                                          {NULL, 0, NULL, 0}};
    int id;
    while ((id = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (!take_option(plan, id, optarg))
            return false;
    }
    return optind == argc && plan->file && plan->options.endpoint;
}

int main(int argc, char **argv)
{
    struct plan plan = {.signal = SL_TRACES};
    if (!parse_command_line(&plan, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    plan.options.headers = plan.headers;
    plan.options.stop = &stop;
    if (plan.ledger_path) {
        plan.ledger = fopen(plan.ledger_path, "we");
        if (!plan.ledger) {
            fprintf(stderr, "%s: %s\n", plan.ledger_path, strerror(errno));
            return 1;
        }
        plan.options.on_done = write_ledger;
        plan.options.ctx = &plan;
    }
    size_t count = 0;
    struct send_request *requests = read_requests(&plan, &count);
    if (!requests)
        return 1;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    struct send_report report;
    sl_error error = {.size = sizeof error};
    enum sl_status status = send_run(&plan.options, requests, count, &report, &error);
    if (status == SL_OK)
        print_report(&report, count, requests);
    else
        fprintf(stderr, "bench_load: %s\n", error.text);
    if (plan.ledger && fclose(plan.ledger)) {
        fprintf(stderr, "%s: %s\n", plan.ledger_path, strerror(errno));
        status = SL_ERR_IO;
    }
    free(requests);
    return status == SL_OK ? 0 : 1;
}
