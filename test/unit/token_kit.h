/* SPDX-License-Identifier: MIT */
/*
 * token_kit - tokens for tests, put together by hand and signed with OpenSSL alone: another
 * implementation than the one under test. Whatever fails here fails the test.
 *
 * Texts are in static memory and overwritten by the next call of the same function.
 */
#ifndef TOKEN_KIT_H
#define TOKEN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <linnet/auth.h>
#include <linnet/conn.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/base64.h"
#include "base/text.h"

enum { TOKEN_KIT_SIZE = 64 << 10, TOKEN_KIT_NOW_S = 1800000000 };

static const char token_kit_secret[] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"; /* 64 bytes: for all HS */

/* ---- keys ---- */

static inline EVP_PKEY *token_kit_rsa(unsigned bits)
{
    EVP_PKEY *const key = EVP_RSA_gen(bits);
    assert_non_null(key);
    return key;
}

static inline EVP_PKEY *token_kit_ec(const char *curve)
{
    EVP_PKEY *const key = EVP_EC_gen(curve);
    assert_non_null(key);
    return key;
}

/* A file of this test's own, removed by token_kit_remove(). Its path is borrowed until then. */
static char token_kit_paths[64][64];
static unsigned token_kit_files;

static inline const char *token_kit_file(ln_span bytes)
{
    assert_true(token_kit_files < LN_ARRAY_SIZE(token_kit_paths));
    char *const path = token_kit_paths[token_kit_files++];
    strcpy(path, "/tmp/linnet-token-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.data, bytes.size), bytes.size);
    close(fd);
    return path;
}

static inline int token_kit_remove(void **state)
{
    (void)state;
    while (token_kit_files > 0)
        unlink(token_kit_paths[--token_kit_files]);
    return 0;
}

static inline const char *token_kit_pem(EVP_PKEY *key, bool is_private)
{
    BIO *const bio = BIO_new(BIO_s_mem());
    char *text;
    if (is_private)
        assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    else
        assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    const long n = BIO_get_mem_data(bio, &text);
    const char *const path = token_kit_file((ln_span){text, (size_t)n});
    BIO_free(bio);
    return path;
}

/* ---- tokens ---- */

static inline size_t token_kit_part(ln_span bytes, char *at)
{
    ln_base64_write_url(bytes, at);
    return ln_base64_size_url(bytes.size);
}

static inline const EVP_MD *token_kit_digest(const char *alg)
{
    return strcmp(alg + 2, "256") == 0   ? EVP_sha256()
           : strcmp(alg + 2, "384") == 0 ? EVP_sha384()
                                         : EVP_sha512();
}

/* The DER signature of ECDSA as two numbers side by side (RFC 7518 3.4). */
static inline size_t token_kit_flatten(uint8_t *signature, size_t n, int bits)
{
    const uint8_t *der = signature;
    const int half = (bits + 7) / 8;
    ECDSA_SIG *const pair = d2i_ECDSA_SIG(NULL, &der, (long)n);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + half, half);
    ECDSA_SIG_free(pair);
    return (size_t)half * 2;
}

static inline size_t token_kit_sign(const char *alg, EVP_PKEY *key, ln_span input,
                                    uint8_t signature[2048])
{
    EVP_MD_CTX *const ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    size_t n = 2048;
    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, token_kit_digest(alg), NULL, key), 1);
    if (alg[0] == 'P') {
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
    }
    assert_int_equal(EVP_DigestSign(ctx, signature, &n, input.data, input.size), 1);
    EVP_MD_CTX_free(ctx);
    return alg[0] == 'E' ? token_kit_flatten(signature, n, EVP_PKEY_get_bits(key)) : n;
}

/* header.claims.signature, by `key` or, where that is NULL, by `secret`; `alg` says how. */
static inline ln_span token_kit_raw(const char *alg, EVP_PKEY *key, ln_span secret, ln_span header,
                                    ln_span claims)
{
    static char text[TOKEN_KIT_SIZE];
    uint8_t signature[2048];
    assert_true((header.size + claims.size) * 2 < TOKEN_KIT_SIZE / 2);
    size_t n = token_kit_part(header, text);
    text[n++] = '.';
    n += token_kit_part(claims, text + n);
    const ln_span input = {text, n};
    size_t size = 0;
    if (key != NULL) {
        size = token_kit_sign(alg, key, input, signature);
    } else {
        unsigned length;
        HMAC(token_kit_digest(alg), secret.data, (int)secret.size, input.data, input.size,
             signature, &length);
        size = length;
    }
    text[n++] = '.';
    n += token_kit_part((ln_span){signature, size}, text + n);
    text[n] = '\0';
    return (ln_span){text, n};
}

/* HS256 of header and claims that are encoded already. */
static inline ln_span token_kit_mac(const char *input)
{
    static char text[TOKEN_KIT_SIZE];
    uint8_t signature[32];
    const ln_span secret = LN_SPAN(token_kit_secret);
    const size_t n = strlen(input);
    HMAC(EVP_sha256(), secret.data, (int)secret.size, (const uint8_t *)input, n, signature, NULL);
    memcpy(text, input, n);
    text[n] = '.';
    return (ln_span){text, n + 1 + token_kit_part((ln_span){signature, 32}, text + n + 1)};
}

/* HS256 under token_kit_secret. */
static inline ln_span token_kit_hs256(const char *header, const char *claims)
{
    return token_kit_raw("HS256", NULL, LN_SPAN(token_kit_secret), ln_text(header),
                         ln_text(claims));
}

/* With an ordinary header. */
static inline ln_span token_kit_claims(const char *claims)
{
    return token_kit_hs256("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", claims);
}

/* ---- the object ---- */

/* One that must come to be. */
static inline ln_auth *token_kit_auth(const ln_auth_options *options)
{
    char why[LN_AUTH_WHY_SIZE] = "";
    ln_auth *auth = NULL;
    const int rc = ln_auth_new(options, &auth, why);
    if (rc != 0)
        fail_msg("%s: %s", ln_strerror(rc), why);
    return auth;
}

/* One with token_kit_secret and what else `options` says. */
static inline ln_auth *token_kit_hmac_auth(ln_auth_options options)
{
    static const ln_span secret = {token_kit_secret, sizeof token_kit_secret - 1};
    options.secrets = &secret;
    options.secret_count = 1;
    return token_kit_auth(&options);
}

/* The verdict at a moment. */
static inline enum ln_auth_verdict token_kit_judge_at(const ln_auth *auth, ln_span token,
                                                      uint64_t now_ms)
{
    const ln_identity *identity = NULL;
    enum ln_auth_verdict verdict = LN_AUTH_GOOD;
    const int rc = ln_auth_verify(auth, token, now_ms, &identity, &verdict);
    assert_int_equal(rc, verdict == LN_AUTH_GOOD ? 0 : LN_ERR_POLICY);
    assert_true((identity != NULL) == (rc == 0));
    ln_identity_unref(identity);
    return verdict;
}

static inline enum ln_auth_verdict token_kit_judge(const ln_auth *auth, ln_span token)
{
    return token_kit_judge_at(auth, token, (uint64_t)TOKEN_KIT_NOW_S * 1000);
}

#endif
