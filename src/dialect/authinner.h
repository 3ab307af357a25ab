/* SPDX-License-Identifier: MIT */
/*
 * authinner - what the files of linnet/auth.h share: algorithms, keys, the object itself.
 *
 *   auth.c       the object and its options        authtoken.c  judging a token
 *   authalg.c    algorithms, words for verdicts    authsign.c   making one
 *   authkeys.c   keys from bytes and files         authjws.c    signatures
 *   authjson.c   JSON, strictly                    authnone.c   instead of all but authalg.c,
 *                                                               where jansson is missing
 */
#ifndef LN_AUTHINNER_H
#define LN_AUTHINNER_H

#include <linnet/auth.h>
#include <openssl/types.h>
#include <stdatomic.h>

#include "base/base.h"

enum {
    LN_AUTH_KEYS_MAX = 64,              /* a token without "kid" is tried on each that fits */
    LN_AUTH_DEPTH_MAX = 32,             /* of brackets: jansson parses by recursion */
    LN_AUTH_FILE_MAX_BYTES = 256 << 10, /* of keys */
    LN_AUTH_ROLES_MAX = 128             /* rules look through them */
};

/* 9999-12-31T23:59:59Z. A date in milliseconds is beyond it, and would never expire. */
#define LN_AUTH_DATE_LAST_S 253402300799

/* What a key is made of, and so what it is good for. */
typedef enum ln_auth_family { LN_AUTH_HMAC, LN_AUTH_RSA, LN_AUTH_EC } ln_auth_family;

typedef struct ln_auth_alg {
    const char *name;
    ln_auth_family family; /* of its keys */
    bool is_pss;           /* RSA's other padding */
    const char *digest;    /* OpenSSL's name */
    unsigned size_min;     /* of the key: HMAC: bytes; else bits */
    unsigned size_max;
} ln_auth_alg;

typedef struct ln_auth_key {
    ln_auth_family family;
    unsigned size;           /* as ln_auth_alg; a curve's is its name */
    const ln_auth_alg *only; /* NULL = all that fit */
    char *id;                /* "kid", owned; NULL = none */
    uint8_t *secret;         /* HMAC: `size` bytes, owned */
    EVP_PKEY *pkey;          /* RSA, EC: owned; read-only from now on */
} ln_auth_key;

struct ln_auth {
    const ln_allocator *alloc;
    _Atomic uint32_t refs;
    uint32_t leeway_ms;
    bool requires_expiry;
    char *issuer; /* owned, as the next; NULL = any */
    char *audience;
    uint32_t algorithms; /* bit i: the algorithm at index i */
    size_t key_count;
    ln_auth_key keys[LN_AUTH_KEYS_MAX];
};

/* ---- authalg.c ---- */

/* The algorithm of that very name, or NULL. */
const ln_auth_alg *ln_auth_alg_find(ln_span name);
/* Its bit in ln_auth.algorithms. */
uint32_t ln_auth_alg_bit(const ln_auth_alg *alg);
bool ln_auth_alg_fits(const ln_auth_alg *alg, const ln_auth_key *key);

/* ---- authkeys.c: errors and `why` as ln_auth_new(); `key` is written to on success ---- */

/* A copy of a secret; `why` calls it `what`. */
LN_NODISCARD int ln_auth_key_of_secret(ln_auth_key *key, const ln_allocator *alloc, ln_span secret,
                                       const char *what, char why[LN_AUTH_WHY_SIZE]);
/* The first key of a PEM file: its public part, or all of it. */
LN_NODISCARD int ln_auth_key_read_public(ln_auth_key *key, const ln_allocator *alloc,
                                         const char *file, char why[LN_AUTH_WHY_SIZE]);
LN_NODISCARD int ln_auth_key_read_private(ln_auth_key *key, const ln_allocator *alloc,
                                          const char *file, char why[LN_AUTH_WHY_SIZE]);
/* The keys of a set that can verify: up to `room` into `keys`. Their number; at least one. */
LN_NODISCARD int ln_auth_keys_read_set(ln_auth_key *keys, size_t room, const ln_allocator *alloc,
                                       const char *file, char why[LN_AUTH_WHY_SIZE]);
void ln_auth_key_fini(ln_auth_key *key, const ln_allocator *alloc);

/* ---- authjws.c: the signatures of RFC 7518 3; `key` fits `alg` ---- */

enum { LN_AUTH_SIGNATURE_SIZE = 1024 }; /* RSA of 8192 bits */

/* 1: `key` made it; 0: it did not; LN_ERR_NOMEM. */
LN_NODISCARD int ln_auth_jws_verify(const ln_auth_alg *alg, const ln_auth_key *key, ln_span input,
                                    ln_span signature);
/* How long it is; LN_ERR_NOMEM; LN_ERR_INVALID: the key cannot. */
LN_NODISCARD int ln_auth_jws_sign(const ln_auth_alg *alg, const ln_auth_key *key, ln_span input,
                                  uint8_t signature[LN_AUTH_SIGNATURE_SIZE]);

/* The sentence into `why`; returns `rc`. */
LN_PRINTF(3, 4) int ln_auth_fail(char why[LN_AUTH_WHY_SIZE], int rc, const char *text, ...);

/* ---- authjson.c ---- */

struct json_t;

/*
 * `text` as an object without a member twice, in *object: owned, json_decref(). LN_ERR_INVALID:
 * anything else, or too deep; or no memory, which jansson does not tell apart.
 */
LN_NODISCARD int ln_auth_json_read(ln_span text, struct json_t **object);
/* A member's text, or an empty span (data NULL) if it is absent or no string. Borrowed. */
ln_span ln_auth_json_text(const struct json_t *object, const char *name);

#endif
