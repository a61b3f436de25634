/* Which proxy a request goes through by the environment, as Go's net/http and golang.org/x/net's
 * httpproxy decide it: HTTPS_PROXY or HTTP_PROXY by the scheme (their names in lower case count
 * where the upper ones are not set), but not for localhost, loopback addresses, and what NO_PROXY
 * lists: "*", addresses, networks ("10.0.0.0/8"), names with all that is below them ("example.com"),
 * names below only (".example.com", "*.example.com"), each but networks also with a port. Pure
 * functions; any thread. */
#ifndef SLUICE_EXPORTERS_OTLP_CLIENT_PROXY_H
#define SLUICE_EXPORTERS_OTLP_CLIENT_PROXY_H
#include <stdbool.h>

/* The proxy as the environment has it ("proxy:3128", "http://user:secret@proxy:3128"); NULL: none.
 * `host` without brackets. */
const char *client_proxy(bool https, const char *host, const char *port);

/* Does a list like NO_PROXY's name the destination? */
bool client_no_proxy(const char *list, const char *host, const char *port);

#endif
