/* SPDX-License-Identifier: MIT */
/*
 * buf - one growing run of bytes.
 *
 * Invariants
 *   1. size <= capacity; data is NULL exactly when capacity is 0.
 *   2. Growth doubles, so n appended bytes cost O(n); it never goes beyond the caller's `limit`.
 */
#ifndef LN_BUF_H
#define LN_BUF_H

#include "alloc.h"

typedef struct ln_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    const ln_allocator *alloc;
} ln_buf;

/* Empty; allocates nothing. */
void ln_buf_init(ln_buf *b, const ln_allocator *alloc);
void ln_buf_fini(ln_buf *b);

/* Room for `extra` more bytes. 0; LN_ERR_TOO_BIG when size + extra > limit; LN_ERR_NOMEM. Nothing
 * changes on error. */
LN_NODISCARD int ln_buf_reserve(ln_buf *b, size_t extra, size_t limit);

/* Copies bytes to the end; errors as ln_buf_reserve(). */
LN_NODISCARD int ln_buf_append(ln_buf *b, const void *bytes, size_t n, size_t limit);

/* Forgets the first `n` bytes, n <= size. */
void ln_buf_consume(ln_buf *b, size_t n);

/* Empties it and gives the memory back. */
void ln_buf_release(ln_buf *b);

#endif
