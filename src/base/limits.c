/* SPDX-License-Identifier: MIT */
#include "limits.h"

#include <linnet/conn.h>

#include "text.h"

#define LN_LIMIT(NAME, usual, least, most, UNIT, reason)                                           \
    {#NAME, usual, least, most, LN_UNIT_##UNIT, reason},
#define LN_FIXED(NAME, value, UNIT, reason)
static const ln_limit table[] = {
#include "limits.def"
};
#undef LN_LIMIT
#undef LN_FIXED

const ln_limit *ln_limit_find(ln_span name)
{
    for (size_t i = 0; i < LN_ARRAY_SIZE(table); i++) {
        if (ln_text_equal_nocase(name, ln_text(table[i].name)))
            return &table[i];
    }
    return NULL;
}

const ln_limit *ln_limit_at(size_t index)
{
    return index < LN_ARRAY_SIZE(table) ? &table[index] : NULL;
}

int ln_limit_get(const ln_limit *limit, uint32_t asked, uint32_t *value)
{
    LN_ASSERT(limit->least <= limit->most && limit->most < LN_OFF);
    const bool may_be_off = limit->least == 0;
    if (asked == 0)
        *value = limit->usual;
    else if (asked == LN_OFF && may_be_off)
        *value = 0;
    else if (asked >= limit->least && asked <= limit->most)
        *value = asked;
    else
        return LN_ERR_INVALID;
    return 0;
}
