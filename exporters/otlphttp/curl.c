/* The plugin with libcurl: what its transfers share, and its life. */
#include "exporters/otlphttp/transfer.h"

#include <stdlib.h>

static int32_t check_tls(const sl_host *host, const struct tls_client_config *tls, sl_error *error)
{
    struct client_certificates certificates;
    const int32_t status = client_certificates_init(&certificates, host, tls, error);
    if (status == SL_OK)
        client_certificates_deinit(&certificates);
    return status;
}

/* ---- one cookie jar for all handles ---- */

static void lock_cookies(CURL *curl, curl_lock_data data, curl_lock_access access, void *arg)
{
    struct curl_way *w = arg;
    (void)curl;
    (void)data;
    (void)access;
    pthread_mutex_lock(&w->cookies_mutex);
}

static void unlock_cookies(CURL *curl, curl_lock_data data, void *arg)
{
    struct curl_way *w = arg;
    (void)curl;
    (void)data;
    pthread_mutex_unlock(&w->cookies_mutex);
}

static bool make_jar(struct curl_way *w)
{
    if (!w->client->exporter->cookies.enabled)
        return true;
    w->cookies = curl_share_init();
    return w->cookies &&
           curl_share_setopt(w->cookies, CURLSHOPT_LOCKFUNC, lock_cookies) == CURLSHE_OK &&
           curl_share_setopt(w->cookies, CURLSHOPT_UNLOCKFUNC, unlock_cookies) == CURLSHE_OK &&
           curl_share_setopt(w->cookies, CURLSHOPT_USERDATA, w) == CURLSHE_OK &&
           curl_share_setopt(w->cookies, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE) == CURLSHE_OK;
}

/* ---- life ---- */

static void destroy(struct curl_way *w)
{
    pool_deinit(w);
    (void)curl_share_cleanup(w->cookies);
    client_certificates_deinit(&w->certificates);
    for (unsigned i = 0; i < SIGNALS; i++)
        curl_route_deinit(&w->routes[i]);
    pthread_mutex_destroy(&w->cookies_mutex);
    pthread_mutex_destroy(&w->certificates_mutex);
    curl_global_cleanup();
    free(w);
}

static int32_t fill(struct curl_way *w, sl_error *error)
{
    const struct client *c = w->client;
    bool https = false;
    int32_t status = make_jar(w) ? SL_OK : SL_ERR_NOMEM;
    for (unsigned i = 0; i < SIGNALS && status == SL_OK; i++) {
        https = https || c->routes[i].https;
        status = curl_route_init(&w->routes[i], c, &c->routes[i]);
    }
    if (status != SL_OK)
        return sl_fail(error, status, "no memory for the HTTP client");
    return https ? client_certificates_init(&w->certificates, c->host, &c->exporter->tls, error)
                 : SL_OK;
}

static int32_t create(struct client *c, struct curl_way **way, sl_error *error)
{
    struct curl_way *w = calloc(1, sizeof *w);
    *way = NULL;
    /* OpenSSL starts itself with the first context; not before, as it takes milliseconds */
    if (!w || curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
        free(w);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    }
    w->client = c;
    pthread_mutex_init(&w->cookies_mutex, NULL);
    pthread_mutex_init(&w->certificates_mutex, NULL);
    pool_init(w);
    const int32_t status = fill(w, error);
    if (status != SL_OK) {
        destroy(w);
        return status;
    }
    *way = w;
    return SL_OK;
}

static const struct curl_api api = {.size = sizeof api,
                                    .check_tls = check_tls,
                                    .create = create,
                                    .stop = pool_stop,
                                    .destroy = destroy,
                                    .send = transfer_send};

static const void *plugin_interface(const char *id)
{
    return strcmp(id, OTLPHTTP_CURL) == 0 ? &api : NULL;
}

SL_PLUGIN_WITH("0.1.0", plugin_interface);
