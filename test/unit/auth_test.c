/* SPDX-License-Identifier: MIT */
/* Tokens as linnet/auth.h promises to judge them; made by token_kit.h. */
#include "token_kit.h"

#include <jansson.h>
#include <pthread.h>

#include "failing_alloc.h"

#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static ln_auth *auth; /* token_kit_secret and nothing else asked for */

static int set_up(void **state)
{
    (void)state;
    auth = token_kit_hmac_auth((ln_auth_options){0});
    return 0;
}

static int tear_down(void **state)
{
    ln_auth_unref(auth);
    return token_kit_remove(state);
}

static void assert_claims(const char *claims, enum ln_auth_verdict expected)
{
    const enum ln_auth_verdict verdict = token_kit_judge(auth, token_kit_claims(claims));
    if (verdict != expected)
        fail_msg("%s: %s", claims, ln_auth_explain(verdict));
}

static void assert_header(const char *header, enum ln_auth_verdict expected)
{
    const enum ln_auth_verdict verdict = token_kit_judge(auth, token_kit_hs256(header, "{}"));
    if (verdict != expected)
        fail_msg("%s: %s", header, ln_auth_explain(verdict));
}

static const ln_identity *identify(const char *claims)
{
    const ln_identity *identity = NULL;
    assert_int_equal(ln_auth_verify(auth, token_kit_claims(claims), 0, &identity, NULL), 0);
    return identity;
}

static void assert_text(ln_span span, const char *text)
{
    assert_int_equal(span.size, strlen(text));
    assert_memory_equal(span.data, text, span.size);
}

/* ---- who it is ---- */

static void a_good_token_names_its_bearer(void **state)
{
    (void)state;
    static const char claims[] =
        "{ \"sub\":\"u1\",\"name\":\"Zo\\u00eb\", \"email\":\"z@example.org\","
        "\"roles\":[\"member\",\"admin\"],\"exp\":2000000000,\"tags\":{\"a\":[1,2.5]} }";
    const ln_identity *const id = identify(claims);
    assert_text(id->id, "u1");
    assert_text(id->name, "Zo\xc3\xab");
    assert_text(id->email, "z@example.org");
    assert_int_equal(id->role_count, 2);
    assert_text(id->roles[0], "member");
    assert_text(id->roles[1], "admin");
    assert_true(id->expires_ms == 2000000001000); /* with the default leeway */
    assert_text(id->claims, claims);
    assert_ptr_equal(ln_identity_ref(id), id);
    ln_identity_unref(id);
    assert_text(id->id, "u1");
    ln_identity_unref(id);
}

static void what_is_absent_or_of_another_type_is_empty(void **state)
{
    (void)state;
    static const char *const sparse[] = {
        "{}", "{\"sub\":7,\"name\":null,\"email\":[\"a\"],\"roles\":{\"a\":1}}",
        "{\"roles\":[1,null,[\"x\"],{\"y\":1}]}", "{\"roles\":[]}"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(sparse); i++) {
        const ln_identity *const id = identify(sparse[i]);
        assert_int_equal(id->id.size + id->name.size + id->email.size + id->role_count, 0);
        assert_true(id->expires_ms == UINT64_MAX);
        ln_identity_unref(id);
    }
}

static void roles_are_an_array_or_one_string(void **state)
{
    (void)state;
    const ln_identity *id = identify("{\"roles\":\"admin\"}");
    assert_int_equal(id->role_count, 1);
    assert_text(id->roles[0], "admin");
    ln_identity_unref(id);
    id = identify("{\"roles\":[1,\"a\",null,\"b c\",\"\"]}");
    assert_int_equal(id->role_count, 3);
    assert_text(id->roles[1], "b c");
    assert_text(id->roles[2], "");
    ln_identity_unref(id);
}

