/* See proxy.h. */
#include "exporters/otlp_client/proxy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ENTRY_MAX = 256 /* no name is longer */ };

/* An IPv4 address stands in its IPv6 form. */
struct address {
    uint8_t at[16];
    bool v4;
};

static bool parse_address(const char *text, struct address *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(a->at, mapped, sizeof mapped);
    a->v4 = inet_pton(AF_INET, text, a->at + sizeof mapped) == 1;
    if (!a->v4 && inet_pton(AF_INET6, text, a->at) != 1)
        return false;
    a->v4 = a->v4 || memcmp(a->at, mapped, sizeof mapped) == 0;
    return true;
}

static bool is_loopback(const struct address *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return a->v4 ? a->at[12] == 127 : memcmp(a->at, one, sizeof one) == 0;
}

/* Is the address in "10.0.0.0/8"? -1: that is no network. */
static int in_network(char *entry, const struct address *a)
{
    char *slash = strchr(entry, '/'), *end;
    struct address network;
    if (!slash || slash[1] < '0' || slash[1] > '9')
        return -1;
    *slash = '\0';
    const bool parsed = parse_address(entry, &network);
    *slash = '/';
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (!parsed || *end || bits > (network.v4 ? 32 : 128))
        return -1;
    if (!a || network.v4 != a->v4)
        return 0;
    bits += network.v4 ? 96 : 0;
    if (memcmp(network.at, a->at, bits / 8) != 0)
        return 0;
    const unsigned rest = bits % 8;
    return rest == 0 || (network.at[bits / 8] ^ a->at[bits / 8]) >> (8 - rest) == 0;
}

/* Splits "host:port" and "[address]:port" in place; NULL: there is no port. */
static char *split_port(char *entry)
{
    char *colon = strrchr(entry, ':');
    if (!colon || (strchr(entry, ':') != colon && (entry[0] != '[' || colon[-1] != ']')))
        return NULL;
    *colon = '\0';
    return colon + 1;
}

static bool name_matches(const char *entry, const char *host)
{
    if (strncmp(entry, "*.", 2) == 0)
        entry++;
    const size_t n = strlen(entry), length = strlen(host);
    if (entry[0] == '.')
        return length >= n && strcasecmp(host + (length - n), entry) == 0;
    if (length < n || strcasecmp(host + (length - n), entry) != 0)
        return false;
    return length == n || host[length - n - 1] == '.';
}

static bool entry_matches(char *entry, const char *host, const struct address *a, const char *port)
{
    struct address listed;
    const int network = in_network(entry, a);
    if (network >= 0)
        return network;
    const char *only_port = split_port(entry);
    const size_t n = strlen(entry);
    if (only_port && *only_port && strcmp(only_port, port) != 0)
        return false;
    if (n > 1 && entry[0] == '[' && entry[n - 1] == ']') {
        entry[n - 1] = '\0';
        entry++;
    }
    if (parse_address(entry, &listed))
        return a && memcmp(listed.at, a->at, sizeof listed.at) == 0;
    return *entry && name_matches(entry, host);
}

bool client_no_proxy(const char *list, const char *host, const char *port)
{
    struct address address;
    const struct address *a = parse_address(host, &address) ? &address : NULL;
    while (*list) {
        char entry[ENTRY_MAX];
        size_t n = strcspn(list, ",");
        const char *from = list;
        list += n + (list[n] == ',');
        while (n && (*from == ' ' || *from == '\t')) {
            from++;
            n--;
        }
        while (n && (from[n - 1] == ' ' || from[n - 1] == '\t'))
            n--;
        if (n == 0 || n >= sizeof entry)
            continue;
        memcpy(entry, from, n);
        entry[n] = '\0';
        if (strcmp(entry, "*") == 0 || entry_matches(entry, host, a, port))
            return true;
    }
    return false;
}

static const char *variable(const char *upper, const char *lower)
{
    const char *text = getenv(upper);
    if (!text || !*text)
        text = getenv(lower);
    return text && *text ? text : NULL;
}

const char *client_proxy(bool https, const char *host, const char *port)
{
    struct address address;
    const char *proxy =
        https ? variable("HTTPS_PROXY", "https_proxy") : variable("HTTP_PROXY", "http_proxy");
    const char *none = variable("NO_PROXY", "no_proxy");
    if (!proxy || strcasecmp(host, "localhost") == 0 ||
        (parse_address(host, &address) && is_loopback(&address)))
        return NULL;
    return none && client_no_proxy(none, host, port) ? NULL : proxy;
}
