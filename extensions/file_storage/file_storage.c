/* The extension "file_storage": a directory for journals and persistent queues, with the keys of
 * the OpenTelemetry Collector's. What lies in it the host writes (pipeline/journal). [control] */
#include <sluice/plugin.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file_storage {
    sl_base base;
    sl_bytes directory, directory_permissions;
    uint64_t max_size;
    uint8_t create_directory, fsync;

    sl_storage_provider provider;
};

static const sl_field fields[] = {
    SL_TEXT(struct file_storage, directory, "Where the files lie.",
            .text = "/var/lib/otelcol/file_storage"),
    SL_BOOL(struct file_storage, create_directory,
            "Make the directory, and those above it, where they are missing."),
    SL_TEXT(struct file_storage, directory_permissions,
            "Mode of directories that create_directory makes, in octal.", .text = "0750"),
    SL_BOOL(struct file_storage, fsync,
            "Answer senders only when the disk has what they sent, so that it survives a loss of "
            "power; without it, what was sent survives the process."),
    SL_SIZE(struct file_storage, max_size,
            "Most bytes of each journal or queue in the directory; 0: what its own keys say."),
    SL_IGNORE("compaction", "segments are recycled as they empty; there is nothing to compact."),
    SL_IGNORE("timeout", "the lock on the files is never waited for."),
    SL_IGNORE("recreate", "damage is moved aside record by record; nothing has to be made anew."),
    SL_END};

static const void *interface_of(void *component, const char *id)
{
    const struct file_storage *s = component;
    return strcmp(id, SL_STORAGE_PROVIDER) == 0 ? &s->provider : NULL;
}

static int32_t read_mode(const struct file_storage *s, mode_t *mode, sl_error *error)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul((const char *)s->directory_permissions.p, &end, 8);
    if (errno || *end || !s->directory_permissions.n || value > 0777)
        return sl_fail(error, SL_ERR_INVALID,
                       "directory_permissions must be an octal mode such as \"0750\", found \"%s\"",
                       (const char *)s->directory_permissions.p);
    *mode = (mode_t)value;
    return SL_OK;
}

static int32_t prepare(void *component, sl_error *error)
{
    struct file_storage *s = component;
    mode_t mode;
    if (!s->directory.n || s->directory.p[0] != '/')
        return sl_fail(error, SL_ERR_INVALID, "directory must be an absolute path");
    s->provider = (sl_storage_provider){.size = sizeof s->provider,
                                        .sync = s->fsync,
                                        .directory = (const char *)s->directory.p,
                                        .max_bytes = s->max_size};
    return read_mode(s, &mode, error);
}

/* Makes the path's directories one by one. */
static int32_t make_directories(const char *directory, mode_t mode, sl_error *error)
{
    char *path = strdup(directory);
    if (!path)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    int32_t status = SL_OK;
    for (char *p = path + 1; status == SL_OK; p++) {
        const char c = *p;
        if (c && c != '/')
            continue;
        *p = 0;
        if (mkdir(path, mode) && errno != EEXIST)
            status = sl_fail(error, SL_ERR_IO, "cannot make \"%s\": %s", path, strerror(errno));
        *p = c;
        if (!c)
            break;
    }
    free(path);
    return status;
}

static int32_t start(void *component, sl_error *error)
{
    const struct file_storage *s = component;
    const char *directory = s->provider.directory;
    struct stat st;
    mode_t mode;
    int32_t status = read_mode(s, &mode, error);
    if (status == SL_OK && s->create_directory)
        status = make_directories(directory, mode, error);
    if (status != SL_OK)
        return status;
    if (stat(directory, &st))
        return sl_fail(error, SL_ERR_IO, "cannot use \"%s\": %s%s", directory, strerror(errno),
                       errno == ENOENT ? " (make it, or set create_directory: true)" : "");
    if (!S_ISDIR(st.st_mode))
        return sl_fail(error, SL_ERR_IO, "\"%s\" is not a directory", directory);
    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        return sl_fail(error, SL_ERR_DENIED,
                       "anyone may write to \"%s\": what lies there could not be trusted",
                       directory);
    return SL_OK;
}

SL_TYPE(extension, file_storage,
        .help = "A directory for journals and persistent queues: pipelines name it in "
                "journal.storage, exporters in sending_queue.storage.",
        .stability = SL_BETA, SL_CONFIG(struct file_storage, fields), .prepare = prepare,
        .start = start, .interface_of = interface_of);
SL_PLUGIN("0.1.0", &sl_type_file_storage);
