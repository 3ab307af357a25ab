/* SPDX-License-Identifier: MIT */
/*
 * Changed and forged tokens of every algorithm: none is accepted but those that were issued.
 *
 *     authchange_test [CHANGES]        default: 50000
 *
 * Every byte of a token is signed, signature, or one of the two dots, and base64url gives a value
 * one text: so no change is without meaning, and what is accepted is an issued token, to the byte.
 */
#include "token_kit.h"

#define ISSUED     "{\"sub\":\"u1\",\"exp\":2000000000}"
#define ISSUED_TOO "{\"sub\":\"root\",\"exp\":2000000000,\"roles\":[\"admin\"]}"

enum { ALGS = 12, KINDS = 5, TOKENS_MAX = 64, PARTS = 3 };

/* HS, RSA and the three curves: which key an algorithm is signed with. */
typedef struct alg {
    const char *name;
    unsigned key;
} alg;

static const alg algs[ALGS] = {{"HS256", 0}, {"HS384", 0}, {"HS512", 0}, {"RS256", 1},
                               {"RS384", 1}, {"RS512", 1}, {"PS256", 1}, {"PS384", 1},
                               {"PS512", 1}, {"ES256", 2}, {"ES384", 3}, {"ES512", 4}};

/* Tokens of one algorithm. */
typedef struct family {
    char *issued[2];
    char *forged[TOKENS_MAX];
    size_t forged_count;
    unsigned judged, bad_signatures;
} family;

static unsigned changes = 50000;
static ln_auth *auth;
static EVP_PKEY *ours[KINDS], *theirs[KINDS]; /* [0]: none, as HS has secrets */
static char public_pem[KINDS][4096];
static family families[ALGS];
static uint32_t chance = 0x5eed0001;

static const ln_span secret = {token_kit_secret, sizeof token_kit_secret - 1};
static const char other_secret[] =
    "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

static uint32_t roll(uint32_t n)
{
    chance ^= chance << 13;
    chance ^= chance >> 17;
    chance ^= chance << 5;
    return chance % n;
}

/* ---- what is issued, and what is forged ---- */

static char *sign(const char *with, EVP_PKEY *key, ln_span mac_key, const char *header,
                  const char *claims)
{
    char *const token =
        strdup(token_kit_raw(with, key, mac_key, ln_text(header), ln_text(claims)).data);
    assert_non_null(token);
    return token;
}

static char *issue(const alg *a, const char *claims)
{
    char header[64];
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", a->name);
    return sign(a->name, ours[a->key], secret, header, claims);
}

static void add(family *f, char *token)
{
    assert_true(f->forged_count < TOKENS_MAX);
    f->forged[f->forged_count++] = token;
}

/* Signed by somebody else, or with something everybody knows. */
static void forge_keys(family *f, const alg *a)
{
    char header[64];
    snprintf(header, sizeof header, "{\"alg\":\"%s\"}", a->name);
    if (a->key > 0)
        add(f, sign(a->name, theirs[a->key], secret, header, ISSUED_TOO));
    else
        add(f, sign(a->name, NULL, LN_SPAN(other_secret), header, ISSUED_TOO));
    const ln_span known[] = {{"", 0},
                             {token_kit_secret, 1},
                             {token_kit_secret, 32},
                             ln_text(public_pem[1]),
                             ln_text(public_pem[2]),
                             {public_pem[1], strlen(public_pem[1]) - 1}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(known); i++) {
        add(f, sign("HS256", NULL, known[i], "{\"alg\":\"HS256\"}", ISSUED_TOO));
        add(f, sign("HS512", NULL, known[i], header, ISSUED_TOO));
    }
}

/* Signed by us in one way, announced in another; or not signed at all. */
static void forge_algorithms(family *f, const alg *a)
{
    static const char *const none[] = {"none", "None", "NONE", "nOnE", "", "HS", "hs256", "HS2567"};
    char header[64];
    for (size_t i = 0; i < ALGS; i++) {
        if (&algs[i] == a)
            continue;
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algs[i].name);
        add(f, sign(a->name, ours[a->key], secret, header, ISSUED_TOO));
    }
    for (size_t i = 0; i < LN_ARRAY_SIZE(none); i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", none[i]);
        add(f, sign(a->name, ours[a->key], secret, header, ISSUED_TOO));
        char *const token = sign(a->name, ours[a->key], secret, header, ISSUED_TOO);
        strrchr(token, '.')[1] = '\0';
        add(f, token);
    }
}

