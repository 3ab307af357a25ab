/* SPDX-License-Identifier: MIT */
/*
 * test_certs - certificates for tests, made on the spot: an authority, leaves for any names and
 * dates, files of them.
 *
 * Keys are P-256 unless a leaf asks for RSA. Whatever fails here fails the test.
 */
#ifndef TEST_CERTS_H
#define TEST_CERTS_H

#include <openssl/x509.h>
#include <stdbool.h>

typedef struct test_cert {
    X509 *x509;
    EVP_PKEY *key;
    const struct test_cert *issuer; /* NULL = signed by itself */
} test_cert;

typedef struct test_cert_spec {
    const char *subject;     /* the common name */
    const char *names;       /* "DNS:a.test,IP:127.0.0.1"; NULL = none */
    const test_cert *issuer; /* borrowed by the certificate; NULL = signed by itself */
    long begins_s;           /* from now; 0 = an hour ago */
    long ends_s;             /* from now; 0 = in a day */
    bool is_authority;
    bool is_rsa;
} test_cert_spec;

void test_cert_make(const test_cert_spec *spec, test_cert *cert);
void test_cert_fini(test_cert *cert);

/* A temporary folder for this process, removed with its files by test_certs_remove(). */
const char *test_certs_folder(void);
void test_certs_remove(void);

/* Each writes a file of that name into the folder, over the one that was there. Its path: borrowed
 * until the removal. */
const char *test_certs_path(const char *file);
/* The leaf and the authorities between it and the root. */
const char *test_cert_write_chain(const test_cert *cert, const char *file);
const char *test_cert_write(const test_cert *cert, const char *file);
/* Encrypted unless `passphrase` is NULL. */
const char *test_cert_write_key(const test_cert *cert, const char *file, const char *passphrase);
const char *test_cert_write_pkcs12(const test_cert *cert, const char *file, const char *passphrase);
const char *test_certs_write_text(const char *text, const char *file);

#endif
