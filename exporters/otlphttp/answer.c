/* Answers to the OTLP/HTTP exporter: read within bounds, then judged by OTLP's rules for retries.
 * [blocking] */
#include "exporters/otlphttp/exporter.h"

#include <stdlib.h>
#include <strings.h>

enum { HEADERS_MAX = 256 << 10, BODY_FIRST = 4 << 10 };

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

static bool is_header(sl_bytes line, const char *name, sl_bytes *value)
{
    const size_t n = strlen(name);
    if (line.n <= n || line.p[n] != ':' || strncasecmp((const char *)line.p, name, n) != 0)
        return false;
    *value = trim(sl_slice(line.p + n + 1, line.n - n - 1));
    return true;
}

/* Bounds all headers together, interim answers' included; curl bounds each line. */
size_t answer_header(char *at, size_t size, size_t n, void *arg)
{
    static const char protobuf[] = "application/x-protobuf";
    struct transfer *t = arg;
    const sl_bytes line = sl_slice(at, size * n);
    sl_bytes value;
    t->header_bytes += line.n;
    if (t->header_bytes > HEADERS_MAX)
        return 0;
    if (line.n > 5 && memcmp(line.p, "HTTP/", 5) == 0) { /* the next of several answers */
        t->retry_after_ns = 0;
        t->is_protobuf = false;
    } else if (is_header(line, "retry-after", &value)) {
        t->retry_after_ns = answer_retry_after(value, sl_wall_clock(t->client->host));
    } else if (is_header(line, "content-type", &value)) {
        const size_t length = sizeof protobuf - 1;
        t->is_protobuf = value.n >= length &&
                         strncasecmp((const char *)value.p, protobuf, length) == 0 &&
                         (value.n == length || value.p[length] == ';' || value.p[length] == ' ');
    }
    return line.n;
}

static long http_of(const struct transfer *t)
{
    long http = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &http);
    return http;
}

size_t answer_body(char *at, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const size_t more = size * n;
    const long http = http_of(t);
    const size_t limit = http >= 200 && http <= 299 ? CLIENT_RESPONSE_MAX : CLIENT_ERROR_MAX;
    if (more > limit - t->body_n) {
        t->too_long = true;
        return 0;
    }
    if (t->body_n + more > t->body_room) {
        size_t room = t->body_room ? t->body_room : BODY_FIRST;
        while (room < t->body_n + more)
            room *= 2;
        uint8_t *grown = realloc(t->body, room);
        if (!grown)
            return 0;
        t->body = grown;
        t->body_room = room;
    }
    memcpy(t->body + t->body_n, at, more);
    t->body_n += more;
    return more;
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

static int32_t judge_failure(const struct transfer *t, long http, sl_send *send)
{
    struct otlp_status decoded;
    sl_bytes message = sl_slice(t->body, t->body_n);
    char text[CLIENT_TEXT_MAX];
    if (t->is_protobuf && otlp_status_decode(message, &decoded) == SL_OK)
        message = decoded.message;
    client_text(text, sizeof text, message);
    const int32_t status = status_of(http);
    if (status == SL_ERR_UNAVAILABLE)
        send->retry_after_ns = t->retry_after_ns;
    send->why = why_of(http);
    return sl_fail(&send->error, status, "HTTP %ld from %.150s: %s", http,
                   t->client->urls[t->signal],
                   text[0]      ? text
                   : http < 400 ? "redirects are not followed"
                                : "no text");
}

static void judge_success(const struct transfer *t, CURLcode result, sl_delivery *delivery)
{
    const sl_host *h = t->client->host;
    if (result != CURLE_OK)
        sl_log(h, SL_LOG_WARN, "the destination took the data, but its answer %s",
               t->too_long ? "is longer than 4 MiB" : "breaks off");
    else if (t->is_protobuf)
        client_settle_success(h, delivery, sl_slice(t->body, t->body_n));
}

int32_t answer_judge(struct transfer *t, CURLcode result, sl_delivery *delivery, sl_send *send)
{
    const long http = http_of(t);
    if (http >= 200 && http <= 299) {
        judge_success(t, result, delivery);
        return SL_OK;
    }
    if (http >= 300 && http <= 599)
        return judge_failure(t, http, send);
    const char *text = t->error[0] ? t->error : curl_easy_strerror(result);
    if (result == CURLE_OPERATION_TIMEDOUT) {
        send->why = "timeout";
        return sl_fail(&send->error, SL_ERR_TIMEOUT, "%.150s: %s", t->client->urls[t->signal],
                       text);
    }
    send->why = "connection";
    return sl_fail(&send->error, SL_ERR_UNAVAILABLE, "%.150s: %s", t->client->urls[t->signal],
                   result == CURLE_OK ? "the answer is not HTTP" : text);
}
