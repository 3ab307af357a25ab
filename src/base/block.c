/* SPDX-License-Identifier: MIT */
#include "block.h"

ln_block *ln_block_new(const ln_allocator *alloc, size_t size)
{
    if (size > SIZE_MAX - sizeof(ln_block))
        return NULL;
    ln_block *b = ln_alloc(alloc, sizeof *b + size);
    if (!b)
        return NULL;
    b->alloc = alloc;
    b->size = size;
    atomic_init(&b->refs, 1);
    return b;
}

ln_block *ln_block_ref(ln_block *b)
{
    /* Relaxed: who can call this already holds a reference, and so already sees the bytes. */
    const uint32_t before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    LN_ASSERT(before > 0 && before < UINT32_MAX);
    return b;
}

void ln_block_unref(ln_block *b)
{
    if (!b)
        return;
    /* Acquire and release: every reader's last look comes before the free, whichever thread does
     * it. */
    const uint32_t before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    LN_ASSERT(before > 0);
    if (before == 1)
        ln_free(b->alloc, b);
}
