/* SPDX-License-Identifier: MIT */
/* Which keys are taken, and what each of them is good for: secrets, PEM files, key sets. */
#include "token_kit.h"

#include <fcntl.h>
#include <openssl/x509.h>

#include "failing_alloc.h"

static const char *const algorithms[] = {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
                                         "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"};

enum { RSA2048, RSA_OTHER, P256, P256_OTHER, P384, P521, KEYS };
static EVP_PKEY *keys[KEYS];

static int make_keys(void **state)
{
    (void)state;
    keys[RSA2048] = token_kit_rsa(2048);
    keys[RSA_OTHER] = token_kit_rsa(2048);
    keys[P256] = token_kit_ec("P-256");
    keys[P256_OTHER] = token_kit_ec("P-256");
    keys[P384] = token_kit_ec("P-384");
    keys[P521] = token_kit_ec("P-521");
    return 0;
}

static int drop_keys(void **state)
{
    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free(keys[i]);
    return token_kit_remove(state);
}

/* ---- what an object is made of ---- */

static int try_options(const ln_auth_options *options, char why[LN_AUTH_WHY_SIZE])
{
    ln_auth *auth = NULL;
    strcpy(why, "nothing");
    const int rc = ln_auth_new(options, &auth, why);
    assert_true((rc == 0) == (auth != NULL));
    assert_true((rc == 0) == (strcmp(why, "nothing") == 0));
    ln_auth_unref(auth);
    return rc;
}

static int try_secret(size_t size)
{
    static char bytes[8192];
    char why[LN_AUTH_WHY_SIZE];
    const ln_span secret = {bytes, size};
    return try_options(&(ln_auth_options){.secrets = &secret, .secret_count = 1}, why);
}

static int try_file(const char *file, const char *word)
{
    char why[LN_AUTH_WHY_SIZE];
    const ln_auth_options options = {.key_files = &file, .key_file_count = 1};
    const int rc = try_options(&options, why);
    if (rc != 0 && strstr(why, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, word);
    if (rc != 0 && rc != LN_ERR_NOMEM)
        assert_non_null(strstr(why, file));
    return rc;
}

static int try_set(const char *json, const char *word)
{
    char why[LN_AUTH_WHY_SIZE];
    const char *const file = token_kit_file(ln_text(json));
    const int rc = try_options(&(ln_auth_options){.jwks_file = file}, why);
    if (rc != 0 && strstr(why, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, word);
    unlink(file);
    token_kit_files--;
    return rc;
}

static ln_auth *auth_of_files(const char *const *files, size_t count)
{
    return token_kit_auth(&(ln_auth_options){.key_files = files, .key_file_count = count});
}

static ln_auth *auth_of_set(const char *json)
{
    return token_kit_auth(&(ln_auth_options){.jwks_file = token_kit_file(ln_text(json))});
}

static ln_span token_of(const char *alg, EVP_PKEY *key, ln_span secret, const char *kid)
{
    char header[128];
    if (kid != NULL)
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", alg, kid);
    else
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", alg);
    return token_kit_raw(alg, key, secret, ln_text(header), LN_SPAN("{\"sub\":\"u\"}"));
}

static void without_a_key_there_is_no_object(void **state)
{
    (void)state;
    char why[LN_AUTH_WHY_SIZE];
    assert_int_equal(try_options(&(ln_auth_options){0}, why), LN_ERR_INVALID);
    assert_int_equal(try_options(&(ln_auth_options){.issuer = "i"}, why), LN_ERR_INVALID);
    const ln_span secret = LN_SPAN(token_kit_secret);
    ln_auth_options empty = {.secrets = &secret, .secret_count = 1, .issuer = ""};
    assert_int_equal(try_options(&empty, why), LN_ERR_INVALID);
    empty.issuer = NULL;
    empty.audience = "";
    assert_int_equal(try_options(&empty, why), LN_ERR_INVALID);
}

static void a_secret_has_at_least_32_bytes(void **state)
{
    (void)state;
    for (size_t n = 0; n < 32; n++)
        assert_int_equal(try_secret(n), LN_ERR_INVALID);
    for (size_t n = 32; n <= 128; n++)
        assert_int_equal(try_secret(n), 0);
    assert_int_equal(try_secret(4096), 0);
    assert_int_equal(try_secret(4097), LN_ERR_INVALID);
}

static void the_number_of_keys_is_bounded(void **state)
{
    (void)state;
    char why[LN_AUTH_WHY_SIZE];
    ln_span secrets[65];
    for (size_t i = 0; i < 65; i++)
        secrets[i] = LN_SPAN(token_kit_secret);
    for (size_t n = 64; n <= 65; n++)
        assert_int_equal(
            try_options(&(ln_auth_options){.secrets = secrets, .secret_count = n}, why),
            n == 64 ? 0 : LN_ERR_LIMIT);
    static char set[16384];
    for (int n = 64; n <= 65; n++) {
        size_t at = (size_t)sprintf(set, "{\"keys\":[");
        for (int i = 0; i < n; i++)
            at += (size_t)sprintf(set + at, "%s{\"kty\":\"oct\",\"k\":\"%043d\"}", i > 0 ? "," : "",
                                  0);
        strcpy(set + at, "]}");
        memset(strchr(set, '0'), 'A', 1);
        for (char *c = set; *c != '\0'; c++)
            if (*c == '0')
                *c = 'A';
        assert_int_equal(try_set(set, "more than 64"), n == 64 ? 0 : LN_ERR_LIMIT);
    }
}

/* ---- PEM ---- */

static void files_that_hold_no_key_are_refused(void **state)
{
    (void)state;
    assert_int_equal(try_file("/tmp/linnet-there-is-no-such-file", "No such file"),
                     LN_ERR_NOT_FOUND);
    assert_int_equal(try_file("/tmp", ""), LN_ERR_IO);
    static const char *const texts[] = {
        "",
        "\n",
        "\n\n\n",
        "hello",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++)
        assert_int_equal(try_file(token_kit_file(ln_text(texts[i])), "no public key"),
                         LN_ERR_INVALID);
}

static void files_are_bounded(void **state)
{
    (void)state;
    enum { LIMIT = 256 << 10 };
    static char bytes[LIMIT + 1];
    memset(bytes, ' ', sizeof bytes);
    assert_int_equal(try_file(token_kit_file((ln_span){bytes, LIMIT}), "no public key"),
                     LN_ERR_INVALID);
    assert_int_equal(try_file(token_kit_file((ln_span){bytes, LIMIT + 1}), "longer"), LN_ERR_LIMIT);
}

static void weak_and_foreign_keys_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *key = token_kit_rsa(1024);
    assert_int_equal(try_file(token_kit_pem(key, false), "1024 bits"), LN_ERR_INVALID);
    EVP_PKEY_free(key);
    key = token_kit_rsa(2040);
    assert_int_equal(try_file(token_kit_pem(key, false), "2040 bits"), LN_ERR_INVALID);
    EVP_PKEY_free(key);
    key = token_kit_ec("secp256k1");
    assert_int_equal(try_file(token_kit_pem(key, false), "curves"), LN_ERR_INVALID);
    EVP_PKEY_free(key);
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_int_equal(try_file(token_kit_pem(key, false), "neither"), LN_ERR_INVALID);
    EVP_PKEY_free(key);
}

static void a_private_key_will_do_unless_it_is_encrypted(void **state)
{
    (void)state;
    const char *const file = token_kit_pem(keys[P256], true);
    ln_auth *const auth = auth_of_files(&file, 1);
    assert_int_equal(token_kit_judge(auth, token_of("ES256", keys[P256], (ln_span){0}, NULL)),
                     LN_AUTH_GOOD);
    ln_auth_unref(auth);
    BIO *const bio = BIO_new(BIO_s_mem());
    char *text;
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, keys[P256], EVP_aes_128_cbc(), "secret", 6, NULL, NULL),
        1);
    const long n = BIO_get_mem_data(bio, &text);
    assert_int_equal(try_file(token_kit_file((ln_span){text, (size_t)n}), "no public key"),
                     LN_ERR_INVALID); /* and nobody is asked for a passphrase */
    BIO_free(bio);
}

