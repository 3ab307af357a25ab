/* SPDX-License-Identifier: MIT */
/*
 * failing_alloc - an allocator for tests: counts what is alive, fails on command, notices damage
 * around its blocks.
 *
 *     failing_alloc fa;
 *     failing_alloc_init(&fa, FAILING_NEVER);
 *     ... give &fa.hook to the code under test, then release everything ...
 *     failing_alloc_assert_empty(&fa);
 *
 * The out-of-memory sweep: put one whole life of the thing under test, from init to fini, into a
 * function and hand it to failing_alloc_sweep(). Check there what must hold after a failure; leaks
 * are checked by the sweep.
 *
 *     static int one_life(const ln_allocator *alloc, void *user) { ... return rc; }
 *     assert_true(failing_alloc_sweep(one_life, NULL) > 0);
 *
 * The counts are atomic: several threads may allocate.
 */
#ifndef FAILING_ALLOC_H
#define FAILING_ALLOC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/types.h>
#include <unistd.h>

#define FAILING_NEVER     SIZE_MAX
#define FAILING_SWEEP_MAX 100000 /* allocations in one run: more is a loop that does not end */

enum failing_mode {
    FAILING_ONCE, /* only the chosen allocation fails: what comes after must not rely on it */
    FAILING_FROM  /* it and all after it: the way back may not need memory */
};

typedef struct failing_alloc {
    ln_allocator hook;
    _Atomic size_t live_blocks;
    _Atomic size_t live_bytes;
    _Atomic size_t calls;    /* allocations and moves asked for, failed ones included; not frees */
    _Atomic size_t failures; /* how many of them were refused */
    size_t fail_at; /* which call fails, from 0; may be set at any time, counted with `calls` */
    enum failing_mode mode;
} failing_alloc;

/* Stands before every block; the mark tells a block of ours, alive, with nothing written before its
 * begin. */
typedef union failing_header {
    struct {
        size_t size;
        uint64_t mark;
    } block;
    max_align_t align;
} failing_header;

#define FAILING_MARK UINT64_C(0x6c6976656c696e6e)

static inline bool failing_alloc_refuses(failing_alloc *fa)
{
    const size_t call = atomic_fetch_add(&fa->calls, 1);
    const bool refused = fa->mode == FAILING_ONCE ? call == fa->fail_at : call >= fa->fail_at;
    if (refused)
        atomic_fetch_add(&fa->failures, 1);
    return refused;
}

/* Always a new place: a pointer kept across a move is then found by the sanitizers. */
static inline void *failing_alloc_resize(void *user, void *old, size_t size)
{
    failing_alloc *fa = user;
    failing_header *from = old ? (failing_header *)old - 1 : NULL;
    failing_header *to = NULL;

    if (from && from->block.mark != FAILING_MARK)
        fail_msg("not a live block of this allocator, or overwritten before its begin: %p", old);
    if (size > 0) {
        to = failing_alloc_refuses(fa) ? NULL : malloc(sizeof *to + size);
        if (!to)
            return NULL;
        to->block.size = size;
        to->block.mark = FAILING_MARK;
        memset(to + 1, 0xa5, size); /* "not cleared" is to be visible */
        atomic_fetch_add(&fa->live_blocks, 1);
        atomic_fetch_add(&fa->live_bytes, size);
    }
    if (from) {
        if (to)
            memcpy(to + 1, from + 1, from->block.size < size ? from->block.size : size);
        atomic_fetch_sub(&fa->live_blocks, 1);
        atomic_fetch_sub(&fa->live_bytes, from->block.size);
        from->block.mark = 0;
        free(from);
    }
    return to ? to + 1 : NULL;
}

/* The call number `fail_at` (from 0), and no other, returns NULL; FAILING_NEVER only counts. `fa`
 * must not move. */
static inline void failing_alloc_init(failing_alloc *fa, size_t fail_at)
{
    *fa = (failing_alloc){.fail_at = fail_at, .mode = FAILING_ONCE};
    fa->hook = (ln_allocator){.resize = failing_alloc_resize, .user = fa};
}

/* From now on every allocation fails; failing_alloc_allow() ends it. */
static inline void failing_alloc_refuse(failing_alloc *fa)
{
    fa->mode = FAILING_FROM;
    fa->fail_at = atomic_load(&fa->calls);
}

static inline void failing_alloc_allow(failing_alloc *fa)
{
    fa->fail_at = FAILING_NEVER;
}

static inline void failing_alloc_assert_empty(failing_alloc *fa)
{
    if (atomic_load(&fa->live_blocks) != 0)
        fail_msg("%zu blocks of %zu bytes leaked (call %zu refused)", atomic_load(&fa->live_blocks),
                 atomic_load(&fa->live_bytes), fa->fail_at);
}

/* One whole life of the thing under test. 0, or LN_ERR_NOMEM where an allocation was refused and
 * that mattered. */
typedef int failing_alloc_run(const ln_allocator *alloc, void *user);

/* One pass of the sweep; the number of allocations a run without a failure makes. */
static inline size_t failing_alloc_sweep_mode(failing_alloc_run *run, void *user,
                                              enum failing_mode mode)
{
    unsigned waits = 200;

    for (size_t n = 0; n < FAILING_SWEEP_MAX; n++) {
        failing_alloc fa;
        failing_alloc_init(&fa, n);
        fa.mode = mode;

        const int rc = run(&fa.hook, user);
        failing_alloc_assert_empty(&fa);
        if (atomic_load(&fa.failures) == 0 && rc == LN_ERR_NOMEM && waits > 0) {
            /* The system itself was short of something, such as the locked memory of the rings
             * before, which it gives back late: once more. */
            waits--;
            n--;
            usleep(20000);
            continue;
        }
        if (atomic_load(&fa.failures) == 0) {
            assert_int_equal(rc, 0);
            return n;
        }
        if (rc != 0)
            assert_int_equal(rc, LN_ERR_NOMEM);
    }
    fail_msg("still allocating after %d calls", FAILING_SWEEP_MAX);
    return 0;
}

/*
 * Runs `run` with its allocation 0, 1, 2, ... failing until it gets through without meeting the
 * failure, first each alone, then each with all that follow. After every run nothing may be left;
 * the result must be 0 or LN_ERR_NOMEM, and 0 in the last. Returns how many allocations were swept,
 * so that a test can insist on some.
 */
static inline size_t failing_alloc_sweep(failing_alloc_run *run, void *user)
{
    const size_t swept = failing_alloc_sweep_mode(run, user, FAILING_ONCE);
    failing_alloc_sweep_mode(run, user, FAILING_FROM);
    return swept;
}

#endif
