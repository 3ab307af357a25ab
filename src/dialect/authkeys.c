/* SPDX-License-Identifier: MIT */
/*
 * authkeys - keys from bytes, PEM files and key sets (RFC 7517), weighed before they are taken.
 *
 * Wherever they come from, RSA and EC keys pass weigh(), which says for what each of them is.
 */
#include <errno.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <string.h>

#include "authinner.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/text.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, EXPONENT_BITS_MAX = 64, SECRET_MAX_BYTES = 4096 };

typedef struct curve {
    const char *name;  /* in a key set */
    const char *group; /* OpenSSL's */
    unsigned bits;
} curve;

static const curve curves[] = {
    {"P-256", "prime256v1", 256}, {"P-384", "secp384r1", 384}, {"P-521", "secp521r1", 521}};

static int starve(char why[LN_AUTH_WHY_SIZE])
{
    return ln_auth_fail(why, LN_ERR_NOMEM, "out of memory");
}

int ln_auth_key_of_secret(ln_auth_key *key, const ln_allocator *alloc, ln_span secret,
                          const char *what, char why[LN_AUTH_WHY_SIZE])
{
    if (secret.size < LN_AUTH_SECRET_MIN_BYTES)
        return ln_auth_fail(why, LN_ERR_INVALID, "%s has %zu bytes, fewer than %d", what,
                            secret.size, LN_AUTH_SECRET_MIN_BYTES);
    if (secret.size > SECRET_MAX_BYTES)
        return ln_auth_fail(why, LN_ERR_INVALID, "%s has more than %d bytes", what,
                            SECRET_MAX_BYTES);
    uint8_t *const copy = ln_alloc(alloc, secret.size);
    if (copy == NULL)
        return starve(why);
    memcpy(copy, secret.data, secret.size);
    *key = (ln_auth_key){.family = LN_AUTH_HMAC, .size = (unsigned)secret.size, .secret = copy};
    return 0;
}

void ln_auth_key_fini(ln_auth_key *key, const ln_allocator *alloc)
{
    if (key->secret != NULL)
        OPENSSL_cleanse(key->secret, key->size);
    ln_free(alloc, key->secret);
    ln_free(alloc, key->id);
    EVP_PKEY_free(key->pkey);
}

/* ---- weighing ---- */

/* An exponent of 1 leaves everything as it is, an even one cannot be undone. */
static bool has_good_exponent(const EVP_PKEY *pkey)
{
    BIGNUM *e = NULL;
    const bool is_good = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                         BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= EXPONENT_BITS_MAX;
    BN_free(e);
    return is_good;
}

static const curve *curve_of(const EVP_PKEY *pkey)
{
    char group[32];
    if (EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1)
        for (size_t i = 0; i < LN_ARRAY_SIZE(curves); i++)
            if (strcmp(curves[i].group, group) == 0)
                return &curves[i];
    return NULL;
}

/* `pkey` is owned: by the key, or freed. */
static int weigh(ln_auth_key *key, EVP_PKEY *pkey, const char *what, char why[LN_AUTH_WHY_SIZE])
{
    const int type = EVP_PKEY_get_base_id(pkey);
    const int bits = EVP_PKEY_get_bits(pkey);
    int rc = 0;
    if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC)
        rc = ln_auth_fail(why, LN_ERR_INVALID, "%s: neither an RSA nor an EC key", what);
    else if (type == EVP_PKEY_EC && curve_of(pkey) == NULL)
        rc = ln_auth_fail(why, LN_ERR_INVALID, "%s: none of the curves P-256, P-384, P-521", what);
    else if (type == EVP_PKEY_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
        rc = ln_auth_fail(why, LN_ERR_INVALID, "%s: RSA of %d bits, not of %d to %d", what, bits,
                          RSA_BITS_MIN, RSA_BITS_MAX);
    else if (type == EVP_PKEY_RSA && !has_good_exponent(pkey))
        rc = ln_auth_fail(why, LN_ERR_INVALID, "%s: an RSA exponent that protects nothing", what);
    if (rc < 0)
        EVP_PKEY_free(pkey);
    else
        *key = (ln_auth_key){.family = type == EVP_PKEY_RSA ? LN_AUTH_RSA : LN_AUTH_EC,
                             .size = (unsigned)bits,
                             .pkey = pkey};
    ERR_clear_error();
    return rc;
}

