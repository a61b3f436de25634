/* The config keys of the file exporter and what is checked about them. Control thread. */
#include "exporters/file/file.h"

static const char *const formats[] = {"json", "proto", NULL};

static const sl_field group_by_fields[] = {
    SL_BOOL(struct group_by, enabled,
            "Not in this version: a file for each value of an attribute."),
    SL_TEXT(struct group_by, resource_attribute, "Not in this version.",
            .text = "fileexporter.path_segment"),
    SL_U32(struct group_by, max_open_files, "Not in this version.", .def.u = 100), SL_END};
static const sl_struct group_by_struct = {sizeof(struct group_by), 0, group_by_fields};

const sl_field exporter_fields[] = {
    SL_TEXT(struct exporter, path, "The file; /dev/stdout and /dev/stderr work too.",
            .flags = SL_REQUIRED),
    SL_ENUM(struct exporter, format, formats,
            "json: a line for each request; proto: each request with its length in front, 4 bytes, "
            "big-endian."),
    SL_BOOL(struct exporter, append, "Write behind what the file holds instead of emptying it."),
    SL_DURATION(struct exporter, flush_interval,
                "Each request is written to the file before it counts as delivered, so there is "
                "nothing to flush.",
                .def.i = INT64_C(1000000000), .flags = SL_IGNORED),
    SL_BOOL(struct exporter, create_directory, "Make the file's directory if there is none."),
    SL_TEXT(struct exporter, directory_permissions, "Of a directory that is made; octal.",
            .text = "0755"),
    SL_STRUCT(struct exporter, group_by, &group_by_struct,
              "Not in this version: a file for each value of an attribute."),
    SL_RAW(struct exporter, rotation, "Not in this version: rotation of the file."),
    SL_RAW(struct exporter, encoding, "Not in this version: encoding extensions."),
    SL_RAW(struct exporter, compression, "Not in this version: compression of each request."),
    SL_RAW(struct exporter, compression_params, "Not in this version: compression."),
    SL_END};

bool exporter_permissions(sl_bytes text, unsigned *mode)
{
    *mode = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7' || *mode > 07777 / 8)
            return false;
        *mode = *mode * 8 + (unsigned)(text.p[i] - '0');
    }
    return text.n > 0;
}

static int32_t refuse(const sl_raw *raw, const char *key, const char *instead, sl_error *error)
{
    return sl_fail(error, SL_ERR_UNSUPPORTED,
                   "%s:%u:%u: key \"%s\" is not supported by this version; %s",
                   raw->file ? raw->file : "config", raw->line, raw->column, key, instead);
}

int32_t exporter_prepare(void *component, sl_error *error)
{
    enum { RAW_SCALAR = 1 };
    const struct exporter *e = component;
    unsigned mode;
    if (e->path.n == 0)
        return sl_fail(error, SL_ERR_INVALID, "path is empty; name a file");
    if (memchr(e->path.p, '\0', e->path.n))
        return sl_fail(error, SL_ERR_INVALID, "path has a NUL in it");
    if (!exporter_permissions(e->directory_permissions, &mode))
        return sl_fail(error, SL_ERR_INVALID,
                       "directory_permissions: \"%.*s\" is not octal, such as \"0755\"",
                       (int)(e->directory_permissions.n < 40 ? e->directory_permissions.n : 40),
                       (const char *)e->directory_permissions.p);
    if (e->rotation) /* the key alone switches it on */
        return refuse(e->rotation, "rotation", "remove it, and let logrotate copy and truncate",
                      error);
    if (e->encoding && (e->encoding->kind != RAW_SCALAR || e->encoding->text.n))
        return refuse(e->encoding, "encoding", "use format", error);
    if (e->compression && (e->compression->kind != RAW_SCALAR || e->compression->text.n))
        return refuse(e->compression, "compression", "remove it", error);
    if (e->compression_params)
        return refuse(e->compression_params, "compression_params", "remove it", error);
    if (e->group_by.enabled)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "group_by.enabled: true is not supported by this version; remove it");
    return SL_OK;
}
