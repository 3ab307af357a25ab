/* SPDX-License-Identifier: MIT */
#include "test_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOUR_S = 3600, DAY_S = 86400, PATH_BYTES = 128, PATHS_MAX = 1024 };

static char folder[64];
static char *paths[PATHS_MAX];
static size_t path_count;

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *const extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

void test_cert_make(const test_cert_spec *spec, test_cert *cert)
{
    static long serial = 1;
    X509 *const x = X509_new();
    assert_non_null(x);
    cert->x509 = x;
    cert->issuer = spec->issuer;
    cert->key = spec->is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    assert_non_null(cert->key);
    X509 *const issuer = spec->issuer ? spec->issuer->x509 : x;

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), spec->begins_s ? spec->begins_s : -HOUR_S);
    X509_gmtime_adj(X509_getm_notAfter(x), spec->ends_s ? spec->ends_s : DAY_S);
    X509_set_pubkey(x, cert->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const uint8_t *)spec->subject, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    add_extension(x, issuer, NID_subject_key_identifier, "hash");
    add_extension(x, issuer, NID_basic_constraints,
                  spec->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (spec->is_authority)
        add_extension(x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (spec->names)
        add_extension(x, issuer, NID_subject_alt_name, spec->names);
    assert_true(X509_sign(x, spec->issuer ? spec->issuer->key : cert->key, EVP_sha256()) > 0);
}

void test_cert_fini(test_cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
}

const char *test_certs_folder(void)
{
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/linnet-certs-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    return folder;
}

void test_certs_remove(void)
{
    DIR *const dir = folder[0] ? opendir(folder) : NULL;
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(folder);
    folder[0] = '\0';
    while (path_count > 0)
        free(paths[--path_count]);
}

const char *test_certs_path(const char *file)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", test_certs_folder(), file);
    for (size_t i = 0; i < path_count; i++)
        if (strcmp(paths[i], path) == 0)
            return paths[i];
    assert_true(path_count < PATHS_MAX);
    return paths[path_count++] = strdup(path);
}

static const char *open_file(const char *file, FILE **out)
{
    const char *const path = test_certs_path(file);
    *out = fopen(path, "w");
    assert_non_null(*out);
    return path;
}

const char *test_cert_write_chain(const test_cert *cert, const char *file)
{
    FILE *out;
    const char *const path = open_file(file, &out);
    assert_int_equal(PEM_write_X509(out, cert->x509), 1);
    for (const test_cert *i = cert->issuer; i && i->issuer; i = i->issuer)
        assert_int_equal(PEM_write_X509(out, i->x509), 1);
    fclose(out);
    return path;
}

const char *test_cert_write(const test_cert *cert, const char *file)
{
    FILE *out;
    const char *const path = open_file(file, &out);
    assert_int_equal(PEM_write_X509(out, cert->x509), 1);
    fclose(out);
    return path;
}

const char *test_cert_write_key(const test_cert *cert, const char *file, const char *passphrase)
{
    FILE *out;
    const char *const path = open_file(file, &out);
    const EVP_CIPHER *const cipher = passphrase ? EVP_aes_128_cbc() : NULL;
    assert_int_equal(PEM_write_PKCS8PrivateKey(out, cert->key, cipher, NULL, 0, NULL,
                                               (void *)(uintptr_t)passphrase),
                     1);
    fclose(out);
    return path;
}

const char *test_cert_write_pkcs12(const test_cert *cert, const char *file, const char *passphrase)
{
    FILE *out;
    const char *const path = open_file(file, &out);
    STACK_OF(X509) *const chain = sk_X509_new_null();
    for (const test_cert *i = cert->issuer; i && i->issuer; i = i->issuer)
        sk_X509_push(chain, i->x509);
    PKCS12 *const box =
        PKCS12_create(passphrase, "test", cert->key, cert->x509, chain, 0, 0, 0, 0, 0);
    assert_non_null(box);
    assert_int_equal(i2d_PKCS12_fp(out, box), 1);
    PKCS12_free(box);
    sk_X509_free(chain);
    fclose(out);
    return path;
}

const char *test_certs_write_text(const char *text, const char *file)
{
    FILE *out;
    const char *const path = open_file(file, &out);
    assert_true(fputs(text, out) >= 0);
    fclose(out);
    return path;
}