/* ---- files ---- */

static int no_file(const char *file, char why[LN_AUTH_WHY_SIZE])
{
    const int rc = errno == ENOENT ? LN_ERR_NOT_FOUND : errno == EACCES ? LN_ERR_ACCESS : LN_ERR_IO;
    return ln_auth_fail(why, rc, "%s: %s", file, strerror(errno));
}

/* A whole file; its memory is owned, wipe_file(). */
static int read_file(const char *file, const ln_allocator *alloc, uint8_t **bytes, size_t *size,
                     char why[LN_AUTH_WHY_SIZE])
{
    FILE *const in = fopen(file, "rbe");
    if (in == NULL)
        return no_file(file, why);
    setvbuf(in, NULL, _IONBF, 0); /* no second copy of a private key */
    uint8_t *const room = ln_alloc(alloc, LN_AUTH_FILE_MAX_BYTES + 1);
    const size_t n = room != NULL ? fread(room, 1, LN_AUTH_FILE_MAX_BYTES + 1, in) : 0;
    int rc = 0;
    if (room == NULL)
        rc = starve(why);
    else if (ferror(in))
        rc = no_file(file, why);
    else if (n > LN_AUTH_FILE_MAX_BYTES)
        rc = ln_auth_fail(why, LN_ERR_LIMIT, "%s: longer than 256 KiB", file);
    fclose(in);
    if (rc < 0) {
        ln_free(alloc, room);
        return rc;
    }
    *bytes = room;
    *size = n;
    return 0;
}

static void wipe_file(const ln_allocator *alloc, uint8_t *bytes, size_t size)
{
    OPENSSL_cleanse(bytes, size);
    ln_free(alloc, bytes);
}

/* ---- PEM ---- */

/* No terminal is asked; a key that needs a passphrase cannot be read. */
static int no_passphrase(char *buffer, int size, int is_writing, void *arg)
{
    (void)buffer, (void)size, (void)is_writing, (void)arg;
    return -1;
}

/* What the first PEM block is, or NULL. */
static EVP_PKEY *decode_block(const uint8_t *bytes, size_t size, int selection)
{
    EVP_PKEY *found = NULL;
    OSSL_DECODER_CTX *const ctx =
        OSSL_DECODER_CTX_new_for_pkey(&found, "PEM", NULL, NULL, selection, NULL, NULL);
    if (ctx != NULL && OSSL_DECODER_CTX_set_pem_password_cb(ctx, no_passphrase, NULL) == 1 &&
        OSSL_DECODER_from_data(ctx, &bytes, &size) != 1)
        found = NULL;
    OSSL_DECODER_CTX_free(ctx);
    ERR_clear_error();
    return found;
}

/* The first block that is a key: `openssl ecparam -genkey` writes the curve in front of it. */
static EVP_PKEY *decode(const uint8_t *bytes, size_t size, int selection)
{
    static const char begin[] = "-----BEGIN ";
    const uint8_t *const end = bytes + size;
    EVP_PKEY *found = NULL;
    const uint8_t *at = memmem(bytes, size, begin, sizeof begin - 1);
    while (at != NULL && found == NULL) {
        found = decode_block(at, (size_t)(end - at), selection);
        at = memmem(at + 1, (size_t)(end - at) - 1, begin, sizeof begin - 1);
    }
    return found;
}

/* `second`: what else to look for. */
static int read_pem(ln_auth_key *key, const ln_allocator *alloc, const char *file, int first,
                    int second, char why[LN_AUTH_WHY_SIZE])
{
    uint8_t *bytes;
    size_t size;
    const int rc = read_file(file, alloc, &bytes, &size, why);
    if (rc < 0)
        return rc;
    EVP_PKEY *pkey = decode(bytes, size, first);
    if (pkey == NULL && second != first)
        pkey = decode(bytes, size, second);
    wipe_file(alloc, bytes, size);
    return pkey != NULL ? weigh(key, pkey, file, why)
                        : ln_auth_fail(why, LN_ERR_INVALID, "%s: no %s key in PEM", file,
                                       first == EVP_PKEY_PUBLIC_KEY ? "public" : "private");
}

int ln_auth_key_read_public(ln_auth_key *key, const ln_allocator *alloc, const char *file,
                            char why[LN_AUTH_WHY_SIZE])
{
    return read_pem(key, alloc, file, EVP_PKEY_PUBLIC_KEY, EVP_PKEY_KEYPAIR, why);
}

