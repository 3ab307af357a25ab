/* SPDX-License-Identifier: MIT */
#include "jsonwrite.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "jsonscan.h"

int ln_json_write_raw(ln_buf *out, const char *text)
{
    return ln_buf_append(out, text, strlen(text), SIZE_MAX);
}

int ln_json_write_span(ln_buf *out, ln_span text)
{
    return ln_buf_append(out, text.data, text.size, SIZE_MAX);
}

ln_span ln_json_escape(uint8_t c, char room[8])
{
    static const char meant[] = "\"\\\n\r\t";
    static const char *const escapes[] = {"\\\"", "\\\\", "\\n", "\\r", "\\t"};

    const char *const at = c == '\0' ? NULL : strchr(meant, c);
    if (at != NULL)
        return ln_text(escapes[at - meant]);
    if (c < 0x20)
        return (ln_span){room, (size_t)snprintf(room, 8, "\\u%04x", c)};
    room[0] = (char)c;
    return (ln_span){room, 1};
}

int ln_json_write_string(ln_buf *out, ln_span text)
{
    const uint8_t *const bytes = text.data;
    char room[8];
    size_t at = 0;
    bool is_foreign = false;

    int rc = ln_buf_append(out, "\"", 1, SIZE_MAX);
    while (rc == 0 && at < text.size) {
        /* a run of characters that stand for themselves, then one that does not */
        const size_t plain = ln_jsonscan(bytes + at, text.size - at, &is_foreign);
        rc = ln_buf_append(out, bytes + at, plain, SIZE_MAX);
        at += plain;
        if (rc == 0 && at < text.size)
            rc = ln_json_write_span(out, ln_json_escape(bytes[at++], room));
    }
    return rc == 0 ? ln_buf_append(out, "\"", 1, SIZE_MAX) : rc;
}

int ln_json_write_u64(ln_buf *out, uint64_t number)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return ln_buf_append(out, text, (size_t)n, SIZE_MAX);
}

int ln_json_write_i64(ln_buf *out, int64_t number)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "%lld", (long long)number);
    return ln_buf_append(out, text, (size_t)n, SIZE_MAX);
}

int ln_json_write_hex(ln_buf *out, uint64_t number)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "\"%llx\"", (unsigned long long)number);
    return ln_buf_append(out, text, (size_t)n, SIZE_MAX);
}
