/* Reading htpasswd files and checking passwords against their hashes; see htpasswd.h. The formats:
 * Apache's "Password Formats" page, and crypt(5). */
#include "extensions/basicauth/htpasswd.h"
#include "extensions/credentials/watched_file.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum { MD5_BYTES = 16, SHA1_BYTES = 20, APR1_ROUNDS = 1000, APR1_SALT_MAX = 8, SALT_MAX = 64 };

/* ---- the table ---- */

static int compare_names(sl_bytes a, sl_bytes b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_users(const void *a, const void *b)
{
    const struct htpasswd_user *x = a, *y = b;
    const int order = compare_names(x->name, y->name);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Sorts, keeps the last line of each name, and finds a decoy. */
static void settle(struct htpasswd *t)
{
    uint32_t kept = 0;
    qsort(t->users, t->n, sizeof *t->users, compare_users);
    for (uint32_t i = 0; i < t->n; i++) {
        if (kept > 0 && sl_eq(t->users[kept - 1].name, t->users[i].name))
            kept--;
        t->users[kept++] = t->users[i];
    }
    t->n = kept;
    while (t->decoy < t->n && !htpasswd_is_slow(t->users[t->decoy].hash))
        t->decoy++;
    if (t->decoy == t->n)
        t->decoy = 0;
}

int32_t htpasswd_create(char *text, size_t n, struct htpasswd **out, uint32_t *bad,
                        uint32_t *first_bad)
{
    struct htpasswd *t = calloc(1, sizeof *t);
    uint32_t lines = 1, number = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    if (t)
        t->users = calloc(lines, sizeof *t->users);
    if (!t || !t->users || RAND_bytes(t->salt, sizeof t->salt) != 1) {
        if (t)
            free(t->users);
        free(t);
        secret_free(text, n);
        return SL_ERR_NOMEM;
    }
    t->text = text;
    t->text_n = n;
    *bad = *first_bad = 0;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t length = end ? (size_t)(end - (text + at)) : n - at;
        const sl_bytes line = secret_trim(sl_slice(text + at, length));
        at += length + 1;
        number++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        const uint8_t *colon = memchr(line.p, ':', line.n);
        if (!colon || colon == line.p || colon == line.p + line.n - 1) {
            if ((*bad)++ == 0)
                *first_bad = number;
            continue;
        }
        const size_t name = (size_t)(colon - line.p);
        t->users[t->n++] = (struct htpasswd_user){
            .name = sl_slice(line.p, name),
            .hash = sl_slice(colon + 1, line.n - name - 1),
            .line = number,
        };
    }
    settle(t);
    *out = t;
    return SL_OK;
}

void htpasswd_destroy(struct htpasswd *t)
{
    if (!t)
        return;
    secret_free(t->text, t->text_n);
    free(t->users);
    free(t);
}

struct htpasswd_user *htpasswd_find(struct htpasswd *t, sl_bytes name)
{
    uint32_t low = 0, high = t->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = compare_names(t->users[middle].name, name);
        if (order == 0)
            return &t->users[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- digests ---- */

static bool digest_parts(const EVP_MD *md, const sl_bytes *parts, size_t n, uint8_t *out)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestInit_ex(c, md, NULL) == 1;
    for (size_t i = 0; good && i < n; i++)
        good = EVP_DigestUpdate(c, parts[i].p, parts[i].n) == 1;
    good = good && EVP_DigestFinal_ex(c, out, NULL) == 1;
    EVP_MD_CTX_free(c);
    return good;
}

void htpasswd_digest(const uint8_t salt[HTPASSWD_SALT], sl_bytes name, sl_bytes password,
                     uint8_t digest[HTPASSWD_DIGEST])
{
    /* The NUL, which is in no name, keeps "a" + "bc" and "ab" + "c" apart. */
    const sl_bytes parts[] = {sl_slice(salt, HTPASSWD_SALT), name, sl_slice("", 1), password};
    if (!digest_parts(EVP_sha256(), parts, 4, digest))
        (void)RAND_bytes(digest, HTPASSWD_DIGEST); /* equals nothing */
}

/* ---- hashes ---- */

static bool begins(sl_bytes t, const char *prefix)
{
    const size_t n = strlen(prefix);
    return t.n > n && memcmp(t.p, prefix, n) == 0;
}

/* {SHA} and {SSHA}: base64 of the digest, and of the salt behind it. */
static bool match_sha1(sl_bytes coded, sl_bytes password, bool salted)
{
    uint8_t raw[SHA1_BYTES + SALT_MAX + 3], digest[EVP_MAX_MD_SIZE];
    if (coded.n % 4 != 0 || coded.n / 4 * 3 > sizeof raw)
        return false;
    int n = EVP_DecodeBlock(raw, coded.p, (int)coded.n);
    for (size_t i = coded.n; n > 0 && i > 0 && coded.p[i - 1] == '='; i--)
        n--; /* the decoder counts what padding stands for */
    if (n < SHA1_BYTES || (!salted && n != SHA1_BYTES))
        return false;
    const sl_bytes parts[] = {password, sl_slice(raw + SHA1_BYTES, (size_t)n - SHA1_BYTES)};
    return digest_parts(EVP_sha1(), parts, 2, digest) &&
           secret_equal(sl_slice(digest, SHA1_BYTES), sl_slice(raw, SHA1_BYTES));
}

/* Apache's variant of MD5-crypt, which crypt(3) does not know: the same steps with another magic
 * word, so MD5-crypt's own description (crypt(5), md5crypt) holds. */
static bool apr1_digest(sl_bytes password, sl_bytes salt, uint8_t sum[MD5_BYTES])
{
    const sl_bytes inner[] = {password, salt, password};
    uint8_t alternate[EVP_MAX_MD_SIZE], now[EVP_MAX_MD_SIZE];
    sl_bytes parts[3 + HTPASSWD_HASH_MAX / MD5_BYTES + 1 + 16];
    size_t n = 0;
    if (!digest_parts(EVP_md5(), inner, 3, alternate))
        return false;
    parts[n++] = password;
    parts[n++] = sl_str("$apr1$");
    parts[n++] = salt;
    for (size_t left = password.n; left > 0;) {
        const size_t part = left < MD5_BYTES ? left : MD5_BYTES;
        parts[n++] = sl_slice(alternate, part);
        left -= part;
    }
    for (size_t bits = password.n; bits > 0; bits >>= 1)
        parts[n++] = bits & 1 ? sl_slice("", 1) : sl_slice(password.p, 1);
    if (!digest_parts(EVP_md5(), parts, n, now))
        return false;
    for (uint32_t round = 0; round < APR1_ROUNDS; round++) {
        n = 0;
        const sl_bytes sofar = sl_slice(now, MD5_BYTES);
        parts[n++] = round & 1 ? password : sofar;
        if (round % 3)
            parts[n++] = salt;
        if (round % 7)
            parts[n++] = password;
        parts[n++] = round & 1 ? sofar : password;
        uint8_t next[EVP_MAX_MD_SIZE];
        if (!digest_parts(EVP_md5(), parts, n, next))
            return false;
        memcpy(now, next, MD5_BYTES);
    }
    memcpy(sum, now, MD5_BYTES);
    return true;
}

/* 22 characters of six bits each, three bytes at a time in an order of their own. */
static void apr1_text(const uint8_t sum[MD5_BYTES], char out[22])
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const uint8_t order[5][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
    size_t n = 0;
    for (size_t i = 0; i < 5; i++) {
        uint32_t word =
            (uint32_t)sum[order[i][0]] << 16 | (uint32_t)sum[order[i][1]] << 8 | sum[order[i][2]];
        for (int k = 0; k < 4; k++, word >>= 6)
            out[n++] = digits[word & 63];
    }
    out[n++] = digits[sum[11] & 63];
    out[n] = digits[sum[11] >> 6];
}

static bool match_apr1(sl_bytes hash, sl_bytes password)
{
    uint8_t sum[MD5_BYTES];
    char text[22];
    const sl_bytes rest = sl_slice(hash.p + 6, hash.n - 6);
    const uint8_t *end = memchr(rest.p, '$', rest.n);
    const size_t salt = end ? (size_t)(end - rest.p) : 0;
    if (!end || salt > APR1_SALT_MAX || rest.n - salt - 1 != sizeof text ||
        !apr1_digest(password, sl_slice(rest.p, salt), sum))
        return false;
    apr1_text(sum, text);
    return secret_equal(sl_slice(text, sizeof text), sl_slice(end + 1, sizeof text));
}

static bool match_crypt(sl_bytes hash, sl_bytes password)
{
    char setting[HTPASSWD_HASH_MAX + 1], phrase[HTPASSWD_HASH_MAX + 1];
    struct crypt_data *data = calloc(1, sizeof *data);
    bool same = false;
    if (data && hash.n < sizeof setting) {
        memcpy(setting, hash.p, hash.n);
        setting[hash.n] = 0;
        memcpy(phrase, password.p, password.n);
        phrase[password.n] = 0;
        const char *made = crypt_r(phrase, setting, data);
        same = made && secret_equal(sl_str(made), hash);
        explicit_bzero(phrase, sizeof phrase);
    }
    if (data)
        explicit_bzero(data, sizeof *data);
    free(data);
    return same;
}

static bool is_crypt(sl_bytes hash)
{
    static const char *const prefixes[] = {"$2a$", "$2b$", "$2y$", "$5$", "$6$", "$1$", "$y$"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (begins(hash, prefixes[i]))
            return true;
    return false;
}

bool htpasswd_is_slow(sl_bytes hash)
{
    return is_crypt(hash) || begins(hash, "$apr1$");
}

bool htpasswd_match(sl_bytes hash, sl_bytes password)
{
    if (password.n > HTPASSWD_HASH_MAX || (password.n && memchr(password.p, 0, password.n)))
        return false;
    if (begins(hash, "$apr1$"))
        return match_apr1(hash, password);
    if (is_crypt(hash))
        return match_crypt(hash, password);
    if (begins(hash, "{SHA}"))
        return match_sha1(sl_slice(hash.p + 5, hash.n - 5), password, false);
    if (begins(hash, "{SSHA}"))
        return match_sha1(sl_slice(hash.p + 6, hash.n - 6), password, true);
    return secret_equal(hash, password);
}
