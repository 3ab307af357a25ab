/* SPDX-License-Identifier: MIT */
/*
 * alloc - memory through the application's hook (ln_allocator), with the C library's as the
 * default.
 *
 * NULL as the allocator means the default everywhere.
 */
#ifndef LN_ALLOC_H
#define LN_ALLOC_H

#include "base.h"

extern const ln_allocator ln_alloc_libc;

/* `size` > 0 bytes, not cleared, or NULL. Owned; release with ln_free() and the same allocator. */
void *ln_alloc(const ln_allocator *a, size_t size);

/* The same, cleared. */
void *ln_alloc_zero(const ln_allocator *a, size_t size);

/* Moves `old` (or NULL) to `size` > 0 bytes; NULL leaves `old` as it was. */
void *ln_realloc(const ln_allocator *a, void *old, size_t size);

/* Accepts NULL. */
void ln_free(const ln_allocator *a, void *p);

/* A NUL-terminated copy of `n` bytes, or NULL. Owned. */
char *ln_strndup(const ln_allocator *a, const char *s, size_t n);

#endif
