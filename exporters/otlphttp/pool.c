/* The pool of curl's handles: each holds a connection that is kept alive, and the one used last is
 * the next one taken, so that there are no more connections than requests at one time. Any thread,
 * under the mutex. */
#include "exporters/otlphttp/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    REPLY_KEPT = 64 << 10,
    UPLOAD_MIN = 16 << 10, /* curl's own limits */
    UPLOAD_MAX = 2 << 20,
    DOWNLOAD_MIN = 1 << 10,
    DOWNLOAD_MAX = 512 << 10
};

static const int64_t NS_PER_S = 1000000000;

/* ---- a connection's TLS ---- */

/* curl has set the context up in its own way; what the config says counts. The name is checked here
 * and not by curl, which would also take one from the certificate's subject. */
static CURLcode set_tls(CURL *curl, void *context, void *arg)
{
    struct transfer *t = arg;
    struct curl_way *w = t->way;
    const struct client *c = w->client;
    SSL_CTX *ctx = context;
    const struct tls_client_config *tls = &c->exporter->tls;
    const struct route *r = &c->routes[t->signal];
    (void)curl;
    pthread_mutex_lock(&w->certificates_mutex);
    if (client_certificates_are_due(&w->certificates))
        (void)client_certificates_renew(&w->certificates);
    const int32_t status = tls_client_apply(&w->certificates.now, "tls", ctx, &t->tls_error);
    pthread_mutex_unlock(&w->certificates_mutex);
    if (status != SL_OK)
        return CURLE_SSL_CERTPROBLEM;
    /* curl waits for the socket although a record may have been read ahead */
    SSL_CTX_set_read_ahead(ctx, 0);
    if (tls->insecure_skip_verify) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        return CURLE_OK;
    }
    const char *name =
        tls->server_name_override.n ? (const char *)tls->server_name_override.p : r->host;
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ||
                   X509_VERIFY_PARAM_set1_host(param, name, 0) == 1
               ? CURLE_OK
               : CURLE_SSL_CERTPROBLEM;
}

/* ---- a handle ---- */

static long clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return (long)(value < low ? low : value > high ? high : value);
}

static bool set_options(struct transfer *t)
{
    const struct exporter *e = t->way->client->exporter;
    CURL *c = t->curl;
    CURLcode r = CURLE_OK;
#define SET(option, value) r = r == CURLE_OK ? curl_easy_setopt(c, option, value) : r
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_USERAGENT, USER_AGENT);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_FORBID_REUSE, (long)e->disable_keep_alives);
    SET(CURLOPT_MAXAGE_CONN, (long)(e->idle_conn_timeout / NS_PER_S));
    SET(CURLOPT_UPLOAD_BUFFERSIZE, clamp(e->write_buffer_size, UPLOAD_MIN, UPLOAD_MAX));
    if (e->read_buffer_size)
        SET(CURLOPT_BUFFERSIZE, clamp(e->read_buffer_size, DOWNLOAD_MIN, DOWNLOAD_MAX));
    SET(CURLOPT_NOPROXY, ""); /* which proxy, if any, is decided by the route */
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_VERIFYPEER, (long)!e->tls.insecure_skip_verify);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
    /* a session that is taken up again would go on with the certificates of before */
    SET(CURLOPT_SSL_SESSIONID_CACHE, (long)(e->tls.common.reload_interval == 0));
    SET(CURLOPT_SSL_CTX_FUNCTION, set_tls);
    SET(CURLOPT_SSL_CTX_DATA, t);
    if (e->cookies.enabled) {
        SET(CURLOPT_COOKIEFILE, "");
        SET(CURLOPT_SHARE, t->way->cookies);
    }
    SET(CURLOPT_ERRORBUFFER, t->error);
#undef SET
    return r == CURLE_OK && transfer_set_callbacks(t);
}

static void transfer_destroy(struct transfer *t)
{
    curl_easy_cleanup(t->curl);
    body_deinit(&t->body);
    free(t->reply);
    free(t);
}

static struct transfer *transfer_create(struct curl_way *w)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->way = w;
    t->signal = SIGNALS;
    t->curl = curl_easy_init();
    if (t->curl && set_options(t))
        return t;
    transfer_destroy(t);
    return NULL;
}

/* ---- the pool ---- */

void pool_init(struct curl_way *w)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->given, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Waits for at most `left_ns`; 0: as long as it takes. */
static int32_t wait_for_room(struct curl_way *w, int64_t left_ns)
{
    struct timespec until;
    int failed = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += left_ns / NS_PER_S;
    until.tv_nsec += left_ns % NS_PER_S;
    if (until.tv_nsec >= NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= NS_PER_S;
    }
    while (w->in_use >= w->client->exporter->max_conns_per_host && failed != ETIMEDOUT) {
        if (atomic_load(&w->client->stopping))
            return SL_ERR_SHUTDOWN;
        failed = left_ns ? pthread_cond_timedwait(&w->given, &w->mutex, &until)
                         : pthread_cond_wait(&w->given, &w->mutex);
    }
    return w->in_use < w->client->exporter->max_conns_per_host ? SL_OK : SL_ERR_TIMEOUT;
}

int32_t pool_take(struct curl_way *w, int64_t left_ns, struct transfer **transfer)
{
    int32_t status = SL_OK;
    struct transfer *t = NULL;
    pthread_mutex_lock(&w->mutex);
    if (w->client->exporter->max_conns_per_host)
        status = wait_for_room(w, left_ns);
    if (status == SL_OK) {
        w->in_use++;
        t = w->free;
    }
    if (t) {
        w->free = t->next;
        w->n_free--;
    }
    pthread_mutex_unlock(&w->mutex);
    if (status != SL_OK)
        return status;
    *transfer = t ? t : transfer_create(w);
    if (*transfer)
        return SL_OK;
    pthread_mutex_lock(&w->mutex);
    w->in_use--;
    pthread_mutex_unlock(&w->mutex);
    return SL_ERR_NOMEM;
}

void pool_give(struct transfer *t)
{
    struct curl_way *w = t->way;
    const uint32_t most = exporter_idle_max(w->client->exporter);
    body_rest(&t->body);
    if (t->reply_room > REPLY_KEPT) {
        free(t->reply);
        t->reply = NULL;
        t->reply_room = 0;
    }
    pthread_mutex_lock(&w->mutex);
    const bool keep = most == 0 || w->n_free < most;
    if (keep) {
        t->next = w->free;
        w->free = t;
        w->n_free++;
    }
    w->in_use--;
    pthread_cond_signal(&w->given);
    pthread_mutex_unlock(&w->mutex);
    if (!keep)
        transfer_destroy(t);
}

void pool_stop(struct curl_way *w)
{
    pthread_mutex_lock(&w->mutex);
    pthread_cond_broadcast(&w->given);
    pthread_mutex_unlock(&w->mutex);
}

void pool_deinit(struct curl_way *w)
{
    while (w->free) {
        struct transfer *t = w->free;
        w->free = t->next;
        transfer_destroy(t);
    }
    pthread_cond_destroy(&w->given);
    pthread_mutex_destroy(&w->mutex);
}