/* Signed by us as it should be, but of two meanings, or of one that we do not know. */
static void forge_texts(family *f, const alg *a)
{
    static const char *const headers[][2] = {{"{\"alg\":\"none\",\"alg\":\"", "\"}"},
                                             {"{\"alg\":\"", "\",\"alg\":\"none\"}"},
                                             {"{\"alg\":\"", "\",\"crit\":[\"exp\"]}"},
                                             {"{\"alg\":\"", "\",\"b64\":false}"},
                                             {"{\"alg\":[\"", "\"]}"}};
    static const char *const claims[] = {"{\"sub\":\"u1\",\"sub\":\"root\"}",
                                         "{\"exp\":1,\"exp\":2000000000}",
                                         "{\"exp\":\"2000000000\"}", "{\"exp\":1}"};
    char header[64];
    for (size_t i = 0; i < LN_ARRAY_SIZE(headers); i++) {
        snprintf(header, sizeof header, "%s%s%s", headers[i][0], a->name, headers[i][1]);
        add(f, sign(a->name, ours[a->key], secret, header, ISSUED_TOO));
    }
    snprintf(header, sizeof header, "{\"alg\":\"%s\"}", a->name);
    for (size_t i = 0; i < LN_ARRAY_SIZE(claims); i++)
        add(f, sign(a->name, ours[a->key], secret, header, claims[i]));
}

static void make_keys(void)
{
    static const char *const curves[KINDS] = {[2] = "P-256", [3] = "P-384", [4] = "P-521"};
    const char *files[KINDS - 1];
    for (unsigned k = 1; k < KINDS; k++) {
        ours[k] = k == 1 ? token_kit_rsa(2048) : token_kit_ec(curves[k]);
        theirs[k] = k == 1 ? token_kit_rsa(2048) : token_kit_ec(curves[k]);
        files[k - 1] = token_kit_pem(ours[k], false);
        FILE *const file = fopen(files[k - 1], "r");
        assert_non_null(file);
        assert_true(fread(public_pem[k], 1, sizeof public_pem[k] - 1, file) > 100);
        fclose(file);
    }
    auth = token_kit_auth(&(ln_auth_options){.secrets = &secret,
                                             .secret_count = 1,
                                             .key_files = files,
                                             .key_file_count = LN_ARRAY_SIZE(files)});
}

