/* SPDX-License-Identifier: MIT */
/*
 * spare - a few large buffers that were used, kept for whoever needs the next one, so that a steady
 * flow of large messages neither allocates nor touches fresh pages.
 *
 * Belongs to one loop.
 *
 * Invariants
 *   1. Kept are at most LN_SPARE_BUFS buffers of together at most LN_SPARE_MAX_BYTES, and none below
 *      LN_SPARE_MIN_BYTES, which the allocator hands out as fast. Under sanitizers none is kept.
 */
#ifndef LN_SPARE_H
#define LN_SPARE_H

#include "buf.h"

enum { LN_SPARE_BUFS = 4, LN_SPARE_MIN_BYTES = 32768, LN_SPARE_MAX_BYTES = 4 << 20 };

/* Zeroed, it is empty. */
typedef struct ln_spare {
    ln_buf bufs[LN_SPARE_BUFS];
    unsigned count;
    size_t bytes;
} ln_spare;

void ln_spare_fini(ln_spare *s);

/* Gives `b`, which owns no memory, the buffer that was kept last, if there is one of the same
 * allocator. */
void ln_spare_take(ln_spare *s, ln_buf *b);

/* Keeps the memory of `b` or frees it; `b` is empty then. */
void ln_spare_give(ln_spare *s, ln_buf *b);

#endif
