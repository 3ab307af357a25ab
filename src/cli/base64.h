/* SPDX-License-Identifier: MIT */
/* base64 - bytes as text (RFC 4648 section 4, with padding). */
#ifndef LN_BASE64_H
#define LN_BASE64_H

#include "base/base.h"

/* Characters that `n` bytes become, without a NUL. */
LN_INLINE size_t ln_base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Writes ln_base64_size(bytes.size) characters to `text`, and no NUL. */
void ln_base64_write(ln_span bytes, char *text);

#endif
