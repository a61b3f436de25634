/* The plugin "snappy_lz4"; see snappy_lz4.h. Any thread. */
#include "formats/compress/snappy_lz4.h"

static int32_t pack(enum pack_format format, sl_bytes in, size_t limit, struct pack_buffer *out)
{
    return format == PACK_SNAPPY          ? snappy_pack_block(in, limit, out)
           : format == PACK_SNAPPY_FRAMED ? snappy_pack_framed(in, limit, out)
                                          : lz4_pack(in, limit, out);
}

static int32_t unpack_any(enum pack_format format, sl_bytes in, struct output *o, sl_error *error)
{
    if (in.n == 0)
        return sl_fail(error, SL_ERR_INVALID, "an empty body is not %s",
                       format == PACK_LZ4 ? "lz4" : "snappy");
    if (format == PACK_LZ4)
        return lz4_unpack(in, o, error);
    return format == PACK_SNAPPY_FRAMED || snappy_is_framed(in) ? snappy_unpack_framed(in, o, error)
                                                                : snappy_unpack_block(in, o, error);
}

static const struct snappy_lz4 api = {.size = sizeof api, .pack = pack, .unpack = unpack_any};

static const void *interface_of(const char *id)
{
    return strcmp(id, SNAPPY_LZ4) == 0 ? &api : NULL;
}

SL_PLUGIN_WITH("0.1.0", interface_of);
