/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <limits.h>

static const char standard_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Three bytes, the missing ones as zeros. */
static uint32_t group_of(const uint8_t *in, size_t left)
{
    return (uint32_t)in[0] << 16 | (left > 1 ? (uint32_t)in[1] << 8 : 0) | (left > 2 ? in[2] : 0);
}

void ln_base64_write(ln_span bytes, char *text)
{
    const uint8_t *const in = bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        const size_t left = bytes.size - i;
        const uint32_t three = group_of(in + i, left);
        *text++ = standard_digits[three >> 18];
        *text++ = standard_digits[three >> 12 & 63];
        *text++ = left > 1 ? standard_digits[three >> 6 & 63] : '=';
        *text++ = left > 2 ? standard_digits[three & 63] : '=';
    }
}

void ln_base64_write_url(ln_span bytes, char *text)
{
    const uint8_t *const in = bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        const size_t digits = ln_min_size(bytes.size - i, 3) + 1;
        const uint32_t three = group_of(in + i, bytes.size - i);
        for (size_t d = 0; d < digits; d++)
            *text++ = url_digits[three >> (18 - 6 * d) & 63];
    }
}

/* A digit's value, or -1; the last two of an alphabet are all that differs. */
static int value_of(char c, const char *digits)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == digits[62] ? 62 : c == digits[63] ? 63 : -1;
}

/* Without padding. */
static int read_digits(const char *in, size_t n, const char *digits, uint8_t *out, size_t size)
{
    const size_t bytes = n / 4 * 3 + (n % 4 > 0 ? n % 4 - 1 : 0);
    uint32_t bits = 0;
    size_t at = 0;
    if (n % 4 == 1)
        return LN_ERR_INVALID;
    if (bytes > size || bytes > INT_MAX)
        return LN_ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        const int value = value_of(in[i], digits);
        if (value < 0)
            return LN_ERR_INVALID;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 > 0) /* the second digit completes a byte and leaves 4 bits, the third 2 */
            out[at++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    LN_ASSERT(at == bytes);
    const uint32_t unused = n % 4 == 2 ? 15 : n % 4 == 3 ? 3 : 0;
    return (bits & unused) == 0 ? (int)bytes : LN_ERR_INVALID;
}

int ln_base64_read(ln_span text, void *bytes, size_t size)
{
    const char *const in = text.data;
    size_t n = text.size;
    if (n % 4 != 0)
        return LN_ERR_INVALID;
    for (int i = 0; i < 2 && n > 0 && in[n - 1] == '='; i++)
        n--;
    return read_digits(in, n, standard_digits, bytes, size);
}

int ln_base64_read_url(ln_span text, void *bytes, size_t size)
{
    return read_digits(text.data, text.size, url_digits, bytes, size);
}
