/* SPDX-License-Identifier: MIT */
#include "jsonwrite.h"

#include <stdio.h>
#include <string.h>

int ln_json_write_raw(ln_buf *out, const char *text)
{
    return ln_buf_append(out, text, strlen(text), SIZE_MAX);
}

/* The escape for `c`, or NULL if it stands for itself. */
static const char *escape(uint8_t c, char room[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (c >= 0x20)
        return NULL;
    snprintf(room, 8, "\\u%04x", c);
    return room;
}

int ln_json_write_string(ln_buf *out, ln_span text)
{
    const uint8_t *const bytes = text.data;
    char room[8];
    size_t plain = 0; /* where the run of characters begins that stand for themselves */

    int rc = ln_buf_append(out, "\"", 1, SIZE_MAX);
    for (size_t i = 0; i < text.size && rc == 0; i++) {
        const char *const escaped = escape(bytes[i], room);
        if (escaped == NULL)
            continue;
        rc = ln_buf_append(out, bytes + plain, i - plain, SIZE_MAX);
        if (rc == 0)
            rc = ln_json_write_raw(out, escaped);
        plain = i + 1;
    }
    if (rc == 0 && plain < text.size)
        rc = ln_buf_append(out, bytes + plain, text.size - plain, SIZE_MAX);
    return rc == 0 ? ln_buf_append(out, "\"", 1, SIZE_MAX) : rc;
}

int ln_json_write_u64(ln_buf *out, uint64_t number)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return ln_buf_append(out, text, (size_t)n, SIZE_MAX);
}

int ln_json_write_hex(ln_buf *out, uint64_t number)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "\"%llx\"", (unsigned long long)number);
    return ln_buf_append(out, text, (size_t)n, SIZE_MAX);
}
