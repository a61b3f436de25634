/* OTLP/HTTP: binary protobuf, plain or gzip, posted to a path for each signal. The body is read
 * into the payload's own memory. Runs on the HTTP server's thread, but for `heard`, which runs
 * wherever the pipelines answer. */
#include "formats/compress/gzip.h"
#include "formats/http/thread.h"
#include "receivers/otlp/intake.h"
#include "receivers/otlp/receiver.h"
#include "receivers/otlp/sender.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    CHUNKED_AT_FIRST = 64 * 1024,
    BODY_RATE = 1024, /* bytes a second, after... */
    BODY_RATE_AFTER_MS = 10000,
    ANSWER_ROOM = 512
};

struct otlp_http {
    const sl_host *host;
    struct intake intake;
    sl_bytes paths[INTAKE_SIGNALS];
    uint64_t body_max;
    bool takes_plain, takes_gzip;
    struct sender_rules sender;
    struct cors cors;
    struct gzip_reader *gzip; /* made with the first compressed request */
    struct http_thread *thread;
    _Atomic uint32_t refs; /* the owner's, and one for each offer whose answer is to come */
};

/* What a request holds until it is answered; lies in the request's scratch memory. */
struct exchange {
    struct otlp_http *server;
    sl_payload *body;            /* as it comes in, perhaps compressed */
    sl_payload *plain;           /* inflated */
    const sl_metadata *metadata; /* goes with the data; NULL: none */
    uint8_t *at;
    uint64_t used, capacity;
    uint32_t index; /* of the signal */
    bool compressed;
};
_Static_assert(sizeof(struct exchange) <= sizeof(((struct http_request *)0)->scratch),
               "it lies in the request's scratch memory");

static struct exchange *exchange_of(struct http_request *rq)
{
    return (struct exchange *)(void *)rq->scratch;
}

static void server_release(struct otlp_http *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    cors_deinit(&s->cors);
    free(s);
}

static void exchange_release(struct exchange *e)
{
    const sl_host *h = e->server->host;
    if (e->body)
        h->table->payload_unref(h, e->body);
    if (e->plain)
        h->table->payload_unref(h, e->plain);
    if (e->metadata)
        h->table->metadata_unref(h, e->metadata);
    e->body = e->plain = NULL;
    e->metadata = NULL;
}

/* ---- answers ---- */

/* Lets go of what the request still holds. `more`: one more header, or NULL. The request is gone
 * afterwards, for this and the other answers. */
static void answer(struct http_request *rq, int status, const char *content_type, sl_bytes body,
                   const struct http_header *more)
{
    struct exchange *e = exchange_of(rq);
    const struct otlp_http *s = e->server;
    struct http_header headers[1 + CORS_HEADERS_MAX];
    uint32_t n = 0;
    exchange_release(e);
    if (more)
        headers[n++] = *more;
    if (cors_is_on(&s->cors))
        n += cors_answer(&s->cors, rq, headers + n);
    const struct http_answer a = {.status = status,
                                  .content_type = content_type,
                                  .n_headers = n,
                                  .headers = headers,
                                  .body = body};
    http_answer(rq, &a);
}

static void answer_text(struct http_request *rq, int status, const char *text,
                        const struct http_header *more)
{
    answer(rq, status, "text/plain; charset=utf-8", sl_str(text), more);
}

static void answer_preflight(struct http_request *rq)
{
    const struct otlp_http *s = exchange_of(rq)->server;
    struct http_header headers[CORS_HEADERS_MAX];
    const struct http_answer a = {
        .status = 204, .n_headers = cors_preflight(&s->cors, rq, headers), .headers = headers};
    http_answer(rq, &a);
}

static void answer_verdict(struct http_request *rq, const struct verdict *v)
{
    const struct otlp_http *s = exchange_of(rq)->server;
    uint8_t body[ANSWER_ROOM];
    size_t n = 0;
    char seconds[24];
    struct http_header more = {{NULL, 0}, {NULL, 0}};
    if (v->code == OTLP_CODE_OK) {
        const struct otlp_response response = {v->rejected, sl_str(v->text)};
        (void)otlp_response_encode(&response, body, sizeof body, &n);
    } else {
        const struct otlp_status status = {v->code, sl_str(v->text), v->retry_delay_ns};
        (void)otlp_status_encode(&status, body, sizeof body, &n);
        if (v->retry_delay_ns != OTLP_NO_DELAY) {
            const int64_t whole =
                v->retry_delay_ns / 1000000000 + (v->retry_delay_ns % 1000000000 != 0);
            int len = snprintf(seconds, sizeof seconds, "%lld", (long long)whole);
            more = (struct http_header){sl_str("Retry-After"), sl_slice(seconds, (size_t)len)};
        }
    }
    if (v->code == OTLP_CODE_UNAUTHENTICATED && s->sender.auth->challenge)
        more = (struct http_header){sl_str("WWW-Authenticate"), sl_str(s->sender.auth->challenge)};
    answer(rq, v->http, "application/x-protobuf", sl_slice(body, n), more.name.p ? &more : NULL);
}

