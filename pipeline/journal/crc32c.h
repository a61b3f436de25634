/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): the polynomial 0x1EDC6F41 reflected, all ones before
 * and after. Any thread. */
#ifndef SLUICE_PIPELINE_JOURNAL_CRC32C_H
#define SLUICE_PIPELINE_JOURNAL_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/* Of what `crc` is of (0: of nothing) and the n bytes behind that. */
uint32_t crc32c(uint32_t crc, const void *, size_t n);
/* The same without instructions that not every processor has; for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *, size_t n);
#endif