/* Every algorithm under every key: good where they fit, refused without a look elsewhere. */
static void a_key_is_for_its_own_kind(void **state)
{
    (void)state;
    static const struct {
        int key; /* -1: the secret */
        const char *fits;
    } rows[] = {{-1, "HS256HS384HS512"},
                {RSA2048, "RS256RS384RS512PS256PS384PS512"},
                {P256, "ES256"},
                {P384, "ES384"},
                {P521, "ES512"}};
    const ln_span secret = LN_SPAN(token_kit_secret);
    for (size_t r = 0; r < LN_ARRAY_SIZE(rows); r++) {
        const char *const file = rows[r].key >= 0 ? token_kit_pem(keys[rows[r].key], false) : NULL;
        ln_auth *const auth =
            file != NULL
                ? auth_of_files(&file, 1)
                : token_kit_auth(&(ln_auth_options){.secrets = &secret, .secret_count = 1});
        for (size_t i = 0; i < LN_ARRAY_SIZE(algorithms); i++) {
            const char *const alg = algorithms[i];
            EVP_PKEY *const signer = alg[0] == 'H'   ? NULL
                                     : alg[0] != 'E' ? keys[RSA2048]
                                     : alg[2] == '2' ? keys[P256]
                                     : alg[2] == '3' ? keys[P384]
                                                     : keys[P521];
            assert_int_equal(token_kit_judge(auth, token_of(alg, signer, secret, NULL)),
                             strstr(rows[r].fits, alg) ? LN_AUTH_GOOD : LN_AUTH_UNKNOWN_KEY);
        }
        ln_auth_unref(auth);
    }
}

