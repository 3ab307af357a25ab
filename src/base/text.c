/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <string.h>

static const ln_span none;

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

ln_span ln_text(const char *z)
{
    return z ? (ln_span){z, strlen(z)} : none;
}

bool ln_text_equal(ln_span a, ln_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool ln_text_equal_nocase(ln_span a, ln_span b)
{
    if (a.size != b.size)
        return false;
    const uint8_t *p = a.data, *q = b.data;
    for (size_t i = 0; i < a.size; i++)
        if (p[i] != q[i] && lower(p[i]) != lower(q[i]))
            return false;
    return true;
}

bool ln_text_has_prefix(ln_span s, ln_span prefix)
{
    return s.size >= prefix.size && ln_text_equal((ln_span){s.data, prefix.size}, prefix);
}

ln_span ln_text_trim(ln_span s)
{
    const char *p = s.data;
    while (s.size > 0 && is_space(p[s.size - 1]))
        s.size--;
    while (s.size > 0 && is_space(*p)) {
        p++;
        s.size--;
    }
    return (ln_span){p, s.size};
}

ln_span ln_text_place(char **at, ln_span s)
{
    const ln_span copy = {*at, s.size};

    if (s.size > 0)
        memcpy(*at, s.data, s.size);
    *at += s.size;
    return copy;
}

bool ln_text_next(ln_span *rest, char separator, ln_span *item)
{
    if (!rest->data)
        return false;

    const char *begin = rest->data;
    const char *cut = memchr(begin, separator, rest->size);
    const size_t size = cut ? (size_t)(cut - begin) : rest->size;

    *item = ln_text_trim((ln_span){begin, size});
    *rest = cut ? (ln_span){cut + 1, rest->size - size - 1} : none;
    return true;
}

int ln_text_parse_u64(ln_span s, uint64_t max, uint64_t *value)
{
    if (s.size == 0)
        return LN_ERR_INVALID;

    const uint8_t *p = s.data;
    uint64_t v = 0;
    bool over = false;
    for (size_t i = 0; i < s.size; i++) {
        const unsigned digit = p[i] - (unsigned)'0';
        if (digit > 9)
            return LN_ERR_INVALID; /* also after too many digits: it never was a number */
        over = over || digit > max || v > (max - digit) / 10;
        v = over ? max : v * 10 + digit;
    }
    if (over)
        return LN_ERR_LIMIT;
    *value = v;
    return 0;
}

int ln_text_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const uint8_t l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static bool is_token_char(uint8_t c)
{
    const uint8_t l = lower(c);
    if ((l >= 'a' && l <= 'z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c);
}

bool ln_text_is_token(ln_span s)
{
    const uint8_t *p = s.data;
    for (size_t i = 0; i < s.size; i++)
        if (!is_token_char(p[i]))
            return false;
    return s.size > 0;
}
