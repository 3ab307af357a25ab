/* SPDX-License-Identifier: MIT */
/*
 * linnet/auth.h - who a client is: signed tokens (JWT: RFC 7519, in the compact form of RFC 7515).
 *
 * An ln_auth holds keys, and what is asked of a token besides a signature. It never changes, so all
 * workers use one at the same time; to exchange keys, make another and let go of the old one. No
 * clock is read here: `now_ms` is the wall clock, in milliseconds since 1970.
 *
 * What a token has to be
 *   - three parts of strict base64url, at most LN_AUTH_TOKEN_MAX_BYTES in all
 *   - a header with an algorithm out of HS, RS, PS and ES with 256, 384 and 512 bits, and nothing
 *     that changes the meaning of the rest ("crit", "b64"); "none" does not exist here
 *   - signed with one of our keys. A key is good for its own kind alone: a secret of 32 bytes for
 *     HS256, of 48 also for HS384, of 64 also for HS512; an RSA key, from 2048 bits, for RS and PS;
 *     a curve for its one ES; a key with an "alg" for that. Where both token and key have a "kid",
 *     it must be the same.
 *   - a JSON object without a member twice, of at most 32 levels
 *   - in its time. exp, nbf and iat are whole seconds from 1970 to 9999, else it is malformed; it
 *     is good until exp and from nbf on, both with the leeway
 *   - from `issuer` and for `audience`, where these are asked for
 *
 * Neither log nor error text ever holds a token or a part of one.
 */
#ifndef LINNET_AUTH_H
#define LINNET_AUTH_H

#include <linnet/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LN_AUTH_TOKEN_MAX_BYTES = 8192,
    LN_AUTH_SECRET_MIN_BYTES = 32, /* RFC 7518 3.2, for HS256 */
    LN_AUTH_WHY_SIZE = 256
};

typedef struct ln_auth_options {
    const ln_span *secrets; /* of HMAC; copied */
    size_t secret_count;
    const char *const *key_files; /* PEM, one public key (RSA or EC) in each; no certificates */
    size_t key_file_count;
    const char *jwks_file;  /* JSON Web Key Set (RFC 7517 5); keys that cannot verify are skipped */
    const char *issuer;     /* "iss" must be this; NULL = is not looked at */
    const char *audience;   /* "aud" must be or contain this; NULL = is not looked at */
    const char *algorithms; /* only these, "HS256, ES256"; NULL = what the keys are good for */
    uint32_t leeway_ms;     /* 0 = 1 s: good in the very second of "exp"; LN_OFF (conn.h) = none */
    bool requires_expiry;   /* a token without "exp" is refused; else it never expires */
    /* NULL = the C library's; must outlive object and identities */
    const ln_allocator *allocator;
} ln_auth_options;

/* Keys and rules; shared, counted references. */
typedef struct ln_auth ln_auth;

/*
 * Reads and checks everything; the new object in *auth, owned: one reference. `why` gets a sentence
 * that names what was wrong: LN_ERR_INVALID (no key at all, a secret that is too short, a broken or
 * weak key, an option out of range), LN_ERR_NOT_FOUND, LN_ERR_ACCESS, LN_ERR_IO (a file),
 * LN_ERR_LIMIT (too many keys, too large a file), LN_ERR_UNSUPPORTED (built without JWT),
 * LN_ERR_NOMEM.
 */
LN_API int ln_auth_new(const ln_auth_options *options, ln_auth **auth, char why[LN_AUTH_WHY_SIZE]);

/* Another reference; returns `auth`. Any thread. */
LN_API ln_auth *ln_auth_ref(ln_auth *auth);

/* Gives one back; the last one wipes the keys. Accepts NULL. Any thread. */
LN_API void ln_auth_unref(ln_auth *auth);

/* What became of a token. */
enum ln_auth_verdict {
    LN_AUTH_GOOD = 0,
    LN_AUTH_TOO_LONG = 1,
    LN_AUTH_MALFORMED = 2,      /* not three parts, not base64url, not JSON, a date that is none */
    LN_AUTH_UNSUPPORTED = 3,    /* "none", an algorithm nobody asked for, "crit", "b64" */
    LN_AUTH_UNKNOWN_KEY = 4,    /* no key of ours fits its algorithm and "kid" */
    LN_AUTH_BAD_SIGNATURE = 5,  /* and nothing more is known of it */
    LN_AUTH_EXPIRED = 6,        /* this and what follows: signed by us, and no good all the same */
    LN_AUTH_NOT_YET = 7,        /* before "nbf" */
    LN_AUTH_NO_EXPIRY = 8,      /* one was asked for */
    LN_AUTH_WRONG_ISSUER = 9,   /* another, or none */
    LN_AUTH_WRONG_AUDIENCE = 10 /* another, or none */
};

