/* See pages.h. Requests are looked at on the server's thread. */
#include "formats/http/pages.h"
#include "formats/http/thread.h"
#include "formats/sender/sender.h"

#include <stdlib.h>

enum { WRITE_TIMEOUT_MS = 10000 };

struct http_pages {
    const sl_host *host;
    struct http_handler handler; /* the extension's */
    struct sender_rules who;
    struct tls_security security;
    struct http_thread *thread;
    int32_t fd;
    bool is_listening;
};

#define NOT_YET "Not in this version of Sluice: refused when set."

static const sl_field auth_fields[] = {
    SL_TEXT(struct http_pages_auth, authenticator,
            "The extension that is asked, such as basicauth/x.", .flags = SL_REQUIRED),
    SL_RAW(struct http_pages_auth, request_params, NOT_YET), SL_END};
static const sl_struct auth_struct = {sizeof(struct http_pages_auth), 0, auth_fields};

static const sl_field fields[] = {
    SL_STRUCT(struct http_pages_config, tls, &tls_server_struct,
              "How connections are secured; without it, they are plain text.",
              SL_PRESENT(struct http_pages_config, tls_on)),
    SL_STRUCT(struct http_pages_config, auth, &auth_struct, "Who may look; without it, everybody.",
              SL_PRESENT(struct http_pages_config, auth_on)),
    SL_RAW(struct http_pages_config, cors, NOT_YET),
    SL_RAW(struct http_pages_config, response_headers, NOT_YET),
    SL_RAW(struct http_pages_config, middlewares, NOT_YET),
    SL_END};
const sl_struct http_pages_struct = {sizeof(struct http_pages_config), 0, fields};

static int32_t secure(const sl_host *h, const struct http_pages_config *c,
                      struct tls_security *security, sl_error *error)
{
    *security = (struct tls_security){NULL, NULL};
    return c->tls_on ? tls_server_secure(h, &c->tls, "tls", "http/1.1", false, security, error)
                     : SL_OK;
}

int32_t http_pages_prepare(const sl_host *h, const struct http_pages_config *c, sl_error *error)
{
    const struct {
        const char *name;
        const sl_raw *const *value;
    } refused[] = {{"auth.request_params", &c->auth.request_params},
                   {"cors", &c->cors},
                   {"response_headers", &c->response_headers},
                   {"middlewares", &c->middlewares}};
    for (uint32_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const sl_raw *raw = *refused[i].value;
        if (raw && (raw->kind == 1 || raw->n > 0))
            return sl_fail_at(error, SL_ERR_UNSUPPORTED, refused[i].value,
                              "%s is not supported yet by this version of Sluice; remove it",
                              refused[i].name);
    }
    struct tls_security security;
    const int32_t status = secure(h, c, &security, error);
    tls_server_unsecure(&security);
    return status;
}

/* ---- who may look ---- */

static void refuse(struct http_request *rq, const struct sender_rules *who, int32_t status,
                   const char *text)
{
    const struct http_header challenge = {sl_str("WWW-Authenticate"), sl_str(who->auth->challenge)};
    const bool denied = status == SL_ERR_DENIED;
    const struct http_answer a = {.status = denied                       ? 401
                                            : status == SL_ERR_TOO_LARGE ? 431
                                                                         : 503,
                                  .content_type = "text/plain; charset=utf-8",
                                  .n_headers = denied && who->auth->challenge,
                                  .headers = &challenge,
                                  .body = sl_str(text)};
    http_answer(rq, &a);
}

static bool admit(const struct http_pages *p, struct http_request *rq)
{
    struct sender_headers headers;
    const sl_metadata *identity = NULL;
    sl_error error = {.size = sizeof error};
    if (!p->who.auth)
        return true;
    sender_headers_init(&headers);
    for (uint32_t i = 0; i < rq->n_headers; i++)
        sender_add_header(&headers, rq->headers[i].name, rq->headers[i].value);
    const int32_t status = sender_admit(&p->who, &headers, rq->query, &identity, &error);
    if (identity)
        sl_metadata_unref(p->host, identity);
    if (status != SL_OK)
        refuse(rq, &p->who, status, error.text);
    return status == SL_OK;
}

static void on_headers(void *ctx, struct http_request *rq)
{
    const struct http_pages *p = (const struct http_pages *)ctx;
    if (admit(p, rq))
        p->handler.headers(p->handler.ctx, rq);
}

static void on_end(void *ctx, struct http_request *rq)
{
    const struct http_pages *p = (const struct http_pages *)ctx;
    p->handler.end(p->handler.ctx, rq);
}

/* ---- life ---- */

/* Extensions may stand in any order, so this is known when all have been made. */
static int32_t find_authenticator(struct http_pages *p, const struct http_pages_config *c,
                                  sl_error *error)
{
    return c->auth_on
               ? sender_authenticator(p->host, &c->auth.authenticator, "auth", &p->who.auth, error)
               : SL_OK;
}

static int32_t serve(struct http_pages *p, sl_bytes endpoint, uint32_t connections,
                     const char *name, sl_error *error)
{
    const sl_listen *listen = (const sl_listen *)sl_interface(p->host, SL_LISTEN);
    const struct http_handler handler = {.ctx = p, .headers = on_headers, .end = on_end};
    struct http_limits limits;
    if (!listen)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "this host has no sockets");
    const int32_t status = listen->open(p->host, endpoint, sl_str("tcp"), &p->fd, error);
    if (status != SL_OK)
        return status;
    p->is_listening = true;
    http_limits_init(&limits);
    limits.connections = connections;
    limits.write_timeout_ms = WRITE_TIMEOUT_MS;
    return http_thread_start(&handler, &limits, p->fd, p->security.api ? &p->security : NULL, name,
                             &p->thread, error);
}

int32_t http_pages_start(const sl_host *h, const struct http_pages_config *c, sl_bytes endpoint,
                         const struct http_handler *handler, uint32_t connections, const char *name,
                         struct http_pages **out, sl_error *error)
{
    struct http_pages *p = (struct http_pages *)calloc(1, sizeof *p);
    if (!p)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the server");
    p->host = h;
    p->handler = *handler;
    p->who.host = h;
    int32_t status = find_authenticator(p, c, error);
    if (status == SL_OK)
        status = secure(h, c, &p->security, error);
    if (status == SL_OK)
        status = serve(p, endpoint, connections, name, error);
    if (status == SL_OK)
        *out = p;
    else
        http_pages_stop(p);
    return status;
}

void http_pages_stop(struct http_pages *p)
{
    if (!p)
        return;
    http_thread_stop(p->thread);
    if (p->is_listening) {
        const sl_listen *listen = (const sl_listen *)sl_interface(p->host, SL_LISTEN);
        listen->done(p->host, p->fd);
    }
    tls_server_unsecure(&p->security);
    free(p);
}
