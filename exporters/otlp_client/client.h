/* What OTLP's two clients share: config keys that Sluice knows but does not offer, authenticators,
 * and what a destination's answer means for the items. Destinations are not trusted: texts are cut
 * and cleaned, numbers clamped. Any thread. */
#ifndef SLUICE_EXPORTERS_OTLP_CLIENT_H
#define SLUICE_EXPORTERS_OTLP_CLIENT_H
#include "formats/otlp/status.h"
#include "sluice/plugin.h"

#include <stdatomic.h>

enum { CLIENT_TEXT_MAX = 300, CLIENT_URL_MAX = 200 };

/* Largest wait that is taken over from a destination. */
static const int64_t CLIENT_RETRY_MAX_NS = INT64_C(3600000000000);

/* The answer of a destination may not be longer. */
enum { CLIENT_RESPONSE_MAX = 4 << 20, CLIENT_ERROR_MAX = 64 << 10 };

/* A key of the collector's that is refused where it is set; see client_refuse. */
#define CLIENT_REFUSED(S, m, help_) SL_RAW(S, m, "Not in Sluice: " help_)

/* SL_ERR_UNSUPPORTED with the position when something stands there. */
int32_t client_refuse(const sl_raw *raw, const char *key, sl_error *error);
/* Copies text of a destination's for logs: at most room-1 bytes, control characters replaced, NUL
 * at the end. */
void client_text(char *at, size_t room, sl_bytes text);

/* The same of an URL, without what may be secret: user, password, query. */
void client_url_text(char *at, size_t room, sl_bytes url);

/* Is it that header? `lower` is in lower case, the name in whatever case. */
bool client_name_is(sl_bytes name, const char *lower);
/* May a header have this name and this value? */
bool client_header_name(sl_bytes name);
bool client_header_value(sl_bytes value);

/* ---- authenticators ---- */

struct client_auth {
    sl_bytes authenticator;
};
extern const sl_struct client_auth_struct;

/* [control] The extension; NULL without the key. SL_ERR_INVALID: it does not exist, or is none. */
int32_t client_auth_find(const sl_host *host, const struct client_auth *auth,
                         const sl_auth_client **found, sl_error *error);
/* The headers for one request, checked; the caller unrefs them. */
int32_t client_auth_headers(const sl_auth_client *auth, const sl_metadata **headers, sl_send *send);
/* Does the list have a header of that name, in whatever case? */
bool client_auth_has(const sl_metadata *headers, sl_bytes name);

/* ---- answers ---- */

/* Bounds how often a destination has itself heard in the log; one for each exporter, zeroed. */
struct client_notices {
    _Atomic int64_t due_ns;
    _Atomic uint32_t left_out;
};

/* Takes the body of a success: settles what a partial success rejects, and logs its message. */
void client_settle_success(const sl_host *host, struct client_notices *notices,
                           sl_delivery *delivery, sl_bytes body);
/* Logs that data was delivered, but the answer is not as it should be. */
void client_bad_answer(const sl_host *host, struct client_notices *notices, const char *how);

/* 0 for none; else at least 1 ns and at most CLIENT_RETRY_MAX_NS. */
int64_t client_retry_after(int64_t ns);

#endif