/* A sentence for logs and developers, without a full stop; static. Any thread. */
LN_API const char *ln_auth_explain(enum ln_auth_verdict verdict);

/*
 * Whom a token names. Made by the library, never changes; shared by counted references. Texts are
 * UTF-8 as the issuer wrote them, control characters and all; an absent one is empty. More members
 * may come at the end.
 */
typedef struct ln_identity {
    ln_span id;           /* "sub" */
    ln_span name;         /* "name" */
    ln_span email;        /* "email" */
    const ln_span *roles; /* "roles": the strings of an array, or a single string */
    size_t role_count;
    uint64_t
        expires_ms; /* wall clock, leeway included: from then on worth nothing; or UINT64_MAX */
    ln_span claims; /* all of it, the token's own JSON text */
} ln_identity;

/*
 * Checks `token` as of `now_ms`. 0, and *identity is owned: one reference. Else nothing is written
 * to it, and LN_ERR_POLICY: *verdict says why (it may be NULL); LN_ERR_NOMEM (memory that jansson
 * misses makes a token malformed: it says no more). Some 10 microseconds
 * for HS256, 40 for RS256, 100 for ES256, a millisecond for ES384
 * and ES512. Any thread, also several at once.
 */
LN_API int ln_auth_verify(const ln_auth *auth, ln_span token, uint64_t now_ms,
                          const ln_identity **identity, enum ln_auth_verdict *verdict);

/* Another reference; returns `identity`. Any thread. */
LN_API const ln_identity *ln_identity_ref(const ln_identity *identity);

/* Gives one back. Accepts NULL. Any thread. */
LN_API void ln_identity_unref(const ln_identity *identity);

/* One more claim: a string in `text`, or else any JSON value in `json`. */
typedef struct ln_auth_claim {
    const char *name;
    const char *text;
    const char *json;
} ln_auth_claim;

/* A token to be made. What is NULL or 0 is left out. */
typedef struct ln_auth_token {
    const char *algorithm;    /* "HS256", "ES512", ... */
    ln_span secret;           /* HS: how long it has to be says the top of this header */
    const char *key_file;     /* RS, PS, ES: PEM, the private key, without passphrase */
    const char *key_id;       /* "kid" */
    const char *id;           /* "sub" */
    const char *name;         /* "name" */
    const char *issuer;       /* "iss" */
    const char *audience;     /* "aud" */
    const char *const *roles; /* "roles", an array */
    size_t role_count;
    uint64_t issued_s;     /* "iat", seconds since 1970 */
    uint64_t not_before_s; /* "nbf" */
    uint64_t expires_s;    /* "exp" */
    const ln_auth_claim *claims;
    size_t claim_count;
} ln_auth_token;

/*
 * Signs it. The length of what is in `text` then, NUL-terminated. Errors and `why` as
 * ln_auth_new(), and LN_ERR_EXISTS (a claim given twice), LN_ERR_TOO_BIG (longer than we would
 * accept). Reads files: not for a loop's thread. Any thread.
 */
LN_API int ln_auth_sign(const ln_auth_token *token, char text[LN_AUTH_TOKEN_MAX_BYTES + 1],
                        char why[LN_AUTH_WHY_SIZE]);

enum { LN_PASSWORD_HASH_SIZE = 128 }; /* with its NUL */

/*
 * A new hash (scrypt) of a room's `password` under a new salt, for linnet/rooms.h to keep. Its
 * length. A tenth of a second and 32 MiB: not for a loop's thread. Any thread. LN_ERR_INVALID:
 * empty, or more than 4096 bytes; LN_ERR_NOMEM.
 */
LN_API int ln_password_hash(ln_span password, char hash[LN_PASSWORD_HASH_SIZE]);

/* Whether `hash` is one, ours or "ROUNDS$SALT$KEY" (PBKDF2-HMAC-SHA512), and asks for no more work
 * than is allowed (doc/limits.md): for whoever reads a configuration. Fast. Any thread. */
LN_API bool ln_password_is_hash(ln_span hash);

#ifdef __cplusplus
}
#endif
#endif