/* Refuses a request before its items are known. */
static void refuse(struct http_request *rq, struct otlp_http *s, int32_t status, const char *text)
{
    struct verdict v;
    verdict_of_status(status, text, &v);
    intake_count_refusal(&s->intake, intake_refusal_of(status));
    answer_verdict(rq, &v);
}

/* ---- headers ---- */

static bool encoding_accepted(const struct otlp_http *s, const struct http_request *rq,
                              bool *compressed)
{
    bool repeated;
    const sl_bytes e = http_header_of(rq, "content-encoding", &repeated);
    *compressed = e.n == 4 && strncasecmp((const char *)e.p, "gzip", 4) == 0;
    if (repeated)
        return false;
    if (*compressed)
        return s->takes_gzip;
    return s->takes_plain &&
           (e.n == 0 || (e.n == 8 && strncasecmp((const char *)e.p, "identity", 8) == 0));
}

/* Who sends is asked first, so that a stranger learns nothing, and before the body is read. */
static bool admit(struct http_request *rq, struct otlp_http *s)
{
    struct sender_headers headers;
    sl_error error = {.size = sizeof error};
    struct verdict v;
    if (!sender_matters(&s->sender))
        return true;
    sender_headers_init(&headers);
    for (uint32_t i = 0; i < rq->n_headers; i++)
        sender_add_header(&headers, rq->headers[i].name, rq->headers[i].value);
    sender_add_query(&headers, s->sender.request_params, rq->query);
    const int32_t status = sender_admit(&s->sender, &headers, &exchange_of(rq)->metadata, &error);
    if (status == SL_OK)
        return true;
    verdict_of_authenticator(status, error.text, &v);
    intake_count_refusal(&s->intake, intake_refusal_of(status));
    answer_verdict(rq, &v);
    return false;
}

/* Answers what cannot be right whatever the body is. */
static void check_headers(struct http_request *rq, struct otlp_http *s, struct exchange *e)
{
    static const struct http_header allow = {{(const uint8_t *)"Allow", 5},
                                             {(const uint8_t *)"POST", 4}};
    while (e->index < INTAKE_SIGNALS && !sl_eq(rq->path, s->paths[e->index]))
        e->index++;
    if (e->index == INTAKE_SIGNALS) {
        intake_count_refusal(&s->intake, REFUSED_UNSUPPORTED);
        answer_text(rq, 404, "404 page not found\n", NULL);
        return;
    }
    if (strcmp(rq->method, "POST") != 0) {
        intake_count_refusal(&s->intake, REFUSED_UNSUPPORTED);
        answer_text(rq, 405, "405 method not allowed, supported: [POST]\n", &allow);
        return;
    }
    bool repeated;
    const sl_bytes type = http_header_of(rq, "content-type", &repeated);
    if (repeated || !http_media_type_is(type, "application/x-protobuf")) {
        intake_count_refusal(&s->intake, REFUSED_UNSUPPORTED);
        answer_text(rq, 415,
                    http_media_type_is(type, "application/json")
                        ? "415 OTLP/JSON is not supported yet by this version of Sluice; send "
                          "application/x-protobuf\n"
                        : "415 unsupported media type, supported: [application/x-protobuf]\n",
                    NULL);
        return;
    }
    if (!encoding_accepted(s, rq, &e->compressed)) {
        intake_count_refusal(&s->intake, REFUSED_UNSUPPORTED);
        struct verdict v;
        verdict_of_status(SL_ERR_INVALID,
                          "unsupported Content-Encoding; this server takes gzip and none", &v);
        answer_verdict(rq, &v);
        return;
    }
    if (rq->length != HTTP_NO_LENGTH && rq->length > s->body_max)
        refuse(rq, s, SL_ERR_TOO_LARGE, "the body is larger than max_request_body_size");
}

static void on_headers(void *ctx, struct http_request *rq)
{
    struct otlp_http *s = (struct otlp_http *)ctx;
    struct exchange *e = exchange_of(rq);
    e->server = s;
    if (cors_is_on(&s->cors) && cors_is_preflight(rq))
        answer_preflight(rq);
    else if (admit(rq, s))
        check_headers(rq, s, e);
}

