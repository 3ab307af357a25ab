/* SPDX-License-Identifier: MIT */
/* authnone - linnet/auth.h built without jansson: there are no tokens, and it says so. */
#include "authinner.h"

#include <stdio.h>

static int refuse(char why[LN_AUTH_WHY_SIZE])
{
    snprintf(why, LN_AUTH_WHY_SIZE, "built without tokens: jansson was missing");
    return LN_ERR_UNSUPPORTED;
}

int ln_auth_new(const ln_auth_options *options, ln_auth **auth, char why[LN_AUTH_WHY_SIZE])
{
    (void)options, (void)auth;
    return refuse(why);
}

ln_auth *ln_auth_ref(ln_auth *auth)
{
    return auth;
}

void ln_auth_unref(ln_auth *auth)
{
    LN_ASSERT(auth == NULL);
}

int ln_auth_verify(const ln_auth *auth, ln_span token, uint64_t now_ms,
                   const ln_identity **identity, enum ln_auth_verdict *verdict)
{
    (void)auth, (void)token, (void)now_ms, (void)identity, (void)verdict;
    return LN_ERR_UNSUPPORTED;
}

int ln_auth_sign(const ln_auth_token *token, char text[LN_AUTH_TOKEN_MAX_BYTES + 1],
                 char why[LN_AUTH_WHY_SIZE])
{
    (void)token, (void)text;
    return refuse(why);
}
