/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/secret.h"

static char secret[LN_SECRET_SIZE];

/* Reads a secret from a file with these bytes. */
static int read_file(const void *bytes, size_t n)
{
    char path[] = "/tmp/secret_test_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    memset(secret, 'z', sizeof secret);
    const int rc = ln_secret_read(path, secret);
    unlink(path);
    return rc;
}

static int read_text(const char *text)
{
    return read_file(text, strlen(text));
}

static void the_first_line_counts(void **state)
{
    (void)state;
    assert_int_equal(read_text("open sesame\n"), 0);
    assert_string_equal(secret, "open sesame");
    assert_int_equal(read_text("open sesame"), 0);
    assert_string_equal(secret, "open sesame");
    assert_int_equal(read_text("one\r\ntwo\n"), 0);
    assert_string_equal(secret, "one");
    assert_int_equal(read_text(" blanks count \n"), 0);
    assert_string_equal(secret, " blanks count ");
}

static void an_empty_or_broken_line_is_none(void **state)
{
    (void)state;
    assert_int_equal(read_text(""), LN_ERR_INVALID);
    assert_int_equal(read_text("\n"), LN_ERR_INVALID);
    assert_int_equal(read_text("\r\nlater\n"), LN_ERR_INVALID);
    assert_int_equal(read_file("half\0more\n", 10), LN_ERR_INVALID);
    for (size_t i = 0; i < sizeof secret; i++)
        assert_int_equal(secret[i], 0); /* nothing of a refused one stays in memory */
}

static void the_longest_line_fits_and_no_longer_one(void **state)
{
    (void)state;
    char text[LN_SECRET_SIZE + 1];
    memset(text, 'x', sizeof text);
    text[LN_SECRET_SIZE - 1] = '\n';
    assert_int_equal(read_file(text, LN_SECRET_SIZE), 0);
    assert_int_equal(strlen(secret), LN_SECRET_SIZE - 1);
    assert_int_equal(read_file(text, LN_SECRET_SIZE - 1), 0); /* the same without its newline */
    assert_int_equal(strlen(secret), LN_SECRET_SIZE - 1);
    text[LN_SECRET_SIZE - 1] = 'x';
    text[LN_SECRET_SIZE] = '\n';
    assert_int_equal(read_file(text, LN_SECRET_SIZE + 1), LN_ERR_LIMIT);
}

static void a_file_that_cannot_be_read_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(ln_secret_read("/nonexistent/file", secret), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_secret_read("/", secret), LN_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_counts),
        cmocka_unit_test(an_empty_or_broken_line_is_none),
        cmocka_unit_test(the_longest_line_fits_and_no_longer_one),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