/* ---- the body ---- */

static int32_t body_grow(struct exchange *e, uint64_t length)
{
    struct otlp_http *s = e->server;
    const sl_host *h = s->host;
    int32_t status;
    uint64_t capacity;
    if (!e->body) {
        capacity = length != HTTP_NO_LENGTH         ? length
                   : s->body_max < CHUNKED_AT_FIRST ? s->body_max
                                                    : CHUNKED_AT_FIRST;
        status = h->table->payload_open(h, capacity, &e->body, &e->at);
    } else if (e->used >= s->body_max) {
        return SL_ERR_TOO_LARGE;
    } else {
        capacity = e->capacity < s->body_max / 2 ? e->capacity * 2 : s->body_max;
        status = h->table->payload_grow(h, e->body, capacity, &e->at);
    }
    if (status == SL_OK)
        e->capacity = capacity;
    return status;
}

static int32_t on_room(void *ctx, struct http_request *rq, uint8_t **at, size_t *n)
{
    struct otlp_http *s = (struct otlp_http *)ctx;
    struct exchange *e = exchange_of(rq);
    int32_t status = SL_OK;
    if (e->used == e->capacity)
        status = body_grow(e, rq->length);
    if (status != SL_OK) {
        refuse(rq, s, status,
               status == SL_ERR_TOO_LARGE ? "the body is larger than max_request_body_size" : NULL);
        return status;
    }
    *at = e->at + e->used;
    *n = (size_t)(e->capacity - e->used);
    return SL_OK;
}

static void on_filled(void *ctx, struct http_request *rq, size_t n)
{
    (void)ctx;
    exchange_of(rq)->used += n;
}

static void on_abandon(void *ctx, struct http_request *rq)
{
    (void)ctx;
    exchange_release(exchange_of(rq));
}

/* ---- the whole request ---- */

static int32_t plain_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct exchange *e = (struct exchange *)ctx;
    const sl_host *h = e->server->host;
    int32_t status = e->plain ? h->table->payload_grow(h, e->plain, capacity, at)
                              : h->table->payload_open(h, capacity, &e->plain, at);
    *got = capacity;
    return status;
}

/* Inflates the body; afterwards `body` is what was in it. */
static int32_t inflate_body(struct exchange *e, sl_error *error)
{
    struct otlp_http *s = e->server;
    const sl_host *h = s->host;
    const struct gzip_target target = {e, plain_grow};
    size_t n = 0;
    if (!s->gzip)
        s->gzip = gzip_reader_create();
    if (!s->gzip)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to inflate");
    int32_t status = gzip_inflate(s->gzip, &target, sl_slice(e->at, (size_t)e->used),
                                  (size_t)s->body_max, &n, error);
    if (status != SL_OK)
        return status;
    h->table->payload_unref(h, e->body);
    e->body = e->plain;
    e->plain = NULL;
    e->used = n;
    return SL_OK;
}

/* The offer was taken or settled, whichever counts. [any] */
static void heard(void *ctx, uint64_t cookie, const sl_result *result)
{
    struct http_request *rq = (struct http_request *)(uintptr_t)cookie;
    const struct exchange *e = exchange_of(rq);
    struct otlp_http *s = e->server;
    struct verdict v;
    (void)ctx;
    verdict_of_result(result, &v);
    intake_count(&s->intake, e->index, result->items, &v);
    answer_verdict(rq, &v);
    server_release(s);
}

static void heard_no_more(void *ctx, uint64_t cookie, const sl_result *result)
{
    (void)ctx;
    (void)cookie; /* has been answered */
    (void)result;
}

/* Constants, because they must outlive the server. */
static const sl_hear hear_taken = {
    .size = sizeof hear_taken, .taken = heard, .settled = heard_no_more};
static const sl_hear hear_settled = {.size = sizeof hear_settled, .settled = heard};

