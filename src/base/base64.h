/* SPDX-License-Identifier: MIT */
/*
 * base64 - bytes as text: RFC 4648 section 4 with padding, and section 5 (base64url) without.
 *
 * Reading is strict: what it accepts, writing would give again. So one value has one text, and a
 * signature over the value cannot be shown in two ways.
 */
#ifndef LN_BASE64_H
#define LN_BASE64_H

#include "base.h"

/* Characters that `n` bytes become, without a NUL. */
LN_INLINE size_t ln_base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}

LN_INLINE size_t ln_base64_size_url(size_t n)
{
    return n / 3 * 4 + (n % 3 > 0 ? n % 3 + 1 : 0);
}

/* Writes ln_base64_size(bytes.size) characters to `text`, and no NUL. */
void ln_base64_write(ln_span bytes, char *text);
/* The same with ln_base64_size_url(). */
void ln_base64_write_url(ln_span bytes, char *text);

/*
 * The bytes that `text` stands for: how many. LN_ERR_INVALID (a character that is none, padding
 * that is missing or too much, bits that no byte uses); LN_ERR_LIMIT (more than `size` of them).
 * On an error `bytes` may have been written to.
 */
LN_NODISCARD int ln_base64_read(ln_span text, void *bytes, size_t size);
LN_NODISCARD int ln_base64_read_url(ln_span text, void *bytes, size_t size);

#endif
