/* Answers to the OTLP/HTTP exporter, judged by OTLP's rules for retries. Any thread. */
#include "exporters/otlp_client/reply.h"
#include "exporters/otlphttp/exporter.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

static const int64_t NS_PER_S = 1000000000;

static sl_bytes trim(sl_bytes text)
{
    while (text.n && (text.p[0] == ' ' || text.p[0] == '\t'))
        text = sl_slice(text.p + 1, text.n - 1);
    while (text.n && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t' ||
                      text.p[text.n - 1] == '\r' || text.p[text.n - 1] == '\n'))
        text.n--;
    return text;
}

/* The three forms of RFC 9110, 5.6.7, as seconds since 1970; -1: it is none of them. */
static time_t http_date(const char *text)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {.tm_sec = 0};
        const char *end = strptime(text, forms[i], &tm);
        if (end && !*end)
            return timegm(&tm);
    }
    return -1;
}

int64_t answer_retry_after(sl_bytes value, int64_t wall_clock_ns)
{
    char text[64];
    int64_t seconds = 0;
    size_t digits = 0;
    value = trim(value);
    while (digits < value.n && value.p[digits] >= '0' && value.p[digits] <= '9') {
        if (seconds <= CLIENT_RETRY_MAX_NS / NS_PER_S)
            seconds = seconds * 10 + (value.p[digits] - '0');
        digits++;
    }
    if (digits == value.n) {
        const int64_t max = CLIENT_RETRY_MAX_NS / NS_PER_S;
        return (seconds < max ? seconds : max) * NS_PER_S;
    }
    if (value.n >= sizeof text)
        return 0;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    const time_t date = http_date(text);
    const int64_t now = wall_clock_ns / NS_PER_S;
    if (date <= now)
        return 0;
    return client_retry_after(date - now < CLIENT_RETRY_MAX_NS / NS_PER_S ? (date - now) * NS_PER_S
                                                                          : CLIENT_RETRY_MAX_NS);
}

/* A media type, perhaps with parameters behind it. */
static bool is_type(sl_bytes value, const char *type)
{
    const size_t n = strlen(type);
    return value.n >= n && strncasecmp((const char *)value.p, type, n) == 0 &&
           (value.n == n || value.p[n] == ';' || value.p[n] == ' ');
}

void answer_header(struct answer *a, const sl_host *host, sl_bytes name, sl_bytes value)
{
    if (!name.p) {
        *a = (struct answer){.http = 0};
        return;
    }
    value = trim(value);
    if (client_name_is(name, "retry-after")) {
        a->retry_after_ns = answer_retry_after(value, sl_wall_clock(host));
    } else if (client_name_is(name, "content-type")) {
        a->is_protobuf = is_type(value, CONTENT_PROTO);
        a->is_json = is_type(value, CONTENT_JSON);
    } else if (client_name_is(name, "content-encoding") && !client_name_is(value, "identity")) {
        a->is_gzip = client_name_is(value, "gzip");
        a->is_packed = !a->is_gzip;
    }
}

/* ---- statuses ---- */

static const char *why_of(long http)
{
    static const struct {
        long http;
        const char *why;
    } names[] = {{400, "http_400"}, {401, "http_401"}, {403, "http_403"}, {404, "http_404"},
                 {405, "http_405"}, {408, "http_408"}, {413, "http_413"}, {415, "http_415"},
                 {429, "http_429"}, {500, "http_500"}, {501, "http_501"}, {502, "http_502"},
                 {503, "http_503"}, {504, "http_504"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].http == http)
            return names[i].why;
    }
    return http < 400 ? "http_3xx" : http < 500 ? "http_4xx" : "http_5xx";
}

static int32_t status_of(long http)
{
    if (otlp_http_retryable((int)http))
        return SL_ERR_UNAVAILABLE;
    switch (http) {
    case 400:
        return SL_ERR_INVALID;
    case 401:
    case 403:
        return SL_ERR_DENIED;
    case 404:
        return SL_ERR_UNSUPPORTED;
    case 413:
        return SL_ERR_TOO_LARGE;
    default:
        return SL_ERR_REJECTED;
    }
}

/* ---- the body ---- */

/* The body as protobuf of the schema's root type; `*reply` owns it where it is not the answer's own.
 * SL_ERR_UNSUPPORTED: it is neither protobuf nor JSON, and says nothing that counts. */
