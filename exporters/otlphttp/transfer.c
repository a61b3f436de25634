/* Requests of the OTLP/HTTP exporter through libcurl. [blocking], several threads at once, each with
 * a handle of the pool's. */
#include "exporters/otlphttp/transfer.h"

#include <stdlib.h>

enum {
    REPLY_FIRST = 4 << 10,
    GATHERED_MAX = 60 << 10 /* curl sends a body below 64 KiB together with the header */
};

static const int64_t MS = 1000000;

/* ---- what curl calls ---- */

static size_t read_segments(char *at, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const size_t room = size * n;
    size_t used = 0;
    while (used < room && t->segment < t->n_segments) {
        const sl_bytes *s = &t->segments[t->segment];
        const size_t left = s->n - t->offset;
        const size_t part = left < room - used ? left : room - used;
        if (part)
            memcpy(at + used, s->p + t->offset, part);
        used += part;
        t->offset += part;
        if (t->offset == s->n) {
            t->segment++;
            t->offset = 0;
        }
    }
    return used;
}

/* A kept-alive connection may turn out dead once the body has begun: it is sent again from there.
 */
static int rewind_segments(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;
    if (origin != SEEK_SET || offset != 0)
        return CURL_SEEKFUNC_CANTSEEK;
    t->segment = 0;
    t->offset = 0;
    return CURL_SEEKFUNC_OK;
}

static long http_of(const struct transfer *t)
{
    long http = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &http);
    return http;
}

/* Bounds all headers together, interim answers' included; curl bounds each line. */
static size_t take_header(char *at, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const sl_bytes line = sl_slice(at, size * n);
    const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    t->header_bytes += line.n;
    if (t->header_bytes > ANSWER_HEADERS_MAX)
        return 0;
    if (line.n > 5 && memcmp(line.p, "HTTP/", 5) == 0) { /* the next of several answers */
        answer_header(&t->answer, t->way->client->host, sl_slice(NULL, 0), sl_slice(NULL, 0));
    } else if (colon) {
        const size_t name = (size_t)(colon - line.p);
        answer_header(&t->answer, t->way->client->host, sl_slice(line.p, name),
                      sl_slice(colon + 1, line.n - name - 1));
    }
    return line.n;
}

static size_t take_body(char *at, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const size_t more = size * n;
    const long http = http_of(t);
    const size_t limit = http >= 200 && http <= 299 ? CLIENT_RESPONSE_MAX : CLIENT_ERROR_MAX;
    if (more > limit - t->reply_n) {
        t->answer.too_long = true;
        return 0;
    }
    if (t->reply_n + more > t->reply_room) {
        size_t room = t->reply_room ? t->reply_room : REPLY_FIRST;
        while (room < t->reply_n + more)
            room *= 2;
        uint8_t *grown = realloc(t->reply, room);
        if (!grown)
            return 0;
        t->reply = grown;
        t->reply_room = room;
    }
    memcpy(t->reply + t->reply_n, at, more);
    t->reply_n += more;
    return more;
}

static int is_stopping(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *t = arg;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load_explicit(&t->way->client->stopping, memory_order_relaxed);
}

bool transfer_set_callbacks(struct transfer *t)
{
    CURL *c = t->curl;
    CURLcode r = CURLE_OK;
#define SET(option, value) r = r == CURLE_OK ? curl_easy_setopt(c, option, value) : r
    SET(CURLOPT_READFUNCTION, read_segments);
    SET(CURLOPT_READDATA, t);
    SET(CURLOPT_SEEKFUNCTION, rewind_segments);
    SET(CURLOPT_SEEKDATA, t);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_XFERINFOFUNCTION, is_stopping);
    SET(CURLOPT_XFERINFODATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
#undef SET
    return r == CURLE_OK;
}

/* ---- a request ---- */

/* What curl sends: one piece that it takes from memory, or the segments one by one. */
static int32_t set_body(struct transfer *t, const sl_payload *payload, sl_send *send)
{
    const struct client *c = t->way->client;
    sl_bytes whole = sl_slice(NULL, (size_t)payload->bytes);
    int32_t status = SL_OK;
    if (body_is_made(c->exporter))
        status = body_make(&t->body, c, payload, &whole, send);
    else if (payload->n_segments == 1)
        whole = payload->segments[0];
    else if (payload->bytes <= GATHERED_MAX)
        status = body_gather(&t->body, payload, &whole);
    if (status != SL_OK)
        return status;
    t->segments = payload->segments;
    t->n_segments = payload->n_segments;
    t->segment = 0;
    t->offset = 0;
    CURLcode r = curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, (const char *)whole.p);
    if (r == CURLE_OK)
        r = curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)whole.n);
    return r == CURLE_OK ? SL_OK : SL_ERR_NOMEM;
}

