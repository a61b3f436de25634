/* CRC-32C (RFC 3720, appendix B.4), which Snappy's frames carry. Any thread. */
#ifndef SLUICE_FORMATS_COMPRESS_CRC32C_H
#define SLUICE_FORMATS_COMPRESS_CRC32C_H
#include <sluice/plugin.h>

uint32_t crc32c(sl_bytes);

#endif