static int set_up(void **state)
{
    (void)state;
    make_keys();
    for (size_t i = 0; i < ALGS; i++) {
        families[i].issued[0] = issue(&algs[i], ISSUED);
        families[i].issued[1] = issue(&algs[i], ISSUED_TOO);
        forge_keys(&families[i], &algs[i]);
        forge_algorithms(&families[i], &algs[i]);
        forge_texts(&families[i], &algs[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < ALGS; i++) {
        free(families[i].issued[0]);
        free(families[i].issued[1]);
        while (families[i].forged_count > 0)
            free(families[i].forged[--families[i].forged_count]);
    }
    for (unsigned k = 1; k < KINDS; k++) {
        EVP_PKEY_free(ours[k]);
        EVP_PKEY_free(theirs[k]);
    }
    ln_auth_unref(auth);
    return token_kit_remove(state);
}

/* ---- changes ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The three parts of a token without its dots. */
static void split(const char *token, ln_span parts[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        const size_t n = strcspn(token, ".");
        parts[i] = (ln_span){token, n};
        token += n + (token[n] == '.');
    }
}

static void put_together(char *text, ln_span first, ln_span second, ln_span third)
{
    sprintf(text, "%.*s.%.*s.%.*s", (int)first.size, (const char *)first.data, (int)second.size,
            (const char *)second.data, (int)third.size, (const char *)third.data);
}

static void flip_a_bit(char *text)
{
    char *const at = text + roll((uint32_t)strlen(text));
    const char c = (char)(*at ^ 1 << roll(8));
    *at = c == '\0' ? '\x01' : c;
}

static void change_a_digit(char *text)
{
    text[roll((uint32_t)strlen(text))] = digits[roll(64)];
}

static void move_digits(char *text)
{
    const size_t n = strlen(text), at = roll((uint32_t)n);
    switch (roll(3)) {
    case 0:
        memmove(text + at, text + at + 1, n - at);
        return;
    case 1:
        memmove(text + at + 1, text + at, n - at + 1);
        text[at] = digits[roll(64)];
        return;
    default: {
        const size_t other = roll((uint32_t)n);
        const char c = text[at];
        text[at] = text[other];
        text[other] = c;
    }
    }
}

/* Parts of a token in another order, one of them twice, or out of another token. */
static void swap_parts(char *text)
{
    char copy[4096];
    ln_span a[PARTS], b[PARTS];
    const family *const other = &families[roll(ALGS)];
    split(strcpy(copy, text), a);
    split(roll(4) > 0 ? other->issued[roll(2)] : copy, b);
    if (roll(2) == 0)
        put_together(text, roll(2) ? a[0] : b[0], roll(2) ? a[1] : b[1], roll(2) ? a[2] : b[2]);
    else
        put_together(text, a[roll(PARTS)], b[roll(PARTS)], a[roll(PARTS)]);
}

/* What a lenient reader would take for the same bytes. */
static void write_otherwise(char *text)
{
    static const char *const junk[] = {"=", "==", " ", "\n", "A", "\t", "%3d", ".", "AA=="};
    char copy[4096];
    ln_span parts[PARTS];
    split(strcpy(copy, text), parts);
    const unsigned which = roll(PARTS);
    char *const last = copy + ((const char *)parts[which].data - copy) + parts[which].size - 1;
    if (roll(2) == 0 && parts[which].size > 0) {
        const char *const digit = strchr(digits, *last);
        const unsigned spare = parts[which].size % 4 == 2 ? 16 : parts[which].size % 4 == 3 ? 4 : 2;
        const size_t value = digit == NULL ? 0 : (size_t)(digit - digits);
        *last = digits[value / spare * spare + roll(spare)];
        strcpy(text, copy);
        return;
    }
    const char *const more = junk[roll(LN_ARRAY_SIZE(junk))];
    const size_t at = (size_t)(last + 1 - copy);
    sprintf(text, "%.*s%s%s", (int)at, copy, more, copy + at);
}

static void truncate_it(char *text)
{
    ln_span parts[PARTS];
    char copy[4096];
    if (roll(2) == 0) {
        text[roll((uint32_t)strlen(text))] = '\0';
        return;
    }
    split(strcpy(copy, text), parts);
    const unsigned which = roll(PARTS);
    parts[which].size = roll((uint32_t)parts[which].size + 1);
    put_together(text, parts[0], parts[1], parts[2]);
}

static void change_case(char *text)
{
    const size_t at = roll((uint32_t)strlen(text));
    if (text[at] == '-' || text[at] == '_')
        text[at] = text[at] == '-' ? '+' : '/';
    else if (text[at] >= 'A')
        text[at] ^= 0x20;
    else
        text[at] = digits[roll(64)];
}

typedef void change_fn(char *text);
static change_fn *const all_changes[] = {flip_a_bit,      change_a_digit, move_digits, swap_parts,
                                         write_otherwise, truncate_it,    change_case};

/* ---- verdicts ---- */

static bool is_issued(const char *text)
{
    for (size_t i = 0; i < ALGS; i++)
        if (strcmp(text, families[i].issued[0]) == 0 || strcmp(text, families[i].issued[1]) == 0)
            return true;
    return false;
}

/* Of a text; whether it was an issued token. */
static bool judge(family *f, const char *text)
{
    const bool is_good = is_issued(text);
    const enum ln_auth_verdict v = token_kit_judge(auth, ln_text(text));
    if ((v == LN_AUTH_GOOD) != is_good)
        fail_msg("%s: %s", text, ln_auth_explain(v));
    f->judged++;
    f->bad_signatures += v == LN_AUTH_BAD_SIGNATURE;
    return is_good;
}

static void what_was_issued_is_good_and_what_was_forged_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALGS; i++) {
        family *const f = &families[i];
        assert_true(judge(f, f->issued[0]) && judge(f, f->issued[1]));
        assert_true(f->forged_count > 40);
        for (size_t k = 0; k < f->forged_count; k++)
            assert_false(judge(f, f->forged[k]));
    }
}

/* One to three changes of an issued token, or of one forged; among the latter one that undoes them
 * is not to be expected. */
static void no_change_makes_a_token(void **state)
{
    (void)state;
    char text[8192];
    unsigned same = 0;
    for (unsigned i = 0; i < changes; i++) {
        family *const f = &families[i % ALGS];
        const bool is_forged = roll(4) == 0;
        strcpy(text, is_forged ? f->forged[roll((uint32_t)f->forged_count)] : f->issued[roll(2)]);
        for (uint32_t k = 1 + roll(3); k > 0 && text[0] != '\0'; k--)
            all_changes[roll(LN_ARRAY_SIZE(all_changes))](text);
        same += judge(f, text);
    }
    assert_in_range(same, 1, changes / 10); /* changes to the same, and back */
    for (size_t i = 0; i < ALGS; i++)       /* it did come to that */
        assert_true(families[i].bad_signatures > families[i].judged / 5);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        changes = (unsigned)strtoul(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_issued_is_good_and_what_was_forged_is_not),
        cmocka_unit_test(no_change_makes_a_token),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
