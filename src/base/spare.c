/* SPDX-License-Identifier: MIT */
#include "spare.h"

void ln_spare_fini(ln_spare *s)
{
    for (unsigned i = 0; i < s->count; i++)
        ln_buf_fini(&s->bufs[i]);
    *s = (ln_spare){.count = 0};
}

void ln_spare_take(ln_spare *s, ln_buf *b)
{
    LN_ASSERT(b->capacity == 0);
    if (s->count == 0 || s->bufs[s->count - 1].alloc != b->alloc)
        return;
    *b = s->bufs[--s->count];
    s->bytes -= b->capacity;
}

void ln_spare_give(ln_spare *s, ln_buf *b)
{
    const bool is_kept = !LN_SANITIZED && s->count < LN_SPARE_BUFS &&
                         b->capacity >= LN_SPARE_MIN_BYTES &&
                         b->capacity <= LN_SPARE_MAX_BYTES - s->bytes;

    if (!is_kept) {
        ln_buf_release(b);
        return;
    }
    s->bytes += b->capacity;
    s->bufs[s->count++] = (ln_buf){b->data, 0, b->capacity, b->alloc};
    *b = (ln_buf){.alloc = b->alloc};
}
