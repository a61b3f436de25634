/* The config keys of the file exporter and what is checked about them. Control thread. */
#include "exporters/file/file.h"

static const char *const formats[] = {"json", "proto", NULL};
static const char *const policies[] = {"never", "interval", "always", NULL};

static const sl_field rotation_fields[] = {
    SL_U32(struct rotation, max_megabytes,
           "MiB that a file may have; the record that would exceed it begins a new one. 0: 100.",
           .def.u = 100, .unit = "MiB"),
    SL_U32(struct rotation, max_days, "Rotated files older than this are removed; 0: never.",
           .unit = "days"),
    SL_U32(struct rotation, max_backups, "Rotated files that are kept; 0: all of them.",
           .def.u = 100),
    SL_BOOL(struct rotation, localtime, "Local time in the names of rotated files, not UTC."),
    SL_END};
static const sl_struct rotation_struct = {sizeof(struct rotation), 0, rotation_fields};

static const sl_field group_by_fields[] = {
    SL_BOOL(struct group_by, enabled,
            "A file for each value of a resource attribute, which stands for the * in the path."),
    SL_TEXT(struct group_by, resource_attribute,
            "Its key. What has no such attribute, or no text there, is dropped, and counted.",
            .text = "fileexporter.path_segment"),
    SL_U32(struct group_by, max_open_files, "Files that are open at the same time.", .def.u = 100,
           SL_RANGE(u, 1, 100000)),
    SL_END};
static const sl_struct group_by_struct = {sizeof(struct group_by), 0, group_by_fields};

static const sl_field compression_params_fields[] = {SL_U32(struct compression_params, level,
                                                            "zstd's level; 0: its default, 3.",
                                                            SL_RANGE(u, 0, 19)),
                                                     SL_END};
static const sl_struct compression_params_struct = {sizeof(struct compression_params), 0,
                                                    compression_params_fields};

const sl_field exporter_fields[] = {
    SL_TEXT(struct exporter, path, "The file; /dev/stdout and /dev/stderr work too.",
            .flags = SL_REQUIRED),
    SL_ENUM(struct exporter, format, formats,
            "json: a line for each request; proto: each request with its length in front, 4 bytes, "
            "big-endian."),
    {.key = "compression",
     .kind = SL_FIELD_TEXT,
     .offset = SL_OFFSET_(struct exporter, compression_name, sl_bytes),
     .help = "zstd: each record becomes a frame of its own with its length in front, 4 bytes, "
             "big-endian, in both formats. Empty: none."},
    SL_STRUCT(struct exporter, compression_params, &compression_params_struct, "How to compress."),
    SL_BOOL(struct exporter, append,
            "Write behind what the file holds instead of emptying it. With rotation or group_by it "
            "is always so."),
    SL_STRUCT(struct exporter, rotation, &rotation_struct,
              "Files of a bounded size; the key alone switches it on.",
              SL_PRESENT(struct exporter, rotating)),
    SL_ENUM(struct exporter, fsync, policies,
            "always: a request counts as delivered once the disk has it; interval: the disk has it "
            "flush_interval later; never: the kernel decides."),
    SL_DURATION(struct exporter, flush_interval,
                "With fsync: interval, what the disk may lag behind. A request is always written "
                "to the file before it counts as delivered. 0: 1s.",
                .def.i = INT64_C(1000000000), SL_RANGE(i, 0, INT64_C(86400000000000))),
    SL_BOOL(struct exporter, create_directory, "Make the file's directory if there is none."),
    SL_TEXT(struct exporter, directory_permissions, "Of a directory that is made; octal.",
            .text = "0755"),
    SL_STRUCT(struct exporter, group_by, &group_by_struct,
              "A file for each value of a resource attribute."),
    SL_RAW(struct exporter, encoding, "Not in this version: encoding extensions."),
    SL_END};

/* Octal digits; false: none, or more than 07777. */
static bool permissions(sl_bytes text, unsigned *mode)
{
    *mode = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7' || *mode > 07777 / 8)
            return false;
        *mode = *mode * 8 + (unsigned)(text.p[i] - '0');
    }
    return text.n > 0;
}

static int shown(sl_bytes text)
{
    return (int)(text.n < 40 ? text.n : 40);
}

static int32_t check_group_by(const struct exporter *e, sl_error *error)
{
    const uint8_t *end = e->path.p + e->path.n, *star = memchr(e->path.p, '*', e->path.n);
    if (!star || memchr(star + 1, '*', (size_t)(end - star - 1)))
        return sl_fail(error, SL_ERR_INVALID,
                       "path must have exactly one * when group_by is enabled; it stands for the "
                       "value of the resource attribute");
    if (star == e->path.p)
        return sl_fail(error, SL_ERR_INVALID,
                       "path must not begin with * when group_by is enabled");
    for (const uint8_t *p = star; p + 2 < end; p++) {
        if (memcmp(p, "/..", 3) == 0)
            return sl_fail(error, SL_ERR_INVALID, "path has /.. behind the *");
    }
    if (end[-1] == '/')
        return sl_fail(error, SL_ERR_INVALID, "path ends with /, which leaves no name for a file");
    const uint8_t *before = memrchr(e->path.p, '/', (size_t)(star - e->path.p));
    const uint8_t *behind = memchr(star, '/', (size_t)(end - star));
    if ((behind ? behind : end) - (before ? before + 1 : e->path.p) - 1 > PLACE_AROUND_MAX)
        return sl_fail(error, SL_ERR_INVALID,
                       "path has more than %d bytes beside the * in one name", PLACE_AROUND_MAX);
    if (e->group_by.resource_attribute.n == 0)
        return sl_fail(error, SL_ERR_INVALID, "group_by.resource_attribute is empty");
    return SL_OK;
}

int32_t exporter_prepare(void *component, sl_error *error)
{
    enum { RAW_SCALAR = 1 };
    struct exporter *e = component;
    const sl_raw *encoding = e->encoding;
    unsigned mode;
    if (e->path.n == 0)
        return sl_fail(error, SL_ERR_INVALID, "path is empty; name a file");
    if (memchr(e->path.p, '\0', e->path.n))
        return sl_fail(error, SL_ERR_INVALID, "path has a NUL in it");
    if (!permissions(e->directory_permissions, &mode))
        return sl_fail(error, SL_ERR_INVALID,
                       "directory_permissions: \"%.*s\" is not octal, such as \"0755\"",
                       shown(e->directory_permissions), (const char *)e->directory_permissions.p);
    e->directory_mode = (mode_t)mode;
    if (encoding && (encoding->kind != RAW_SCALAR || encoding->text.n))
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "%s:%u:%u: key \"encoding\" is not supported by this version; use format",
                       encoding->file ? encoding->file : "config", encoding->line,
                       encoding->column);
    if (e->compression_name.n && !sl_eq(e->compression_name, sl_str("zstd")))
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "compression: \"%.*s\" is not supported; it may be zstd, or empty",
                       shown(e->compression_name), (const char *)e->compression_name.p);
    e->compression = e->compression_name.n ? COMPRESSION_ZSTD : COMPRESSION_NONE;
    return e->group_by.enabled ? check_group_by(e, error) : SL_OK;
}
