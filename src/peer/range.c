/* SPDX-License-Identifier: MIT */
#include "range.h"

#include <string.h>

#include "base/text.h"

static ln_range_result suffix(ln_span digits, uint64_t size, ln_range *range)
{
    uint64_t n;

    if (ln_text_parse_u64(digits, UINT64_MAX, &n) < 0)
        return LN_RANGE_NONE;
    if (n == 0 || size == 0)
        return LN_RANGE_OUTSIDE;
    const uint64_t length = n < size ? n : size;
    *range = (ln_range){.first = size - length, .length = length};
    return LN_RANGE_PART;
}

ln_range_result ln_range_parse(ln_span field, uint64_t size, ln_range *range)
{
    const ln_span unit = LN_SPAN("bytes=");

    if (field.data == NULL || !ln_text_has_prefix(field, unit))
        return LN_RANGE_NONE;
    const char *const text = (const char *)field.data + unit.size;
    const size_t n = field.size - unit.size;
    const char *const dash = n == 0 ? NULL : memchr(text, '-', n);
    if (dash == NULL)
        return LN_RANGE_NONE;

    const ln_span before = {text, (size_t)(dash - text)};
    const ln_span after = {dash + 1, n - before.size - 1};
    if (before.size == 0)
        return suffix(after, size, range);
    uint64_t first, last = UINT64_MAX;
    if (ln_text_parse_u64(before, UINT64_MAX, &first) < 0 ||
        (after.size > 0 && ln_text_parse_u64(after, UINT64_MAX, &last) < 0) || last < first)
        return LN_RANGE_NONE;
    if (first >= size)
        return LN_RANGE_OUTSIDE;
    if (last >= size)
        last = size - 1;
    *range = (ln_range){.first = first, .length = last - first + 1};
    return LN_RANGE_PART;
}
