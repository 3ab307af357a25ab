/* SPDX-License-Identifier: MIT */
/*
 * block - immutable bytes that many queues, on many threads, share: a frame on its way to all
 * subscribers.
 *
 * Written by its maker until the first ref or publication to another thread, then read-only. The
 * count is atomic; the last unref frees.
 */
#ifndef LN_BLOCK_H
#define LN_BLOCK_H

#include <stdatomic.h>

#include "alloc.h"

typedef struct ln_block {
    const ln_allocator *alloc;
    size_t size;
    _Atomic uint32_t refs;
    uint8_t bytes[];
} ln_block;

/* `size` bytes to be filled by the caller, one reference; NULL when out of memory. */
ln_block *ln_block_new(const ln_allocator *alloc, size_t size);

/* Another reference. Returns `b`. Any thread. */
ln_block *ln_block_ref(ln_block *b);

/* Gives one back. Accepts NULL. Any thread. */
void ln_block_unref(ln_block *b);

#endif
