/* Where the requests of a signal go: the endpoint taken apart once, and the proxy on the way.
 * Control thread. */
#include "exporters/otlp_client/proxy.h"
#include "exporters/otlphttp/exporter.h"

#include <stdlib.h>
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

static char *part_of(CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(u, part, &text, flags) == CURLUE_OK ? text : NULL;
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

/* By itself: with a path behind it, "http://" has a host. */
static bool is_url(const char *text)
{
    CURLU *u = curl_url();
    const bool good =
        u && curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    curl_url_cleanup(u);
    return good;
}

/* Fills what the request says, and whom it is for. */
static int32_t take_apart(struct route *r, const char *key, sl_error *error)
{
    int32_t status = SL_ERR_NOMEM;
    CURLU *u = curl_url();
    char *scheme = NULL, *user = NULL, *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    if (!u)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for an URL");
    if (curl_url_set(u, CURLUPART_URL, r->url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        !(scheme = part_of(u, CURLUPART_SCHEME, 0))) {
        status = malformed(r, key, error);
        goto out;
    }
    r->https = strcmp(scheme, "https") == 0;
    user = part_of(u, CURLUPART_USER, 0);
    if (!r->https && strcmp(scheme, "http") != 0) {
        status =
            sl_fail(error, SL_ERR_INVALID,
                    "%s: \"%s\" does not begin with http://, https:// or unix:", key, r->shown);
        goto out;
    }
    if (user) {
        status = sl_fail(error, SL_ERR_UNSUPPORTED,
                         "%s: a user and password in it would be shown with it; give the header "
                         "\"authorization\", or auth with the extension basicauth",
                         key);
        goto out;
    }
    host = part_of(u, CURLUPART_HOST, 0);
    port = part_of(u, CURLUPART_PORT, 0);
    path = part_of(u, CURLUPART_PATH, 0);
    query = part_of(u, CURLUPART_QUERY, 0);
    if (!host || !path)
        goto out;
    r->authority = join(host, port ? ":" : "", port ? port : "", "");
    r->target = join(path, query ? "?" : "", query ? query : "", "");
    const size_t n = strlen(host);
    const bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';
    r->host = bracketed ? strndup(host + 1, n - 2) : strdup(host);
    r->port = strdup(port ? port : r->https ? "443" : "80");
    if (r->authority && r->target && r->host && r->port)
        status = SL_OK;
out:
    curl_free(scheme);
    curl_free(user);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    return status;
}

/* The name that is asked for and that the certificate must have stands in the URL; CONNECT_TO says
 * where that is. */
static int32_t override_name(struct route *r, sl_bytes name)
{
    const bool v6 = strchr(r->host, ':') != NULL;
    char *url = join("https://", (const char *)name.p, ":", r->port);
    char *whole = url ? join(url, r->target, "", "") : NULL;
    char *to = join("::", v6 ? "[" : "", r->host, v6 ? "]:" : ":");
    char *line = to ? join(to, r->port, "", "") : NULL;
    if (whole && line)
        r->connect_to = curl_slist_append(NULL, line);
    free(url);
    free(to);
    free(line);
    if (!r->connect_to) {
        free(whole);
        return SL_ERR_NOMEM;
    }
    free(r->url);
    r->url = whole;
    return SL_OK;
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
    r->url = socket_path ? join("http://localhost/", paths[signal], "", "")
             : own.n     ? strdup(endpoint)
                         : join(endpoint, slash, paths[signal], "");
    r->shown = malloc(CLIENT_URL_MAX);
    status = SL_ERR_NOMEM;
    if (r->url && r->shown && (r->socket_path || !socket_path)) {
        client_url_text(r->shown, CLIENT_URL_MAX, socket_path ? text : sl_str(r->url));
        status =
            socket_path || is_url(endpoint) ? take_apart(r, key, error) : malformed(r, key, error);
    }
    if (status == SL_OK && !r->socket_path)
        r->proxy = e->proxy_url.n ? (const char *)e->proxy_url.p
                                  : client_proxy(r->https, r->host, r->port);
    if (status == SL_OK && r->https && e->tls.server_name_override.n)
        status = override_name(r, e->tls.server_name_override);
    if (status == SL_ERR_NOMEM)
        (void)sl_fail(error, status, "no memory for an URL");
    if (status != SL_OK)
        route_deinit(r);
    return status;
}

void route_deinit(struct route *r)
{
    free(r->url);
    free(r->shown);
    free(r->host);
    free(r->port);
    free(r->authority);
    free(r->target);
    free(r->socket_path);
    curl_slist_free_all(r->connect_to);
    *r = (struct route){.shown = NULL};
}
