/* Answers to the OTLP/HTTP exporter, judged by OTLP's rules for retries. Any thread. */
#include "exporters/otlphttp/exporter.h"

#include <strings.h>

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
    /* curl also reads much that is no HTTP date; those begin with the weekday */
    if (value.n >= sizeof text || value.p[0] < 'A' || value.p[0] > 'Z')
        return 0;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    const time_t date = curl_getdate(text, NULL);
    const int64_t now = wall_clock_ns / NS_PER_S;
    if (date == (time_t)-1 || date <= now)
        return 0;
    return client_retry_after(date - now < CLIENT_RETRY_MAX_NS / NS_PER_S ? (date - now) * NS_PER_S
                                                                          : CLIENT_RETRY_MAX_NS);
}

static bool is_name(sl_bytes name, const char *text)
{
    return name.n == strlen(text) && strncasecmp((const char *)name.p, text, name.n) == 0;
}

void answer_header(struct answer *a, const sl_host *host, sl_bytes name, sl_bytes value)
{
    static const char protobuf[] = "application/x-protobuf";
    const size_t length = sizeof protobuf - 1;
    value = trim(value);
    if (is_name(name, "retry-after"))
        a->retry_after_ns = answer_retry_after(value, sl_wall_clock(host));
    else if (is_name(name, "content-type"))
        a->is_protobuf = value.n >= length &&
                         strncasecmp((const char *)value.p, protobuf, length) == 0 &&
                         (value.n == length || value.p[length] == ';' || value.p[length] == ' ');
}

/* ---- judging ---- */

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

static int32_t judge_failure(const char *url, const struct answer *a, sl_send *send)
{
    struct otlp_status decoded;
    sl_bytes message = a->body;
    char text[CLIENT_TEXT_MAX];
    if (a->is_protobuf && otlp_status_decode(message, &decoded) == SL_OK)
        message = decoded.message;
    client_text(text, sizeof text, message);
    const int32_t status = status_of(a->http);
    if (status == SL_ERR_UNAVAILABLE)
        send->retry_after_ns = a->retry_after_ns;
    send->why = why_of(a->http);
    return sl_fail(&send->error, status, "HTTP %ld from %.150s: %s", a->http, url,
                   text[0]         ? text
                   : a->http < 400 ? "redirects are not followed"
                                   : "no text");
}

int32_t answer_judge(const struct client *c, unsigned signal, const struct answer *a,
                     sl_delivery *delivery, sl_send *send)
{
    const char *url = c->urls[signal];
    if (a->http >= 200 && a->http <= 299) {
        if (a->text)
            sl_log(c->host, SL_LOG_WARN, "the destination took the data, but its answer %s",
                   a->too_long ? "is longer than 4 MiB" : "breaks off");
        else if (a->is_protobuf)
            client_settle_success(c->host, delivery, a->body);
        return SL_OK;
    }
    if (a->http >= 300 && a->http <= 599)
        return judge_failure(url, a, send);
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
    if (!c->urls[__builtin_ctz(payload->signal)])
        return sl_fail(&send->error, SL_ERR_UNSUPPORTED,
                       "neither endpoint nor one for this signal is set");
    if (send->deadline_ns && send->deadline_ns <= sl_now(c->host)) {
        send->why = "timeout";
        return sl_fail(&send->error, SL_ERR_TIMEOUT, "no time is left for the attempt");
    }
    return SL_OK;
}
