/* What tells the groups apart into which data is sorted by the values of metadata keys; for whoever
 * batches. Any thread. */
#ifndef SLUICE_FORMATS_PARTITION_KEY_H
#define SLUICE_FORMATS_PARTITION_KEY_H
#include <sluice/plugin.h>

enum { PARTITION_KEY_MAX = 16384 }; /* bytes of a combination of values */

/* Writes the values that `metadata` has of the keys (a list of sl_bytes, whose case does not count)
 * so that two combinations are equal exactly if the bytes are. At most PARTITION_KEY_MAX; 0: they
 * do not fit, or there are no keys. */
size_t partition_key_write(const sl_list *keys, const sl_metadata *metadata, uint8_t *at);
uint64_t partition_key_hash(const uint8_t *key, size_t n);
/* Are the keys of use: none empty, none twice? SL_ERR_INVALID, and `name` is their list's. */
int32_t partition_keys_check(const sl_list *keys, const char *name, sl_error *);
#endif