static void the_number_of_roles_is_bounded(void **state)
{
    (void)state;
    char claims[1024];
    for (int roles = 128; roles <= 129; roles++) {
        size_t n = (size_t)sprintf(claims, "{\"roles\":[");
        for (int i = 0; i < roles; i++)
            n += (size_t)sprintf(claims + n, "%s\"r\"", i > 0 ? "," : "");
        strcpy(claims + n, "]}");
        assert_claims(claims, roles == 128 ? LN_AUTH_GOOD : LN_AUTH_MALFORMED);
    }
}

/* ---- form ---- */

static void a_token_has_three_parts(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "...",
                                      "a",
                                      "a.b",
                                      "a.b.c",
                                      "e30",
                                      "e30.e30",
                                      "e30.e30.",
                                      "e30..",
                                      ".e30.e",
                                      "e30.e30.e30.e30"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++)
        assert_int_not_equal(token_kit_judge(auth, ln_text(bad[i])), LN_AUTH_GOOD);
    const ln_span good = token_kit_claims("{}");
    char text[512];
    assert_int_equal(token_kit_judge(auth, good), LN_AUTH_GOOD);
    memcpy(text, good.data, good.size);
    memcpy(text + good.size, ".e30", 4);
    for (size_t more = 1; more <= 4; more++) /* a fourth part, and the beginnings of one */
        assert_int_equal(token_kit_judge(auth, (ln_span){text, good.size + more}),
                         LN_AUTH_MALFORMED);
    for (size_t n = 0; n < good.size; n++)
        assert_int_not_equal(token_kit_judge(auth, (ln_span){text, n}), LN_AUTH_GOOD);
}

/* What lenient readers of base64 skip, behind each part in turn, and signed as it stands. */
static void base64url_is_strict(void **state)
{
    (void)state;
    static const char *const junk[] = {"=", "==",  " ",    "\n",   "\t", "+",
                                       "/", "%3d", "\x80", "AA==", "*",  "A"};
    static const char parts[2][64] = {"eyJhbGciOiJIUzI1NiJ9", "eyJhIjoxfQ"};
    char text[512];
    for (size_t i = 0; i < LN_ARRAY_SIZE(junk); i++) {
        snprintf(text, sizeof text, "%s%s.%s", parts[0], junk[i], parts[1]);
        assert_int_equal(token_kit_judge(auth, token_kit_mac(text)), LN_AUTH_MALFORMED);
        snprintf(text, sizeof text, "%s.%s%s", parts[0], parts[1], junk[i]);
        assert_int_equal(token_kit_judge(auth, token_kit_mac(text)), LN_AUTH_MALFORMED);
        snprintf(text, sizeof text, "%s.%s", parts[0], parts[1]);
        const ln_span good = token_kit_mac(text);
        assert_int_equal(token_kit_judge(auth, good), LN_AUTH_GOOD);
        snprintf(text, sizeof text, "%.*s%s", (int)good.size, (const char *)good.data, junk[i]);
        assert_int_not_equal(token_kit_judge(auth, ln_text(text)), LN_AUTH_GOOD);
    }
    assert_int_equal(token_kit_judge(auth, token_kit_mac("eyJhbGciOiJIUzI1NiJ9.")),
                     LN_AUTH_MALFORMED); /* no claims at all */
}

static void unused_bits_are_zero(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[512];
    const ln_span token = token_kit_claims("{}");
    memcpy(text, token.data, token.size + 1);
    char *const last = text + token.size - 1; /* 43 digits carry 258 bits, 256 are used */
    const char right = *last;
    unsigned accepted = 0;
    for (size_t i = 0; i < 64; i++) {
        *last = digits[i];
        const enum ln_auth_verdict v = token_kit_judge(auth, ln_text(text));
        accepted += v == LN_AUTH_GOOD;
        assert_true((v == LN_AUTH_GOOD) == (digits[i] == right));
        assert_true(v != LN_AUTH_BAD_SIGNATURE || i % 4 == 0);
    }
    assert_int_equal(accepted, 1);
}

