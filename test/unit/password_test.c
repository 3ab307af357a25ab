/* SPDX-License-Identifier: MIT */
/* Hashes of passwords. The fixed ones were made by another implementation, Python's hashlib. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/text.h"
#include "dialect/password.h"

#define SALT "AAECAwQFBgcICQoLDA0ODw"
#define KEY  "7kAgDLcsdRz17nF42H6ux+NsIky+V8PhvH4ZnR+9cfs"
#define KEY64                                                                                      \
    "FxBMVR7p+Dwa60FZsYRC42UbMQfZXoXuhpWjEB4/IQCQd8sZcelLRzAxIJscsUxkb55DDwehFxFkxdWCroRcPg"

static const char scrypt[] = "$scrypt$ln=15,r=8,p=1$" SALT "$" KEY;
static const char cheap[] = "$scrypt$ln=10,r=8,p=1$" SALT "$" KEY64;
static const char first[] = /* plumego's first version */
    "10000$" SALT "==$M9P/z3MMVHM4h3ra9/ZabNIEqN9kz73fCHZET5WzU4A=";
static const char later[] = "210000$" SALT "==$4qw20sVExmYQG5Wa4HPdZjZVvfjiM0ODZbe2lH6QM4Z2htz13+"
                            "bCn7KPLc4KggvFo1RSJpq/9MrcWG/mRozK0A==";
static const char later_short[] = "100000$" SALT "==$Pm5yxtJW4resv9ckcnNvfDtcpzHpi9+o4WSVmuQx41Q=";
static const char of_nothing[] = "10000$" SALT "==$v1G3X0C/7pJstPKcbLnQ6+ZDpXHSk4EJo8PndMh9Bdw=";
static const char of_4096[] = "10000$" SALT "==$gwmaS/kiEjRh8S60XVu4LB0xi6cPETmUTDAyOCT4z9E=";

static int verify(const char *hash, const char *password)
{
    return ln_password_verify(ln_text(hash), ln_text(password));
}

static void hashes_made_elsewhere_are_understood(void **state)
{
    (void)state;
    const char *const hashes[] = {scrypt, cheap, first, later, later_short};
    for (size_t i = 0; i < LN_ARRAY_SIZE(hashes); i++) {
        assert_true(ln_password_is_hash(ln_text(hashes[i])));
        assert_int_equal(verify(hashes[i], "room-password"), 0);
        assert_int_equal(verify(hashes[i], "room-passworD"), LN_ERR_POLICY);
        assert_int_equal(verify(hashes[i], ""), LN_ERR_POLICY);
    }
    assert_int_equal(verify(of_nothing, ""), 0);
    assert_int_equal(verify(of_nothing, "x"), LN_ERR_POLICY);
}

static void a_password_opens_its_own_hash_alone(void **state)
{
    (void)state;
    char hash[LN_PASSWORD_HASH_SIZE], again[LN_PASSWORD_HASH_SIZE];
    const int n = ln_password_hash(LN_SPAN("Zo\xc3\xab's r\x00om"), hash);
    assert_int_equal(n, strlen(hash));
    assert_true(ln_password_is_hash(ln_text(hash)));
    assert_int_equal(ln_password_verify(ln_text(hash), LN_SPAN("Zo\xc3\xab's r\x00om")), 0);
    assert_int_equal(verify(hash, "Zo\xc3\xab's r"), LN_ERR_POLICY);
    assert_int_equal(verify(hash, "Zoe's room"), LN_ERR_POLICY);
    assert_true(ln_password_hash(LN_SPAN("Zo\xc3\xab's r\x00om"), again) > 0);
    assert_string_not_equal(hash, again); /* another salt */
}

static double processor_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void a_new_hash_costs_what_the_limit_says(void **state)
{
    (void)state;
    char hash[LN_PASSWORD_HASH_SIZE];
    const double begin_s = processor_s();
    assert_true(ln_password_hash(LN_SPAN("a"), hash) > 0);
    assert_true(processor_s() - begin_s > 0.01); /* nobody does it in a tenth of that */
    assert_int_equal(strncmp(hash, "$scrypt$ln=15,r=8,p=1$", 22), 0);
}

static void the_length_is_bounded_from_both_sides(void **state)
{
    (void)state;
    static char password[4097];
    char hash[LN_PASSWORD_HASH_SIZE];
    memset(password, 'a', sizeof password);
    assert_int_equal(ln_password_verify(ln_text(of_4096), (ln_span){password, 4096}), 0);
    assert_int_equal(ln_password_verify(ln_text(of_4096), (ln_span){password, 4097}),
                     LN_ERR_POLICY);
    assert_true(ln_password_hash((ln_span){password, 4096}, hash) > 0);
    assert_int_equal(ln_password_hash((ln_span){password, 4097}, hash), LN_ERR_INVALID);
    assert_int_equal(ln_password_hash((ln_span){password, 0}, hash), LN_ERR_INVALID);
}

static void assert_no_hash(const char *text)
{
    if (ln_password_is_hash(ln_text(text)))
        fail_msg("a hash: %s", text);
    assert_int_equal(verify(text, "x"), LN_ERR_INVALID);
}

