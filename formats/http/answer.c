/* Answers: made into bytes by whoever answers, on any thread, and handed over to the loop. */
#include "formats/http/internal.h"

#include <stdlib.h>

static bool is_line(sl_bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\r' || text.p[i] == '\n' || text.p[i] == 0)
            return false;
    }
    return true;
}

static size_t put(uint8_t *at, size_t used, const void *from, size_t n)
{
    if (at && n > 0)
        memcpy(at + used, from, n);
    return used + n;
}

static size_t put_text(uint8_t *at, size_t used, const char *text)
{
    return put(at, used, text, strlen(text));
}

/* Everything after the head that the loop adds; counts only where `at` is NULL. */
static size_t tail(uint8_t *at, const struct http_answer *a, bool head_only)
{
    size_t n = 0;
    if (a->content_type) {
        n = put_text(at, n, "Content-Type: ");
        n = put_text(at, n, a->content_type);
        n = put_text(at, n, "\r\n");
    }
    for (uint32_t i = 0; i < a->n_headers; i++) {
        n = put(at, n, a->headers[i].name.p, a->headers[i].name.n);
        n = put_text(at, n, ": ");
        n = put(at, n, a->headers[i].value.p, a->headers[i].value.n);
        n = put_text(at, n, "\r\n");
    }
    if (a->status >= 200 && a->status != 204 && a->status != 304) {
        char length[48];
        int len = snprintf(length, sizeof length, "Content-Length: %zu\r\n", a->body.n);
        n = put(at, n, length, (size_t)len);
    }
    n = put_text(at, n, "\r\n");
    return head_only ? n : put(at, n, a->body.p, a->body.n);
}

void http_answer_serialize(struct http_conn *c, const struct http_answer *answer)
{
    static const struct http_answer broken = {.status = 500, .close = true};
    bool good = answer->status >= 200 && answer->status <= 599;
    for (uint32_t i = 0; i < answer->n_headers; i++)
        good = good && is_line(answer->headers[i].name) && is_line(answer->headers[i].value);
    const struct http_answer *a = good ? answer : &broken;
    const bool head_only = c->parser.method == HTTP_HEAD;
    size_t n = tail(NULL, a, head_only);
    c->out = c->out_inline;
    if (n > sizeof c->out_inline) {
        c->out = (uint8_t *)malloc(n);
        if (!c->out) {
            c->out = c->out_inline;
            a = &broken;
        }
    }
    c->out_n = tail(c->out, a, head_only);
    c->status = a->status;
    c->close_after = a->close;
}

void http_answer_release(struct http_conn *c)
{
    if (c->out != c->out_inline)
        free(c->out);
    c->out = NULL;
    c->out_n = 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", made anew once a second. strftime would ask the locale. */
static const char *date_of(struct http_server *s)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm tm;
    if (now != s->date_at && gmtime_r(&now, &tm)) {
        s->date_at = now;
        (void)snprintf(s->date, sizeof s->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                       days + 3 * tm.tm_wday, tm.tm_mday % 100, months + 3 * tm.tm_mon,
                       (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100,
                       tm.tm_sec % 100);
    }
    return s->date;
}

void http_answer_head(struct http_conn *c, bool closes)
{
    const char *connection = closes                      ? "Connection: close\r\n"
                             : c->parser.http_minor == 0 ? "Connection: keep-alive\r\n"
                                                         : "";
    int n = snprintf(c->head, sizeof c->head, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s", c->status,
                     http_status_str((enum http_status)c->status), date_of(c->server), connection);
    c->head_n = n > 0 && (size_t)n < sizeof c->head ? (size_t)n : 0;
}