/* What differs between the signals; most requests are of the same one as before. */
static CURLcode set_route(struct transfer *t, unsigned signal)
{
    const struct route *r = &t->way->client->routes[signal];
    const struct curl_route *to = &t->way->routes[signal];
    CURLcode result = curl_easy_setopt(t->curl, CURLOPT_URL, to->url);
    if (result == CURLE_OK)
        result = curl_easy_setopt(t->curl, CURLOPT_UNIX_SOCKET_PATH, r->socket_path);
    if (result == CURLE_OK)
        result = curl_easy_setopt(t->curl, CURLOPT_PROXY, r->proxy ? r->proxy : "");
    if (result == CURLE_OK)
        result = curl_easy_setopt(t->curl, CURLOPT_CONNECT_TO, to->connect_to);
    t->signal = result == CURLE_OK ? signal : SIGNALS;
    return result;
}

/* Those of the config, or a list for this request, which has an authenticator's. */
static int32_t set_headers(struct transfer *t, unsigned signal, sl_send *send)
{
    const struct client *c = t->way->client;
    const sl_metadata *auth = NULL;
    if (c->auth) {
        const int32_t status = client_auth_headers(c->auth, &auth, send);
        if (status == SL_OK)
            t->headers = curl_headers_make(c->exporter, &c->routes[signal], auth);
        if (auth)
            sl_metadata_unref(c->host, auth);
        if (status != SL_OK)
            return status;
    }
    struct curl_slist *headers = c->auth ? t->headers : t->way->routes[signal].headers;
    return headers && curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK
               ? SL_OK
               : SL_ERR_NOMEM;
}

static int32_t set_request(struct transfer *t, const sl_payload *payload, int64_t left_ns,
                           sl_send *send)
{
    const unsigned signal = (unsigned)__builtin_ctz(payload->signal);
    if (t->signal != signal && set_route(t, signal) != CURLE_OK)
        return SL_ERR_NOMEM;
    const int64_t ms = left_ns ? left_ns / MS + 1 : 0;
    (void)curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS,
                           (long)(ms < INT32_MAX ? ms : INT32_MAX)); /* 0: none */
    t->reply_n = t->header_bytes = 0;
    t->answer = (struct answer){.http = 0};
    t->error[0] = '\0';
    t->tls_error = (sl_error){.size = sizeof t->tls_error};
    const int32_t status = set_headers(t, signal, send);
    return status == SL_OK ? set_body(t, payload, send) : status;
}

static int32_t perform(struct transfer *t, sl_delivery *delivery, sl_send *send)
{
    struct client *c = t->way->client;
    const CURLcode result = curl_easy_perform(t->curl);
    t->answer.http = http_of(t);
    t->answer.body = sl_slice(t->reply, t->reply_n);
    t->answer.is_late = result == CURLE_OPERATION_TIMEDOUT;
    if (result != CURLE_OK)
        t->answer.text = t->tls_error.text[0] ? t->tls_error.text
                         : t->error[0]        ? t->error
                                              : curl_easy_strerror(result);
    return answer_judge(c, t->signal, &t->answer, delivery, send);
}

/* Why there was no request. */
static void explain(const struct client *c, const sl_payload *payload, int32_t status,
                    sl_send *send)
{
    const char *why = status == SL_ERR_TIMEOUT    ? "timeout"
                      : status == SL_ERR_SHUTDOWN ? "shutdown"
                                                  : "no_memory";
    send->why = send->why ? send->why : why;
    if (send->error.text[0])
        return;
    if (status == SL_ERR_TIMEOUT)
        (void)sl_fail(&send->error, status,
                      c->exporter->max_conns_per_host ? "no connection was free in time "
                                                        "(max_conns_per_host)"
                                                      : "no time is left for the attempt");
    else
        (void)sl_fail(&send->error, status,
                      status == SL_ERR_SHUTDOWN ? "the exporter has stopped"
                                                : "no memory for a request of %llu bytes",
                      (unsigned long long)payload->bytes);
}

/* `*left` 0: there is no deadline. */
static int32_t time_left(const struct client *c, const sl_send *send, int64_t *left)
{
    *left = send->deadline_ns ? send->deadline_ns - sl_now(c->host) : 0;
    return send->deadline_ns && *left <= 0 ? SL_ERR_TIMEOUT : SL_OK;
}

int32_t transfer_send(struct curl_way *w, sl_delivery *delivery, sl_send *send)
{
    struct client *c = w->client;
    struct transfer *t = NULL;
    int64_t left;
    send->why = NULL;
    send->error.text[0] = '\0';
    int32_t status = time_left(c, send, &left);
    if (status == SL_OK)
        status = pool_take(w, left, &t);
    if (status == SL_OK)
        status = time_left(c, send, &left);
    if (status == SL_OK)
        status = set_request(t, delivery->payload, left, send);
    if (status == SL_OK)
        status = perform(t, delivery, send);
    else
        explain(c, delivery->payload, status, send);
    if (status != SL_OK && atomic_load(&c->stopping))
        status = SL_ERR_SHUTDOWN;
    if (t) {
        curl_slist_free_all(t->headers);
        t->headers = NULL;
        pool_give(t);
    }
    return status;
}
