/* lz4's frames (lz4_Frame_format.md): one or several, one after another. Any thread. */
#include "formats/compress/snappy_lz4.h"

#include <lz4frame.h>

int32_t lz4_pack(sl_bytes in, size_t limit, struct pack_buffer *out)
{
    /* with its length, so that readers take memory once, and a checksum, as gzip has one */
    const LZ4F_preferences_t how = {
        .frameInfo = {.contentSize = in.n, .contentChecksumFlag = LZ4F_contentChecksumEnabled}};
    const size_t bound = LZ4F_compressFrameBound(in.n, &how);
    const int32_t status = pack_buffer_reserve(out, bound);
    if (status != SL_OK)
        return status;
    const size_t n = LZ4F_compressFrame(out->at, bound, in.p, in.n, &how);
    if (LZ4F_isError(n)) /* nothing else can go wrong: there is room */
        return SL_ERR_NOMEM;
    out->n = n;
    return n <= limit ? SL_OK : SL_ERR_TOO_LARGE;
}

/* Bytes that the first frame says it holds; 0: it does not say. */
static uint64_t length_said(LZ4F_dctx *context, sl_bytes in)
{
    LZ4F_frameInfo_t info;
    size_t read = in.n;
    const bool known = !LZ4F_isError(LZ4F_getFrameInfo(context, &info, in.p, &read));
    LZ4F_resetDecompressionContext(context);
    return known ? info.contentSize : 0;
}

static int32_t unpack_frames(LZ4F_dctx *context, sl_bytes in, struct output *o, sl_error *error)
{
    size_t wanted = 0; /* 0: between two frames */
    output_expect(o, in.n, length_said(context, in));
    while (in.n > 0 || wanted > 0) {
        /* With no room left a single byte tells whether anything is still to come. */
        uint8_t spare = 0;
        const bool probing = o->used == o->capacity;
        uint8_t *at = probing ? &spare : o->at + o->used;
        size_t read = in.n, written = probing ? 1 : o->capacity - o->used;
        wanted = LZ4F_decompress(context, at, &written, in.p, &read, NULL);
        if (LZ4F_isError(wanted))
            return sl_fail(error, SL_ERR_INVALID, "not a valid lz4 body: %s",
                           LZ4F_getErrorName(wanted));
        if (read == 0 && written == 0 && wanted > 0)
            return sl_fail(error, SL_ERR_INVALID, "not a valid lz4 body: cut short");
        in = sl_slice(in.p + read, in.n - read);
        if (!probing) {
            o->used += written;
        } else if (written == 1) {
            const int32_t status = output_grow(o, error);
            if (status != SL_OK)
                return status;
            o->at[o->used++] = spare;
        }
    }
    return SL_OK;
}

int32_t lz4_unpack(sl_bytes in, struct output *o, sl_error *error)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return sl_fail(error, SL_ERR_NOMEM, "no memory to unpack lz4");
    const int32_t status = unpack_frames(context, in, o, error);
    (void)LZ4F_freeDecompressionContext(context);
    return status;
}
