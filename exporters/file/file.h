/* What the files of the file exporter share. The config is read-only once `prepare` has run; the
 * open file is used under its mutex, one request after another. */
#ifndef SLUICE_EXPORTERS_FILE_FILE_H
#define SLUICE_EXPORTERS_FILE_FILE_H
#include "formats/otlp/json_schema.h"
#include "sluice/plugin.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SIGNALS = 3 };

enum format { FORMAT_JSON, FORMAT_PROTO };

struct group_by {
    uint8_t enabled;
    sl_bytes resource_attribute;
    uint32_t max_open_files;
};

struct output;

struct exporter {
    sl_base base;
    sl_bytes path, directory_permissions;
    uint32_t format;
    uint8_t append, create_directory;
    int64_t flush_interval;
    struct group_by group_by;
    const sl_raw *rotation, *encoding, *compression, *compression_params;

    struct output *output; /* set by start */
};

struct output {
    const sl_host *host;
    const char *path;
    int fd;
    bool regular; /* can be shortened after a write that failed */
    pthread_mutex_t mutex;
    _Atomic bool stopping;
    struct json_schema *schemas[SIGNALS]; /* made when first needed */
    bool cut_off;                         /* the file ends with a part of a record */
    /* of the record that is being written */
    uint64_t written;
    int64_t deadline_ns; /* 0: none */
    sl_error *error;
};

/* config.c */
extern const sl_field exporter_fields[];
int32_t exporter_prepare(void *component, sl_error *);
/* Octal digits; false: none, or more than 07777. */
bool exporter_permissions(sl_bytes text, unsigned *mode);

/* open.c */
int32_t output_open(const struct exporter *, struct output **, sl_error *);
void output_close(struct output *);

/* write.c: both return SL_OK or SL_ERR_IO, SL_ERR_TIMEOUT, SL_ERR_SHUTDOWN with the text. */
int32_t output_write(struct output *, const void *at, size_t n);
int32_t output_write_segments(struct output *, const sl_bytes *segments, uint32_t n);
/* Before a record, and after it has failed. */
int32_t output_begin(struct output *, int64_t deadline_ns, sl_error *);
void output_undo(struct output *);

#endif
