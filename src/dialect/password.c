/* SPDX-License-Identifier: MIT */
#include "password.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "net/random.h"

enum {
    COST_MIN = 10,
    ROUNDS_MIN = 10000, /* plumego's first version */
    SALT_BYTES = 16,
    SALT_BYTES_MIN = 8,
    KEY_BYTES = 32,
    PART_BYTES_MAX = 64,         /* of a salt or a key */
    BLOCK_R = 8,                 /* RFC 7914's r; 2^ln blocks of 128 * r bytes */
    SCRYPT_SLACK_BYTES = 1 << 20 /* beside the blocks */
};

/* What a hash says. */
typedef struct recipe {
    bool is_scrypt;
    uint32_t cost; /* scrypt: a power of two; PBKDF2: rounds */
    uint8_t salt[PART_BYTES_MAX];
    size_t salt_size;
    uint8_t key[PART_BYTES_MAX];
    size_t key_size;
} recipe;

/* ---- deriving ---- */

static bool derive_scrypt(const recipe *r, ln_span password, uint8_t *key)
{
    uint64_t n = UINT64_C(1) << r->cost, memory = n * 128 * BLOCK_R + SCRYPT_SLACK_BYTES;
    uint32_t block = BLOCK_R, parallel = 1;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)password.data,
                                          password.size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)r->salt,
                                          r->salt_size),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &block),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &parallel),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end()};
    EVP_KDF *const kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *const ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    const bool is_done = ctx != NULL && EVP_KDF_derive(ctx, key, r->key_size, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return is_done;
}

/* The recipe is within its bounds, so only memory can be missing. */
static int derive(const recipe *r, ln_span password, uint8_t key[PART_BYTES_MAX])
{
    const bool is_done = r->is_scrypt ? derive_scrypt(r, password, key)
                                      : PKCS5_PBKDF2_HMAC(password.data, (int)password.size,
                                                          r->salt, (int)r->salt_size, (int)r->cost,
                                                          EVP_sha512(), (int)r->key_size, key) == 1;
    ERR_clear_error();
    return is_done ? 0 : LN_ERR_NOMEM;
}

/* ---- text ---- */

static bool read_number(ln_span text, uint32_t least, uint32_t most, uint32_t *value)
{
    uint64_t number;
    if (ln_text_parse_u64(text, most, &number) < 0 || number < least)
        return false;
    *value = (uint32_t)number;
    return true;
}

/* "ln=15,r=8,p=1", and no other r and p. */
static bool read_cost(ln_span text, uint32_t *cost)
{
    const ln_span before = LN_SPAN("ln="), after = LN_SPAN(",r=8,p=1");
    if (text.size <= before.size + after.size || !ln_text_has_prefix(text, before))
        return false;
    const char *const begin = (const char *)text.data + before.size;
    const size_t digits = text.size - before.size - after.size;
    return ln_text_equal((ln_span){begin + digits, after.size}, after) &&
           read_number((ln_span){begin, digits}, COST_MIN, LN_PASSWORD_COST_MAX, cost);
}

static int read_padded(ln_span text, uint8_t bytes[PART_BYTES_MAX])
{
    return ln_base64_read(text, bytes, PART_BYTES_MAX);
}

static int read_bare(ln_span text, uint8_t bytes[PART_BYTES_MAX])
{
    char padded[PART_BYTES_MAX / 3 * 4 + 8];
    const size_t size = (text.size + 3) / 4 * 4;
    if (text.size == 0 || size > sizeof padded || ((const char *)text.data)[text.size - 1] == '=')
        return LN_ERR_INVALID;
    memset(padded, '=', size);
    memcpy(padded, text.data, text.size);
    return ln_base64_read((ln_span){padded, size}, bytes, PART_BYTES_MAX);
}

/* "$scrypt$ln=...$SALT$KEY" has a first part that is empty, "ROUNDS$SALT$KEY" has not. */
static bool read_hash(ln_span hash, recipe *r)
{
    enum { PARTS_MAX = 5 };
    ln_span parts[PARTS_MAX + 1];
    size_t count = 0;
    if (hash.size > 0 && (memchr(hash.data, ' ', hash.size) || memchr(hash.data, '\t', hash.size)))
        return false; /* which would be cut off below */
    while (count <= PARTS_MAX && ln_text_next(&hash, '$', &parts[count]))
        count++;
    r->is_scrypt = count == 5;
    if (r->is_scrypt) {
        if (parts[0].size != 0 || !ln_text_equal(parts[1], LN_SPAN("scrypt")) ||
            !read_cost(parts[2], &r->cost))
            return false;
    } else if (count != 3 || !read_number(parts[0], ROUNDS_MIN, LN_PASSWORD_ROUNDS_MAX, &r->cost)) {
        return false;
    }
    int (*const read)(ln_span, uint8_t *) = r->is_scrypt ? read_bare : read_padded;
    const int salt = read(parts[count - 2], r->salt);
    const int key = read(parts[count - 1], r->key);
    if (salt < SALT_BYTES_MIN || (key != KEY_BYTES && key != PART_BYTES_MAX))
        return false;
    r->salt_size = (size_t)salt;
    r->key_size = (size_t)key;
    return true;
}

/* Base64 without its padding; its length. */
static size_t write_bare(ln_span bytes, char *text)
{
    size_t n = ln_base64_size(bytes.size);
    ln_base64_write(bytes, text);
    while (n > 0 && text[n - 1] == '=')
        n--;
    return n;
}

/* ---- what the header promises ---- */

int ln_password_hash(ln_span password, char hash[LN_PASSWORD_HASH_SIZE])
{
    recipe r = {.is_scrypt = true,
                .cost = LN_PASSWORD_COST,
                .salt_size = SALT_BYTES,
                .key_size = KEY_BYTES};
    if (password.size == 0 || password.size > LN_PASSWORD_MAX_BYTES)
        return LN_ERR_INVALID;
    ln_random_fill(r.salt, r.salt_size);
    const int rc = derive(&r, password, r.key);
    if (rc < 0)
        return rc;
    size_t n = (size_t)snprintf(hash, LN_PASSWORD_HASH_SIZE, "$scrypt$ln=%u,r=8,p=1$", r.cost);
    n += write_bare((ln_span){r.salt, r.salt_size}, hash + n);
    hash[n++] = '$';
    n += write_bare((ln_span){r.key, r.key_size}, hash + n);
    LN_ASSERT(n + 2 < LN_PASSWORD_HASH_SIZE); /* padding was written behind it */
    hash[n] = '\0';
    return (int)n;
}

bool ln_password_is_hash(ln_span hash)
{
    recipe r;
    return read_hash(hash, &r);
}

int ln_password_verify(ln_span hash, ln_span password)
{
    recipe r;
    uint8_t key[PART_BYTES_MAX];
    if (!read_hash(hash, &r))
        return LN_ERR_INVALID;
    if (password.size > LN_PASSWORD_MAX_BYTES)
        return LN_ERR_POLICY;
    const int rc = derive(&r, password.size > 0 ? password : LN_SPAN(""), key);
    const bool is_it = rc == 0 && CRYPTO_memcmp(key, r.key, r.key_size) == 0;
    OPENSSL_cleanse(key, sizeof key);
    return rc < 0 ? rc : is_it ? 0 : LN_ERR_POLICY;
}