static void header_and_claims_are_json_objects(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "x",
                                      "null",
                                      "[]",
                                      "\"a\"",
                                      "1",
                                      "{",
                                      "{}x",
                                      "{} {}",
                                      "{\"a\"}",
                                      "{'a':1}",
                                      "[{}]",
                                      "{,}",
                                      "{\"a\":}",
                                      "\xef\xbb\xbf{}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":NaN}",
                                      "{\"a\":1e999}",
                                      "{\"a\":\"\\ud800\"}"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
        assert_claims(bad[i], LN_AUTH_MALFORMED);
        assert_header(bad[i], LN_AUTH_MALFORMED);
    }
    assert_claims(" {} ", LN_AUTH_GOOD);
    assert_header("{\"alg\" :\t\"HS256\"\n}", LN_AUTH_GOOD);
}

static void no_member_stands_twice(void **state)
{
    (void)state;
    assert_claims("{\"sub\":\"a\",\"sub\":\"b\"}", LN_AUTH_MALFORMED);
    assert_claims("{\"a\":{\"b\":1,\"b\":1}}", LN_AUTH_MALFORMED);
    assert_claims("{\"sub\":\"a\",\"s\\u0075b\":\"b\"}", LN_AUTH_MALFORMED);
    assert_header("{\"alg\":\"HS256\",\"alg\":\"none\"}", LN_AUTH_MALFORMED);
    assert_header("{\"alg\":\"none\",\"alg\":\"HS256\"}", LN_AUTH_MALFORMED);
}

static void the_depth_is_bounded_from_both_sides(void **state)
{
    (void)state;
    enum { PADDING = 16 };
    char nested[2 * 64 + PADDING], header[256];
    for (int depth = 31; depth <= 32; depth++) {
        size_t n = 0;
        for (int i = 0; i < depth; i++)
            nested[n++] = '[';
        for (int i = 0; i < depth; i++)
            nested[n++] = ']';
        nested[n] = '\0';
        const enum ln_auth_verdict expected = depth == 31 ? LN_AUTH_GOOD : LN_AUTH_MALFORMED;
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"x\":%s}", nested);
        assert_header(header, expected);
        snprintf(header, sizeof header, "{\"x\":%s}", nested);
        assert_claims(header, expected);
    }
    assert_claims("{\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\"}", LN_AUTH_GOOD);
}

/* Thousands of brackets in a header cost neither stack nor time: nothing is parsed. */
static void a_header_of_brackets_is_refused(void **state)
{
    (void)state;
    char header[6000];
    memset(header, '[', sizeof header - 1);
    header[sizeof header - 1] = '\0';
    assert_header(header, LN_AUTH_MALFORMED);
}

static void the_size_is_bounded_from_both_sides(void **state)
{
    (void)state;
    static char claims[8192];
    unsigned seen[2] = {0};
    for (size_t pad = 6000; pad < 6200; pad++) {
        sprintf(claims, "{\"p\":\"%0*d\"}", (int)pad, 0);
        const ln_span token = token_kit_claims(claims);
        const bool fits = token.size <= LN_AUTH_TOKEN_MAX_BYTES;
        assert_int_equal(token_kit_judge(auth, token), fits ? LN_AUTH_GOOD : LN_AUTH_TOO_LONG);
        seen[0] |= token.size == LN_AUTH_TOKEN_MAX_BYTES || token.size == 8191;
        seen[1] |= token.size == 8193 || token.size == 8194;
    }
    assert_true(seen[0] && seen[1]);
}

/* ---- header ---- */

