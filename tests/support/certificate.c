#include "tests/support/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

void certificate_write(const struct certificate *c, long serial)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_non_null(key);
    assert_non_null(x);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *out = fopen(c->cert, "we");
    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, x), 1);
    (void)fclose(out);
    out = fopen(c->key, "we");
    assert_non_null(out);
    assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(out);
    X509_free(x);
    EVP_PKEY_free(key);
}

void certificate_init(struct certificate *c)
{
    (void)snprintf(c->folder, sizeof c->folder, "/tmp/sluice-tls-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    (void)snprintf(c->cert, sizeof c->cert, "%s/cert.pem", c->folder);
    (void)snprintf(c->key, sizeof c->key, "%s/key.pem", c->folder);
    certificate_write(c, 1);
}

void certificate_deinit(const struct certificate *c)
{
    (void)unlink(c->cert);
    (void)unlink(c->key);
    (void)rmdir(c->folder);
}
