/* What OTLP answers beside data: google.rpc.Status, the export responses with their partial
 * success, and how gRPC codes, HTTP statuses and "may be sent again" belong together. Everything
 * works in the caller's memory; input may be hostile. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_STATUS_H
#define SLUICE_FORMATS_OTLP_STATUS_H
#include <sluice/plugin.h>

/* gRPC's status codes. */
enum otlp_code {
    OTLP_CODE_OK = 0,
    OTLP_CODE_CANCELLED = 1,
    OTLP_CODE_UNKNOWN = 2,
    OTLP_CODE_INVALID_ARGUMENT = 3,
    OTLP_CODE_DEADLINE_EXCEEDED = 4,
    OTLP_CODE_NOT_FOUND = 5,
    OTLP_CODE_ALREADY_EXISTS = 6,
    OTLP_CODE_PERMISSION_DENIED = 7,
    OTLP_CODE_RESOURCE_EXHAUSTED = 8,
    OTLP_CODE_FAILED_PRECONDITION = 9,
    OTLP_CODE_ABORTED = 10,
    OTLP_CODE_OUT_OF_RANGE = 11,
    OTLP_CODE_UNIMPLEMENTED = 12,
    OTLP_CODE_INTERNAL = 13,
    OTLP_CODE_UNAVAILABLE = 14,
    OTLP_CODE_DATA_LOSS = 15,
    OTLP_CODE_UNAUTHENTICATED = 16
};

#define OTLP_NO_DELAY (-1)

struct otlp_status {
    int32_t code;           /* enum otlp_code, or whatever a peer has sent */
    sl_bytes message;       /* UTF-8; of a decoded status a slice of the input, unchecked */
    int64_t retry_delay_ns; /* of its RetryInfo; OTLP_NO_DELAY where there is none */
};

struct otlp_response {
    int64_t rejected; /* spans, points or log records; 0 with a message: a warning */
    sl_bytes message; /* as above */
};

/* The encoders write at most `room` bytes and cut the message, between characters, where it does
 * not fit. SL_ERR_TOO_LARGE: not even the rest fits; OTLP_STATUS_ROOM bytes always do. A response
 * that rejects nothing and says nothing takes no bytes. */
#define OTLP_STATUS_ROOM 128
int32_t otlp_status_encode(const struct otlp_status *status, uint8_t *at, size_t room,
                           size_t *used);
int32_t otlp_response_encode(const struct otlp_response *response, uint8_t *at, size_t room,
                             size_t *used);

/* SL_OK or SL_ERR_INVALID. No bytes are an OK status and a full success. A message that comes twice
 * counts as it came last; of several RetryInfo the first counts, a negative delay as 0, one beyond
 * 64 bits of nanoseconds as INT64_MAX. */
int32_t otlp_status_decode(sl_bytes body, struct otlp_status *status);
int32_t otlp_response_decode(sl_bytes body, struct otlp_response *response);

/* The HTTP status for a request that failed with this code; 200 for OTLP_CODE_OK. */
int otlp_http_of_code(int32_t code);
/* The code that an HTTP status stands for; OTLP_CODE_OK for 2xx. */
int32_t otlp_code_of_http(int http);

/* Whether a client may send the same request again. */
bool otlp_code_retryable(int32_t code, int64_t retry_delay_ns);
bool otlp_http_retryable(int http);

#endif