static void a_foreign_key_of_the_same_kind_does_not_sign_for_us(void **state)
{
    (void)state;
    const char *const files[] = {token_kit_pem(keys[RSA2048], false),
                                 token_kit_pem(keys[P256], false)};
    ln_auth *const auth = auth_of_files(files, 2);
    static const char *const rsa[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rsa); i++) {
        assert_int_equal(token_kit_judge(auth, token_of(rsa[i], keys[RSA2048], (ln_span){0}, NULL)),
                         LN_AUTH_GOOD);
        assert_int_equal(
            token_kit_judge(auth, token_of(rsa[i], keys[RSA_OTHER], (ln_span){0}, NULL)),
            LN_AUTH_BAD_SIGNATURE);
    }
    assert_int_equal(token_kit_judge(auth, token_of("ES256", keys[P256_OTHER], (ln_span){0}, NULL)),
                     LN_AUTH_BAD_SIGNATURE);
    ln_auth_unref(auth);
}

/* The public key is public: whoever takes it for a secret of HMAC lets everybody in. */
static void a_public_key_is_no_secret(void **state)
{
    (void)state;
    const char *const files[] = {token_kit_pem(keys[RSA2048], false),
                                 token_kit_pem(keys[P256], false)};
    ln_auth *const auth = auth_of_files(files, 2);
    for (size_t f = 0; f < 2; f++) {
        char pem[4096];
        const int fd = open(files[f], O_RDONLY);
        const ssize_t n = read(fd, pem, sizeof pem);
        close(fd);
        uint8_t *der = NULL;
        const int der_size = i2d_PUBKEY(f == 0 ? keys[RSA2048] : keys[P256], &der);
        const ln_span secrets[] = {{pem, (size_t)n},
                                   {pem, (size_t)n - 1}, /* without the newline */
                                   {der, (size_t)der_size},
                                   {"", 0}};
        for (size_t s = 0; s < LN_ARRAY_SIZE(secrets); s++)
            for (size_t a = 0; a < 3; a++)
                assert_int_equal(
                    token_kit_judge(auth, token_of(algorithms[a], NULL, secrets[s], NULL)),
                    LN_AUTH_UNKNOWN_KEY);
        OPENSSL_free(der);
    }
    ln_auth_unref(auth);
}

/* A valid signature under another name: PS for RS, another digest, another curve's length. */
static void the_header_decides_how_and_not_whether(void **state)
{
    (void)state;
    const char *const files[] = {token_kit_pem(keys[RSA2048], false),
                                 token_kit_pem(keys[P256], false),
                                 token_kit_pem(keys[P384], false)};
    ln_auth *const auth = auth_of_files(files, 3);
    static const char *const rows[][2] = {{"RS256", "PS256"}, {"PS256", "RS256"},
                                          {"RS256", "RS384"}, {"PS384", "PS512"},
                                          {"ES256", "ES384"}, {"ES384", "ES256"}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        char header[64];
        const char *const alg = rows[i][0];
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", rows[i][1]);
        EVP_PKEY *const key = alg[0] != 'E'   ? keys[RSA2048]
                              : alg[2] == '2' ? keys[P256]
                                              : keys[P384];
        const ln_span t = token_kit_raw(alg, key, (ln_span){0}, ln_text(header), LN_SPAN("{}"));
        assert_int_equal(token_kit_judge(auth, t), LN_AUTH_BAD_SIGNATURE);
    }
    ln_auth_unref(auth);
}

/* RFC 7518 3.4: two numbers side by side. Zeros, DER, one byte more or less: none of them. */
static void ecdsa_signatures_have_their_exact_form(void **state)
{
    (void)state;
    const char *const file = token_kit_pem(keys[P256], false);
    ln_auth *const auth = auth_of_files(&file, 1);
    char text[512];
    uint8_t signature[72] = {0};
    const ln_span good = token_of("ES256", keys[P256], (ln_span){0}, NULL);
    memcpy(text, good.data, good.size + 1);
    char *const part = strrchr(text, '.') + 1;
    assert_int_equal(ln_base64_read_url(ln_text(part), signature, sizeof signature), 64);
    for (size_t n = 0; n <= 72; n++) {
        ln_base64_write_url((ln_span){signature, n}, part);
        part[ln_base64_size_url(n)] = '\0';
        assert_int_equal(token_kit_judge(auth, ln_text(text)),
                         n == 64 ? LN_AUTH_GOOD : LN_AUTH_BAD_SIGNATURE);
    }
    memset(signature, 0, 64); /* CVE-2022-21449: r = s = 0 */
    ln_base64_write_url((ln_span){signature, 64}, part);
    part[ln_base64_size_url(64)] = '\0';
    assert_int_equal(token_kit_judge(auth, ln_text(text)), LN_AUTH_BAD_SIGNATURE);
    memset(signature, 0xff, 64);
    ln_base64_write_url((ln_span){signature, 64}, part);
    assert_int_equal(token_kit_judge(auth, ln_text(text)), LN_AUTH_BAD_SIGNATURE);
    ln_auth_unref(auth);
}

/* ---- key sets ---- */

static const char *number_of(EVP_PKEY *key, const char *name, int size)
{
    static char texts[4][1400];
    static unsigned next;
    uint8_t bytes[1024];
    BIGNUM *n = NULL;
    char *const text = texts[next++ % 4];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    const int length = size > 0 ? size : BN_num_bytes(n);
    BN_bn2binpad(n, bytes, length);
    ln_base64_write_url((ln_span){bytes, (size_t)length}, text);
    text[ln_base64_size_url((size_t)length)] = '\0';
    BN_free(n);
    return text;
}