static int32_t read_body(const struct answer *a, const struct json_schema *schema, size_t limit,
                         sl_bytes *body, struct client_reply *reply)
{
    struct client_reply inflated = {NULL, 0};
    int32_t status = SL_OK;
    *body = a->body;
    if (!a->is_protobuf && !a->is_json)
        return SL_ERR_UNSUPPORTED;
    if (a->is_packed)
        return SL_ERR_INVALID;
    if (a->is_gzip) {
        status = client_reply_inflate(a->body, limit, &inflated);
        *body = sl_slice(inflated.at, inflated.n);
    }
    if (status == SL_OK && a->is_json) {
        status = client_reply_transcode(schema, *body, limit, reply);
        *body = sl_slice(reply->at, reply->n);
        free(inflated.at);
    } else {
        *reply = inflated;
    }
    return status;
}

/* What the destination says about a failure: the message of its Status, or plain text. */
static void read_message(const struct client *c, const struct answer *a, char *text, size_t room)
{
    struct client_reply reply = {NULL, 0};
    struct otlp_status decoded;
    sl_bytes body;
    const int32_t status = read_body(a, c->status_schema, CLIENT_ERROR_MAX, &body, &reply);
    if (status == SL_OK && body.n && otlp_status_decode(body, &decoded) == SL_OK)
        client_text(text, room, decoded.message);
    else if (a->is_gzip || a->is_packed)
        client_text(text, room, sl_str("its text is compressed"));
    else
        client_text(text, room, a->body);
    free(reply.at);
}

/* ---- judging ---- */

static int32_t judge_failure(const struct client *c, const char *url, const struct answer *a,
                             sl_send *send)
{
    char text[CLIENT_TEXT_MAX];
    const int32_t status = status_of(a->http);
    read_message(c, a, text, sizeof text);
    if (status == SL_ERR_UNAVAILABLE)
        send->retry_after_ns = a->retry_after_ns;
    send->why = why_of(a->http);
    return sl_fail(&send->error, status, "HTTP %ld from %.150s: %s", a->http, url,
                   text[0]         ? text
                   : a->http < 400 ? "redirects are not followed"
                                   : "no text");
}

/* Whatever the body is, the data is delivered. */
static void read_success(struct client *c, unsigned signal, const struct answer *a,
                         sl_delivery *delivery)
{
    struct client_reply reply = {NULL, 0};
    sl_bytes body;
    if (a->text) {
        client_bad_answer(c->host, &c->notices,
                          a->too_long ? "is longer than 4 MiB" : "breaks off");
        return;
    }
    if (a->body.n == 0)
        return;
    const int32_t status =
        read_body(a, c->success_schemas[signal], CLIENT_RESPONSE_MAX, &body, &reply);
    if (status == SL_OK)
        client_settle_success(c->host, &c->notices, delivery, body);
    else if (status != SL_ERR_UNSUPPORTED)
        client_bad_answer(c->host, &c->notices, "cannot be read");
    free(reply.at);
}

int32_t answer_judge(struct client *c, unsigned signal, const struct answer *a,
                     sl_delivery *delivery, sl_send *send)
{
    const char *url = c->routes[signal].shown;
    if (a->http >= 200 && a->http <= 299) {
        read_success(c, signal, a, delivery);
        return SL_OK;
    }
    if (a->http >= 300 && a->http <= 599)
        return judge_failure(c, url, a, send);
    send->why = a->is_late ? "timeout" : "connection";
    return sl_fail(&send->error, a->is_late ? SL_ERR_TIMEOUT : SL_ERR_UNAVAILABLE, "%.150s: %s",
                   url, a->text ? a->text : "the answer is not HTTP");
}

int32_t answer_check(const struct client *c, const sl_delivery *delivery, sl_send *send)
{
    const sl_payload *payload = delivery->payload;
    if (!c || atomic_load(&c->stopping))
        return sl_fail(&send->error, SL_ERR_SHUTDOWN, "the exporter has stopped");
    if (!payload)
        return sl_fail(&send->error, SL_ERR_STATE, "the delivery has no payload");
    if (payload->signal == 0 || payload->signal >= 1u << SIGNALS ||
        (payload->signal & (payload->signal - 1)))
        return sl_fail(&send->error, SL_ERR_UNSUPPORTED, "OTLP has no path for this signal");
    if (!c->routes[__builtin_ctz(payload->signal)].target)
        return sl_fail(&send->error, SL_ERR_UNSUPPORTED,
                       "neither endpoint nor one for this signal is set");
    if (send->deadline_ns && send->deadline_ns <= sl_now(c->host)) {
        send->why = "timeout";
        return sl_fail(&send->error, SL_ERR_TIMEOUT, "no time is left for the attempt");
    }
    return SL_OK;
}
