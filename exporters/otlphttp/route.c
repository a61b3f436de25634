/* Where the requests of a signal go: the endpoint taken apart once, and the proxy on the way.
 * Control thread. */
#include "exporters/otlp_client/proxy.h"
#include "exporters/otlphttp/exporter.h"

#include <http_parser.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/un.h>

static const char *const keys[SIGNALS] = {"traces_endpoint", "metrics_endpoint", "logs_endpoint",
                                          "profiles_endpoint"};
static const char *const paths[SIGNALS] = {"v1/traces", "v1/metrics", "v1/logs",
                                           "v1development/profiles"};

static char *join(const char *a, const char *b, const char *c, const char *d)
{
    const size_t size = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
    char *text = malloc(size);
    if (text)
        (void)snprintf(text, size, "%s%s%s%s", a, b, c, d);
    return text;
}

/* ---- the endpoint ---- */

static const char *socket_path_of(const char *endpoint)
{
    if (strncmp(endpoint, "unix:", 5) != 0)
        return NULL;
    return endpoint + (strncmp(endpoint, "unix://", 7) == 0 ? 7 : 5);
}

static int32_t check_socket_path(const char *path, const char *key, sl_error *error)
{
    const size_t room = sizeof((struct sockaddr_un *)NULL)->sun_path;
    if (path[0] != '/')
        return sl_fail(error, SL_ERR_INVALID,
                       "%s: a unix socket is named by its whole path, such "
                       "as unix:///run/otlp.sock",
                       key);
    if (strlen(path) >= room)
        return sl_fail(error, SL_ERR_INVALID, "%s: a unix socket's path has at most %zu bytes", key,
                       room - 1);
    return SL_OK;
}

static int32_t malformed(const struct route *r, const char *key, sl_error *error)
{
    return sl_fail(error, SL_ERR_INVALID, "%s: \"%s\" is not of the form http://host:port/path",
                   key, r->shown);
}

/* By its rules a tab may stand in a path; here nothing may that ends a line's words. */
static bool parse(const char *url, struct http_parser_url *parts)
{
    for (const char *at = url; *at; at++) {
        if ((uint8_t)*at <= ' ' || *at == 0x7f)
            return false;
    }
    http_parser_url_init(parts);
    return http_parser_parse_url(url, strlen(url), 0, parts) == 0 &&
           (parts->field_set & 1 << UF_SCHEMA) && (parts->field_set & 1 << UF_HOST);
}

/* By itself: with a path behind it, "http://" has a host. */
static bool is_url(const char *text)
{
    struct http_parser_url parts;
    return parse(text, &parts);
}

static bool is_scheme(const char *url, const struct http_parser_url *parts, const char *scheme)
{
    const size_t n = strlen(scheme);
    return parts->field_data[UF_SCHEMA].len == n && strncasecmp(url, scheme, n) == 0;
}

static char *copy_of(const char *url, const struct http_parser_url *parts, unsigned part)
{
    return strndup(url + parts->field_data[part].off, parts->field_data[part].len);
}

static int32_t fill(struct route *r, const char *url, const struct http_parser_url *parts)
{
    const bool has_query = parts->field_set & 1 << UF_QUERY;
    r->host = copy_of(url, parts, UF_HOST);
    r->port = parts->field_set & 1 << UF_PORT ? copy_of(url, parts, UF_PORT)
                                              : strdup(r->https ? "443" : "80");
    char *path = parts->field_set & 1 << UF_PATH ? copy_of(url, parts, UF_PATH) : strdup("/");
    char *query = has_query ? copy_of(url, parts, UF_QUERY) : NULL;
    if (r->host && r->port && path && (query || !has_query)) {
        const bool v6 = strchr(r->host, ':') != NULL;
        char *host = join(v6 ? "[" : "", r->host, v6 ? "]" : "", "");
        if (host && parts->field_set & 1 << UF_PORT)
            r->authority = join(host, ":", r->port, "");
        else if (host)
            r->authority = strdup(host);
        r->target = join(path, query ? "?" : "", query ? query : "", "");
        free(host);
    }
    free(path);
    free(query);
    return r->authority && r->target ? SL_OK : SL_ERR_NOMEM;
}

/* Fills what the request says, and whom it is for. */
static int32_t take_apart(struct route *r, const char *url, const char *key, sl_error *error)
{
    struct http_parser_url parts;
    if (!parse(url, &parts))
        return malformed(r, key, error);
    r->https = is_scheme(url, &parts, "https");
    if (!r->https && !is_scheme(url, &parts, "http"))
        return sl_fail(error, SL_ERR_INVALID,
                       "%s: \"%s\" does not begin with http://, https:// or unix:", key, r->shown);
    if (parts.field_set & 1 << UF_USERINFO)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "%s: a user and password in it would be shown with it; give the header "
                       "\"authorization\", or auth with the extension basicauth",
                       key);
    return fill(r, url, &parts);
}

int32_t route_make(const struct exporter *e, unsigned signal, struct route *r, sl_error *error)
{
    const sl_bytes own = e->signal_endpoints[signal];
    const sl_bytes text = own.n ? own : e->endpoint;
    const char *key = own.n ? keys[signal] : "endpoint";
    int32_t status = SL_OK;
    *r = (struct route){.shown = NULL};
    if (text.n == 0)
        return SL_OK;
    const char *endpoint = (const char *)text.p, *socket_path = socket_path_of(endpoint);
    const char *slash = text.p[text.n - 1] == '/' ? "" : "/";
    if (socket_path)
        status = check_socket_path(socket_path, key, error);
    if (status != SL_OK)
        return status;
    r->socket_path = socket_path ? strdup(socket_path) : NULL;
    char *url = socket_path ? join("http://localhost/", paths[signal], "", "")
                : own.n     ? strdup(endpoint)
                            : join(endpoint, slash, paths[signal], "");
    r->shown = malloc(CLIENT_URL_MAX);
    status = SL_ERR_NOMEM;
    if (url && r->shown && (r->socket_path || !socket_path)) {
        client_url_text(r->shown, CLIENT_URL_MAX, socket_path ? text : sl_str(url));
        status = socket_path || is_url(endpoint) ? take_apart(r, url, key, error)
                                                 : malformed(r, key, error);
    }
    free(url);
    if (status == SL_OK && !r->socket_path)
        r->proxy = e->proxy_url.n ? (const char *)e->proxy_url.p
                                  : client_proxy(r->https, r->host, r->port);
    if (status == SL_ERR_NOMEM)
        (void)sl_fail(error, status, "no memory for an URL");
    if (status != SL_OK)
        route_deinit(r);
    return status;
}

void route_deinit(struct route *r)
{
    free(r->shown);
    free(r->host);
    free(r->port);
    free(r->authority);
    free(r->target);
    free(r->socket_path);
    *r = (struct route){.shown = NULL};
}