/* One key of a set, with further members. */
static const char *jwk_of(EVP_PKEY *key, const char *more)
{
    static char texts[4][3000];
    static unsigned next;
    char *const text = texts[next++ % 4];
    const int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        snprintf(text, 3000, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}",
                 number_of(key, OSSL_PKEY_PARAM_RSA_N, 0), number_of(key, OSSL_PKEY_PARAM_RSA_E, 0),
                 more);
    else
        snprintf(text, 3000, "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"%s}", bits,
                 number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, (bits + 7) / 8),
                 number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, (bits + 7) / 8), more);
    return text;
}

static const char *set_of(const char *a, const char *b, const char *c)
{
    static char text[16384];
    snprintf(text, sizeof text, "{\"keys\":[%s%s%s%s%s]}", a, b ? "," : "", b ? b : "",
             c ? "," : "", c ? c : "");
    return text;
}

static void a_set_of_several_keys_and_kid_chooses(void **state)
{
    (void)state;
    ln_auth *const auth =
        auth_of_set(set_of(jwk_of(keys[RSA2048], ",\"kid\":\"r\",\"use\":\"sig\""),
                           jwk_of(keys[P256], ",\"kid\":\"e\",\"alg\":\"ES256\""),
                           jwk_of(keys[RSA_OTHER], ",\"kid\":\"s\"")));
    static const struct {
        const char *alg;
        int key;
        const char *kid;
        enum ln_auth_verdict verdict;
    } rows[] = {
        {"RS256", RSA2048, "r", LN_AUTH_GOOD},
        {"PS512", RSA2048, "r", LN_AUTH_GOOD},
        {"RS256", RSA_OTHER, "s", LN_AUTH_GOOD},
        {"ES256", P256, "e", LN_AUTH_GOOD},
        {"RS256", RSA2048, NULL, LN_AUTH_GOOD}, /* tried on each that fits */
        {"RS256", RSA_OTHER, NULL, LN_AUTH_GOOD},
        {"ES256", P256, NULL, LN_AUTH_GOOD},
        {"RS256", RSA2048, "s", LN_AUTH_BAD_SIGNATURE}, /* another's name */
        {"RS256", RSA_OTHER, "r", LN_AUTH_BAD_SIGNATURE},
        {"RS256", RSA2048, "e", LN_AUTH_UNKNOWN_KEY}, /* the name of a curve's key */
        {"ES256", P256, "r", LN_AUTH_UNKNOWN_KEY},
        {"RS256", RSA2048, "x", LN_AUTH_UNKNOWN_KEY},
        {"RS256", RSA2048, "", LN_AUTH_UNKNOWN_KEY},
        {"RS256", RSA2048, "R", LN_AUTH_UNKNOWN_KEY},
        {"RS256", RSA2048, "r ", LN_AUTH_UNKNOWN_KEY},
        {"ES256", P256_OTHER, "e", LN_AUTH_BAD_SIGNATURE},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++)
        assert_int_equal(token_kit_judge(auth, token_of(rows[i].alg, keys[rows[i].key],
                                                        (ln_span){0}, rows[i].kid)),
                         rows[i].verdict);
    ln_auth_unref(auth);
}

/* RFC 7517 4.5: two keys may share a name if they are of different kinds. */
static void a_name_may_be_shared_by_different_kinds(void **state)
{
    (void)state;
    ln_auth *const auth = auth_of_set(set_of(jwk_of(keys[RSA2048], ",\"kid\":\"k\""),
                                             jwk_of(keys[P384], ",\"kid\":\"k\""), NULL));
    assert_int_equal(token_kit_judge(auth, token_of("RS384", keys[RSA2048], (ln_span){0}, "k")),
                     LN_AUTH_GOOD);
    assert_int_equal(token_kit_judge(auth, token_of("ES384", keys[P384], (ln_span){0}, "k")),
                     LN_AUTH_GOOD);
    ln_auth_unref(auth);
}

static void two_issuers_with_one_kid_stay_apart(void **state)
{
    (void)state;
    ln_auth *const a = auth_of_set(set_of(jwk_of(keys[RSA2048], ",\"kid\":\"k\""), NULL, NULL));
    ln_auth *const b = auth_of_set(set_of(jwk_of(keys[RSA_OTHER], ",\"kid\":\"k\""), NULL, NULL));
    for (int i = 0; i < 3; i++) { /* in turns: nothing is remembered by name */
        const ln_span of_a = token_of("RS256", keys[RSA2048], (ln_span){0}, "k");
        assert_int_equal(token_kit_judge(a, of_a), LN_AUTH_GOOD);
        assert_int_equal(token_kit_judge(b, of_a), LN_AUTH_BAD_SIGNATURE);
        const ln_span of_b = token_of("RS256", keys[RSA_OTHER], (ln_span){0}, "k");
        assert_int_equal(token_kit_judge(b, of_b), LN_AUTH_GOOD);
        assert_int_equal(token_kit_judge(a, of_b), LN_AUTH_BAD_SIGNATURE);
    }
    ln_auth_unref(a);
    ln_auth_unref(b);
}