int ln_auth_key_read_private(ln_auth_key *key, const ln_allocator *alloc, const char *file,
                             char why[LN_AUTH_WHY_SIZE])
{
    return read_pem(key, alloc, file, EVP_PKEY_KEYPAIR, EVP_PKEY_KEYPAIR, why);
}

/* ---- key sets ---- */

/* A public key from what it is made of; NULL if it is not one. */
static EVP_PKEY *assemble(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *const params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *const ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params != NULL && ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

/* RFC 7518 6.3.1. */
static EVP_PKEY *rsa_of_jwk(const json_t *jwk, OSSL_PARAM_BLD *builder)
{
    uint8_t bytes[RSA_BITS_MAX / 8 + 1];
    const int n_size = ln_base64_read_url(ln_auth_json_text(jwk, "n"), bytes, sizeof bytes);
    BIGNUM *const n = n_size > 0 ? BN_bin2bn(bytes, n_size, NULL) : NULL;
    const int e_size = ln_base64_read_url(ln_auth_json_text(jwk, "e"), bytes, sizeof bytes);
    BIGNUM *const e = e_size > 0 ? BN_bin2bn(bytes, e_size, NULL) : NULL;
    EVP_PKEY *pkey = NULL;
    if (n != NULL && e != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        pkey = assemble("RSA", builder);
    BN_free(n);
    BN_free(e);
    return pkey;
}

/* RFC 7518 6.2.1: both coordinates at full length; OpenSSL checks that they are on the curve. */
static EVP_PKEY *ec_of_jwk(const json_t *jwk, OSSL_PARAM_BLD *builder)
{
    const ln_span name = ln_auth_json_text(jwk, "crv");
    uint8_t point[1 + 2 * 66] = {POINT_CONVERSION_UNCOMPRESSED};
    for (size_t i = 0; i < LN_ARRAY_SIZE(curves); i++) {
        const int size = (int)(curves[i].bits + 7) / 8;
        if (!ln_text_equal(name, ln_text(curves[i].name)))
            continue;
        if (ln_base64_read_url(ln_auth_json_text(jwk, "x"), point + 1, 66) != size ||
            ln_base64_read_url(ln_auth_json_text(jwk, "y"), point + 1 + size, 66) != size ||
            OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group,
                                            0) != 1 ||
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                             1 + 2 * (size_t)size) != 1)
            return NULL;
        return assemble("EC", builder);
    }
    return NULL;
}

static int secret_of_jwk(ln_auth_key *key, const ln_allocator *alloc, const json_t *jwk,
                         const char *what, char why[LN_AUTH_WHY_SIZE])
{
    uint8_t bytes[SECRET_MAX_BYTES];
    const int n = ln_base64_read_url(ln_auth_json_text(jwk, "k"), bytes, sizeof bytes);
    if (n < 0)
        return ln_auth_fail(why, LN_ERR_INVALID, "%s is broken", what);
    const int rc = ln_auth_key_of_secret(key, alloc, (ln_span){bytes, (size_t)n}, what, why);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return rc;
}

static int make_of_jwk(ln_auth_key *key, const ln_allocator *alloc, const json_t *jwk,
                       const char *what, char why[LN_AUTH_WHY_SIZE])
{
    const ln_span kty = ln_auth_json_text(jwk, "kty");
    if (ln_text_equal(kty, LN_SPAN("oct")))
        return secret_of_jwk(key, alloc, jwk, what, why);
    OSSL_PARAM_BLD *const builder = OSSL_PARAM_BLD_new();
    if (builder == NULL)
        return starve(why);
    EVP_PKEY *const pkey =
        ln_text_equal(kty, LN_SPAN("RSA")) ? rsa_of_jwk(jwk, builder) : ec_of_jwk(jwk, builder);
    OSSL_PARAM_BLD_free(builder);
    ERR_clear_error();
    return pkey != NULL ? weigh(key, pkey, what, why)
                        : ln_auth_fail(why, LN_ERR_INVALID, "%s is broken", what);
}

static bool has_text(const json_t *array, ln_span text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *const v = json_array_get(array, i);
        if (ln_text_equal((ln_span){json_string_value(v), json_string_length(v)}, text))
            return true;
    }
    return false;
}

