/* SPDX-License-Identifier: MIT */
/*
 * A token as a peer sends it, and one whose parts an issuer signed as they are: the first is never
 * good, of the second what is good says what was signed.
 *
 * Input: a header, a newline, claims; or, without a newline, a token.
 */
#include <linnet/auth.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "thirty-two bytes of a good secret";
static ln_auth *auth;

static size_t encode(const uint8_t *bytes, size_t size, char *at)
{
    ln_base64_write_url((ln_span){bytes, size}, at);
    return ln_base64_size_url(size);
}

/* Whether it is good: then what was signed comes out. */
static bool judge(ln_span token, ln_span claims)
{
    const ln_identity *id;
    enum ln_auth_verdict verdict = LN_AUTH_GOOD;
    const int rc = ln_auth_verify(auth, token, 1800000000000, &id, &verdict);
    LN_ASSERT((rc == 0) == (verdict == LN_AUTH_GOOD) && (rc == 0 || rc == LN_ERR_POLICY));
    if (rc < 0)
        return false;
    LN_ASSERT(ln_text_equal(id->claims, claims) && id->expires_ms > 1800000000000);
    ln_identity_unref(id);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *const cut = size > 0 ? memchr(data, '\n', size) : NULL;
    const ln_span key = LN_SPAN(secret);
    char why[LN_AUTH_WHY_SIZE], token[12000], mac[32];
    if (auth == NULL)
        LN_ASSERT(ln_auth_new(&(ln_auth_options){.secrets = &key, .secret_count = 1}, &auth, why) ==
                  0);
    LN_ASSERT(cut != NULL || !judge((ln_span){data, size}, key));
    if (cut == NULL || size > 8000)
        return 0;
    const ln_span claims = {cut + 1, size - (size_t)(cut - data) - 1};
    size_t n = encode(data, (size_t)(cut - data), token);
    token[n++] = '.';
    n += encode(claims.data, claims.size, token + n);
    HMAC(EVP_sha256(), key.data, (int)key.size, (uint8_t *)token, n, (uint8_t *)mac, NULL);
    token[n++] = '.';
    n += encode((uint8_t *)mac, sizeof mac, token + n);
    judge((ln_span){token, n}, claims);
    return 0;
}