/* libjwt's CVE-2026-44699: a key of RSA without "alg" served HMAC with a secret of no bytes. */
static void an_rsa_key_without_alg_is_no_secret(void **state)
{
    (void)state;
    ln_auth *const auth =
        auth_of_set(set_of(jwk_of(keys[RSA2048], ""), jwk_of(keys[P256], ""), NULL));
    uint8_t n[256];
    assert_int_equal(ln_base64_read_url(ln_text(number_of(keys[RSA2048], OSSL_PKEY_PARAM_RSA_N, 0)),
                                        n, sizeof n),
                     256);
    const ln_span secrets[] = {{"", 0}, {n, sizeof n}};
    for (size_t i = 0; i < 2; i++)
        for (size_t a = 0; a < 3; a++)
            assert_int_equal(token_kit_judge(auth, token_of(algorithms[a], NULL, secrets[i], NULL)),
                             LN_AUTH_UNKNOWN_KEY);
    ln_auth_unref(auth);
}

static void alg_pins_a_key(void **state)
{
    (void)state;
    ln_auth *const auth =
        auth_of_set(set_of(jwk_of(keys[RSA2048], ",\"alg\":\"PS256\""),
                           "{\"kty\":\"oct\",\"alg\":\"HS384\",\"k\":"
                           "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm"
                           "MDEyMzQ1Njc4OWFiY2RlZg\"}",
                           NULL));
    const ln_span secret = LN_SPAN(token_kit_secret);
    for (size_t i = 0; i < 9; i++) {
        const char *const alg = algorithms[i];
        const bool is_pinned = strcmp(alg, "PS256") == 0 || strcmp(alg, "HS384") == 0;
        EVP_PKEY *const key = alg[0] == 'H' ? NULL : keys[RSA2048];
        assert_int_equal(token_kit_judge(auth, token_of(alg, key, secret, NULL)),
                         is_pinned ? LN_AUTH_GOOD : LN_AUTH_UNKNOWN_KEY);
    }
    ln_auth_unref(auth);
    assert_int_equal(try_set(set_of(jwk_of(keys[RSA2048], ",\"alg\":\"ES256\""), NULL, NULL),
                             "no key for its alg"),
                     LN_ERR_INVALID);
    assert_int_equal(try_set(set_of(jwk_of(keys[RSA2048], ",\"alg\":\"HS256\""), NULL, NULL),
                             "no key for its alg"),
                     LN_ERR_INVALID);
    assert_int_equal(
        try_set(set_of(jwk_of(keys[P256], ",\"alg\":\"ES384\""), NULL, NULL), "no key for its alg"),
        LN_ERR_INVALID);
}

/* They stand beside the others in real sets; alone, they are no set for us. */
static void keys_for_other_purposes_are_passed_over(void **state)
{
    (void)state;
    static const char *const others[] = {",\"use\":\"enc\"",
                                         ",\"use\":7",
                                         ",\"key_ops\":[\"encrypt\"]",
                                         ",\"key_ops\":[]",
                                         ",\"key_ops\":\"verify\"",
                                         ",\"alg\":\"RSA-OAEP\"",
                                         ",\"alg\":\"rs256\"",
                                         ",\"alg\":\"none\"",
                                         ",\"alg\":null"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(others); i++) {
        assert_int_equal(
            try_set(set_of(jwk_of(keys[RSA2048], others[i]), NULL, NULL), "no key that"),
            LN_ERR_INVALID);
        ln_auth *const auth =
            auth_of_set(set_of(jwk_of(keys[RSA2048], others[i]), jwk_of(keys[P256], ""), NULL));
        assert_int_equal(
            token_kit_judge(auth, token_of("RS256", keys[RSA2048], (ln_span){0}, NULL)),
            LN_AUTH_UNKNOWN_KEY);
        assert_int_equal(token_kit_judge(auth, token_of("ES256", keys[P256], (ln_span){0}, NULL)),
                         LN_AUTH_GOOD);
        ln_auth_unref(auth);
    }
    static const char *const kinds[] = {
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"rsa\"}",
        "{\"kty\":1}",
        "{}",
        "7",
        "null"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(kinds); i++) {
        assert_int_equal(try_set(set_of(kinds[i], NULL, NULL), "no key that"), LN_ERR_INVALID);
        assert_int_equal(try_set(set_of(kinds[i], jwk_of(keys[RSA2048], ""), NULL), ""), 0);
    }
    assert_int_equal(
        try_set(set_of(jwk_of(keys[RSA2048], ",\"key_ops\":[\"sign\",\"verify\"]"), NULL, NULL),
                ""),
        0);
}

