/* What the files of the file exporter share.
 *
 *   file_exporter.c  the component        config.c  its keys
 *   encode.c         a request's record: JSON, protobuf, zstd
 *   groups.c         a request by its resources' files        files.c  the open files of groups
 *   output.c         a file: opened, locked, looked after     write.c  records written, or taken back
 *   recover.c        the end of a file that a crash left      rotate.c files that are full
 *   place.c          directories          lock.c    one writer      sync.c  fsync every so often
 *
 * The config is read-only once `prepare` has run. Open files are used under the component's mutex,
 * one record after another; compressing is done outside of it. */
#ifndef SLUICE_EXPORTERS_FILE_FILE_H
#define SLUICE_EXPORTERS_FILE_FILE_H
#include "formats/compress/pack.h"
#include "sluice/plugin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { SIGNALS = 3 };

enum format { FORMAT_JSON, FORMAT_PROTO };
enum compression { COMPRESSION_NONE, COMPRESSION_ZSTD };
enum fsync_policy { FSYNC_NEVER, FSYNC_INTERVAL, FSYNC_ALWAYS };

/* The system calls that may fail while the exporter runs; tests put their own in their place. */
struct file_calls {
    int (*openat)(int directory, const char *name, int flags, mode_t mode);
    ssize_t (*writev)(int fd, const struct iovec *v, int n);
    int (*ftruncate)(int fd, off_t size);
    int (*fdatasync)(int fd);
    int (*renameat2)(int from_directory, const char *from, int to_directory, const char *to,
                     unsigned flags);
};
extern const struct file_calls file_calls_of_system; /* output.c */

struct rotation {
    uint32_t max_megabytes, max_days, max_backups;
    uint8_t localtime;
};

struct group_by {
    uint8_t enabled;
    sl_bytes resource_attribute;
    uint32_t max_open_files;
};

struct compression_params {
    uint32_t level;
};

struct output;
struct syncer;
struct files;

/* Makes records of one signal; its mutex is held while it does. */
struct encoder {
    pthread_mutex_t mutex;
    struct json_schema *schema; /* made when first needed, as the packer */
    struct packer *packer;
    struct pack_buffer packed; /* a compressed record */
};

struct exporter {
    sl_base base;
    sl_bytes path, directory_permissions, compression_name;
    uint32_t format, fsync;
    uint8_t append, create_directory, rotating;
    int64_t flush_interval;
    struct rotation rotation;
    struct group_by group_by;
    struct compression_params compression_params;
    const sl_raw *encoding;

    /* set by prepare */
    uint32_t compression; /* enum compression */
    mode_t directory_mode;

    /* set by start */
    const struct file_calls *calls; /* the system's, unless a test has set its own */
    bool started;
    _Atomic bool stopping;
    struct encoder encoders[SIGNALS];
    pthread_mutex_t mutex; /* guards what follows */
    struct output *output; /* the one file; NULL with group_by */
    struct files *files;   /* with group_by */
    struct syncer *syncer; /* with fsync: interval */
    bool in_trouble;       /* the last write failed, and the host was told */
    bool told_of_dropped;  /* resources without the attribute of group_by */
};

/* ---- config.c ---- */

extern const sl_field exporter_fields[];
int32_t exporter_prepare(void *component, sl_error *);

/* ---- place.c: where a file lies. ----
 * The directory is the operator's word and may be anything, symbolic links included. `rest`, the way
 * from there, may hold what telemetry said: none of its directories is a link that leads away. */
struct place {
    char *path;       /* all of it, for messages */
    char *directory;  /* "." where the path names none */
    const char *rest; /* in path: "name", or with group_by also "sub/name" */
    bool grouped;
};

/* SL_OK or SL_ERR_NOMEM. `rest` NULL: the path's last part. */
int32_t place_init(struct place *, const char *path, size_t n, const char *rest);
void place_deinit(struct place *);
/* Opens the file's directory, after making what is missing with `mode` (0: nothing is made, except
 * what group_by names). Returns the descriptor, or -1 with errno; *name is the file's name in it. */
int place_open_directory(const struct place *, mode_t mode, const char **name);
/* Writes what an attribute's value means as a part of a path: no empty, "." or ".." parts, no control
 * characters, nothing longer than a name may be (255 bytes) together with what stands beside it and
 * the time of a rotated file. Returns its length, which is below PLACE_VALUE_MAX. */
enum { PLACE_VALUE_MAX = 1024, PLACE_NAME_MAX = 150, PLACE_AROUND_MAX = 70 };
size_t place_clean(sl_bytes value, char out[PLACE_VALUE_MAX]);

/* ---- lock.c: a file has one writer. ---- */

struct lock {
    struct lock *next;
    const char *component; /* its name; lives as long as the lock */
    dev_t dev;
    ino_t ino;
};
/* SL_OK; SL_ERR_UNAVAILABLE: the same component's forerunner, from before a reload, still writes it;
 * SL_ERR_STATE: someone else does, and the text says who. */
