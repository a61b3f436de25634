/* What the end of a call means for the delivery, by OTLP's rules for retries. [blocking] */
#include "exporters/otlp/exporter.h"
#include "exporters/otlp_client/reply.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <stdlib.h>

static sl_bytes bytes_of(const grpc_slice *slice)
{
    return sl_slice(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

/* Servers answer in the encoding of the request. */
static void read_reply(struct client *c, sl_delivery *delivery, const struct call *call)
{
    grpc_byte_buffer_reader reader;
    struct client_reply inflated = {NULL, 0};
    if (!call->reply || grpc_byte_buffer_length(call->reply) == 0 ||
        !grpc_byte_buffer_reader_init(&reader, call->reply))
        return;
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    const grpc_compression_algorithm packed = call->reply->data.raw.compression;
    if (packed == GRPC_COMPRESS_NONE)
        client_settle_success(c->host, &c->notices, delivery, bytes_of(&all));
    else if (packed == GRPC_COMPRESS_GZIP &&
             client_reply_inflate(bytes_of(&all), CLIENT_RESPONSE_MAX, &inflated) == SL_OK)
        client_settle_success(c->host, &c->notices, delivery, sl_slice(inflated.at, inflated.n));
    else
        client_bad_answer(c->host, &c->notices, "cannot be decompressed");
    free(inflated.at);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
}

static int64_t retry_delay(const struct call *call)
{
    for (size_t i = 0; i < call->trailing.count; i++) {
        const grpc_metadata *m = &call->trailing.metadata[i];
        struct otlp_status status;
        if (sl_eq(bytes_of(&m->key), sl_str("grpc-status-details-bin")) &&
            otlp_status_decode(bytes_of(&m->value), &status) == SL_OK)
            return status.retry_delay_ns;
    }
    return OTLP_NO_DELAY;
}

struct code {
    const char *name, *why;
    int32_t status; /* where it is not retryable */
};

static const struct code codes[] = {
    [OTLP_CODE_OK] = {"OK", "grpc_ok", SL_OK},
    [OTLP_CODE_CANCELLED] = {"CANCELLED", "grpc_cancelled", SL_ERR_UNAVAILABLE},
    [OTLP_CODE_UNKNOWN] = {"UNKNOWN", "grpc_unknown", SL_ERR_REJECTED},
    [OTLP_CODE_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", "grpc_invalid_argument", SL_ERR_INVALID},
    [OTLP_CODE_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", "grpc_deadline_exceeded", SL_ERR_TIMEOUT},
    [OTLP_CODE_NOT_FOUND] = {"NOT_FOUND", "grpc_not_found", SL_ERR_REJECTED},
    [OTLP_CODE_ALREADY_EXISTS] = {"ALREADY_EXISTS", "grpc_already_exists", SL_ERR_REJECTED},
    [OTLP_CODE_PERMISSION_DENIED] = {"PERMISSION_DENIED", "grpc_permission_denied", SL_ERR_DENIED},
    [OTLP_CODE_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", "grpc_resource_exhausted",
                                      SL_ERR_REJECTED},
    [OTLP_CODE_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", "grpc_failed_precondition",
                                       SL_ERR_REJECTED},
    [OTLP_CODE_ABORTED] = {"ABORTED", "grpc_aborted", SL_ERR_UNAVAILABLE},
    [OTLP_CODE_OUT_OF_RANGE] = {"OUT_OF_RANGE", "grpc_out_of_range", SL_ERR_UNAVAILABLE},
    [OTLP_CODE_UNIMPLEMENTED] = {"UNIMPLEMENTED", "grpc_unimplemented", SL_ERR_UNSUPPORTED},
    [OTLP_CODE_INTERNAL] = {"INTERNAL", "grpc_internal", SL_ERR_REJECTED},
    [OTLP_CODE_UNAVAILABLE] = {"UNAVAILABLE", "grpc_unavailable", SL_ERR_UNAVAILABLE},
    [OTLP_CODE_DATA_LOSS] = {"DATA_LOSS", "grpc_data_loss", SL_ERR_UNAVAILABLE},
    [OTLP_CODE_UNAUTHENTICATED] = {"UNAUTHENTICATED", "grpc_unauthenticated", SL_ERR_DENIED},
};

int32_t answer_judge(struct client *c, sl_delivery *delivery, const struct call *call,
                     sl_send *send)
{
    static const struct code other = {"a code that gRPC does not have", "grpc_other",
                                      SL_ERR_REJECTED};
    if (call->code == GRPC_STATUS_OK) {
        read_reply(c, delivery, call);
        return SL_OK;
    }
    const int32_t number = (int32_t)call->code;
    const bool known = number > 0 && number < (int32_t)(sizeof codes / sizeof *codes);
    const struct code *code = known ? &codes[number] : &other;
    const int64_t delay_ns = retry_delay(call);
    int32_t status = code->status;
    if (otlp_code_retryable(number, delay_ns)) {
        if (status != SL_ERR_TIMEOUT)
            status = SL_ERR_UNAVAILABLE;
        send->retry_after_ns = client_retry_after(delay_ns);
    }
    char text[CLIENT_TEXT_MAX];
    client_text(text, sizeof text, bytes_of(&call->text));
    send->why = code->why;
    return sl_fail(&send->error, status, "gRPC %s: %s", code->name, text[0] ? text : "no text");
}