/* Of a kind we have, and meant for signatures (RFC 7517 4.2 to 4.4); others stand in sets, too. */
static bool can_verify(const json_t *jwk)
{
    const json_t *const use = json_object_get(jwk, "use");
    const json_t *const operations = json_object_get(jwk, "key_ops");
    const json_t *const alg = json_object_get(jwk, "alg");
    const ln_span kty = ln_auth_json_text(jwk, "kty");
    const ln_span crv = ln_auth_json_text(jwk, "crv");
    bool is_known = ln_text_equal(kty, LN_SPAN("oct")) || ln_text_equal(kty, LN_SPAN("RSA"));
    for (size_t i = 0; i < LN_ARRAY_SIZE(curves) && ln_text_equal(kty, LN_SPAN("EC")); i++)
        is_known = is_known || ln_text_equal(crv, ln_text(curves[i].name));
    return is_known &&
           (use == NULL || ln_text_equal(ln_auth_json_text(jwk, "use"), LN_SPAN("sig"))) &&
           (operations == NULL || has_text(operations, LN_SPAN("verify"))) &&
           (alg == NULL || ln_auth_alg_find(ln_auth_json_text(jwk, "alg")) != NULL);
}

/* One key that can verify. */
static int read_jwk(ln_auth_key *key, const ln_allocator *alloc, const json_t *jwk,
                    const char *what, char why[LN_AUTH_WHY_SIZE])
{
    const ln_span id = ln_auth_json_text(jwk, "kid");
    if (json_object_get(jwk, "kid") != NULL && id.data == NULL)
        return ln_auth_fail(why, LN_ERR_INVALID, "%s has a kid that is no string", what);
    ln_auth_key made;
    const int rc = make_of_jwk(&made, alloc, jwk, what, why);
    if (rc < 0)
        return rc;
    made.only = ln_auth_alg_find(ln_auth_json_text(jwk, "alg"));
    if (made.only != NULL && !ln_auth_alg_fits(made.only, &made)) {
        ln_auth_key_fini(&made, alloc);
        return ln_auth_fail(why, LN_ERR_INVALID, "%s is no key for its alg", what);
    }
    made.id = id.data != NULL ? ln_strndup(alloc, id.data, id.size) : NULL;
    if (id.data != NULL && made.id == NULL) {
        ln_auth_key_fini(&made, alloc);
        return starve(why);
    }
    *key = made;
    return 0;
}

static int read_set(ln_auth_key *keys, size_t room, const ln_allocator *alloc, const json_t *set,
                    const char *file, char why[LN_AUTH_WHY_SIZE])
{
    const json_t *const list = json_object_get(set, "keys");
    size_t count = 0;
    int rc = 0;
    if (!json_is_array(list))
        return ln_auth_fail(why, LN_ERR_INVALID, "%s: no array \"keys\"", file);
    for (size_t i = 0; i < json_array_size(list) && rc == 0; i++) {
        char what[LN_AUTH_WHY_SIZE];
        snprintf(what, sizeof what, "%.200s: key %zu", file, i + 1);
        if (!can_verify(json_array_get(list, i)))
            continue;
        rc = count < room
                 ? read_jwk(&keys[count], alloc, json_array_get(list, i), what, why)
                 : ln_auth_fail(why, LN_ERR_LIMIT, "%s: more than %d keys", file, LN_AUTH_KEYS_MAX);
        count += rc == 0;
    }
    if (rc == 0 && count > 0)
        return (int)count;
    while (count > 0)
        ln_auth_key_fini(&keys[--count], alloc);
    return rc < 0
               ? rc
               : ln_auth_fail(why, LN_ERR_INVALID, "%s: no key that can verify a signature", file);
}

int ln_auth_keys_read_set(ln_auth_key *keys, size_t room, const ln_allocator *alloc,
                          const char *file, char why[LN_AUTH_WHY_SIZE])
{
    uint8_t *bytes;
    size_t size;
    json_t *set;
    int rc = read_file(file, alloc, &bytes, &size, why);
    if (rc < 0)
        return rc;
    rc = ln_auth_json_read((ln_span){bytes, size}, &set);
    wipe_file(alloc, bytes, size);
    if (rc < 0)
        return ln_auth_fail(why, rc, "%s: not a JSON object, or a member twice", file);
    rc = read_set(keys, room, alloc, set, file, why);
    json_decref(set);
    return rc;
}