int32_t lock_take(struct lock *, int fd, const struct stat *, const char *component, sl_error *);
/* Is the caller the first in this process to write the file? Only then may it be emptied: after that
 * it holds what a component acknowledged, perhaps before several reloads. */
bool lock_first_writer(const char *path, const struct stat *);
void lock_release(struct lock *);
/* Waits until a lock was released, at most `ns` of real time. */
void lock_wait(int64_t ns);
void lock_wake(void);

/* ---- output.c ---- */

struct output {
    struct exporter *exporter;
    struct place place;
    struct lock lock;
    int fd;            /* -1: to be opened at the next record */
    bool regular;      /* can be shortened, locked, rotated */
    bool stream;       /* /dev/stdout or /dev/stderr */
    bool opened;       /* was open before: never emptied again */
    bool dirty;        /* written to since the last fdatasync */
    uint64_t size;     /* of a regular file, its whole records */
    uint64_t torn;     /* bytes of a failed record that could not be taken back yet */
    int64_t looked_ns; /* `now` at which it was last made sure that the path leads to this file */
    dev_t dev;
    ino_t ino;
    struct output *newer, *older, *chain; /* files.c */
    uint64_t hash;
    /* of the record that is being written */
    uint64_t written;
    int64_t deadline_ns; /* 0: none */
    sl_error *error;
};

/* All of these with the exporter's mutex held. A NULL `rest` stands for the exporter's own path. */
int32_t output_create(struct exporter *, const char *path, size_t n, const char *rest,
                      struct output **, sl_error *);
void output_destroy(struct output *);
/* Opens the file; SL_ERR_UNAVAILABLE and SL_ERR_STATE as lock_take, SL_ERR_IO for the rest. */
int32_t output_open(struct output *, sl_error *);
void output_close(struct output *);
/* The file is there and is the one that the path names. */
int32_t output_ready(struct output *, sl_error *);
int32_t output_sync(struct output *, sl_error *);

/* ---- write.c ---- */

/* Begins a record, in a new file if one of `n` bytes does not fit any more (0: not known yet). */
int32_t output_begin(struct output *, uint64_t n, int64_t deadline_ns, sl_error *);
/* Each returns SL_OK, SL_ERR_IO, SL_ERR_TIMEOUT, SL_ERR_SHUTDOWN with the text; or SL_ERR_FULL: the
 * file is full in the middle of the record. Take it back, call output_rotate, and write it anew. */
int32_t output_write(struct output *, const void *at, size_t n);
int32_t output_write_segments(struct output *, sl_bytes head, const sl_bytes *segments, size_t n);
/* The record is whole, and as durable as fsync asks. */
int32_t output_end(struct output *);
/* Takes back what was written of the record. */
void output_undo(struct output *);

/* ---- recover.c ---- */

/* Finds where the last whole record of the file ends. SL_ERR_INVALID: what stands there is not of
 * this format, and nothing is touched. */
int32_t recover_end(int fd, uint64_t size, bool framed, bool zstd, uint64_t *end, sl_error *);

/* ---- rotate.c ---- */

/* The file gets its name with a time, old ones go, and a new one is opened. */
int32_t output_rotate(struct output *, sl_error *);
/* Removes rotated files above max_backups and older than max_days. */
void rotate_prune(struct output *);

/* ---- encode.c ---- */

/* A request or a part of one: segments cut between top-level records. */
struct request {
    uint32_t signal; /* enum sl_signal */
    const sl_bytes *segments;
    size_t n;
    uint64_t bytes;
};

int32_t encoder_init(struct encoder *);
void encoder_deinit(struct encoder *);
/* What of a record can be made without the file. The encoder's mutex is held from here until the
 * record is written. */
int32_t encode_prepare(struct exporter *, struct encoder *, const struct request *, sl_error *);
/* Writes the record. The exporter's mutex is held. */
int32_t encode_write(struct exporter *, struct encoder *, const struct request *, struct output *,
                     int64_t deadline_ns, sl_error *);
void encode_done(struct encoder *); /* the record is written, or given up */

/* ---- files.c: the open files of group_by, the least recently used closed first. ---- */

struct files *files_create(uint32_t max_open); /* NULL: no memory */
void files_destroy(struct files *);
/* The file of a cleaned value, which its first record opens. The exporter's mutex is held. */
int32_t files_get(struct exporter *, const char *value, size_t n, struct output **, sl_error *);
void files_each(struct files *, void (*visit)(void *, struct output *), void *arg);

/* ---- groups.c ---- */

/* Writes each resource's data to the file that its attribute names. Settles items where some were
 * written and others were not. */
int32_t groups_send(struct exporter *, sl_delivery *, const struct request *, sl_send *);

/* ---- file_exporter.c ---- */

/* Writes one record and keeps the host informed about trouble. */
int32_t exporter_write(struct exporter *, const struct request *, const sl_bytes *group, sl_send *);

/* ---- sync.c ---- */

/* A thread that sleeps until something was written, and syncs it flush_interval later. */
int32_t syncer_start(struct exporter *, sl_error *);
void syncer_note(struct syncer *); /* something was written; the exporter's mutex is held */
void syncer_stop(struct exporter *);

#endif
