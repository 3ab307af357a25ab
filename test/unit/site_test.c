/* SPDX-License-Identifier: MIT */
/* Options of an endpoint: each row of src/limits.def that belongs to ln_ws_options, at its ends and
 * one beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"
#include "failing_alloc.h"
#include "peer/site.h"

typedef struct row {
    const char *name;
    size_t offset;
} row;

#define ROW(NAME, member)                                                                          \
    {                                                                                              \
        NAME, offsetof(ln_ws_options, member)                                                      \
    }

static const row rows[] = {
    ROW("MESSAGE_MAX_BYTES", message_max_bytes), ROW("FRAME_MAX_BYTES", frame_max_bytes),
    ROW("FRAGMENTS_MAX", fragments_max),         ROW("CONTROL_PER_SECOND", control_per_second),
    ROW("HANDSHAKE_MS", handshake_ms),           ROW("PING_INTERVAL_MS", ping_interval_ms),
    ROW("PONG_WAIT_MS", pong_wait_ms),           ROW("IDLE_MS", idle_ms),
    ROW("CLOSE_WAIT_MS", close_wait_ms),         ROW("QUEUE_MAX_BYTES", queue_max_bytes),
    ROW("HIGH_WATER_BYTES", high_water_bytes),   ROW("LOW_WATER_BYTES", low_water_bytes),
    ROW("DEFLATE_MIN_BYTES", deflate_min_bytes),
};

enum { ROWS = sizeof rows / sizeof *rows };

static int settle(ln_ws_options o, ln_ws_options *settled)
{
    ln_plan plan;
    const int rc = ln_plan_init(&plan, NULL, &o, &ln_alloc_libc);

    if (rc == 0) {
        *settled = plan.options;
        ln_plan_fini(&plan, &ln_alloc_libc);
    }
    return rc;
}

static uint32_t *member(const row *r, ln_ws_options *o)
{
    return (uint32_t *)(void *)((char *)o + r->offset);
}

/* What becomes of `asked` in this row; the waters are such that no other row stands in its way. */
static int try(const row *r, uint32_t asked, uint32_t *value)
{
    ln_ws_options o = {
        .queue_max_bytes = 2147483647, .high_water_bytes = 2147483647, .low_water_bytes = LN_OFF};
    if (r->offset == offsetof(ln_ws_options, queue_max_bytes))
        o = (ln_ws_options){0};
    *member(r, &o) = asked;
    const int rc = settle(o, &o);
    *value = *member(r, &o);
    return rc;
}

static void defaults_are_those_of_the_table(void **state)
{
    (void)state;
    ln_ws_options o;

    assert_int_equal(settle((ln_ws_options){0}, &o), 0);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(*member(&rows[i], &o), ln_limit_find(ln_text(rows[i].name))->usual);
}

static void each_row_has_its_ends(void **state)
{
    (void)state;
    uint32_t value;

    for (size_t i = 0; i < ROWS; i++) {
        const row *const r = &rows[i];
        const ln_limit *const limit = ln_limit_find(ln_text(r->name));
        const uint32_t least = limit->least == 0 ? 1 : limit->least;
        assert_int_equal(try(r, least, &value), 0);
        assert_int_equal(value, least);
        assert_int_equal(try(r, limit->most, &value), 0);
        assert_int_equal(value, limit->most);
        assert_int_equal(try(r, limit->most + 1, &value), LN_ERR_INVALID);
        assert_int_equal(try(r, LN_OFF - 1, &value), LN_ERR_INVALID);
        if (least > 1)
            assert_int_equal(try(r, least - 1, &value), LN_ERR_INVALID);
        assert_int_equal(try(r, LN_OFF, &value), limit->least == 0 ? 0 : LN_ERR_INVALID);
        if (limit->least == 0)
            assert_int_equal(value, 0);
    }
}

static void defaults_follow_what_was_set(void **state)
{
    (void)state;
    ln_ws_options o;

    assert_int_equal(settle((ln_ws_options){.message_max_bytes = 5000}, &o), 0);
    assert_int_equal(o.frame_max_bytes, 5000);
    assert_int_equal(settle((ln_ws_options){.message_max_bytes = 16 << 20}, &o), 0);
    assert_int_equal(o.frame_max_bytes, 16 << 20);
    assert_int_equal(settle((ln_ws_options){.queue_max_bytes = 40000}, &o), 0);
    assert_int_equal(o.high_water_bytes, 40000);
    assert_int_equal(o.low_water_bytes, 10000);
    assert_int_equal(settle((ln_ws_options){.queue_max_bytes = 1}, &o), 0);
    assert_int_equal(o.high_water_bytes, 1);
    assert_int_equal(o.low_water_bytes, 0);
    assert_int_equal(settle((ln_ws_options){.high_water_bytes = 8000}, &o), 0);
    assert_int_equal(o.low_water_bytes, 2000);
    assert_int_equal(settle((ln_ws_options){.queue_max_bytes = 4000, .low_water_bytes = 3000}, &o),
                     0);
    assert_int_equal(o.high_water_bytes, 4000);
}

static void contradictions_are_errors(void **state)
{
    (void)state;
    ln_ws_options o;
    const ln_ws_handlers both = {.on_message = (void (*)(ln_conn *, const ln_message *, void *))1,
                                 .on_chunk = (void (*)(ln_conn *, const ln_message *, void *))1};
    ln_plan plan;

    assert_int_equal(settle((ln_ws_options){.queue_max_bytes = 100, .high_water_bytes = 101}, &o),
                     LN_ERR_INVALID);
    assert_int_equal(settle((ln_ws_options){.high_water_bytes = 100, .low_water_bytes = 101}, &o),
                     LN_ERR_INVALID);
    assert_int_equal(settle((ln_ws_options){.queue_max_bytes = 100, .low_water_bytes = 101}, &o),
                     LN_ERR_INVALID);
    assert_int_equal(settle((ln_ws_options){.overflow = (enum ln_overflow)5}, &o), LN_ERR_INVALID);
    assert_int_equal(settle((ln_ws_options){.subprotocols = "a b"}, &o), LN_ERR_INVALID);
    assert_int_equal(settle((ln_ws_options){.subprotocols = "a,,b"}, &o), LN_ERR_INVALID);
    assert_int_equal(settle((ln_ws_options){.subprotocols = " a , b"}, &o), 0);
    assert_int_equal(ln_plan_init(&plan, &both, NULL, &ln_alloc_libc), LN_ERR_INVALID);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    const ln_ws_options o = {.subprotocols = "v1", .origins = "https://o.example"};
    ln_plan plan;
    (void)user;

    const int rc = ln_plan_init(&plan, NULL, &o, alloc);
    if (rc == 0)
        ln_plan_fini(&plan, alloc);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(one_life, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(each_row_has_its_ends),
        cmocka_unit_test(defaults_follow_what_was_set),
        cmocka_unit_test(contradictions_are_errors),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
