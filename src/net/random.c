/* SPDX-License-Identifier: MIT */
#include "random.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "loop.h"

enum { PAGE_BYTES = 4096 };

/* Wiped by fork(): `left` is 0 in the child, which then fetches bytes of its own. */
struct ln_random {
    size_t left;
    uint8_t bytes[PAGE_BYTES - sizeof(size_t)];
};

struct ln_random *ln_random_new(void)
{
    void *const page =
        mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    madvise(page, PAGE_BYTES, MADV_WIPEONFORK);
    return page;
}

void ln_random_free(struct ln_random *random)
{
    if (random)
        munmap(random, PAGE_BYTES);
}

void ln_random_fill(void *bytes, size_t n)
{
    uint8_t *p = bytes;
    while (n > 0) {
        const ssize_t got = getrandom(p, n, 0);
        LN_ASSERT(got > 0 || errno == EINTR); /* no randomness: no masks, no seeds, no going on */
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

void ln_loop_random(ln_loop *loop, void *bytes, size_t n)
{
    struct ln_random *const pool = loop->random;
    uint8_t *p = bytes;
    while (n > 0) {
        if (pool->left == 0) {
            ln_random_fill(pool->bytes, sizeof pool->bytes);
            pool->left = sizeof pool->bytes;
        }
        const size_t part = ln_min_size(n, pool->left);
        uint8_t *const from = pool->bytes + pool->left - part;
        memcpy(p, from, part);
        memset(from, 0, part);
        pool->left -= part;
        p += part;
        n -= part;
    }
}
