/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

static void *libc_resize(void *user, void *old, size_t size)
{
    (void)user;
    if (size > 0)
        return realloc(old, size);
    free(old); /* realloc(p, 0) means something else in every C library */
    return NULL;
}

const ln_allocator ln_alloc_libc = {.resize = libc_resize};

static void *resize(const ln_allocator *a, void *old, size_t size)
{
    const ln_allocator *used = a ? a : &ln_alloc_libc;
    return used->resize(used->user, old, size);
}

void *ln_alloc(const ln_allocator *a, size_t size)
{
    LN_ASSERT(size > 0);
    return resize(a, NULL, size);
}

void *ln_alloc_zero(const ln_allocator *a, size_t size)
{
    void *p = ln_alloc(a, size);
    return p ? memset(p, 0, size) : NULL;
}

void *ln_realloc(const ln_allocator *a, void *old, size_t size)
{
    LN_ASSERT(size > 0);
    return resize(a, old, size);
}

void ln_free(const ln_allocator *a, void *p)
{
    if (p)
        (void)resize(a, p, 0);
}

char *ln_strndup(const ln_allocator *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? ln_alloc(a, n + 1) : NULL;
    if (!copy)
        return NULL;
    if (n > 0)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}