static void there_is_no_algorithm_none(void **state)
{
    (void)state;
    static const char *const names[] = {"none",  "None", "NONE",   "nOnE",   "",      "hs256",
                                        "HS257", "HS1",  "HS256 ", " HS256", "RS256", "HS2566",
                                        "Hs256", "dir",  "A128KW", "EdDSA",  "HS128"};
    char header[64], unsigned_token[512];
    for (size_t i = 0; i < LN_ARRAY_SIZE(names); i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", names[i]);
        const ln_span token = token_kit_hs256(header, "{}");
        const enum ln_auth_verdict v = token_kit_judge(auth, token);
        assert_true(v == LN_AUTH_UNSUPPORTED ||
                    (v == LN_AUTH_UNKNOWN_KEY && strcmp(names[i], "RS256") == 0));
        memcpy(unsigned_token, token.data, token.size + 1);
        char *const dot = strrchr(unsigned_token, '.');
        dot[1] = '\0';
        assert_int_not_equal(token_kit_judge(auth, ln_text(unsigned_token)), LN_AUTH_GOOD);
        dot[0] = '\0';
        assert_int_equal(token_kit_judge(auth, ln_text(unsigned_token)), LN_AUTH_MALFORMED);
    }
    assert_header("{}", LN_AUTH_UNSUPPORTED);
    assert_header("{\"alg\":null}", LN_AUTH_MALFORMED);
    assert_header("{\"alg\":[\"HS256\"]}", LN_AUTH_MALFORMED);
    assert_header("{\"alg\":{\"HS256\":1}}", LN_AUTH_MALFORMED);
    assert_header("{\"alg\":256}", LN_AUTH_MALFORMED);
    assert_header("{\"Alg\":\"HS256\"}", LN_AUTH_UNSUPPORTED);
}

static void what_changes_the_meaning_is_refused(void **state)
{
    (void)state;
    assert_header("{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", LN_AUTH_UNSUPPORTED);
    assert_header("{\"alg\":\"HS256\",\"crit\":[]}", LN_AUTH_UNSUPPORTED);
    assert_header("{\"alg\":\"HS256\",\"crit\":null}", LN_AUTH_UNSUPPORTED);
    assert_header("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", LN_AUTH_UNSUPPORTED);
    assert_header("{\"alg\":\"HS256\",\"b64\":false}", LN_AUTH_UNSUPPORTED);
}

/* What would be an address or a path for others is not even looked at. */
static void what_the_header_says_of_keys_is_not_believed(void **state)
{
    (void)state;
    assert_header("{\"alg\":\"HS256\",\"typ\":7,\"cty\":\"x\",\"jku\":\"http://127.0.0.1/\","
                  "\"x5u\":\"file:///etc/passwd\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
                  LN_AUTH_GOOD);
    assert_header("{\"alg\":\"HS256\",\"kid\":\"../../../dev/null\"}", LN_AUTH_GOOD);
    assert_header("{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}", LN_AUTH_GOOD);
    assert_header("{\"alg\":\"HS256\",\"kid\":null}", LN_AUTH_MALFORMED);
    assert_header("{\"alg\":\"HS256\",\"kid\":1}", LN_AUTH_MALFORMED);
    assert_header("{\"alg\":\"HS256\",\"kid\":[\"a\"]}", LN_AUTH_MALFORMED);
}

static void only_the_algorithms_asked_for_are_taken(void **state)
{
    (void)state;
    char why[LN_AUTH_WHY_SIZE];
    ln_auth *const a = token_kit_hmac_auth((ln_auth_options){.algorithms = "HS384, HS512"});
    static const char *const names[] = {"HS256", "HS384", "HS512"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(names); i++) {
        char header[64];
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", names[i]);
        const ln_span t = token_kit_raw(names[i], NULL, LN_SPAN(token_kit_secret), ln_text(header),
                                        LN_SPAN("{}"));
        assert_int_equal(token_kit_judge(a, t), i == 0 ? LN_AUTH_UNSUPPORTED : LN_AUTH_GOOD);
        assert_int_equal(token_kit_judge(auth, t), LN_AUTH_GOOD);
    }
    ln_auth_unref(a);
    const ln_span secret = LN_SPAN(token_kit_secret);
    ln_auth_options bad = {.secrets = &secret, .secret_count = 1};
    ln_auth *none = NULL;
    static const char *const lists[] = {"", "HS256,", "hs256", "none", "HS256 ES256", "ES256"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(lists); i++) {
        bad.algorithms = lists[i];
        assert_int_equal(ln_auth_new(&bad, &none, why), LN_ERR_INVALID);
        assert_null(none);
    }
}