/* One that can verify and is broken is a mistake to be told, not a key to be passed over. */
static void broken_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"kty\":\"oct\"}",
        "{\"kty\":\"oct\",\"k\":\"\"}",
        "{\"kty\":\"oct\",\"k\":7}",
        "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", /* 31 bytes */
        "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
        assert_int_equal(try_set(set_of(bad[i], NULL, NULL), "key 1"), LN_ERR_INVALID);
        assert_int_equal(try_set(set_of(jwk_of(keys[RSA2048], ""), bad[i], NULL), "key 2"),
                         LN_ERR_INVALID);
    }
    assert_int_equal(try_set(set_of(jwk_of(keys[RSA2048], ",\"kid\":7"), NULL, NULL), "kid"),
                     LN_ERR_INVALID);
}

static void sets_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "\n",
                                      "x",
                                      "[]",
                                      "{}",
                                      "null",
                                      "{\"keys\":{}}",
                                      "{\"keys\":[]}",
                                      "{\"keys\":7}",
                                      "{\"keys\":[],\"keys\":[]}",
                                      "{\"keys\":["};
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++)
        assert_int_equal(try_set(bad[i], ""), LN_ERR_INVALID);
    char twice[4096];
    snprintf(twice, sizeof twice, "{\"keys\":[%s]}", jwk_of(keys[RSA2048], ",\"kty\":\"oct\""));
    assert_int_equal(try_set(twice, "twice"), LN_ERR_INVALID);
    char why[LN_AUTH_WHY_SIZE];
    assert_int_equal(try_options(&(ln_auth_options){.jwks_file = "/tmp/linnet-no-such"}, why),
                     LN_ERR_NOT_FOUND);
}

/* Coordinates of every length; a point beside the curve; RSA's e. */
static void numbers_are_looked_at(void **state)
{
    (void)state;
    char set[4096], text[128];
    const uint8_t bytes[80] = {1};
    for (size_t n = 0; n <= 72; n++) {
        ln_base64_write_url((ln_span){bytes, n}, text);
        text[ln_base64_size_url(n)] = '\0';
        snprintf(set, sizeof set,
                 "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}]}",
                 number_of(keys[P256], OSSL_PKEY_PARAM_EC_PUB_X, 32), text);
        assert_int_equal(try_set(set, "broken"), LN_ERR_INVALID); /* 32: not on the curve */
    }
    static const char *const exponents[] = {"", "AA", "AQ", "Ag", "AQAA", "AQAAAAAAAAAB"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(exponents); i++) {
        snprintf(set, sizeof set, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}]}",
                 number_of(keys[RSA2048], OSSL_PKEY_PARAM_RSA_N, 0), exponents[i]);
        assert_int_equal(try_set(set, "key 1"), LN_ERR_INVALID);
    }
}

/* NATS's secnote-2026-23: a key of another length than its kind has reached the arithmetic. */
static void keys_of_any_length_are_judged(void **state)
{
    (void)state;
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    char set[4096], text[512], other[512];
    uint8_t bytes[257];
    memset(bytes, 0xa5, sizeof bytes);
    for (size_t n = 0; n <= 128; n++) {
        ln_base64_write_url((ln_span){bytes, n}, text);
        text[ln_base64_size_url(n)] = '\0';
        snprintf(set, sizeof set, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"%s\"}]}", text);
        assert_int_equal(try_set(set, "key 1"), n < 32 ? LN_ERR_INVALID : 0);
        if (n >= 32 && n % 32 == 0) {
            ln_auth *const auth = auth_of_set(set);
            const ln_span wrong[] = {{bytes, n - 1}, {bytes, n + 1}, {bytes, 0}};
            for (size_t i = 0; i < 3; i++)
                assert_int_not_equal(token_kit_judge(auth, token_of("HS256", NULL, wrong[i], NULL)),
                                     LN_AUTH_GOOD);
            assert_int_equal(
                token_kit_judge(auth, token_of("HS256", NULL, (ln_span){bytes, n}, NULL)),
                LN_AUTH_GOOD);
            ln_auth_unref(auth);
        }
        for (size_t i = 0; i < 3; i++) {
            snprintf(set, sizeof set,
                     "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}]}",
                     curves[i], text, text);
            assert_int_equal(try_set(set, "key 1"), LN_ERR_INVALID);
        }
    }
    for (size_t n = 0; n < 256; n++) { /* of a modulus, what is missing makes it weak */
        bytes[n > 0 ? n - 1 : 0] = 0xff;
        ln_base64_write_url((ln_span){bytes, n}, other);
        other[ln_base64_size_url(n)] = '\0';
        snprintf(set, sizeof set, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\"}]}",
                 other);
        assert_int_equal(try_set(set, "key 1"), LN_ERR_INVALID);
    }
}

static int read_everything(const ln_allocator *alloc, void *user)
{
    const char *const *const files = user;
    char why[LN_AUTH_WHY_SIZE];
    const ln_span secret = LN_SPAN(token_kit_secret);
    const ln_auth_options options = {.secrets = &secret,
                                     .secret_count = 1,
                                     .key_files = files,
                                     .key_file_count = 1,
                                     .jwks_file = files[1],
                                     .issuer = "i",
                                     .audience = "a",
                                     .allocator = alloc};
    ln_auth *auth = NULL;
    const int rc = ln_auth_new(&options, &auth, why);
    ln_auth_unref(auth);
    return rc;
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    const char *const files[] = {
        token_kit_pem(keys[P256], false),
        token_kit_file(ln_text(set_of(jwk_of(keys[RSA2048], ",\"kid\":\"a\""),
                                      "{\"kty\":\"oct\",\"kid\":\"b\",\"k\":"
                                      "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
                                      NULL)))};
    /* the object, two texts, the secret, two files, a secret, two names */
    assert_int_equal(failing_alloc_sweep(read_everything, (void *)(uintptr_t)files), 9);
}

