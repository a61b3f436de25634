/* Loads the plugin "tls" for a server whose config asks for it; see tls.h. [control] */
#include "formats/tls/tls.h"

int32_t tls_server_secure(const sl_host *h, const struct tls_server_config *c, const char *path,
                          const char *alpn, bool alpn_required, struct tls_security *out,
                          sl_error *error)
{
    *out = (struct tls_security){NULL, NULL};
    int32_t status = tls_server_check(c, path, error);
    if (status != SL_OK)
        return status;
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(h, SL_PLUGINS);
    const void *api = NULL;
    status = plugins ? plugins->load(h, TLS_PLUGIN, TLS_API, &api, error)
                     : sl_fail(error, SL_ERR_UNSUPPORTED, "this host cannot load other plugins");
    if (status != SL_OK)
        return status;
    out->api = (const tls_api *)api;
    status = out->api->server_create(h, c, path, alpn, alpn_required, &out->server, error);
    if (status != SL_OK)
        out->api = NULL;
    return status;
}

void tls_server_unsecure(struct tls_security *security)
{
    if (security->api)
        security->api->server_destroy(security->server);
    *security = (struct tls_security){NULL, NULL};
}