/* ---- signature ---- */

static void a_signature_is_right_to_the_last_bit(void **state)
{
    (void)state;
    const ln_span good = token_kit_claims("{\"sub\":\"a\"}");
    char text[512];
    memcpy(text, good.data, good.size + 1);
    char *const part = strrchr(text, '.') + 1;
    uint8_t mac[32];
    assert_int_equal(ln_base64_read_url(ln_text(part), mac, sizeof mac), 32);
    for (int bit = 0; bit < 256; bit++) {
        mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ln_base64_write_url((ln_span){mac, 32}, part);
        assert_int_equal(token_kit_judge(auth, ln_text(text)), LN_AUTH_BAD_SIGNATURE);
        mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < 32; n++) { /* a truncated MAC is none */
        ln_base64_write_url((ln_span){mac, n}, part);
        part[ln_base64_size_url(n)] = '\0';
        assert_int_equal(token_kit_judge(auth, ln_text(text)), LN_AUTH_BAD_SIGNATURE);
    }
}

static void another_secret_is_another_issuer(void **state)
{
    (void)state;
    char other[sizeof token_kit_secret];
    memcpy(other, token_kit_secret, sizeof other);
    other[63] ^= 1;
    static const size_t sizes[] = {0, 1, 31, 32, 63, 64};
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
        const ln_span t = token_kit_raw("HS256", NULL, (ln_span){other, sizes[i]}, LN_SPAN(HEADER),
                                        LN_SPAN("{}"));
        assert_int_equal(token_kit_judge(auth, t), LN_AUTH_BAD_SIGNATURE);
    }
}

static void any_of_several_secrets_will_do(void **state)
{
    (void)state;
    const ln_span secrets[] = {LN_SPAN("the old secret, thirty-two bytes."),
                               LN_SPAN(token_kit_secret)};
    ln_auth *const a = token_kit_auth(&(ln_auth_options){.secrets = secrets, .secret_count = 2});
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(token_kit_judge(a, token_kit_raw("HS256", NULL, secrets[i],
                                                          LN_SPAN(HEADER), LN_SPAN("{}"))),
                         LN_AUTH_GOOD);
    ln_auth_unref(a);
}

/* RFC 7518 3.2: the key is no shorter than the digest. */
static void a_short_secret_serves_the_short_digests(void **state)
{
    (void)state;
    static const struct {
        const char *alg;
        size_t least;
    } rows[] = {{"HS256", 32}, {"HS384", 48}, {"HS512", 64}};
    for (size_t n = 32; n <= 64; n += n == 47 || n == 63 ? 1 : 15 + (n == 48)) {
        const ln_span secret = {token_kit_secret, n};
        ln_auth *const a =
            token_kit_auth(&(ln_auth_options){.secrets = &secret, .secret_count = 1});
        for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
            char header[64];
            snprintf(header, sizeof header, "{\"alg\":\"%s\"}", rows[i].alg);
            const ln_span t =
                token_kit_raw(rows[i].alg, NULL, secret, ln_text(header), LN_SPAN("{}"));
            assert_int_equal(token_kit_judge(a, t),
                             n >= rows[i].least ? LN_AUTH_GOOD : LN_AUTH_UNKNOWN_KEY);
        }
        ln_auth_unref(a);
    }
}

/* ---- time ---- */

static enum ln_auth_verdict judge_exp(const ln_auth *a, int64_t after_exp_ms)
{
    return token_kit_judge_at(a, token_kit_claims("{\"exp\":1800000000}"),
                              (uint64_t)(1800000000000 + after_exp_ms));
}

static enum ln_auth_verdict judge_nbf(const ln_auth *a, int64_t after_nbf_ms)
{
    return token_kit_judge_at(a, token_kit_claims("{\"nbf\":1800000000}"),
                              (uint64_t)(1800000000000 + after_nbf_ms));
}

