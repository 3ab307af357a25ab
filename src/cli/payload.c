/* SPDX-License-Identifier: MIT */
#include "payload.h"

#include <linnet/json.h>

enum { QUOTED_BYTES = 6 }; /* the longest that a character of a JSON string can be */

static int append(ln_buf *out, ln_span text)
{
    return ln_buf_append(out, text.data, text.size, SIZE_MAX);
}

static int write_string(ln_buf *out, ln_span text)
{
    const size_t room = text.size * QUOTED_BYTES + 3;

    const int rc = ln_buf_reserve(out, room, SIZE_MAX);
    if (rc < 0)
        return rc;
    const int n = ln_json_quote(text, (char *)out->data + out->size, room);
    if (n < 0)
        return n == LN_ERR_INVALID ? LN_ERR_ENCODING : n;
    out->size += (size_t)n;
    return 0;
}

int ln_payload_write(ln_buf *out, ln_span text, ln_payload_look look)
{
    ln_span ignored;

    if (look != LN_PAYLOAD_JSON)
        return write_string(out, text);
    if (ln_json_find(text, NULL, 0, &ignored) == LN_ERR_PROTOCOL)
        return LN_ERR_INVALID;
    return append(out, text);
}

static bool is_control(uint8_t c)
{
    return c < 0x20 || c == 0x7f;
}

static bool has_control(ln_span text)
{
    const uint8_t *const bytes = text.data;

    for (size_t i = 0; i < text.size; i++)
        if (is_control(bytes[i]) && bytes[i] != '\t')
            return true;
    return false;
}

/* JSON on one line: where a control character stands, it stands between values. */
static int append_line(ln_buf *out, ln_span json)
{
    const size_t begin = out->size;

    const int rc = append(out, json);
    for (size_t i = begin; i < out->size; i++)
        if (is_control(out->data[i]))
            out->data[i] = ' ';
    return rc;
}

int ln_payload_show(ln_buf *out, ln_span payload, ln_payload_look look)
{
    if (payload.size == 0 || look == LN_PAYLOAD_JSON || *(const char *)payload.data != '"')
        return look == LN_PAYLOAD_RAW ? append(out, payload) : append_line(out, payload);
    int rc = ln_buf_reserve(out, payload.size + 1, SIZE_MAX);
    if (rc < 0)
        return rc;
    char *const at = (char *)out->data + out->size;
    const int n = ln_json_text(payload, at, payload.size + 1);
    if (n < 0 || (look != LN_PAYLOAD_RAW && has_control((ln_span){at, (size_t)n})))
        return append_line(out, payload);
    out->size += (size_t)n;
    return 0;
}

int ln_payload_show_topic(ln_buf *out, ln_span topic)
{
    const uint8_t *const bytes = topic.data;

    for (size_t i = 0; i < topic.size; i++)
        if (is_control(bytes[i]) || bytes[i] == ' ' || bytes[i] == '"')
            return write_string(out, topic);
    return append(out, topic);
}
