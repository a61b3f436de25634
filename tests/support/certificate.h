/* A self-signed certificate and its key in files, for unit tests of what speaks TLS. */
#ifndef SLUICE_TESTS_CERTIFICATE_H
#define SLUICE_TESTS_CERTIFICATE_H

struct certificate {
    char folder[32], cert[48], key[48]; /* PEM files in a folder of their own */
};

/* For localhost, with serial number 1. Fails the test where that does not work. */
void certificate_init(struct certificate *);
/* A new one, with a new key, in place of what is there: first the certificate, then the key. */
void certificate_write(const struct certificate *, long serial);
void certificate_deinit(const struct certificate *); /* removes the files */

#endif