static void dates_count_to_the_millisecond(void **state)
{
    (void)state;
    static const struct {
        uint32_t option, leeway_ms;
    } rows[] = {{0, 1000}, {LN_OFF, 0}, {1, 1}, {60000, 60000}, {600000, 600000}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        const int64_t leeway = rows[i].leeway_ms;
        ln_auth *const a = token_kit_hmac_auth((ln_auth_options){.leeway_ms = rows[i].option});
        assert_int_equal(judge_exp(a, leeway - 1), LN_AUTH_GOOD);
        assert_int_equal(judge_exp(a, leeway), LN_AUTH_EXPIRED);
        assert_int_equal(judge_exp(a, leeway + 1), LN_AUTH_EXPIRED);
        assert_int_equal(judge_nbf(a, -leeway - 1), LN_AUTH_NOT_YET);
        assert_int_equal(judge_nbf(a, -leeway), LN_AUTH_GOOD);
        assert_int_equal(judge_nbf(a, -leeway + 1), LN_AUTH_GOOD);
        ln_auth_unref(a);
    }
    /* as upstream: good in the very second of exp */
    assert_int_equal(judge_exp(auth, 999), LN_AUTH_GOOD);
    assert_int_equal(token_kit_judge_at(auth, token_kit_claims("{\"exp\":0}"), 999), LN_AUTH_GOOD);
    assert_int_equal(token_kit_judge_at(auth, token_kit_claims("{\"exp\":0}"), 1000),
                     LN_AUTH_EXPIRED);
    assert_int_equal(token_kit_judge_at(auth, token_kit_claims("{\"exp\":0}"), UINT64_MAX),
                     LN_AUTH_EXPIRED);
    char why[LN_AUTH_WHY_SIZE];
    ln_auth *none = NULL;
    const ln_span secret = LN_SPAN(token_kit_secret);
    const ln_auth_options bad = {.secrets = &secret, .secret_count = 1, .leeway_ms = 600001};
    assert_int_equal(ln_auth_new(&bad, &none, why), LN_ERR_INVALID);
}

static void a_date_is_a_whole_number_of_seconds_until_9999(void **state)
{
    (void)state;
    static const char *const names[] = {"exp", "nbf", "iat"};
    static const char *const bad[] = {"-1",
                                      "1.5",
                                      "1e3",
                                      "1800000000.0",
                                      "\"1800000000\"",
                                      "null",
                                      "true",
                                      "[1]",
                                      "{}",
                                      "-0.0",
                                      "9007199254740992",
                                      "9223372036854775807",
                                      "18446744073709551616",
                                      "1e308",
                                      "253402300800",
                                      "1800000000000"};
    char claims[64];
    for (size_t n = 0; n < LN_ARRAY_SIZE(names); n++) {
        for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
            snprintf(claims, sizeof claims, "{\"%s\":%s}", names[n], bad[i]);
            assert_claims(claims, LN_AUTH_MALFORMED);
        }
        snprintf(claims, sizeof claims, "{\"%s\":253402300799}", names[n]);
        assert_claims(claims, n == 1 ? LN_AUTH_NOT_YET : LN_AUTH_GOOD);
    }
    assert_claims("{\"nbf\":0,\"iat\":0}", LN_AUTH_GOOD);
    assert_claims("{\"iat\":1900000000}", LN_AUTH_GOOD); /* says when, not from when */
}

static void an_expiry_can_be_asked_for(void **state)
{
    (void)state;
    ln_auth *const a = token_kit_hmac_auth((ln_auth_options){.requires_expiry = true});
    assert_int_equal(token_kit_judge(a, token_kit_claims("{}")), LN_AUTH_NO_EXPIRY);
    assert_int_equal(token_kit_judge(a, token_kit_claims("{\"exp\":1900000000}")), LN_AUTH_GOOD);
    assert_int_equal(token_kit_judge_at(auth, token_kit_claims("{}"), UINT64_MAX - 1),
                     LN_AUTH_GOOD);
    ln_auth_unref(a);
}

