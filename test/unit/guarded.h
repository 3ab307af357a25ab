/* SPDX-License-Identifier: MIT */
/*
 * guarded - bytes between two pages that may not be touched, so that reading or writing one too
 * many is a crash.
 *
 *     guarded g;
 *     guarded_init(&g, 4096);
 *     uint8_t *p = guarded_end(&g, n);      p[n] is forbidden
 *     uint8_t *q = guarded_begin(&g);       q[-1] is forbidden
 *     guarded_fini(&g);
 */
#ifndef GUARDED_H
#define GUARDED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct guarded {
    uint8_t *pages; /* guard, `size` bytes, guard */
    size_t page;
    size_t size;
} guarded;

/* At least `size` bytes, cleared. */
static inline void guarded_init(guarded *g, size_t size)
{
    g->page = (size_t)sysconf(_SC_PAGESIZE);
    g->size = (size + g->page - 1) / g->page * g->page;
    g->pages = mmap(NULL, g->size + 2 * g->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g->pages != MAP_FAILED);
    assert_int_equal(mprotect(g->pages + g->page, g->size, PROT_READ | PROT_WRITE), 0);
}

static inline void guarded_fini(guarded *g)
{
    assert_int_equal(munmap(g->pages, g->size + 2 * g->page), 0);
}

static inline uint8_t *guarded_begin(const guarded *g)
{
    return g->pages + g->page;
}

/* The last `n` bytes. */
static inline uint8_t *guarded_end(const guarded *g, size_t n)
{
    assert_true(n <= g->size);
    return g->pages + g->page + g->size - n;
}

#endif
