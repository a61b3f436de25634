/* What OTLP's two clients share: config keys that this version knows but does not offer, TLS keys,
 * and what a destination's answer means for the items. Destinations are not trusted: texts are cut
 * and cleaned, numbers clamped. Pure functions and constants; any thread. */
#ifndef SLUICE_EXPORTERS_OTLP_CLIENT_H
#define SLUICE_EXPORTERS_OTLP_CLIENT_H
#include "formats/otlp/status.h"
#include "sluice/plugin.h"

enum { CLIENT_TLS_KEYS = 14, CLIENT_TEXT_MAX = 300 };

/* Largest wait that is taken over from a destination. */
static const int64_t CLIENT_RETRY_MAX_NS = INT64_C(3600000000000);

/* The answer of a destination may not be longer. */
enum { CLIENT_RESPONSE_MAX = 4 << 20, CLIENT_ERROR_MAX = 64 << 10 };

struct client_tls {
    uint8_t insecure, insecure_skip_verify;
    const sl_raw *certificates[CLIENT_TLS_KEYS]; /* all of them refused */
};
extern const sl_struct client_tls_struct;

/* A key of the collector's that is refused where it is set; see client_refuse. */
#define CLIENT_REFUSED(S, m, help_) SL_RAW(S, m, "Not in this version: " help_)

/* SL_ERR_UNSUPPORTED with the position when something stands there. */
int32_t client_refuse(const sl_raw *raw, const char *key, sl_error *error);
/* The same for the keys below tls. */
int32_t client_check_tls(const struct client_tls *tls, sl_error *error);

/* Copies text of a destination's for logs: at most room-1 bytes, control characters replaced, NUL
 * at the end. */
void client_text(char *at, size_t room, sl_bytes text);

/* Takes the body of a success: settles what a partial success rejects, and logs its message. */
void client_settle_success(const sl_host *host, sl_delivery *delivery, sl_bytes body);

/* 0 for none; else at least 1 ns and at most CLIENT_RETRY_MAX_NS. */
int64_t client_retry_after(int64_t ns);

#endif