/* ---- from whom, for whom ---- */

static void issuer_and_audience_are_exact(void **state)
{
    (void)state;
    ln_auth *const a =
        token_kit_hmac_auth((ln_auth_options){.issuer = "https://a.example", .audience = "chat"});
    static const struct {
        const char *claims;
        enum ln_auth_verdict verdict;
    } rows[] = {
        {"{\"iss\":\"https://a.example\",\"aud\":\"chat\"}", LN_AUTH_GOOD},
        {"{\"iss\":\"https://a.example\",\"aud\":[\"x\",\"chat\"]}", LN_AUTH_GOOD},
        {"{\"iss\":\"https://a.example\",\"aud\":[1,null,\"chat\"]}", LN_AUTH_GOOD},
        {"{\"iss\":\"https://a.example/\",\"aud\":\"chat\"}", LN_AUTH_WRONG_ISSUER},
        {"{\"iss\":\"https://A.example\",\"aud\":\"chat\"}", LN_AUTH_WRONG_ISSUER},
        {"{\"iss\":[\"https://a.example\"],\"aud\":\"chat\"}", LN_AUTH_WRONG_ISSUER},
        {"{\"aud\":\"chat\"}", LN_AUTH_WRONG_ISSUER},
        {"{\"iss\":\"https://a.example\"}", LN_AUTH_WRONG_AUDIENCE},
        {"{\"iss\":\"https://a.example\",\"aud\":\"chat2\"}", LN_AUTH_WRONG_AUDIENCE},
        {"{\"iss\":\"https://a.example\",\"aud\":\"cha\"}", LN_AUTH_WRONG_AUDIENCE},
        {"{\"iss\":\"https://a.example\",\"aud\":[]}", LN_AUTH_WRONG_AUDIENCE},
        {"{\"iss\":\"https://a.example\",\"aud\":[[\"chat\"]]}", LN_AUTH_WRONG_AUDIENCE},
        {"{\"iss\":\"https://a.example\",\"aud\":{\"chat\":1}}", LN_AUTH_WRONG_AUDIENCE},
        {"{\"iss\":\"https://a.example\",\"aud\":\"\"}", LN_AUTH_WRONG_AUDIENCE},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++)
        assert_int_equal(token_kit_judge(a, token_kit_claims(rows[i].claims)), rows[i].verdict);
    ln_auth_unref(a);
    assert_claims("{\"iss\":7,\"aud\":{}}", LN_AUTH_GOOD); /* nobody asked */
}

/* ---- all of it ---- */

static void *judge_many(void *arg)
{
    char token[512];
    memcpy(token, arg, sizeof token);
    for (int i = 0; i < 300; i++) {
        ln_auth *const mine = ln_auth_ref(auth);
        const ln_identity *identity = NULL;
        if (ln_auth_verify(mine, ln_text(token), 0, &identity, NULL) != 0)
            return "refused";
        ln_identity_unref(identity);
        ln_auth_unref(mine);
    }
    return NULL;
}

static void many_threads_judge_at_once(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    char token[512] = "";
    const ln_span t = token_kit_claims("{\"sub\":\"u1\",\"roles\":[\"a\"]}");
    memcpy(token, t.data, t.size);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, judge_many, token), 0);
    for (int i = 0; i < THREADS; i++) {
        void *complaint;
        pthread_join(threads[i], &complaint);
        assert_null(complaint);
    }
}

/* jansson takes its own from the C library, through hooks that are this test's. */
static const ln_allocator *library_alloc;

static void *library_malloc(size_t size)
{
    return library_alloc == NULL ? malloc(size)
                                 : library_alloc->resize(library_alloc->user, NULL, size + !size);
}

static void library_free(void *p)
{
    if (p != NULL && library_alloc == NULL)
        free(p);
    else if (p != NULL)
        library_alloc->resize(library_alloc->user, p, 0);
}

