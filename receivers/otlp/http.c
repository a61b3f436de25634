/* OTLP/HTTP: protobuf or JSON, plain or compressed, posted to a path for each signal. The body is
 * read into the payload's own memory. Runs on the HTTP server's thread, but for `heard`, which runs
 * wherever the pipelines answer. */
#include "formats/http/thread.h"
#include "formats/otlp/status_json.h"
#include "formats/sender/sender.h"
#include "receivers/otlp/decode.h"
#include "receivers/otlp/intake.h"
#include "receivers/otlp/receiver.h"
#include "receivers/otlp/response_headers.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    CHUNKED_AT_FIRST = 64 * 1024,
    BODY_RATE = 1024, /* bytes a second, after... */
    BODY_RATE_AFTER_MS = 10000,
    ANSWER_ROOM = 512
};
#define JSON_TYPE "application/json"
#define PROTOBUF_TYPE "application/x-protobuf"

struct otlp_http {
    const sl_host *host;
    struct intake intake;
    sl_bytes paths[INTAKE_SIGNALS];
    uint64_t body_max;
    uint32_t encodings; /* that are taken: 1 << enum content_encoding */
    struct decoding decoding;
    struct sender_rules sender;
    struct cors cors;
    struct response_headers always; /* in every answer */
    struct http_thread *thread;
    _Atomic uint32_t refs; /* the owner's, and one for each offer whose answer is to come */
};

/* What a request holds until it is answered; lies in the request's scratch memory. */
struct exchange {
    struct otlp_http *server;
    sl_payload *body;            /* as it comes in */
    const sl_metadata *metadata; /* goes with the data; NULL: none */
    uint8_t *at;
    uint64_t used, capacity;
    uint32_t index; /* of the signal */
    struct body_form form;
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
        sl_payload_unref(h, e->body);
    if (e->metadata)
        sl_metadata_unref(h, e->metadata);
    e->body = NULL;
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
    struct http_header headers[1 + CORS_HEADERS_MAX + RESPONSE_HEADERS_MAX];
    uint32_t n = s->always.n;
    exchange_release(e);
    memcpy(headers, s->always.at, n * sizeof *headers);
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
    struct http_header headers[CORS_HEADERS_MAX + RESPONSE_HEADERS_MAX];
    const uint32_t n = s->always.n;
    memcpy(headers, s->always.at, n * sizeof *headers);
    const struct http_answer a = {.status = 204,
                                  .n_headers = n + cors_preflight(&s->cors, rq, headers + n),
                                  .headers = headers};
    http_answer(rq, &a);
}

static sl_bytes protobuf_of(const struct verdict *v, uint8_t *at, size_t room)
{
    const struct otlp_response response = {v->rejected, sl_str(v->text)};
    const struct otlp_status status = {v->code, sl_str(v->text), v->retry_delay_ns};
    size_t n = 0;
    if (v->code == OTLP_CODE_OK)
        (void)otlp_response_encode(&response, at, room, &n);
    else
        (void)otlp_status_encode(&status, at, room, &n);
    return sl_slice(at, n);
}

/* In `out`, which was not initialised before; without memory there is no text. */
static sl_bytes json_of(const struct verdict *v, uint32_t signal, struct json_out *out)
{
    const struct otlp_response response = {v->rejected, sl_str(v->text)};
    const struct otlp_status status = {v->code, sl_str(v->text), v->retry_delay_ns};
    if (json_out_init(out, UINT32_MAX, NULL, NULL) != SL_OK)
        return sl_slice(NULL, 0);
    if (v->code == OTLP_CODE_OK)
        otlp_response_json(signal, &response, out);
    else
        otlp_status_json(&status, out);
    return json_out_finish(out) == SL_OK ? sl_slice(out->at, out->used) : sl_slice(NULL, 0);
}

