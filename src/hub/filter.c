/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include <string.h>

#include "base/text.h"

/* Is the character at `at` a whole token of `name`? */
static bool stands_alone(ln_span name, size_t at)
{
    const char *p = name.data;
    return (at == 0 || p[at - 1] == '.') && (at + 1 == name.size || p[at + 1] == '.');
}

bool ln_filter_is(ln_span name)
{
    const char *p = name.data;
    if (name.size == 0)
        return false;
    if (p[name.size - 1] == '>' && stands_alone(name, name.size - 1))
        return true;
    for (const char *at = p; (at = memchr(at, '*', name.size - (size_t)(at - p))) != NULL; at++)
        if (stands_alone(name, (size_t)(at - p)))
            return true;
    return false;
}

int ln_filter_check(ln_span filter)
{
    unsigned levels = 0;
    for (ln_span token; ln_filter_next(&filter, &token); levels++)
        if (token.size == 0)
            return LN_ERR_INVALID;
    return levels <= LN_FILTER_LEVELS_MAX ? 0 : LN_ERR_LIMIT;
}

/* Is `name` one that only those see who spell out its first token? */
static bool is_set_apart(ln_span name)
{
    return name.size > 0 && *(const char *)name.data == '$';
}

bool ln_filter_matches(ln_span filter, ln_span name)
{
    ln_span wanted, token;
    bool is_wild_allowed = !is_set_apart(name);

    while (ln_filter_next(&filter, &wanted)) {
        if (!ln_filter_next(&name, &token))
            return false;
        const bool is_tail = !filter.data && ln_filter_is_token(wanted, '>');
        const bool is_wild = is_tail || ln_filter_is_token(wanted, '*');
        if (is_wild ? !is_wild_allowed : !ln_text_equal(wanted, token))
            return false;
        if (is_tail)
            return true;
        is_wild_allowed = true;
    }
    return !name.data;
}
