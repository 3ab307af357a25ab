/* SPDX-License-Identifier: MIT */
/* authalg - the algorithms of RFC 7518 3.1 that we have, and the words for verdicts. */
#include <limits.h>

#include "authinner.h"
#include "base/text.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 }; /* as authkeys.c takes them */

/* A secret is no shorter than its digest (RFC 7518 3.2). */
static const ln_auth_alg algorithms[] = {
    {"HS256", LN_AUTH_HMAC, false, "SHA256", LN_AUTH_SECRET_MIN_BYTES, UINT_MAX},
    {"HS384", LN_AUTH_HMAC, false, "SHA384", 48, UINT_MAX},
    {"HS512", LN_AUTH_HMAC, false, "SHA512", 64, UINT_MAX},
    {"RS256", LN_AUTH_RSA, false, "SHA256", RSA_BITS_MIN, RSA_BITS_MAX},
    {"RS384", LN_AUTH_RSA, false, "SHA384", RSA_BITS_MIN, RSA_BITS_MAX},
    {"RS512", LN_AUTH_RSA, false, "SHA512", RSA_BITS_MIN, RSA_BITS_MAX},
    {"PS256", LN_AUTH_RSA, true, "SHA256", RSA_BITS_MIN, RSA_BITS_MAX},
    {"PS384", LN_AUTH_RSA, true, "SHA384", RSA_BITS_MIN, RSA_BITS_MAX},
    {"PS512", LN_AUTH_RSA, true, "SHA512", RSA_BITS_MIN, RSA_BITS_MAX},
    {"ES256", LN_AUTH_EC, false, "SHA256", 256, 256},
    {"ES384", LN_AUTH_EC, false, "SHA384", 384, 384},
    {"ES512", LN_AUTH_EC, false, "SHA512", 521, 521},
};

const ln_auth_alg *ln_auth_alg_find(ln_span name)
{
    for (size_t i = 0; i < LN_ARRAY_SIZE(algorithms); i++)
        if (ln_text_equal(name, ln_text(algorithms[i].name)))
            return &algorithms[i];
    return NULL;
}

uint32_t ln_auth_alg_bit(const ln_auth_alg *alg)
{
    return 1u << (alg - algorithms);
}

bool ln_auth_alg_fits(const ln_auth_alg *alg, const ln_auth_key *key)
{
    return alg->family == key->family && key->size >= alg->size_min && key->size <= alg->size_max &&
           (key->only == NULL || key->only == alg);
}

const char *ln_auth_explain(enum ln_auth_verdict verdict)
{
    switch (verdict) {
    case LN_AUTH_GOOD:
        return "the token is good";
    case LN_AUTH_TOO_LONG:
        return "the token is too long";
    case LN_AUTH_MALFORMED:
        return "the token is malformed";
    case LN_AUTH_UNSUPPORTED:
        return "the token's algorithm or header is not accepted";
    case LN_AUTH_UNKNOWN_KEY:
        return "no key fits the token";
    case LN_AUTH_BAD_SIGNATURE:
        return "the token's signature is wrong";
    case LN_AUTH_EXPIRED:
        return "the token has expired";
    case LN_AUTH_NOT_YET:
        return "the token is not valid yet";
    case LN_AUTH_NO_EXPIRY:
        return "the token never expires";
    case LN_AUTH_WRONG_ISSUER:
        return "the token is from another issuer";
    case LN_AUTH_WRONG_AUDIENCE:
        return "the token is for another audience";
    }
    return "unknown verdict";
}