static int judge_once(const ln_allocator *alloc, void *user)
{
    const ln_span *const token = user;
    const ln_span secret = LN_SPAN(token_kit_secret);
    const ln_identity *identity = NULL;
    char why[LN_AUTH_WHY_SIZE];
    ln_auth *a = NULL;
    library_alloc = alloc;
    const ln_auth_options options = {
        .secrets = &secret, .secret_count = 1, .issuer = "i", .audience = "a", .allocator = alloc};
    int rc = ln_auth_new(&options, &a, why);
    if (rc == 0)
        rc = ln_auth_verify(a, *token, 0, &identity, NULL);
    ln_identity_unref(identity);
    ln_auth_unref(a);
    library_alloc = NULL;
    return rc == LN_ERR_POLICY ? LN_ERR_NOMEM : rc; /* jansson does not tell */
}

static void out_of_memory_is_an_error_and_nothing_else(void **state)
{
    (void)state;
    char text[512];
    const ln_span t =
        token_kit_claims("{\"sub\":\"u1\",\"iss\":\"i\",\"aud\":[\"b\",\"a\"],\"roles\":[\"x\"]}");
    memcpy(text, t.data, t.size);
    const ln_span token = {text, t.size};
    json_set_alloc_funcs(library_malloc, library_free);
    const size_t swept = failing_alloc_sweep(judge_once, (void *)(uintptr_t)&token);
    json_set_alloc_funcs(malloc, free);
    assert_true(swept > 20);
}

static void every_verdict_has_words(void **state)
{
    (void)state;
    for (int v = LN_AUTH_GOOD; v <= LN_AUTH_WRONG_AUDIENCE; v++) {
        assert_string_not_equal(ln_auth_explain((enum ln_auth_verdict)v), "unknown verdict");
        for (int other = LN_AUTH_GOOD; other < v; other++)
            assert_string_not_equal(ln_auth_explain((enum ln_auth_verdict)v),
                                    ln_auth_explain((enum ln_auth_verdict)other));
    }
    assert_string_equal(ln_auth_explain((enum ln_auth_verdict)99), "unknown verdict");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_token_names_its_bearer),
        cmocka_unit_test(what_is_absent_or_of_another_type_is_empty),
        cmocka_unit_test(roles_are_an_array_or_one_string),
        cmocka_unit_test(the_number_of_roles_is_bounded),
        cmocka_unit_test(a_token_has_three_parts),
        cmocka_unit_test(base64url_is_strict),
        cmocka_unit_test(unused_bits_are_zero),
        cmocka_unit_test(header_and_claims_are_json_objects),
        cmocka_unit_test(no_member_stands_twice),
        cmocka_unit_test(the_depth_is_bounded_from_both_sides),
        cmocka_unit_test(a_header_of_brackets_is_refused),
        cmocka_unit_test(the_size_is_bounded_from_both_sides),
        cmocka_unit_test(there_is_no_algorithm_none),
        cmocka_unit_test(what_changes_the_meaning_is_refused),
        cmocka_unit_test(what_the_header_says_of_keys_is_not_believed),
        cmocka_unit_test(only_the_algorithms_asked_for_are_taken),
        cmocka_unit_test(a_signature_is_right_to_the_last_bit),
        cmocka_unit_test(another_secret_is_another_issuer),
        cmocka_unit_test(any_of_several_secrets_will_do),
        cmocka_unit_test(a_short_secret_serves_the_short_digests),
        cmocka_unit_test(dates_count_to_the_millisecond),
        cmocka_unit_test(a_date_is_a_whole_number_of_seconds_until_9999),
        cmocka_unit_test(an_expiry_can_be_asked_for),
        cmocka_unit_test(issuer_and_audience_are_exact),
        cmocka_unit_test(many_threads_judge_at_once),
        cmocka_unit_test(out_of_memory_is_an_error_and_nothing_else),
        cmocka_unit_test(every_verdict_has_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
