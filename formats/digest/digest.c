/* See digest.h. An algorithm is looked up once, which takes OpenSSL longer than most hashes. */
#include "formats/digest/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

struct digest {
    EVP_MD *md;
    EVP_MD_CTX *context;
    EVP_MAC *mac; /* of the HMACs */
    EVP_MAC_CTX *keyed;
};

static bool open_hmac(struct digest *d, const char *hash, sl_bytes key)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%s", hash);
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                 OSSL_PARAM_construct_end()};
    d->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    d->keyed = d->mac ? EVP_MAC_CTX_new(d->mac) : NULL;
    return d->keyed && EVP_MAC_init(d->keyed, key.n ? key.p : (const uint8_t *)"", key.n, params);
}

struct digest *digest_create(enum digest_kind kind, sl_bytes key)
{
    static const char *const names[] = {"MD5", "SHA1", "SHA2-256", "SHA3-256", "SHA256", "SHA512"};
    struct digest *d = calloc(1, sizeof *d);
    bool ok = false;
    if (!d) {
        return NULL;
    }
    if (kind == DIGEST_HMAC_SHA256 || kind == DIGEST_HMAC_SHA512) {
        ok = open_hmac(d, names[kind], key);
    } else {
        d->md = EVP_MD_fetch(NULL, names[kind], NULL);
        d->context = EVP_MD_CTX_new();
        ok = d->md && d->context;
    }
    if (!ok) {
        digest_free(d);
        return NULL;
    }
    return d;
}

void digest_free(struct digest *digest)
{
    if (digest) {
        EVP_MD_CTX_free(digest->context);
        EVP_MD_free(digest->md);
        EVP_MAC_CTX_free(digest->keyed);
        EVP_MAC_free(digest->mac);
        free(digest);
    }
}

size_t digest_hex(struct digest *digest, sl_bytes bytes, char hex[DIGEST_HEX_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sum[EVP_MAX_MD_SIZE];
    size_t n = 0;
    unsigned md_n = 0;
    bool ok;
    if (digest->keyed) {
        ok = EVP_MAC_init(digest->keyed, NULL, 0, NULL) &&
             EVP_MAC_update(digest->keyed, bytes.p, bytes.n) &&
             EVP_MAC_final(digest->keyed, sum, &n, sizeof sum);
    } else {
        ok = EVP_DigestInit_ex2(digest->context, digest->md, NULL) &&
             EVP_DigestUpdate(digest->context, bytes.p, bytes.n) &&
             EVP_DigestFinal_ex(digest->context, sum, &md_n);
        n = md_n;
    }
    if (!ok || n > DIGEST_HEX_MAX / 2) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    return 2 * n;
}
