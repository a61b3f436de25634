/* Entry of the load sender, see send.h: checks the options, takes the endpoint apart and runs the
 * transport. Runs in the calling thread. */
#include "commands/generate/send_core.h"

#include <stdio.h>

enum { AUTHORITY_MAX = 300, BASE_MAX = 512 };

struct target {
    char authority[AUTHORITY_MAX]; /* host:port */
    char base[BASE_MAX];           /* path before /v1/..., without a slash at its end */
};

static bool strip_prefix(const char **text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    return true;
}

static enum sl_status parse_endpoint(const struct send_options *o, struct target *t,
                                     sl_error *error)
{
    const char *rest = o->endpoint ? o->endpoint : "";
    if (strip_prefix(&rest, "https://") || strip_prefix(&rest, "grpcs://"))
        return send_fail(error, SL_ERR_UNSUPPORTED,
                         "endpoint \"%s\": the sender has no TLS; use a plain endpoint",
                         o->endpoint);
    if (!strip_prefix(&rest, "http://"))
        strip_prefix(&rest, "grpc://");
    size_t n = strcspn(rest, "/");
    const char *base = rest + n;
    size_t base_n = strlen(base);
    while (base_n > 0 && base[base_n - 1] == '/')
        base_n--;
    const char *colon = memrchr(rest, ':', n);
    if (n == 0 || n >= sizeof t->authority || base_n >= sizeof t->base || !colon || colon == rest ||
        colon + 1 == rest + n)
        return send_fail(
            error, SL_ERR_INVALID, "endpoint \"%s\": expected host:port, e.g. 127.0.0.1:%s",
            o->endpoint ? o->endpoint : "", o->protocol == SEND_GRPC ? "4317" : "4318");
    if (strpbrk(rest, " \t\r\n"))
        return send_fail(error, SL_ERR_INVALID, "endpoint \"%s\" has a space in it", o->endpoint);
    if (base_n > 0 && o->protocol == SEND_GRPC)
        return send_fail(error, SL_ERR_INVALID,
                         "endpoint \"%s\": gRPC takes no path after the port", o->endpoint);
    memcpy(t->authority, rest, n);
    t->authority[n] = '\0';
    memcpy(t->base, base, base_n);
    t->base[base_n] = '\0';
    return SL_OK;
}

static enum sl_status check_requests(const struct send_request *requests, size_t count,
                                     sl_error *error)
{
    for (size_t i = 0; i < count; i++) {
        enum sl_signal s = requests[i].signal;
        if (s != SL_TRACES && s != SL_METRICS && s != SL_LOGS && s != SL_PROFILES)
            return send_fail(error, SL_ERR_INVALID, "request %zu: %d is not a signal", i, (int)s);
    }
    return SL_OK;
}

static enum sl_status check_headers(const struct send_options *o, sl_error *error)
{
    for (size_t i = 0; i < o->header_count; i++) {
        const struct send_header *h = &o->headers[i];
        if (!*h->name || strpbrk(h->name, " :\t\r\n") || strpbrk(h->value, "\r\n"))
            return send_fail(error, SL_ERR_INVALID, "header \"%s\" cannot be sent: %s", h->name,
                             "a name has no space or colon, a value no line break");
    }
    return SL_OK;
}

enum sl_status send_run(const struct send_options *options, const struct send_request *requests,
                        size_t count, struct send_report *report, sl_error *error)
{
    struct target target;
    struct send_core core;
    memset(report, 0, sizeof *report);
    enum sl_status status = parse_endpoint(options, &target, error);
    if (status == SL_OK)
        status = check_requests(requests, count, error);
    if (status == SL_OK)
        status = check_headers(options, error);
    if (status != SL_OK)
        return status;
    status = send_core_init(&core, options, requests, count, error);
    if (status == SL_OK)
        status = options->protocol == SEND_GRPC
                     ? send_grpc(&core, target.authority, error)
                     : send_http(&core, target.authority, target.base, error);
    if (status == SL_OK) {
        send_core_finish(&core);
        *report = core.report;
    }
    send_core_deinit(&core);
    return status;
}
