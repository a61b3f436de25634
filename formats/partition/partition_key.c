/* Keys of partitions. Any thread. */
#include "formats/partition/partition_key.h"
#include <strings.h>

/* Writes the values as {length, bytes}, those of each key after one another and closed by a length
 * that no value has; 0 when they do not fit. */
size_t partition_key_write(const sl_list *keys, const sl_metadata *metadata, uint8_t *at)
{
    const uint32_t end = UINT32_MAX;
    size_t used = 0;
    for (uint32_t k = 0; k < keys->n; k++) {
        const sl_bytes *name = SL_LIST_AT(sl_bytes, *keys, k);
        for (uint32_t i = 0; i < metadata->n; i++) {
            const sl_meta_entry *entry = &metadata->at[i];
            if (entry->key.n != name->n ||
                strncasecmp((const char *)entry->key.p, (const char *)name->p, name->n) != 0)
                continue;
            if (entry->value.n > PARTITION_KEY_MAX - 2 * sizeof end ||
                used + entry->value.n > PARTITION_KEY_MAX - 2 * sizeof end)
                return 0;
            const uint32_t n = (uint32_t)entry->value.n;
            memcpy(at + used, &n, sizeof n);
            if (n)
                memcpy(at + used + sizeof n, entry->value.p, n);
            used += sizeof n + n;
        }
        if (used > PARTITION_KEY_MAX - sizeof end)
            return 0;
        memcpy(at + used, &end, sizeof end);
        used += sizeof end;
    }
    return used;
}

uint64_t partition_key_hash(const uint8_t *key, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ key[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

static bool same(const sl_bytes *a, const sl_bytes *b)
{
    return a->n == b->n && strncasecmp((const char *)a->p, (const char *)b->p, a->n) == 0;
}

int32_t partition_keys_check(const sl_list *keys, const char *name, sl_error *error)
{
    for (uint32_t i = 0; i < keys->n; i++) {
        const sl_bytes *key = SL_LIST_AT(sl_bytes, *keys, i);
        if (key->n == 0)
            return sl_fail(error, SL_ERR_INVALID, "%s[%u] is empty", name, i);
        for (uint32_t k = 0; k < i; k++) {
            if (same(key, SL_LIST_AT(sl_bytes, *keys, k)))
                return sl_fail(error, SL_ERR_INVALID,
                               "%s names \"%.*s\" twice (case does not count)", name,
                               (int)(key->n < 100 ? key->n : 100), (const char *)key->p);
        }
    }
    return SL_OK;
}
