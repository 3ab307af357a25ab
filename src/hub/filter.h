/* SPDX-License-Identifier: MIT */
/*
 * filter - names that stand for many: their syntax, and whether one matches.
 *
 * A name is a row of tokens separated by '.'. In a filter a token `*` matches any one token, and
 * `>` as the last token any one or more. Tokens of a name may be empty, and match like others;
 * those of a filter may not.
 *
 *   filter     matches                    does not
 *   a.*        a.b  a.                    a  a.b.c
 *   a.>        a.b  a.b.c                 a
 *   *.b        a.b                        $a.b
 *   >          a  a.b.c                   $a
 *   a*.b       itself: it is no filter, as `*` is not the whole token
 *
 * A name that begins with `$` is matched only by a filter that spells out its first token: such
 * names are a server's own, and who asks for everything does not mean them.
 */
#ifndef LN_FILTER_H
#define LN_FILTER_H

#include "base/base.h"

enum { LN_FILTER_LEVELS_MAX = 32 }; /* tokens of a filter: one bit each in a word */

/* Is `name` a filter? Any thread, as all here. */
bool ln_filter_is(ln_span name);

/* For a filter: 0; LN_ERR_INVALID with an empty token; LN_ERR_LIMIT with too many tokens. */
int ln_filter_check(ln_span filter);

/* Does a checked filter match `name`, which is none? */
bool ln_filter_matches(ln_span filter, ln_span name);

/*
 * Cuts the next token off the front of *rest: true, and it is in *token; false when *rest is used
 * up, which a NULL `data` marks. n dots make n + 1 tokens.
 */
LN_INLINE bool ln_filter_next(ln_span *rest, ln_span *token)
{
    const char *p = rest->data;
    if (!p)
        return false;
    size_t n = 0;
    while (n < rest->size && p[n] != '.')
        n++;
    *token = (ln_span){p, n};
    *rest = n < rest->size ? (ln_span){p + n + 1, rest->size - n - 1} : (ln_span){NULL, 0};
    return true;
}

/* Is `token` the one character `c`? */
LN_INLINE bool ln_filter_is_token(ln_span token, char c)
{
    return token.size == 1 && *(const char *)token.data == c;
}

#endif
