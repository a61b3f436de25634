/* OTLP's answers as JSON. Any thread. */
#include "formats/otlp/status_json.h"

#include "formats/otlp/decimal.h"
#include "formats/otlp/json_text.h"

#define NS_PER_S INT64_C(1000000000)

static void put(struct json_out *out, const char *text)
{
    const size_t n = strlen(text);
    memcpy(json_out_reserve(out, n), text, n);
    json_out_commit(out, n);
}

static void put_number(struct json_out *out, int64_t value)
{
    uint8_t *at = json_out_reserve(out, DECIMAL_MAX);
    json_out_commit(out, decimal_i64(value, at));
}

static void put_text(struct json_out *out, sl_bytes text)
{
    json_text_string(out, text.p, text.n);
}

/* A duration of protobuf's JSON: seconds, with nine digits behind the point where there are any. */
static void put_duration(struct json_out *out, int64_t ns)
{
    char text[DECIMAL_MAX + 16];
    if (ns % NS_PER_S == 0) {
        (void)snprintf(text, sizeof text, "\"%llds\"", (long long)(ns / NS_PER_S));
    } else {
        (void)snprintf(text, sizeof text, "\"%lld.%09llds\"", (long long)(ns / NS_PER_S),
                       (long long)(ns % NS_PER_S));
    }
    put(out, text);
}

void otlp_status_json(const struct otlp_status *status, struct json_out *out)
{
    put(out, "{\"code\":");
    put_number(out, status->code);
    put(out, ",\"message\":");
    put_text(out, status->message);
    if (status->retry_delay_ns >= 0) {
        put(out, ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                 "\"retryDelay\":");
        put_duration(out, status->retry_delay_ns);
        put(out, "}]");
    }
    put(out, "}");
}

void otlp_response_json(uint32_t signal, const struct otlp_response *response, struct json_out *out)
{
    if (response->rejected == 0 && response->message.n == 0) {
        put(out, "{}");
        return;
    }
    put(out, "{\"partialSuccess\":{");
    if (response->rejected != 0) {
        put(out, signal == SL_TRACES    ? "\"rejectedSpans\":\""
                 : signal == SL_METRICS ? "\"rejectedDataPoints\":\""
                                        : "\"rejectedLogRecords\":\"");
        put_number(out, response->rejected);
        put(out, "\",");
    }
    put(out, "\"errorMessage\":");
    put_text(out, response->message);
    put(out, "}}");
}
