/* SPDX-License-Identifier: MIT */
/* authjws - the signatures of RFC 7518 3, made and checked by OpenSSL. */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "authinner.h"

/* What OpenSSL did not do: for want of memory, or for a reason of its own. Its queue is emptied,
 * where a TLS session would take the error for one of its own. */
static int take_error(int otherwise)
{
    const bool is_memory = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
    ERR_clear_error();
    return is_memory ? LN_ERR_NOMEM : otherwise;
}

static int mac(const ln_auth_alg *alg, const ln_auth_key *key, ln_span input, uint8_t *digest)
{
    unsigned n = 0;
    if (HMAC(EVP_get_digestbyname(alg->digest), key->secret, (int)key->size, input.data, input.size,
             digest, &n) == NULL)
        return take_error(LN_ERR_NOMEM);
    return (int)n;
}

/* A context that signs or verifies with this key, or NULL. */
static EVP_MD_CTX *begin(const ln_auth_alg *alg, const ln_auth_key *key,
                         int (*init)(EVP_MD_CTX *, EVP_PKEY_CTX **, const EVP_MD *, ENGINE *,
                                     EVP_PKEY *))
{
    EVP_MD_CTX *const ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params;
    if (ctx != NULL &&
        init(ctx, &params, EVP_get_digestbyname(alg->digest), NULL, key->pkey) == 1 &&
        (!alg->is_pss || (EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING) == 1 &&
                          EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST) == 1)))
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

/* ---- ECDSA: two numbers of full length side by side, for OpenSSL in DER (RFC 7518 3.4) ---- */

static size_t half_of(const ln_auth_key *key)
{
    return (key->size + 7) / 8;
}

/* Owned, OPENSSL_free(); NULL when out of memory. */
static uint8_t *wrap(const uint8_t *signature, size_t half, size_t *size)
{
    uint8_t *der = NULL;
    ECDSA_SIG *const pair = ECDSA_SIG_new();
    BIGNUM *const r = BN_bin2bn(signature, (int)half, NULL);
    BIGNUM *const s = BN_bin2bn(signature + half, (int)half, NULL);
    if (pair != NULL && r != NULL && s != NULL) {
        ECDSA_SIG_set0(pair, r, s);
        const int n = i2d_ECDSA_SIG(pair, &der);
        *size = n > 0 ? (size_t)n : 0;
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    return der;
}

/* In place: r and s have been copied before they are written. */
static int unwrap(uint8_t *signature, size_t size, size_t half)
{
    const uint8_t *der = signature;
    ECDSA_SIG *const pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
    if (pair == NULL)
        return take_error(LN_ERR_NOMEM);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int)half);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + half, (int)half);
    ECDSA_SIG_free(pair);
    return (int)half * 2;
}

/* ---- both ways ---- */

static int verify(const ln_auth_alg *alg, const ln_auth_key *key, ln_span input, ln_span signature)
{
    EVP_MD_CTX *const ctx = begin(alg, key, EVP_DigestVerifyInit);
    if (ctx == NULL)
        return take_error(LN_ERR_NOMEM);
    const int verdict =
        EVP_DigestVerify(ctx, signature.data, signature.size, input.data, input.size);
    EVP_MD_CTX_free(ctx);
    const int rc = take_error(0);
    return verdict == 1 ? 1 : rc;
}

int ln_auth_jws_verify(const ln_auth_alg *alg, const ln_auth_key *key, ln_span input,
                       ln_span signature)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t size = 0;
    LN_ASSERT(ln_auth_alg_fits(alg, key));
    if (alg->family == LN_AUTH_RSA)
        return verify(alg, key, input, signature);
    if (alg->family == LN_AUTH_EC) {
        if (signature.size != half_of(key) * 2)
            return 0;
        uint8_t *const der = wrap(signature.data, half_of(key), &size);
        const int rc = der != NULL ? verify(alg, key, input, (ln_span){der, size}) : LN_ERR_NOMEM;
        OPENSSL_free(der);
        return rc;
    }
    const int n = mac(alg, key, input, digest);
    if (n < 0)
        return n;
    return signature.size == (size_t)n && CRYPTO_memcmp(digest, signature.data, (size_t)n) == 0;
}

int ln_auth_jws_sign(const ln_auth_alg *alg, const ln_auth_key *key, ln_span input,
                     uint8_t signature[LN_AUTH_SIGNATURE_SIZE])
{
    size_t size = LN_AUTH_SIGNATURE_SIZE;
    LN_ASSERT(ln_auth_alg_fits(alg, key));
    if (alg->family == LN_AUTH_HMAC)
        return mac(alg, key, input, signature);
    EVP_MD_CTX *const ctx = begin(alg, key, EVP_DigestSignInit);
    const bool is_done =
        ctx != NULL && EVP_DigestSign(ctx, signature, &size, input.data, input.size) == 1;
    EVP_MD_CTX_free(ctx);
    if (!is_done)
        return take_error(LN_ERR_INVALID);
    return alg->family == LN_AUTH_EC ? unwrap(signature, size, half_of(key)) : (int)size;
}