static void on_end(void *ctx, struct http_request *rq)
{
    struct otlp_http *s = (struct otlp_http *)ctx;
    struct exchange *e = exchange_of(rq);
    const sl_host *h = s->host;
    const uint32_t signal = intake_signal(e->index);
    sl_error error = {.size = sizeof error};
    struct verdict v;
    int32_t status = SL_OK;
    if (e->compressed)
        status = inflate_body(e, &error);
    if (status == SL_OK && e->body)
        status = h->table->payload_close(h, e->body, e->used, signal, NULL, 0, &error);
    if (status != SL_OK) {
        refuse(rq, s, status, error.text);
        return;
    }
    if (!e->body || e->body->items == 0) { /* an empty request is a success */
        verdict_success(&v);
        answer_verdict(rq, &v);
        return;
    }
    sl_payload *payload = e->body;
    const uint32_t items = payload->items;
    const bool settled = sl_ack(h, signal) == SL_ACK_SETTLED;
    const sl_metadata *metadata = e->metadata;
    e->body = NULL;
    e->metadata = NULL;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    status = sl_offer(h, payload, metadata, settled ? &hear_settled : &hear_taken,
                      (uint64_t)(uintptr_t)rq);
    if (metadata)
        h->table->metadata_unref(h, metadata);
    if (status == SL_OK)
        return; /* the request may have been answered by now */
    h->table->payload_unref(h, payload);
    verdict_of_status(status, NULL, &v);
    intake_count_untaken(&s->intake, e->index, items, status);
    answer_verdict(rq, &v);
    server_release(s);
}

/* ---- life ---- */

static uint32_t ms_of(int64_t ns)
{
    const int64_t ms = ns / 1000000 + (ns % 1000000 != 0);
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void encodings_init(struct otlp_http *s, const struct http_config *c)
{
    s->takes_plain = s->takes_gzip = !c->algorithms_given;
    for (uint32_t i = 0; i < c->compression_algorithms.n; i++) {
        if (SL_LIST_AT(sl_bytes, c->compression_algorithms, i)->n == 0)
            s->takes_plain = true;
        else
            s->takes_gzip = true;
    }
}

/* On the loop that exporters send from too, so that a request wakes no other thread on its way; on
 * a thread of its own where the host has no such loop. */
static int32_t serve(struct otlp_http *s, const struct http_handler *handler,
                     const struct http_limits *limits, int32_t fd, sl_error *error)
{
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(s->host, SL_PLUGINS);
    const void *loop = NULL;
    if (plugins && plugins->load(s->host, HTTP_LOOP_PLUGIN, HTTP_LOOP, &loop, NULL) == SL_OK)
        return http_thread_start_on((const http_loop *)loop, handler, limits, fd, &s->thread,
                                    error);
    return http_thread_start(handler, limits, fd, "otlp-http", &s->thread, error);
}

int32_t otlp_http_start(const sl_host *host, const struct http_config *config,
                        const sl_auth_server *auth, int32_t fd, struct otlp_http **out,
                        sl_error *error)
{
    struct otlp_http *s = (struct otlp_http *)calloc(1, sizeof *s);
    if (!s)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP server");
    const struct http_handler handler = {s, on_headers, on_room, on_filled, on_end, on_abandon};
    struct http_limits limits;
    http_limits_init(&limits);
    limits.body_bytes = UINT64_MAX; /* checked here, where the answer can be OTLP's */
    limits.body_rate = BODY_RATE;
    limits.body_rate_after_ms = BODY_RATE_AFTER_MS;
    limits.header_timeout_ms = ms_of(config->read_header_timeout);
    limits.body_timeout_ms = ms_of(config->read_timeout);
    limits.write_timeout_ms = ms_of(config->write_timeout);
    limits.idle_timeout_ms = ms_of(config->idle_timeout);
    limits.no_keep_alive = !config->keep_alives_enabled;
    atomic_init(&s->refs, 1);
    s->host = host;
    s->paths[0] = config->traces_url_path;
    s->paths[1] = config->metrics_url_path;
    s->paths[2] = config->logs_url_path;
    s->body_max = config->max_request_body_size ? config->max_request_body_size : 20971520;
    s->sender = (struct sender_rules){.host = host,
                                      .auth = auth,
                                      .request_params = &config->auth.request_params,
                                      .include_metadata = config->include_metadata != 0};
    encodings_init(s, config);
    intake_init(&s->intake, host, "http");
    int32_t status = cors_init(&s->cors, &config->cors);
    if (status != SL_OK)
        (void)sl_fail(error, status, "no memory for the HTTP server");
    else
        status = serve(s, &handler, &limits, fd, error);
    if (status != SL_OK) {
        server_release(s);
        return status;
    }
    *out = s;
    return SL_OK;
}

bool otlp_http_drain(struct otlp_http *s, int64_t wait_ns)
{
    return http_thread_drain(s->thread, wait_ns > 0 ? ms_of(wait_ns) : 0);
}

void otlp_http_stop(struct otlp_http *s)
{
    if (!s)
        return;
    http_thread_stop(s->thread);
    gzip_reader_destroy(s->gzip);
    server_release(s);
}
