/* Reads JSON texts for otlp_json_back.py. Each case on the input is two strings behind their lengths
 * (32 bits, little-endian): the type's name and the text; each on the output one byte, 1 where the
 * text was refused, and a string: the wire bytes, or why. One thread. */
#include "formats/otlp/json_read.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

enum { STRING_MAX = 64 << 20 };

static const ProtobufCMessageDescriptor *const types[] = {
    &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
    &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
    &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor,
    &opentelemetry__proto__collector__trace__v1__export_trace_service_response__descriptor,
    &opentelemetry__proto__metrics__v1__exponential_histogram_data_point__descriptor,
    &opentelemetry__proto__metrics__v1__histogram_data_point__descriptor,
    &opentelemetry__proto__common__v1__any_value__descriptor};
enum { TYPE_COUNT = sizeof types / sizeof *types };

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "json_back: %s\n", what);
    exit(1);
}

/* The caller frees it; false at the input's end. */
static bool string_get(uint8_t **at, size_t *n)
{
    uint32_t length;
    if (fread(&length, 1, sizeof length, stdin) != sizeof length) {
        return false;
    }
    *n = length;
    *at = length <= STRING_MAX ? malloc(*n + 1) : NULL;
    if (!*at || fread(*at, 1, *n, stdin) != *n) {
        die("the input is cut off");
    }
    (*at)[*n] = 0;
    return true;
}

static void answer_put(bool refused, const void *at, size_t n)
{
    const uint8_t head = refused;
    const uint32_t length = (uint32_t)n;
    if (fwrite(&head, 1, 1, stdout) != 1 || fwrite(&length, 1, 4, stdout) != 4 ||
        fwrite(at, 1, n, stdout) != n || fflush(stdout) != 0) {
        die("cannot write");
    }
}

static int32_t grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    uint8_t **memory = ctx;
    *memory = realloc(*memory, capacity);
    if (!*memory) {
        die("no memory");
    }
    *at = *memory;
    *got = capacity;
    return SL_OK;
}

static struct json_reader *reader_named(struct json_reader *const *readers, const uint8_t *name)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(types[i]->name, (const char *)name) == 0) {
            return readers[i];
        }
    }
    die("no such type");
}

int main(void)
{
    struct json_schema *schemas[TYPE_COUNT];
    struct json_reader *readers[TYPE_COUNT];
    uint8_t *name, *text, *memory = NULL;
    size_t n;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (json_schema_create(types[i], &schemas[i]) != SL_OK ||
            !(readers[i] = json_reader_create(schemas[i]))) {
            die("cannot make a reader");
        }
    }
    while (string_get(&name, &n)) {
        const struct byte_target target = {&memory, grow};
        sl_error error = {.size = sizeof error};
        size_t size = 0;
        if (!string_get(&text, &n)) {
            die("the input is cut off");
        }
        const int32_t status = json_read(reader_named(readers, name), sl_slice(text, n), &target,
                                         UINT32_MAX, &size, &error);
        if (status == SL_OK) {
            answer_put(false, memory ? memory : text, size);
        } else {
            answer_put(true, error.text, strlen(error.text));
        }
        free(name);
        free(text);
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        json_reader_destroy(readers[i]);
        json_schema_destroy(schemas[i]);
    }
    free(memory);
    return 0;
}
