/* Requests of the OTLP/HTTP exporter, on libcurl: each consumer takes a handle with its kept-alive
 * connection, the one used last first, so that there are no more connections than requests at one
 * time. [blocking], several threads at once. */
#include "exporters/otlphttp/exporter.h"

#include <stdlib.h>

enum {
    REPLY_FIRST = 4 << 10,
    REPLY_KEPT = 64 << 10,
    UPLOAD_MIN = 16 << 10, /* curl's own limits */
    UPLOAD_MAX = 2 << 20,
    DOWNLOAD_MIN = 1 << 10,
    DOWNLOAD_MAX = 512 << 10
};

static const int64_t MS = 1000000;
static const int64_t NS_PER_S = 1000000000;

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
        t->answer.retry_after_ns = 0;
        t->answer.is_protobuf = false;
    } else if (colon) {
        const size_t name = (size_t)(colon - line.p);
        answer_header(&t->answer, t->client->host, sl_slice(line.p, name),
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
    return atomic_load_explicit(&t->client->stopping, memory_order_relaxed);
}

/* ---- the pool ---- */

static long clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return (long)(value < low ? low : value > high ? high : value);
}

static bool set_options(struct transfer *t)
{
    const struct exporter *e = t->client->exporter;
    CURL *c = t->curl;
    CURLcode r = CURLE_OK;
#define SET(option, value) r = r == CURLE_OK ? curl_easy_setopt(c, option, value) : r
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_HTTPHEADER, t->client->headers);
    SET(CURLOPT_USERAGENT, "Sluice/0.1");
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_FORBID_REUSE, (long)e->disable_keep_alives);
    SET(CURLOPT_MAXAGE_CONN, (long)(e->idle_conn_timeout / NS_PER_S));
    SET(CURLOPT_UPLOAD_BUFFERSIZE, clamp(e->write_buffer_size, UPLOAD_MIN, UPLOAD_MAX));
    if (e->read_buffer_size)
        SET(CURLOPT_BUFFERSIZE, clamp(e->read_buffer_size, DOWNLOAD_MIN, DOWNLOAD_MAX));
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
    SET(CURLOPT_ERRORBUFFER, t->error);
    return r == CURLE_OK;
}

static struct transfer *transfer_take(struct client *c)
{
    pthread_mutex_lock(&c->mutex);
    struct transfer *t = c->free;
    if (t)
        c->free = t->next_free;
    pthread_mutex_unlock(&c->mutex);
    if (t)
        return t;
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->client = c;
    t->signal = SIGNALS;
    t->curl = curl_easy_init();
    if (!t->curl || !set_options(t)) {
        curl_easy_cleanup(t->curl);
        free(t);
        return NULL;
    }
    pthread_mutex_lock(&c->mutex);
    t->next = c->all;
    c->all = t;
    pthread_mutex_unlock(&c->mutex);
    return t;
}

static void transfer_give(struct transfer *t)
{
    struct client *c = t->client;
    body_rest(&t->body);
    if (t->reply_room > REPLY_KEPT) {
        free(t->reply);
        t->reply = NULL;
        t->reply_room = 0;
    }
    pthread_mutex_lock(&c->mutex);
    t->next_free = c->free;
    c->free = t;
    pthread_mutex_unlock(&c->mutex);
}

void transfers_destroy(struct client *c)
{
    while (c->all) {
        struct transfer *t = c->all;
        c->all = t->next;
        curl_easy_cleanup(t->curl);
        body_deinit(&t->body);
        free(t->reply);
        free(t);
    }
    c->free = NULL;
}

/* ---- a request ---- */

/* What curl sends: one piece that it takes from memory, or the segments one by one. */
static int32_t set_body(struct transfer *t, const sl_payload *payload, sl_error *error)
{
    sl_bytes whole = sl_slice(NULL, 0);
    const int32_t status = body_make(&t->body, t->client, payload, &whole, error);
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

static int32_t set_request(struct transfer *t, const sl_payload *payload, int64_t left_ns,
                           sl_error *error)
{
    const unsigned signal = (unsigned)__builtin_ctz(payload->signal);
    if (t->signal != signal) {
        if (curl_easy_setopt(t->curl, CURLOPT_URL, t->client->urls[signal]) != CURLE_OK)
            return SL_ERR_NOMEM;
        t->signal = signal;
    }
    const int64_t ms = left_ns ? left_ns / MS + 1 : 0;
    (void)curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS,
                           (long)(ms < INT32_MAX ? ms : INT32_MAX)); /* 0: none */
    t->reply_n = t->header_bytes = 0;
    t->answer = (struct answer){.http = 0};
    t->error[0] = '\0';
    return set_body(t, payload, error);
}

int32_t exporter_send(void *component, sl_delivery *delivery, sl_send *send)
{
    const struct exporter *e = component;
    struct client *c = e->client;
    const sl_payload *payload = delivery->payload;
    int32_t status = answer_check(c, delivery, send);
    if (status != SL_OK)
        return status;
    const int64_t left_ns = send->deadline_ns ? send->deadline_ns - sl_now(c->host) : 0;
    struct transfer *t = transfer_take(c);
    send->error.text[0] = '\0';
    status = t ? set_request(t, payload, left_ns > 0 ? left_ns : 0, &send->error) : SL_ERR_NOMEM;
    if (status != SL_OK) {
        send->why = status == SL_ERR_NOMEM ? "no_memory" : "not_encodable";
        if (!send->error.text[0])
            (void)sl_fail(&send->error, status, "no memory for a request of %llu bytes",
                          (unsigned long long)payload->bytes);
    } else {
        const CURLcode result = curl_easy_perform(t->curl);
        t->answer.http = http_of(t);
        t->answer.body = sl_slice(t->reply, t->reply_n);
        t->answer.is_late = result == CURLE_OPERATION_TIMEDOUT;
        if (result != CURLE_OK)
            t->answer.text = t->error[0] ? t->error : curl_easy_strerror(result);
        status = answer_judge(c, t->signal, &t->answer, delivery, send);
        if (status != SL_OK && atomic_load(&c->stopping))
            status = SL_ERR_SHUTDOWN;
    }
    if (t)
        transfer_give(t);
    return status;
}
