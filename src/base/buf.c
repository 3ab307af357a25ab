/* SPDX-License-Identifier: MIT */
#include "buf.h"

#include <string.h>

enum { FIRST_BYTES = 64 }; /* below this, doubling would only call the allocator more often */

void ln_buf_init(ln_buf *b, const ln_allocator *alloc)
{
    *b = (ln_buf){.alloc = alloc};
}

void ln_buf_fini(ln_buf *b)
{
    ln_buf_release(b);
}

/* Twice what there is, or what is needed if that is more, but not beyond `limit`; needed <=
 * limit. */
static size_t grown(size_t capacity, size_t needed, size_t limit)
{
    const size_t doubled = capacity > limit / 2 ? limit : capacity * 2;
    const size_t wanted = ln_max_size(ln_max_size(doubled, FIRST_BYTES), needed);
    return ln_min_size(wanted, limit);
}

int ln_buf_reserve(ln_buf *b, size_t extra, size_t limit)
{
    if (extra > limit || b->size > limit - extra)
        return LN_ERR_TOO_BIG;
    if (extra <= b->capacity - b->size)
        return 0;

    const size_t capacity = grown(b->capacity, b->size + extra, limit);
    uint8_t *data = ln_realloc(b->alloc, b->data, capacity);
    if (!data)
        return LN_ERR_NOMEM;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

int ln_buf_append(ln_buf *b, const void *bytes, size_t n, size_t limit)
{
    const int rc = ln_buf_reserve(b, n, limit);
    if (rc < 0 || n == 0)
        return rc;
    memcpy(b->data + b->size, bytes, n);
    b->size += n;
    return 0;
}

void ln_buf_consume(ln_buf *b, size_t n)
{
    LN_ASSERT(n <= b->size);
    b->size -= n;
    if (b->size > 0 && n > 0)
        memmove(b->data, b->data + n, b->size);
}

void ln_buf_release(ln_buf *b)
{
    ln_free(b->alloc, b->data);
    *b = (ln_buf){.alloc = b->alloc};
}
