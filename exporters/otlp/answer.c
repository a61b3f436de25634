/* What the end of a call means for the delivery, by OTLP's rules for retries. [blocking] */
#include "exporters/otlp/exporter.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <stdlib.h>

static sl_bytes bytes_of(const grpc_slice *slice)
{
    return sl_slice(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

struct answer_body {
    uint8_t *at;
    size_t n;
};

static int32_t grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct answer_body *body = ctx;
    uint8_t *more = realloc(body->at, capacity);
    if (!more)
        return SL_ERR_NOMEM;
    body->at = more;
    *at = more;
    *got = capacity;
    return SL_OK;
}

/* Servers answer in the encoding of the request. */
static int32_t unpack_reply(struct call *call, sl_bytes packed, struct answer_body *body)
{
    const struct byte_target target = {.ctx = body, .grow = grow};
    sl_error error = {.size = sizeof error};
    if (!call->unpacker)
        call->unpacker = unpacker_create();
    if (!call->unpacker)
        return SL_ERR_NOMEM;
    return unpack(call->unpacker, PACK_GZIP, packed, &target, CLIENT_RESPONSE_MAX, &body->n,
                  &error);
}

static void read_reply(const sl_host *host, sl_delivery *delivery, struct call *call)
{
    grpc_byte_buffer_reader reader;
    if (!call->reply || grpc_byte_buffer_length(call->reply) == 0 ||
        !grpc_byte_buffer_reader_init(&reader, call->reply))
        return;
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    struct answer_body body = {NULL, 0};
    switch (call->reply->data.raw.compression) {
    case GRPC_COMPRESS_NONE:
        client_settle_success(host, delivery, bytes_of(&all));
        break;
    case GRPC_COMPRESS_GZIP:
        if (unpack_reply(call, bytes_of(&all), &body) == SL_OK) {
            client_settle_success(host, delivery, sl_slice(body.at, body.n));
            break;
        }
        /* fall through */
    default:
        sl_log(host, SL_LOG_WARN,
               "the destination took the data, but its answer cannot be decompressed");
    }
    free(body.at);
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

int32_t answer_judge(const sl_host *host, sl_delivery *delivery, struct call *call, sl_send *send)
{
    static const struct code other = {"a code that gRPC does not have", "grpc_other",
                                      SL_ERR_REJECTED};
    if (call->code == GRPC_STATUS_OK) {
        read_reply(host, delivery, call);
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
