/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/spare.h"

enum { LARGE = 100000 };

static ln_buf filled(size_t n)
{
    ln_buf b;
    ln_buf_init(&b, &ln_alloc_libc);
    assert_int_equal(ln_buf_reserve(&b, n, SIZE_MAX), 0);
    b.size = n;
    return b;
}

static void the_buffer_given_last_is_taken_first(void **state)
{
    (void)state;
    ln_spare s = {.count = 0};
    ln_buf first = filled(LARGE), second = filled(2 * LARGE), taken;
    const uint8_t *const memory = second.data;

    ln_spare_give(&s, &first);
    ln_spare_give(&s, &second);
    assert_null(first.data);
    assert_int_equal(second.capacity + second.size, 0);
    ln_buf_init(&taken, &ln_alloc_libc);
    ln_spare_take(&s, &taken);
    if (!LN_SANITIZED) {
        assert_ptr_equal(taken.data, memory);
        assert_int_equal(s.bytes, LARGE);
        assert_true(taken.capacity >= 2 * LARGE);
    }
    assert_int_equal(taken.size, 0);
    ln_buf_fini(&taken);
    ln_spare_fini(&s);
    assert_int_equal(s.bytes + s.count, 0);
}

static void what_is_small_or_too_much_is_not_kept(void **state)
{
    (void)state;
    ln_spare s = {.count = 0};

    ln_buf b = filled(LN_SPARE_MIN_BYTES - 1);
    ln_spare_give(&s, &b);
    assert_null(b.data);
    assert_int_equal(s.count, 0);
    b = filled(LN_SPARE_MAX_BYTES + 1);
    ln_spare_give(&s, &b);
    assert_int_equal(s.count, 0);
    b = filled(LN_SPARE_MAX_BYTES);
    ln_spare_give(&s, &b);
    assert_int_equal(s.count, LN_SANITIZED ? 0 : 1);
    b = filled(LN_SPARE_MIN_BYTES);
    ln_spare_give(&s, &b); /* the others would be beyond the bytes */
    assert_int_equal(s.bytes, LN_SANITIZED ? 0 : LN_SPARE_MAX_BYTES);
    ln_spare_fini(&s);
    for (unsigned i = 0; i < LN_SPARE_BUFS + 2; i++) {
        b = filled(LARGE);
        ln_spare_give(&s, &b);
        assert_true(s.count <= LN_SPARE_BUFS);
    }
    ln_spare_fini(&s);
}

static void a_buffer_of_another_allocator_stays(void **state)
{
    (void)state;
    static const ln_allocator other;
    ln_spare s = {.count = 0};
    ln_buf b = filled(LARGE), taken;

    ln_spare_give(&s, &b);
    const unsigned count = s.count;
    ln_buf_init(&taken, &other);
    ln_spare_take(&s, &taken);
    assert_null(taken.data);
    assert_int_equal(s.count, count);
    ln_spare_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_buffer_given_last_is_taken_first),
        cmocka_unit_test(what_is_small_or_too_much_is_not_kept),
        cmocka_unit_test(a_buffer_of_another_allocator_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
