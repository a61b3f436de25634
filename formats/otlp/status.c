/* OTLP's answers: statuses, partial successes and the rules of sending again. Any thread. */
#include "formats/otlp/status.h"

#include "formats/otlp/wire.h"

enum {
    STATUS_CODE = 1,
    STATUS_MESSAGE = 2,
    STATUS_DETAILS = 3,
    ANY_TYPE_URL = 1,
    ANY_VALUE = 2,
    RETRY_INFO_DELAY = 1,
    DURATION_SECONDS = 1,
    DURATION_NANOS = 2,
    RESPONSE_PARTIAL = 1,
    PARTIAL_REJECTED = 1,
    PARTIAL_MESSAGE = 2
};

#define NS_PER_S INT64_C(1000000000)

static const char retry_info_url[] = "type.googleapis.com/google.rpc.RetryInfo";
static const char retry_info_name[] = "/google.rpc.RetryInfo"; /* after whatever host */

/* ---- writing ------------------------------------------------------------------------------ */

static size_t number_size(uint64_t v)
{
    return v ? 1 + sl_varint_size(v) : 0;
}

static uint8_t *number_put(uint8_t *p, uint32_t number, uint64_t v)
{
    return v ? sl_put_varint(sl_put_tag(p, number, SL_VARINT), v) : p;
}

static size_t bytes_size(size_t n)
{
    return n ? 1 + sl_varint_size(n) + n : 0;
}

static uint8_t *bytes_put(uint8_t *p, uint32_t number, sl_bytes bytes)
{
    if (bytes.n == 0) {
        return p;
    }
    return sl_put_slice(sl_put_varint(sl_put_tag(p, number, SL_BYTES), bytes.n), bytes);
}

