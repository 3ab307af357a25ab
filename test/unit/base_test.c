/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

static const uint8_t bytes[] = {0xff, 0x81, 0x02, 0x83, 0x04, 0x85, 0x06, 0x87, 0x08};

static void loads_read_the_named_order_at_odd_addresses(void **state)
{
    (void)state;
    assert_int_equal(ln_load_be16(bytes + 1), 0x8102);
    assert_int_equal(ln_load_be32(bytes + 1), 0x81028304);
    assert_int_equal(ln_load_le32(bytes + 1), 0x04830281);
    assert_true(ln_load_be64(bytes + 1) == UINT64_C(0x8102830485068708));
    assert_true(ln_load_le64(bytes + 1) == UINT64_C(0x0887068504830281));
}

static void stores_write_what_loads_read_and_nothing_else(void **state)
{
    (void)state;
    static const uint8_t untouched[10] = {0};
    uint8_t out[10] = {0};

    ln_store_be16(out + 1, 0x8102);
    assert_memory_equal(out + 1, bytes + 1, 2);
    assert_memory_equal(out + 3, untouched, 7);
    ln_store_be32(out + 1, 0x81028304);
    assert_memory_equal(out + 1, bytes + 1, 4);
    assert_memory_equal(out + 5, untouched, 5);
    ln_store_be64(out + 1, UINT64_C(0x8102830485068708));
    assert_memory_equal(out + 1, bytes + 1, 8);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[9], 0);
}

static void smaller_and_larger_are_told_apart(void **state)
{
    (void)state;
    assert_true(ln_min_size(1, SIZE_MAX) == 1 && ln_min_size(SIZE_MAX, 1) == 1);
    assert_true(ln_max_size(1, SIZE_MAX) == SIZE_MAX && ln_max_size(SIZE_MAX, 1) == SIZE_MAX);
}

/* Runs LN_ASSERT(holds) in a child; its wait status, and what it wrote to stderr in `said`. */
static int assert_in_child(bool holds, char *said, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        LN_ASSERT(holds);
        _exit(0);
    }
    close(ends[1]);
    const ssize_t n = read(ends[0], said, size - 1);
    assert_true(n >= 0);
    said[n] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_failed_assertion_names_its_place_and_aborts(void **state)
{
    (void)state;
    char said[256];
    int status = assert_in_child(false, said, sizeof said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "holds"));
    assert_non_null(strstr(said, "base_test.c:"));

    status = assert_in_child(true, said, sizeof said);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_read_the_named_order_at_odd_addresses),
        cmocka_unit_test(stores_write_what_loads_read_and_nothing_else),
        cmocka_unit_test(smaller_and_larger_are_told_apart),
        cmocka_unit_test(a_failed_assertion_names_its_place_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
