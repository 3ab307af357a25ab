/* SPDX-License-Identifier: MIT */
/*
 * guard_page - inputs for parsers that take a whole text: each ends where the next byte may not be
 * touched.
 *
 *     const ln_span s = guard_page_text("text");       without its NUL
 *     const ln_span t = guard_page_bytes(bytes, n);
 *
 * A span lives until GUARD_PAGE_SPANS more were asked for; nothing has to be released. Built on
 * guarded.h, for tests with more spans than rooms.
 */
#ifndef GUARD_PAGE_H
#define GUARD_PAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/types.h>

#include "guarded.h"

enum { GUARD_PAGE_SPANS = 8, GUARD_PAGE_BYTES_MAX = 1 << 17 };

static inline ln_span guard_page_bytes(const void *bytes, size_t n)
{
    static guarded rooms[GUARD_PAGE_SPANS];
    static unsigned next;

    guarded *room = &rooms[next++ % GUARD_PAGE_SPANS];
    if (!room->pages)
        guarded_init(room, GUARD_PAGE_BYTES_MAX);
    uint8_t *at = guarded_end(room, n);
    if (n > 0)
        memcpy(at, bytes, n);
    return (ln_span){at, n};
}

static inline ln_span guard_page_text(const char *text)
{
    return guard_page_bytes(text, strlen(text));
}

#endif
