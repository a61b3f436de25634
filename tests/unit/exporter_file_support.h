/* A file exporter in a directory of its own, for its unit tests. Assertions are cmocka's. */
#ifndef SLUICE_TESTS_EXPORTER_FILE_SUPPORT_H
#define SLUICE_TESTS_EXPORTER_FILE_SUPPORT_H
#include "exporters/file/file.h"
#include "tests/support/plugin_host.h"

extern const sl_plugin sluice_plugin;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct exporter exporter;
    char directory[64], path[128]; /* path: directory/out, unless the test sets another */
    sl_send send;
    sl_error error;
};

void fixture_open(struct fixture *, struct exporter);
int32_t fixture_start(struct fixture *);
void fixture_stop(struct fixture *);
/* Stops it, and removes the directory with all that is in it. */
void fixture_close(struct fixture *);

int32_t fixture_send(struct fixture *, uint32_t signal, const sl_bytes *segments, uint32_t n,
                     uint32_t items);

/* resource_spans { scope_spans { spans { name: "a" } } }, and another with "b"; cut between them */
extern const uint8_t two_spans[18];
extern const char two_spans_json[]; /* a line */
int32_t fixture_send_spans(struct fixture *);

size_t fixture_read(const char *path, char *at, size_t room);
void fixture_write(const char *path, const void *at, size_t n);
size_t fixture_size(const char *path);
/* The files in the directory, in the order of their names: "a b c". */
const char *fixture_list(struct fixture *);
#endif
