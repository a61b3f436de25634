/* Hashes of values as hexadecimal text, by OpenSSL. A digest is one thread's at a time. */
#ifndef SLUICE_FORMATS_DIGEST_H
#define SLUICE_FORMATS_DIGEST_H
#include <sluice/plugin.h>

enum digest_kind {
    DIGEST_MD5,
    DIGEST_SHA1,
    DIGEST_SHA256,
    DIGEST_SHA3_256,
    DIGEST_HMAC_SHA256,
    DIGEST_HMAC_SHA512
};

enum { DIGEST_HEX_MAX = 128 };

struct digest;

/* `key` is that of the HMACs; it is copied. NULL: no memory, or this OpenSSL does not allow the
 * hash. */
struct digest *digest_create(enum digest_kind kind, sl_bytes key);
void digest_free(struct digest *digest);

/* Writes the hash of the bytes as lower-case hexadecimal digits; returns their number, or 0 where
 * OpenSSL failed. */
size_t digest_hex(struct digest *digest, sl_bytes bytes, char hex[DIGEST_HEX_MAX]);

#endif
