/* OTLP's answers as JSON: google.rpc.Status and the export responses. Any thread. */
#ifndef SLUICE_FORMATS_OTLP_STATUS_JSON_H
#define SLUICE_FORMATS_OTLP_STATUS_JSON_H
#include "formats/otlp/json_out.h"
#include "formats/otlp/status.h"

/* {"code":14,"message":"...","details":[{"@type":".../google.rpc.RetryInfo","retryDelay":"1s"}]} */
void otlp_status_json(const struct otlp_status *status, struct json_out *out);
/* Of one of SL_TRACES, SL_METRICS, SL_LOGS, which call the rejected items differently; {} where
 * nothing is rejected and nothing said. */
void otlp_response_json(uint32_t signal, const struct otlp_response *response,
                        struct json_out *out);

#endif
