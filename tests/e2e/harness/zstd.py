"""zstd frames, by the library itself."""
import ctypes
import ctypes.util

_library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
_library.ZSTD_decompress.restype = ctypes.c_size_t
_library.ZSTD_decompress.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
_library.ZSTD_isError.argtypes = (ctypes.c_size_t,)
_library.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
_library.ZSTD_findFrameCompressedSize.argtypes = (ctypes.c_char_p, ctypes.c_size_t)


def decompress(frame, most=16 << 20):
    """What one frame holds; nothing may follow it."""
    if _library.ZSTD_findFrameCompressedSize(frame, len(frame)) != len(frame):
        raise AssertionError("it is not one zstd frame")
    out = ctypes.create_string_buffer(most)
    n = _library.ZSTD_decompress(out, most, frame, len(frame))
    if _library.ZSTD_isError(n):
        raise AssertionError("a zstd frame is damaged")
    return out.raw[:n]
