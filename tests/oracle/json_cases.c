/* Makes cases for otlp_json.py and otlp_json_back.py, and reads texts for the latter. One thread.
 *   json_cases random SEED COUNT    random messages of each request and response type
 *   json_cases frames TYPE < FILE   recorded requests, each behind its length (32 bits, big-endian)
 * Each case on the output is three strings behind their lengths (32 bits, little-endian): the
 * type's name, the wire bytes, the JSON text.
 *   json_cases back                 texts to wire bytes
 * Each case on the input is two such strings: the type's name and the text; each on the output one
 * byte, 1 where the text was refused, and a string: the wire bytes, or why. */
#include "formats/otlp/json_read.h"
#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include "formats/otlp/wire.h"
#include "tests/oracle/random_message.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 9, SEGMENTS_MAX = 16, FRAME_MAX = 64 << 20 };

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
    fprintf(stderr, "json_cases: %s\n", what);
    exit(1);
}

static void string_put(const void *at, size_t n)
{
    uint32_t length = (uint32_t)n;
    if (fwrite(&length, 1, sizeof length, stdout) != sizeof length ||
        fwrite(at, 1, n, stdout) != n) {
        die("cannot write");
    }
}

static void case_put(const struct json_schema *schema, const sl_bytes *segments, size_t count,
                     sl_bytes whole)
{
    struct json_out out;
    sl_error error = {.size = sizeof error};
    if (json_out_init(&out, UINT32_MAX, NULL, NULL) != SL_OK) {
        die("no memory");
    }
    if (json_write(schema, segments, count, &out, &error) != SL_OK) {
        die(error.text);
    }
    string_put(schema->root->name, strlen(schema->root->name));
    string_put(whole.p, whole.n);
    string_put(out.at, out.used);
    json_out_deinit(&out);
}

/* Cuts the message into segments at some of the places between its records. */
static size_t cut(uint64_t *random, sl_bytes whole, sl_bytes *segments)
{
    size_t count = 0;
    const uint8_t *p = whole.p;
    const uint8_t *end = whole.p + whole.n;
    const uint8_t *start = p;
    while (p < end) {
        struct wire_record record;
        p = wire_read(p, end, &record);
        if (!p) {
            die("made malformed bytes");
        }
        if (count + 1 < SEGMENTS_MAX && random_next(random) % 3 == 0) {
            segments[count++] = sl_slice(start, (size_t)(p - start));
            start = p;
        }
    }
    segments[count++] = sl_slice(start, (size_t)(end - start));
    return count;
}

static void random_cases(struct json_schema *const *schemas, uint64_t seed, unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        size_t type = i % TYPE_COUNT;
        struct random_bytes bytes = {0};
        sl_bytes segments[SEGMENTS_MAX];
        random_message(&seed, types[type], DEPTH, RANDOM_WILD, &bytes);
        sl_bytes whole = sl_slice(bytes.n ? bytes.at : (const uint8_t *)"", bytes.n);
        size_t n = cut(&seed, whole, segments);
        case_put(schemas[type], segments, n, whole);
        free(bytes.at);
    }
}

static void frame_cases(const struct json_schema *schema)
{
    uint8_t head[4];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        uint8_t *at = n <= FRAME_MAX ? malloc(n + 1) : NULL;
        if (!at || fread(at, 1, n, stdin) != n) {
            die("the input is not length-prefixed requests");
        }
        sl_bytes whole = sl_slice(at, n);
        case_put(schema, &whole, 1, whole);
        free(at);
    }
}

static size_t type_named(const char *name)
{
    for (size_t type = 0; type < TYPE_COUNT; type++) {
        if (strcmp(types[type]->name, name) == 0) {
            return type;
        }
    }
    die("no such type");
}

/* The caller frees it; false at the input's end. */
static bool string_get(uint8_t **at, size_t *n)
{
    uint32_t length;
    if (fread(&length, 1, sizeof length, stdin) != sizeof length) {
        return false;
    }
    *n = length;
    *at = length <= FRAME_MAX ? malloc(*n + 1) : NULL;
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

static void read_back(struct json_schema *const *schemas)
{
    struct json_reader *readers[TYPE_COUNT];
    uint8_t *name, *text, *memory = NULL;
    size_t n;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        readers[i] = json_reader_create(schemas[i]);
        if (!readers[i]) {
            die("no memory");
        }
    }
    while (string_get(&name, &n)) {
        const struct byte_target target = {&memory, grow};
        sl_error error = {.size = sizeof error};
        size_t size = 0;
        if (!string_get(&text, &n)) {
            die("the input is cut off");
        }
        const int32_t status = json_read(readers[type_named((const char *)name)], sl_slice(text, n),
                                         &target, UINT32_MAX, &size, &error);
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
    }
    free(memory);
}

int main(int argc, char **argv)
{
    struct json_schema *schemas[TYPE_COUNT];
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (json_schema_create(types[i], &schemas[i]) != SL_OK) {
            die("cannot make a schema");
        }
    }
    if (argc == 4 && strcmp(argv[1], "random") == 0) {
        random_cases(schemas, strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    } else if (argc == 3 && strcmp(argv[1], "frames") == 0) {
        frame_cases(schemas[type_named(argv[2])]);
    } else if (argc == 2 && strcmp(argv[1], "back") == 0) {
        read_back(schemas);
    } else {
        die("usage: json_cases random SEED COUNT | frames TYPE < FILE | back < CASES");
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        json_schema_destroy(schemas[i]);
    }
    return 0;
}