/* In the request's own format. The request is gone afterwards. */
static void answer_verdict(struct http_request *rq, const struct verdict *v)
{
    const struct exchange *e = exchange_of(rq);
    const struct otlp_http *s = e->server;
    const bool json = e->form.json;
    uint8_t body[ANSWER_ROOM];
    struct json_out text = {.at = NULL};
    char seconds[24];
    struct http_header more = {{NULL, 0}, {NULL, 0}};
    if (v->code != OTLP_CODE_OK && v->retry_delay_ns != OTLP_NO_DELAY) {
        const int64_t whole =
            v->retry_delay_ns / 1000000000 + (v->retry_delay_ns % 1000000000 != 0);
        int len = snprintf(seconds, sizeof seconds, "%lld", (long long)whole);
        more = (struct http_header){sl_str("Retry-After"), sl_slice(seconds, (size_t)len)};
    }
    if (v->code == OTLP_CODE_UNAUTHENTICATED && s->sender.auth->challenge)
        more = (struct http_header){sl_str("WWW-Authenticate"), sl_str(s->sender.auth->challenge)};
    answer(rq, v->http, json ? JSON_TYPE : PROTOBUF_TYPE,
           json ? json_of(v, intake_signal(e->index), &text) : protobuf_of(v, body, sizeof body),
           more.name.p ? &more : NULL);
    json_out_deinit(&text);
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

static bool type_read(const struct http_request *rq, bool *json)
{
    bool repeated;
    const sl_bytes type = http_header_of(rq, "content-type", &repeated);
    *json = http_media_type_is(type, JSON_TYPE);
    return !repeated && (*json || http_media_type_is(type, PROTOBUF_TYPE));
}

static bool encoding_read(const struct otlp_http *s, const struct http_request *rq,
                          uint8_t *encoding)
{
    bool repeated;
    const enum content_encoding named =
        encoding_named(http_header_of(rq, "content-encoding", &repeated));
    *encoding = (uint8_t)named;
    return !repeated && named < ENCODINGS && (s->encodings >> named & 1);
}

static void refuse_encoding(struct http_request *rq, struct otlp_http *s)
{
    char list[96], text[160];
    struct verdict v;
    encodings_list(s->encodings, list, sizeof list);
    (void)snprintf(text, sizeof text, "unsupported Content-Encoding; this server takes: %s", list);
    intake_count_refusal(&s->intake, REFUSED_UNSUPPORTED);
    verdict_of_status(SL_ERR_INVALID, text, &v);
    answer_verdict(rq, &v);
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
    const int32_t status =
        sender_admit(&s->sender, &headers, rq->query, &exchange_of(rq)->metadata, &error);
    if (status == SL_OK)
        return true;
    verdict_of_authenticator(status, error.text, &v);
    intake_count_refusal(&s->intake, intake_refusal_of(status));
    answer_verdict(rq, &v);
    return false;
}

/* Answers what cannot be right whatever the body is. */
static void check_headers(struct http_request *rq, struct otlp_http *s, struct exchange *e,
                          bool type_known)
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
    if (!type_known) {
        intake_count_refusal(&s->intake, REFUSED_UNSUPPORTED);
        answer_text(rq, 415,
                    "415 unsupported media type, supported: [" JSON_TYPE ", " PROTOBUF_TYPE "]\n",
                    NULL);
        return;
    }
    if (!encoding_read(s, rq, &e->form.encoding)) {
        refuse_encoding(rq, s);
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
    const bool type_known = type_read(rq, &e->form.json); /* refusals are of this type, too */
    if (cors_is_on(&s->cors) && cors_is_preflight(rq))
        answer_preflight(rq);
    else if (admit(rq, s))
        check_headers(rq, s, e, type_known);
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
        status = sl_payload_open(h, capacity, &e->body, &e->at);
    } else if (e->used >= s->body_max) {
        return SL_ERR_TOO_LARGE;
    } else {
        capacity = e->capacity < s->body_max / 2 ? e->capacity * 2 : s->body_max;
        status = sl_payload_grow(h, e->body, capacity, &e->at);
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
    int32_t status =
        decoding_run(&s->decoding, e->form, e->index, &e->body, e->at, &e->used, &error);
    if (status == SL_OK && e->body)
        status = sl_payload_close(h, e->body, e->used, signal, NULL, 0, &error);
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
        sl_metadata_unref(h, metadata);
    if (status == SL_OK)
        return; /* the request may have been answered by now */
    sl_payload_unref(h, payload);
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

static uint32_t encodings_of(const struct http_config *c)
{
    uint32_t mask = c->algorithms_given ? 0 : ENCODINGS_ALL;
    for (uint32_t i = 0; i < c->compression_algorithms.n; i++)
        mask |= 1u << encoding_named(*SL_LIST_AT(sl_bytes, c->compression_algorithms, i));
    return mask;
}

/* On the loop that exporters send from too, so that a request wakes no other thread on its way; on
 * a thread of its own where the host has no such loop. */
static int32_t serve(struct otlp_http *s, const struct http_handler *handler,
                     const struct http_limits *limits, int32_t fd,
                     const struct tls_security *security, sl_error *error)
{
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(s->host, SL_PLUGINS);
    const void *loop = NULL;
    if (plugins && plugins->load(s->host, HTTP_LOOP_PLUGIN, HTTP_LOOP, &loop, NULL) == SL_OK)
        return http_thread_start_on((const http_loop *)loop, handler, limits, fd, security,
                                    &s->thread, error);
    return http_thread_start(handler, limits, fd, security, "otlp-http", &s->thread, error);
}

int32_t otlp_http_start(const sl_host *host, const struct http_config *config,
                        const sl_auth_server *auth, const struct tls_security *security, int32_t fd,
                        struct otlp_http **out, sl_error *error)
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
    s->encodings = encodings_of(config);
    s->decoding = (struct decoding){.host = host, .limit = (size_t)s->body_max};
    intake_init(&s->intake, host, "http");
    (void)response_headers_init(&s->always, &config->response_headers, NULL); /* checked before */
    int32_t status = cors_init(&s->cors, &config->cors);
    if (status != SL_OK)
        (void)sl_fail(error, status, "no memory for the HTTP server");
    else
        status = serve(s, &handler, &limits, fd, security, error);
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
    decoding_deinit(&s->decoding);
    server_release(s);
}