/* ---- making tokens ---- */

static int sign(const ln_auth_token *token, char text[LN_AUTH_TOKEN_MAX_BYTES + 1])
{
    char why[LN_AUTH_WHY_SIZE];
    return ln_auth_sign(token, text, why);
}

static void what_we_sign_we_accept(void **state)
{
    (void)state;
    const ln_span secret = LN_SPAN(token_kit_secret);
    const char *const public[] = {
        token_kit_pem(keys[RSA2048], false), token_kit_pem(keys[P256], false),
        token_kit_pem(keys[P384], false), token_kit_pem(keys[P521], false)};
    const char *const private[] = {token_kit_pem(keys[RSA2048], true),
                                   token_kit_pem(keys[P256], true), token_kit_pem(keys[P384], true),
                                   token_kit_pem(keys[P521], true)};
    ln_auth *const auth = token_kit_auth(&(ln_auth_options){.secrets = &secret,
                                                            .secret_count = 1,
                                                            .key_files = public,
                                                            .key_file_count = 4,
                                                            .issuer = "me",
                                                            .audience = "you",
                                                            .requires_expiry = true});
    const char *const roles[] = {"a", "b \"c\""};
    const ln_auth_claim claims[] = {{.name = "email", .text = "z@example.org"},
                                    {.name = "n", .json = "{\"deep\":[1,2.5,null]}"}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(algorithms); i++) {
        const char *const alg = algorithms[i];
        char text[LN_AUTH_TOKEN_MAX_BYTES + 1];
        ln_auth_token t = {.algorithm = alg,
                           .id = "u\xc3\xa9",
                           .name = "N",
                           .issuer = "me",
                           .audience = "you",
                           .roles = roles,
                           .role_count = 2,
                           .issued_s = TOKEN_KIT_NOW_S,
                           .not_before_s = TOKEN_KIT_NOW_S,
                           .expires_s = TOKEN_KIT_NOW_S + 60,
                           .claims = claims,
                           .claim_count = 2};
        if (alg[0] == 'H')
            t.secret = secret;
        else
            t.key_file = private[alg[0] != 'E' ? 0 : alg[2] - '2' - (alg[2] == '5') + 1];
        const int n = sign(&t, text);
        assert_true(n > 0);
        assert_int_equal(n, strlen(text));
        const ln_identity *id;
        assert_int_equal(
            ln_auth_verify(auth, ln_text(text), (uint64_t)TOKEN_KIT_NOW_S * 1000, &id, NULL), 0);
        assert_true(ln_text_equal(id->id, LN_SPAN("u\xc3\xa9")));
        assert_true(ln_text_equal(id->email, LN_SPAN("z@example.org")));
        assert_int_equal(id->role_count, 2);
        assert_true(ln_text_equal(id->roles[1], LN_SPAN("b \"c\"")));
        assert_true(id->expires_ms == ((uint64_t)TOKEN_KIT_NOW_S + 61) * 1000);
        ln_identity_unref(id);
        assert_int_equal(token_kit_judge_at(auth, ln_text(text), UINT64_MAX), LN_AUTH_EXPIRED);
    }
    ln_auth_unref(auth);
}

static void what_cannot_be_signed_says_why(void **state)
{
    (void)state;
    const ln_span secret = LN_SPAN(token_kit_secret), weak = LN_SPAN("short");
    const char *const rsa = token_kit_pem(keys[RSA2048], true);
    const ln_auth_claim twice = {.name = "sub", .text = "x"}, empty = {.name = "a"},
                        nameless = {.name = "", .text = "x"}, broken = {.name = "a", .json = "{"},
                        bytes = {.name = "a", .text = "\xff"};
    const char *const bad_role[] = {"\xff"};
    const struct {
        ln_auth_token token;
        int rc;
    } rows[] = {
        {{.algorithm = "none"}, LN_ERR_INVALID},
        {{.algorithm = NULL, .secret = secret}, LN_ERR_INVALID},
        {{.algorithm = "hs256", .secret = secret}, LN_ERR_INVALID},
        {{.algorithm = "HS256"}, LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = weak}, LN_ERR_INVALID},
        {{.algorithm = "HS512", .secret = {token_kit_secret, 63}}, LN_ERR_INVALID},
        {{.algorithm = "HS256", .key_file = rsa}, LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .key_file = rsa}, LN_ERR_INVALID},
        {{.algorithm = "RS256", .secret = secret}, LN_ERR_INVALID},
        {{.algorithm = "RS256", .secret = secret, .key_file = rsa}, LN_ERR_INVALID},
        {{.algorithm = "ES256", .key_file = rsa}, LN_ERR_INVALID},
        {{.algorithm = "ES384", .key_file = token_kit_pem(keys[P256], true)}, LN_ERR_INVALID},
        {{.algorithm = "RS256", .key_file = token_kit_pem(keys[RSA2048], false)}, LN_ERR_INVALID},
        {{.algorithm = "RS256", .key_file = "/tmp/linnet-no-such"}, LN_ERR_NOT_FOUND},
        {{.algorithm = "HS256", .secret = secret, .id = "\xff"}, LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .key_id = "\xff"}, LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .expires_s = 253402300800}, LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .roles = bad_role, .role_count = 1},
         LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .id = "u", .claims = &twice, .claim_count = 1},
         LN_ERR_EXISTS},
        {{.algorithm = "HS256", .secret = secret, .claims = &empty, .claim_count = 1},
         LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .claims = &nameless, .claim_count = 1},
         LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .claims = &broken, .claim_count = 1},
         LN_ERR_INVALID},
        {{.algorithm = "HS256", .secret = secret, .claims = &bytes, .claim_count = 1},
         LN_ERR_INVALID},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        char text[LN_AUTH_TOKEN_MAX_BYTES + 1], why[LN_AUTH_WHY_SIZE] = "";
        const int rc = ln_auth_sign(&rows[i].token, text, why);
        if (rc != rows[i].rc || why[0] == '\0')
            fail_msg("row %zu: %d, \"%s\"", i, rc, why);
    }
}

