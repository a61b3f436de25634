/* A table with every kind of field, as a plugin would write it: for the tests of binding. */
#ifndef SLUICE_TESTS_CONFIG_KINDS_H
#define SLUICE_TESTS_CONFIG_KINDS_H
#include <sluice/plugin.h>

struct kinds_tls {
    sl_bytes ca_file;
    uint8_t insecure;
};

struct kinds_server {
    sl_bytes endpoint;
    uint32_t limit;
    struct kinds_tls tls;
    uint8_t tls_present;
};

struct kinds_latency {
    int64_t threshold_ms;
};

struct kinds_values {
    sl_bytes key;
    sl_list values;
};

struct kinds_and {
    sl_list sub_policy; /* of kinds_policy: a policy in a policy */
};

struct kinds_policy {
    sl_bytes name;
    uint32_t type;
    union {
        struct kinds_latency latency;
        struct kinds_values values;
        struct kinds_and all;
    } u;
};

struct kinds {
    sl_base base;
    uint8_t flag;
    uint32_t count;
    int64_t offset;
    uint64_t total;
    double ratio;
    sl_bytes text;
    sl_bytes password;
    int64_t wait;
    int64_t any_wait;
    uint64_t size;
    uint32_t color;
    sl_list names;
    sl_list headers;
    struct kinds_server http;
    uint8_t http_present;
    struct kinds_tls common;
    sl_list policies;
    const sl_raw *anything;
    uint8_t text_present;
    uint32_t old;
};

static const char *const kinds_colors[] = {"red", "green", "Blue", NULL};

static const sl_field kinds_tls_fields[] = {
    SL_TEXT(struct kinds_tls, ca_file, "Certificates."),
    SL_BOOL(struct kinds_tls, insecure, "Plain text.", .def.u = 1), SL_END};
static const sl_struct kinds_tls_struct = {sizeof(struct kinds_tls), 0, kinds_tls_fields};

static const sl_field kinds_server_fields[] = {
    SL_TEXT(struct kinds_server, endpoint, "Where to listen.", .text = "localhost:4318"),
    SL_U32(struct kinds_server, limit, "At most.", .def.u = 20, .unit = "requests",
           SL_RANGE(u, 1, 100)),
    SL_STRUCT(struct kinds_server, tls, &kinds_tls_struct, "Encryption.",
              SL_PRESENT(struct kinds_server, tls_present)),
    SL_END};
static const sl_struct kinds_server_struct = {sizeof(struct kinds_server), 0, kinds_server_fields};

static const sl_field kinds_latency_fields[] = {
    SL_I64(struct kinds_latency, threshold_ms, "Longer than.", .unit = "ms", .flags = SL_REQUIRED),
    SL_END};
static const sl_struct kinds_latency_struct = {sizeof(struct kinds_latency), 0,
                                               kinds_latency_fields};
static const sl_field kinds_values_fields[] = {
    SL_TEXT(struct kinds_values, key, "Which.", .text = "k"),
    SL_TEXTS(struct kinds_values, values, "Any of."), SL_END};
static const sl_struct kinds_values_struct = {sizeof(struct kinds_values), 0, kinds_values_fields};

static const sl_struct kinds_policy_struct;
static const sl_field kinds_and_fields[] = {
    SL_LIST(struct kinds_and, sub_policy, &kinds_policy_struct, "All of."), SL_END};
static const sl_struct kinds_and_struct = {sizeof(struct kinds_and), 0, kinds_and_fields};

static const char *const kinds_types[] = {"always", "latency", "values", "and", NULL};
static const sl_struct *const kinds_choices[] = {NULL, &kinds_latency_struct, &kinds_values_struct,
                                                 &kinds_and_struct};
static const sl_field kinds_policy_fields[] = {
    SL_TEXT(struct kinds_policy, name, "Its name.", .flags = SL_REQUIRED),
    SL_UNION(struct kinds_policy, u, type, kinds_types, kinds_choices, "What it looks at.",
             .flags = SL_REQUIRED),
    SL_END};
static const sl_struct kinds_policy_struct = {sizeof(struct kinds_policy), 0, kinds_policy_fields};

static const sl_field kinds_fields[] = {
    SL_BOOL(struct kinds, flag, "A flag.", .def.u = 1),
    SL_U32(struct kinds, count, "A count.", .def.u = 7),
    SL_I64(struct kinds, offset, "An offset.", .def.i = -3, SL_RANGE(i, -10, 10)),
    SL_U64(struct kinds, total, "A total.", .def.u = 1ull << 40),
    SL_F64(struct kinds, ratio, "A ratio.", .def.f = 0.5, SL_RANGE(f, 0, 1)),
    SL_TEXT(struct kinds, text, "A text.", .text = "default",
            SL_PRESENT(struct kinds, text_present)),
    SL_TEXT(struct kinds, password, "A secret.", .flags = SL_SECRET),
    SL_DURATION(struct kinds, wait, "A wait.", .def.i = 5000000000, SL_RANGE(i, 0, 3600000000000)),
    SL_DURATION(struct kinds, any_wait, "A wait of any length."),
    SL_SIZE(struct kinds, size, "A size.", .def.u = 65536, SL_RANGE(u, 1024, 1ull << 30)),
    SL_ENUM(struct kinds, color, kinds_colors, "A color.", .def.u = 1),
    SL_TEXTS(struct kinds, names, "Names."),
    SL_MAP(struct kinds, headers, "Headers.", .flags = SL_SECRET),
    SL_STRUCT(struct kinds, http, &kinds_server_struct, "A server.",
              SL_PRESENT(struct kinds, http_present)),
    SL_STRUCT(struct kinds, common, &kinds_tls_struct, "Inline.", .flags = SL_INLINE),
    SL_LIST(struct kinds, policies, &kinds_policy_struct, "Policies."),
    SL_RAW(struct kinds, anything, "As it is written."),
    SL_U32(struct kinds, old, "write count instead.", .flags = SL_DEPRECATED),
    SL_IGNORE("gc", "C has no garbage collection."),
    SL_END};

#endif
