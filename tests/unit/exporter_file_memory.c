/* The file exporter while memory is short: what counts as delivered is in the file, once and whole. */
#include "tests/support/exporter_memory.h"
#include "tests/unit/exporter_file_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { LENGTH = 4 /* in front of a record */ };

/* resource_spans { resource { attributes { key: "tenant" value { string_value: "a" } } }
 *                  scope_spans { spans {} } }, and another with "b" */
#define OF_TENANT(c)                                                                               \
    0x0a, 0x19, 0x0a, 0x11, 0x0a, 0x0f, 0x0a, 0x06, 't', 'e', 'n', 'a', 'n', 't', 0x12, 0x05,      \
        0x0a, 0x03, c, c, c, 0x12, 0x04, 0x12, 0x02, 0x2a, 0x00

static const uint8_t tenants[2][27] = {{OF_TENANT('a')}, {OF_TENANT('b')}};
static char directory[] = "/tmp/sluice-file-XXXXXX";
static char path[64], grouped_path[64], files[2][64];
static struct exporter exporter, wanted;

static void *configure(struct plugin_host *h)
{
    for (int i = 0; i < 2; i++)
        (void)unlink(files[i]);
    (void)unlink(path);
    exporter = wanted;
    exporter.base.host = &h->host;
    exporter.directory_permissions = sl_str("0750");
    return &exporter;
}

static void look_at_one(uint64_t requests)
{
    if (requests)
        assert_int_equal(fixture_size(path), requests * (LENGTH + sizeof two_spans));
}

static void look_at_groups(uint64_t requests)
{
    for (int i = 0; i < 2 && requests; i++) /* a part may have been written, and its request not */
        assert_int_equal(fixture_size(files[i]) % (LENGTH + sizeof tenants[i]), 0);
}

static void protobuf(void **state)
{
    const struct exporter_trial trial = {
        .type = sluice_plugin.types[0],
        .configure = configure,
        .segments = {sl_slice(two_spans, 9), sl_slice(two_spans + 9, 9)},
        .look = look_at_one};
    (void)state;
    wanted = (struct exporter){.format = FORMAT_PROTO, .path = sl_str(path)};
    exporter_trial_run(&trial);
}

static void json(void **state)
{
    const struct exporter_trial trial = {
        .type = sluice_plugin.types[0],
        .configure = configure,
        .segments = {sl_slice(two_spans, 9), sl_slice(two_spans + 9, 9)}};
    (void)state;
    wanted = (struct exporter){.format = FORMAT_JSON, .path = sl_str(path)};
    exporter_trial_run(&trial);
    wanted.compression_name = sl_str("zstd");
    exporter_trial_run(&trial);
}

static void groups(void **state)
{
    const struct exporter_trial trial = {.type = sluice_plugin.types[0],
                                         .configure = configure,
                                         .segments = {sl_slice(tenants[0], sizeof tenants[0]),
                                                      sl_slice(tenants[1], sizeof tenants[1])},
                                         .look = look_at_groups};
    (void)state;
    wanted = (struct exporter){
        .format = FORMAT_PROTO,
        .path = sl_str(grouped_path),
        .group_by = {.enabled = 1, .resource_attribute = sl_str("tenant"), .max_open_files = 100}};
    exporter_trial_run(&trial);
}

static int remove_all(void **state)
{
    struct plugin_host *h = plugin_host_create();
    (void)state;
    (void)configure(h);
    plugin_host_destroy(h);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf),
        cmocka_unit_test(json),
        cmocka_unit_test(groups),
    };
    if (!mkdtemp(directory))
        return 1;
    (void)snprintf(path, sizeof path, "%s/out", directory);
    (void)snprintf(grouped_path, sizeof grouped_path, "%s/*", directory);
    (void)snprintf(files[0], sizeof files[0], "%s/aaa", directory);
    (void)snprintf(files[1], sizeof files[1], "%s/bbb", directory);
    return cmocka_run_group_tests(tests, NULL, remove_all);
}