static void no_token_is_made_that_we_would_refuse_for_its_size(void **state)
{
    (void)state;
    const ln_span secret = LN_SPAN(token_kit_secret);
    static char id[8192], text[LN_AUTH_TOKEN_MAX_BYTES + 1];
    ln_auth *const auth = token_kit_hmac_auth((ln_auth_options){0});
    int longest = 0;
    bool is_refused = false;
    memset(id, 'a', 6200);
    for (size_t n = 6000; n < 6200; n++) {
        id[n] = '\0';
        const int rc =
            sign(&(ln_auth_token){.algorithm = "HS256", .secret = secret, .id = id}, text);
        id[n] = 'a';
        assert_true(rc == LN_ERR_TOO_BIG || rc > longest || is_refused == false);
        is_refused = is_refused || rc == LN_ERR_TOO_BIG;
        if (rc > 0)
            longest = rc;
        if (rc > 0)
            assert_int_equal(token_kit_judge(auth, ln_text(text)), LN_AUTH_GOOD);
    }
    assert_true(is_refused);
    assert_in_range(longest, LN_AUTH_TOKEN_MAX_BYTES - 2, LN_AUTH_TOKEN_MAX_BYTES);
    ln_auth_unref(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_key_there_is_no_object),
        cmocka_unit_test(a_secret_has_at_least_32_bytes),
        cmocka_unit_test_teardown(the_number_of_keys_is_bounded, token_kit_remove),
        cmocka_unit_test_teardown(files_that_hold_no_key_are_refused, token_kit_remove),
        cmocka_unit_test_teardown(files_are_bounded, token_kit_remove),
        cmocka_unit_test_teardown(weak_and_foreign_keys_are_refused, token_kit_remove),
        cmocka_unit_test_teardown(a_private_key_will_do_unless_it_is_encrypted, token_kit_remove),
        cmocka_unit_test_teardown(a_key_is_for_its_own_kind, token_kit_remove),
        cmocka_unit_test_teardown(a_foreign_key_of_the_same_kind_does_not_sign_for_us,
                                  token_kit_remove),
        cmocka_unit_test_teardown(a_public_key_is_no_secret, token_kit_remove),
        cmocka_unit_test_teardown(the_header_decides_how_and_not_whether, token_kit_remove),
        cmocka_unit_test_teardown(ecdsa_signatures_have_their_exact_form, token_kit_remove),
        cmocka_unit_test_teardown(a_set_of_several_keys_and_kid_chooses, token_kit_remove),
        cmocka_unit_test_teardown(a_name_may_be_shared_by_different_kinds, token_kit_remove),
        cmocka_unit_test_teardown(two_issuers_with_one_kid_stay_apart, token_kit_remove),
        cmocka_unit_test_teardown(an_rsa_key_without_alg_is_no_secret, token_kit_remove),
        cmocka_unit_test_teardown(alg_pins_a_key, token_kit_remove),
        cmocka_unit_test_teardown(keys_for_other_purposes_are_passed_over, token_kit_remove),
        cmocka_unit_test_teardown(broken_keys_are_refused, token_kit_remove),
        cmocka_unit_test_teardown(sets_that_are_none_are_refused, token_kit_remove),
        cmocka_unit_test_teardown(numbers_are_looked_at, token_kit_remove),
        cmocka_unit_test_teardown(keys_of_any_length_are_judged, token_kit_remove),
        cmocka_unit_test_teardown(out_of_memory_is_an_error, token_kit_remove),
        cmocka_unit_test_teardown(what_we_sign_we_accept, token_kit_remove),
        cmocka_unit_test_teardown(what_cannot_be_signed_says_why, token_kit_remove),
        cmocka_unit_test(no_token_is_made_that_we_would_refuse_for_its_size),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
