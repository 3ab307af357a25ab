/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linnet/linnet.h>
#include <stdatomic.h>

#include "dialect/shelf.h"
#include "failing_alloc.h"
#include "server_kit.h"

static atomic_int freed;

static void free_version(void *version, const ln_allocator *alloc)
{
    ln_free(alloc, version);
    atomic_fetch_add(&freed, 1);
}

static int put(ln_shelf *s, int number)
{
    int *const version = ln_alloc(s->server->alloc, sizeof *version);
    if (version == NULL)
        return LN_ERR_NOMEM;
    *version = number;
    (void)ln_shelf_take(s);
    const int rc = ln_shelf_put(s, version);
    if (rc < 0)
        ln_free(s->server->alloc, version);
    ln_shelf_give(s);
    return rc;
}

static int number_on(const ln_shelf *s)
{
    const int *const version = ln_shelf_get(s);
    return version == NULL ? -1 : *version;
}

static void before_the_server_runs_the_old_goes_at_once(void **state)
{
    ln_server *const server = ln_server_new(NULL);
    ln_shelf s;
    (void)state;

    atomic_store(&freed, 0);
    ln_shelf_init(&s, server, free_version);
    assert_int_equal(number_on(&s), -1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(put(&s, i), 0);
        assert_int_equal(number_on(&s), i);
        assert_int_equal(atomic_load(&freed), i);
    }
    ln_shelf_fini(&s);
    assert_int_equal(atomic_load(&freed), 5);
    ln_server_free(server);
}

typedef struct nap {
    const ln_shelf *shelf;
    atomic_int has_begun, is_over, saw;
} nap;

/* A worker that reads a version and takes its time over it. */
static void take_a_nap(void *arg)
{
    nap *const n = arg;
    const int *const version = ln_shelf_get(n->shelf);

    atomic_store(&n->has_begun, 1);
    for (int i = 0; i < 5000 && atomic_load(&n->is_over) == 0; i++)
        kit_rest_ms(1);
    atomic_store(&n->saw, *version);
}

static void then_it_goes_when_no_worker_can_read_it_any_more(void **state)
{
    const ln_server_options options = {.workers = 3};
    ln_server *const server = ln_server_new(&options);
    ln_shelf s;
    nap n = {.shelf = &s};
    (void)state;

    atomic_store(&freed, 0);
    ln_shelf_init(&s, server, free_version);
    assert_int_equal(put(&s, 7), 0);
    assert_int_equal(ln_server_start(server), 0);
    assert_int_equal(ln_server_post(server, 1, take_a_nap, &n), 0);
    while (atomic_load(&n.has_begun) == 0)
        kit_rest_ms(1);
    assert_int_equal(put(&s, 8), 0);
    assert_int_equal(put(&s, 9), 0);
    assert_int_equal(number_on(&s), 9);
    kit_rest_ms(50);
    assert_int_equal(atomic_load(&freed), 0);
    atomic_store(&n.is_over, 1);
    for (int i = 0; i < 5000 && atomic_load(&freed) < 2; i++)
        kit_rest_ms(1);
    assert_int_equal(atomic_load(&freed), 2);
    assert_int_equal(atomic_load(&n.saw), 7);
    ln_server_stop(server);
    ln_server_join(server);
    assert_int_equal(put(&s, 10), 0); /* nobody reads any more */
    assert_int_equal(atomic_load(&freed), 3);
    ln_shelf_fini(&s);
    ln_server_free(server);
}

static void without_memory_the_old_stays(void **state)
{
    failing_alloc fa;
    ln_shelf s;
    (void)state;

    failing_alloc_init(&fa, FAILING_NEVER);
    const ln_server_options options = {.allocator = &fa.hook};
    ln_server *const server = ln_server_new(&options);
    ln_shelf_init(&s, server, free_version);
    assert_int_equal(put(&s, 1), 0);
    assert_int_equal(ln_server_start(server), 0);
    int *const version = ln_alloc(&fa.hook, sizeof *version);
    assert_non_null(version);
    (void)ln_shelf_take(&s);
    failing_alloc_refuse(&fa);
    assert_int_equal(ln_shelf_put(&s, version), LN_ERR_NOMEM);
    failing_alloc_allow(&fa);
    ln_shelf_give(&s);
    ln_free(&fa.hook, version);
    assert_int_equal(number_on(&s), 1);
    ln_server_stop(server);
    ln_server_join(server);
    ln_shelf_fini(&s);
    ln_server_free(server);
    failing_alloc_assert_empty(&fa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_the_server_runs_the_old_goes_at_once),
        cmocka_unit_test(then_it_goes_when_no_worker_can_read_it_any_more),
        cmocka_unit_test(without_memory_the_old_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