/* The message as far as a field with it fits into the room, without a part of a character. */
static sl_bytes cut(sl_bytes message, size_t room)
{
    size_t n = message.n < room ? message.n : room;
    while (n > 0 && bytes_size(n) > room) {
        n--;
    }
    if (n < message.n) {
        while (n > 0 && (message.p[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    return sl_slice(message.p, n);
}

int32_t otlp_status_encode(const struct otlp_status *status, uint8_t *at, size_t room, size_t *used)
{
    uint8_t delay[2 * (1 + WIRE_VARINT_MAX)];
    uint8_t info[sizeof delay + 2];
    uint8_t any[sizeof info + sizeof retry_info_url + 4];
    size_t any_size = 0;
    if (status->retry_delay_ns >= 0) {
        uint8_t *p =
            number_put(delay, DURATION_SECONDS, (uint64_t)(status->retry_delay_ns / NS_PER_S));
        p = number_put(p, DURATION_NANOS, (uint64_t)(status->retry_delay_ns % NS_PER_S));
        size_t delay_size = (size_t)(p - delay);
        p = sl_put_varint(sl_put_tag(info, RETRY_INFO_DELAY, SL_BYTES), delay_size);
        p = sl_put_slice(p, sl_slice(delay, delay_size));
        size_t info_size = (size_t)(p - info);
        p = bytes_put(any, ANY_TYPE_URL, sl_str(retry_info_url));
        any_size = (size_t)(bytes_put(p, ANY_VALUE, sl_slice(info, info_size)) - any);
    }
    uint64_t code = (uint64_t)(int64_t)status->code;
    size_t fixed = number_size(code) + bytes_size(any_size);
    if (fixed > room) {
        return SL_ERR_TOO_LARGE;
    }
    uint8_t *p = number_put(at, STATUS_CODE, code);
    p = bytes_put(p, STATUS_MESSAGE, cut(status->message, room - fixed));
    p = bytes_put(p, STATUS_DETAILS, sl_slice(any, any_size));
    *used = (size_t)(p - at);
    return SL_OK;
}

int32_t otlp_response_encode(const struct otlp_response *response, uint8_t *at, size_t room,
                             size_t *used)
{
    uint64_t rejected = (uint64_t)response->rejected;
    if (rejected == 0 && response->message.n == 0) {
        *used = 0;
        return SL_OK;
    }
    size_t fixed = 1 + sl_varint_size(room) + number_size(rejected);
    if (fixed > room) {
        return SL_ERR_TOO_LARGE;
    }
    sl_bytes message = cut(response->message, room - fixed);
    uint8_t *p = sl_put_tag(at, RESPONSE_PARTIAL, SL_BYTES);
    p = sl_put_varint(p, number_size(rejected) + bytes_size(message.n));
    p = number_put(p, PARTIAL_REJECTED, rejected);
    p = bytes_put(p, PARTIAL_MESSAGE, message);
    *used = (size_t)(p - at);
    return SL_OK;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* A place in a message; `bad` once a record was malformed. */
struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static struct reader reader_of(sl_bytes bytes)
{
    return (struct reader){bytes.p, bytes.n ? bytes.p + bytes.n : bytes.p, false};
}

static bool next(struct reader *r, struct wire_record *record)
{
    if (r->p == r->end) {
        return false;
    }
    const uint8_t *p = wire_read(r->p, r->end, record);
    r->bad = !p;
    r->p = p;
    return p != NULL;
}

static bool is(const struct wire_record *record, uint32_t number, enum sl_wire_type type)
{
    return record->number == number && record->type == type;
}

static sl_bytes bytes_of(const struct wire_record *record)
{
    return sl_slice(record->at, record->bits);
}

static int64_t delay_of(int64_t seconds, int32_t nanos)
{
    int64_t ns;
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) || __builtin_add_overflow(ns, nanos, &ns)) {
        return seconds < 0 ? 0 : INT64_MAX;
    }
    return ns < 0 ? 0 : ns;
}

/* The records of a Duration may come in several parts, so they are added to what is known. */
static int32_t duration_decode(sl_bytes bytes, int64_t *seconds, int32_t *nanos)
{
    struct reader r = reader_of(bytes);
    struct wire_record record;
    while (next(&r, &record)) {
        if (is(&record, DURATION_SECONDS, SL_VARINT)) {
            *seconds = (int64_t)record.bits;
        } else if (is(&record, DURATION_NANOS, SL_VARINT)) {
            *nanos = (int32_t)(uint32_t)record.bits;
        }
    }
    return r.bad ? SL_ERR_INVALID : SL_OK;
}

static int32_t retry_info_decode(sl_bytes bytes, int64_t *delay_ns)
{
    struct reader r = reader_of(bytes);
    struct wire_record record;
    int64_t seconds = 0;
    int32_t nanos = 0;
    while (next(&r, &record)) {
        if (is(&record, RETRY_INFO_DELAY, SL_BYTES) &&
            duration_decode(bytes_of(&record), &seconds, &nanos) != SL_OK) {
            return SL_ERR_INVALID;
        }
    }
    *delay_ns = delay_of(seconds, nanos);
    return r.bad ? SL_ERR_INVALID : SL_OK;
}

static bool ends_with(sl_bytes text, sl_bytes end)
{
    return text.n >= end.n && memcmp(text.p + (text.n - end.n), end.p, end.n) == 0;
}

static int32_t detail_decode(sl_bytes bytes, int64_t *delay_ns)
{
    struct reader r = reader_of(bytes);
    struct wire_record record;
    sl_bytes url = sl_slice(NULL, 0);
    sl_bytes value = sl_slice(NULL, 0);
    while (next(&r, &record)) {
        if (is(&record, ANY_TYPE_URL, SL_BYTES)) {
            url = bytes_of(&record);
        } else if (is(&record, ANY_VALUE, SL_BYTES)) {
            value = bytes_of(&record);
        }
    }
    if (r.bad) {
        return SL_ERR_INVALID;
    }
    if (*delay_ns == OTLP_NO_DELAY && ends_with(url, sl_str(retry_info_name))) {
        return retry_info_decode(value, delay_ns);
    }
    return SL_OK;
}

int32_t otlp_status_decode(sl_bytes body, struct otlp_status *status)
{
    *status = (struct otlp_status){.retry_delay_ns = OTLP_NO_DELAY};
    struct reader r = reader_of(body);
    struct wire_record record;
    while (next(&r, &record)) {
        if (is(&record, STATUS_CODE, SL_VARINT)) {
            status->code = (int32_t)(uint32_t)record.bits;
        } else if (is(&record, STATUS_MESSAGE, SL_BYTES)) {
            status->message = bytes_of(&record);
        } else if (is(&record, STATUS_DETAILS, SL_BYTES) &&
                   detail_decode(bytes_of(&record), &status->retry_delay_ns) != SL_OK) {
            return SL_ERR_INVALID;
        }
    }
    return r.bad ? SL_ERR_INVALID : SL_OK;
}

static int32_t partial_decode(sl_bytes bytes, struct otlp_response *response)
{
    struct reader r = reader_of(bytes);
    struct wire_record record;
    while (next(&r, &record)) {
        if (is(&record, PARTIAL_REJECTED, SL_VARINT)) {
            response->rejected = (int64_t)record.bits;
        } else if (is(&record, PARTIAL_MESSAGE, SL_BYTES)) {
            response->message = bytes_of(&record);
        }
    }
    return r.bad ? SL_ERR_INVALID : SL_OK;
}

int32_t otlp_response_decode(sl_bytes body, struct otlp_response *response)
{
    *response = (struct otlp_response){.rejected = 0};
    struct reader r = reader_of(body);
    struct wire_record record;
    while (next(&r, &record)) {
        if (is(&record, RESPONSE_PARTIAL, SL_BYTES) &&
            partial_decode(bytes_of(&record), response) != SL_OK) {
            return SL_ERR_INVALID;
        }
    }
    return r.bad ? SL_ERR_INVALID : SL_OK;
}

/* ---- rules -------------------------------------------------------------------------------- */

int otlp_http_of_code(int32_t code)
{
    switch (code) {
    case OTLP_CODE_OK:
        return 200;
    case OTLP_CODE_CANCELLED:
    case OTLP_CODE_DEADLINE_EXCEEDED:
    case OTLP_CODE_ABORTED:
    case OTLP_CODE_OUT_OF_RANGE:
    case OTLP_CODE_UNAVAILABLE:
    case OTLP_CODE_DATA_LOSS:
        return 503;
    case OTLP_CODE_RESOURCE_EXHAUSTED:
        return 429;
    case OTLP_CODE_INVALID_ARGUMENT:
        return 400;
    case OTLP_CODE_UNAUTHENTICATED:
        return 401;
    case OTLP_CODE_PERMISSION_DENIED:
        return 403;
    case OTLP_CODE_UNIMPLEMENTED:
        return 404;
    default:
        return 500;
    }
}

int32_t otlp_code_of_http(int http)
{
    switch (http) {
    case 400:
        return OTLP_CODE_INVALID_ARGUMENT;
    case 401:
        return OTLP_CODE_UNAUTHENTICATED;
    case 403:
        return OTLP_CODE_PERMISSION_DENIED;
    case 404:
        return OTLP_CODE_UNIMPLEMENTED;
    case 429:
        return OTLP_CODE_RESOURCE_EXHAUSTED;
    case 502:
    case 503:
    case 504:
        return OTLP_CODE_UNAVAILABLE;
    default:
        return http >= 200 && http <= 299 ? OTLP_CODE_OK : OTLP_CODE_UNKNOWN;
    }
}

bool otlp_code_retryable(int32_t code, int64_t retry_delay_ns)
{
    switch (code) {
    case OTLP_CODE_CANCELLED:
    case OTLP_CODE_DEADLINE_EXCEEDED:
    case OTLP_CODE_ABORTED:
    case OTLP_CODE_OUT_OF_RANGE:
    case OTLP_CODE_UNAVAILABLE:
    case OTLP_CODE_DATA_LOSS:
        return true;
    case OTLP_CODE_RESOURCE_EXHAUSTED:
        return retry_delay_ns >= 0;
    default:
        return false;
    }
}

bool otlp_http_retryable(int http)
{
    return http == 429 || http == 502 || http == 503 || http == 504;
}
