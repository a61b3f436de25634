/* The users of an htpasswd file, and how their passwords are checked. A table is used by one thread
 * at a time; checks of single hashes are pure functions. */
#ifndef SLUICE_EXTENSIONS_HTPASSWD_H
#define SLUICE_EXTENSIONS_HTPASSWD_H
#include <sluice/plugin.h>

enum { HTPASSWD_DIGEST = 32, HTPASSWD_SALT = 32, HTPASSWD_HASH_MAX = 511 };

struct htpasswd_user {
    sl_bytes name, hash; /* slices of the table's text */
    uint32_t line;
    bool has_verified, has_denied;
    /* Of the password that was right, and of the latest that was wrong: so that the slow hash is
     * computed once for each, not once for each request. See htpasswd_digest. */
    uint8_t verified[HTPASSWD_DIGEST], denied[HTPASSWD_DIGEST];
};

struct htpasswd {
    char *text;
    size_t text_n;
    struct htpasswd_user *users; /* sorted by name, no name twice */
    uint32_t n;
    uint32_t decoy;              /* stands in for users who do not exist; a slow one, if any is */
    uint8_t salt[HTPASSWD_SALT]; /* of the digests; random */
};

/* Takes `text` over, in every case. Of a name that stands there several times the last line
 * counts. Lines without a colon are left out and counted in *bad (with the first one's number in
 * *first_bad). SL_ERR_NOMEM. */
int32_t htpasswd_create(char *text, size_t n, struct htpasswd **, uint32_t *bad,
                        uint32_t *first_bad);
void htpasswd_destroy(struct htpasswd *); /* NULL is allowed */
/* NULL: nobody is called so. */
struct htpasswd_user *htpasswd_find(struct htpasswd *, sl_bytes name);

/* SHA-256 of the salt, the user's name and the password. */
void htpasswd_digest(const uint8_t salt[HTPASSWD_SALT], sl_bytes name, sl_bytes password,
                     uint8_t digest[HTPASSWD_DIGEST]);

/* Is the hash made to be slow? */
bool htpasswd_is_slow(sl_bytes hash);
/* Is it the password of this hash: apr1-MD5, {SHA}, {SSHA}, crypt(3)'s (bcrypt, SHA-256, SHA-512,
 * MD5, yescrypt), or else plain text? A password with a NUL is nobody's. [any] */
bool htpasswd_match(sl_bytes hash, sl_bytes password);
#endif