/* Refused before anything is derived: the test would take minutes, and gigabytes. */
static void a_stored_hash_cannot_ask_for_more_work_than_the_limit(void **state)
{
    (void)state;
    const double begin_s = processor_s();
    assert_true(ln_password_is_hash(LN_SPAN("$scrypt$ln=17,r=8,p=1$" SALT "$" KEY)));
    assert_no_hash("$scrypt$ln=18,r=8,p=1$" SALT "$" KEY);
    assert_no_hash("$scrypt$ln=63,r=8,p=1$" SALT "$" KEY);
    assert_no_hash("$scrypt$ln=4294967311,r=8,p=1$" SALT "$" KEY);
    assert_no_hash("$scrypt$ln=15,r=8,p=1000000$" SALT "$" KEY);
    assert_no_hash("$scrypt$ln=15,r=1024,p=1$" SALT "$" KEY);
    assert_true(ln_password_is_hash(LN_SPAN("2000000$" SALT "==$" KEY "=")));
    assert_no_hash("2000001$" SALT "==$" KEY "=");
    assert_no_hash("4294967296$" SALT "==$" KEY "=");
    assert_no_hash("18446744073709551616$" SALT "==$" KEY "=");
    assert_true(processor_s() - begin_s < 1);
}

static void too_little_work_is_no_hash_either(void **state)
{
    (void)state;
    assert_no_hash("$scrypt$ln=9,r=8,p=1$" SALT "$" KEY);
    assert_no_hash("$scrypt$ln=0,r=8,p=1$" SALT "$" KEY);
    assert_no_hash("9999$" SALT "==$" KEY "=");
    assert_no_hash("0$" SALT "==$" KEY "=");
    assert_no_hash("1$" SALT "==$" KEY "=");
}

static void what_is_no_hash_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "$",
        "$$",
        "$$$$",
        "$$$$$",
        "room-password",
        "10000",
        "10000$",
        "10000$$",
        "10000$" SALT "==$",
        "10000$$" KEY "=",
        "10000$" SALT "$" KEY,
        "10000$" SALT "==$" KEY "=$",
        "10000$" SALT "==$" KEY "=\n",
        " 10000$" SALT "==$" KEY "=",
        "10000 $" SALT "==$" KEY "=",
        "-10000$" SALT "==$" KEY "=",
        "+10000$" SALT "==$" KEY "=",
        "1e4$" SALT "==$" KEY "=",
        "10000$AAECAwQFBg==$" KEY "=",               /* 7 bytes of salt */
        "10000$" SALT "==$AAECAwQFBgcICQoLDA0ODw==", /* 16 of key */
        "10000$" SALT "==$AA==",
        "$scrypt$ln=15,r=8,p=1$" SALT "==$" KEY "=",
        "$scrypt$ln=15,r=8,p=1$" SALT "$" KEY "=",
        "$scrypt$ln=15,r=8,p=1$$" KEY,
        "$scrypt$ln=15,r=8,p=1$" SALT "$",
        "$scrypt$ln=15,r=8,p=1$" SALT,
        "$scrypt$ln=15,r=8,p=2$" SALT "$" KEY,
        "$scrypt$ln=15,r=16,p=1$" SALT "$" KEY,
        "$scrypt$ln=,r=8,p=1$" SALT "$" KEY,
        "$scrypt$15$" SALT "$" KEY,
        "$Scrypt$ln=15,r=8,p=1$" SALT "$" KEY,
        "$argon2id$ln=15,r=8,p=1$" SALT "$" KEY,
        "$2b$12$abcdefghijklmnopqrstuv",
        "x$scrypt$ln=15,r=8,p=1$" SALT "$" KEY,
        "10000$" SALT "==$M9P_z3MMVHM4h3ra9_ZabNIEqN9kz73fCHZET5WzU4A=",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++)
        assert_no_hash(bad[i]);
    static char endless[100000];
    memset(endless, 'A', sizeof endless - 1);
    assert_no_hash(endless);
    memcpy(endless, "10000$", 6);
    assert_no_hash(endless);
    memset(endless, '$', sizeof endless - 1);
    assert_no_hash(endless);
    assert_false(ln_password_is_hash((ln_span){NULL, 0}));
}

/* Every bit of the stored key counts. */
static void another_key_is_another_password(void **state)
{
    (void)state;
    char hash[sizeof first];
    char *const key = strcpy(hash, first) + strlen("10000$" SALT "==$");
    for (size_t i = 0; i < 43; i += 6) {
        const char right = key[i];
        key[i] = right == 'A' ? 'E' : 'A'; /* both end a text without stray bits */
        assert_int_equal(verify(hash, "room-password"), LN_ERR_POLICY);
        key[i] = right;
    }
    assert_int_equal(verify(hash, "room-password"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_made_elsewhere_are_understood),
        cmocka_unit_test(a_password_opens_its_own_hash_alone),
        cmocka_unit_test(a_new_hash_costs_what_the_limit_says),
        cmocka_unit_test(the_length_is_bounded_from_both_sides),
        cmocka_unit_test(a_stored_hash_cannot_ask_for_more_work_than_the_limit),
        cmocka_unit_test(too_little_work_is_no_hash_either),
        cmocka_unit_test(what_is_no_hash_is_refused),
        cmocka_unit_test(another_key_is_another_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
