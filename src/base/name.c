/* SPDX-License-Identifier: MIT */
#include "name.h"

static bool is_between(uint8_t c, uint8_t low, uint8_t high)
{
    return c >= low && c <= high;
}

/* Bytes of the character that begins with `lead`, 0 if none can. C0, C1 and F5 to FF never occur
 * (RFC 3629 1). */
static size_t length_of(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (is_between(lead, 0xC2, 0xDF))
        return 2;
    if (is_between(lead, 0xE0, 0xEF))
        return 3;
    return is_between(lead, 0xF0, 0xF4) ? 4 : 0;
}

/* RFC 3629 4: a few lead bytes narrow the second one, against long forms, surrogates and the end of
 * Unicode. */
static bool is_second(uint8_t lead, uint8_t c)
{
    switch (lead) {
    case 0xC2:
        return is_between(c, 0xA0, 0xBF); /* below: U+0080 to U+009F, control characters */
    case 0xE0:
        return is_between(c, 0xA0, 0xBF);
    case 0xED:
        return is_between(c, 0x80, 0x9F);
    case 0xF0:
        return is_between(c, 0x90, 0xBF);
    case 0xF4:
        return is_between(c, 0x80, 0x8F);
    default:
        return is_between(c, 0x80, 0xBF);
    }
}

/* Bytes of the printable character that `p` begins with, 0 if it begins with none. n > 0. */
static size_t step(const uint8_t *p, size_t n)
{
    const size_t length = length_of(p[0]);
    if (length == 1)
        return p[0] >= 0x20 && p[0] != 0x7F;
    if (length == 0 || length > n || !is_second(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!is_between(p[i], 0x80, 0xBF))
            return 0;
    return length;
}

bool ln_name_is_valid(ln_span name, size_t max_bytes)
{
    if (name.size == 0 || name.size > max_bytes)
        return false;
    const uint8_t *p = name.data;
    size_t left = name.size;
    while (left > 0) {
        const size_t length = step(p, left);
        if (length == 0)
            return false;
        p += length;
        left -= length;
    }
    return true;
}
