/* SPDX-License-Identifier: MIT */
/*
 * jsonvalue.c - what strings and numbers of a JSON text mean (json.h), and reading for applications
 * (linnet/json.h).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "json.h"
#include "jsonwrite.h"
#include "utf8.h"

/* ---- strings ---- */

static unsigned unit_of(const uint8_t digits[4])
{
    unsigned unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (unsigned)ln_text_hex(digits[i]);
    return unit;
}

static size_t encode(uint32_t point, uint8_t out[4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xc0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xe0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (point & 0x3f));
    return 4;
}

/* What the escape at *p means, and *p behind it. It was checked when it was read. */
static size_t unescape(const uint8_t **p, uint8_t out[4])
{
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const uint8_t c = (*p)[1];

    if (c != 'u') {
        const char *const name = strchr(names, c);
        out[0] = name == NULL ? c : (uint8_t)meant[name - names];
        *p += 2;
        return 1;
    }
    uint32_t point = unit_of(*p + 2);
    LN_ASSERT(point < 0xdc00 || point > 0xdfff);
    *p += 6;
    if (point >= 0xd800 && point <= 0xdbff) {
        LN_ASSERT((*p)[0] == '\\' && (*p)[1] == 'u');
        point = 0x10000 + ((point - 0xd800) << 10) + (unit_of(*p + 2) - 0xdc00);
        *p += 6;
    }
    return encode(point, out);
}

/* Between the quotes. */
static ln_span inside(ln_span string)
{
    LN_ASSERT(string.size >= 2 && *(const char *)string.data == '"');
    return (ln_span){(const uint8_t *)string.data + 1, string.size - 2};
}

size_t ln_json_decode(ln_span string, uint8_t *room)
{
    const ln_span text = inside(string);
    const uint8_t *p = text.data;
    const uint8_t *const end = p + text.size;
    size_t size = 0;

    for (;;) {
        const uint8_t *const escape = memchr(p, '\\', (size_t)(end - p));
        const size_t plain = (size_t)((escape == NULL ? end : escape) - p);
        memcpy(room + size, p, plain);
        size += plain;
        if (escape == NULL)
            return size;
        uint8_t point[4];
        p = escape;
        const size_t n = unescape(&p, point);
        memcpy(room + size, point, n);
        size += n;
        LN_ASSERT(size < string.size);
    }
}

size_t ln_json_decoded_bytes(ln_span string)
{
    const ln_span text = inside(string);
    const uint8_t *p = text.data;
    const uint8_t *const end = p + text.size;
    uint8_t point[4];
    size_t size = 0;

    while (p < end) {
        if (*p == '\\') {
            size += unescape(&p, point);
        } else {
            p++;
            size++;
        }
    }
    return size;
}

bool ln_json_is(ln_span string, ln_span meant)
{
    const ln_span text = inside(string);
    const uint8_t *p = text.data, *q = meant.data;
    const uint8_t *const end = p + text.size, *const wanted = q + meant.size;

    if (memchr(p, '\\', text.size) == NULL)
        return ln_text_equal(text, meant);
    while (p < end) {
        uint8_t point[4] = {*p};
        size_t n = 1;
        if (*p == '\\')
            n = unescape(&p, point);
        else
            p++;
        if ((size_t)(wanted - q) < n || memcmp(q, point, n) != 0)
            return false;
        q += n;
    }
    return q == wanted;
}

/* ---- numbers ---- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The exponent as written, kept within what cannot make a difference any more. */
static int exponent_of(const uint8_t *p, const uint8_t *end)
{
    enum { BEYOND = 100000 };
    const bool is_negative = p < end && *p == '-';
    int value = 0;

    if (p < end && !is_digit(*p))
        p++;
    for (; p < end; p++)
        value = value >= BEYOND ? BEYOND : value * 10 + (*p - '0');
    return is_negative ? -value : value;
}

/* Handed to strtod() without a decimal point, which a locale might want to be a comma. */
int ln_json_double(ln_span number, double *value)
{
    const uint8_t *p = number.data;
    const uint8_t *const end = p + number.size;
    char text[LN_JSON_NUMBER_MAX_BYTES + 16];
    size_t n = 0;
    int fraction = 0;

    LN_ASSERT(number.size > 0 && number.size <= LN_JSON_NUMBER_MAX_BYTES);
    for (bool has_point = false; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            has_point = true;
            continue;
        }
        text[n++] = (char)*p;
        fraction += has_point;
    }
    LN_ASSERT(n > 0 && fraction < (int)n);
    const int exponent = p < end ? exponent_of(p + 1, end) : 0;
    snprintf(text + n, sizeof text - n, "e%d", exponent - fraction);
    const double d = strtod(text, NULL);
    if (isinf(d))
        return LN_ERR_LIMIT;
    *value = d;
    return 0;
}

int ln_json_integer(ln_span number, int64_t *value)
{
    static const double exact = 9007199254740992.0; /* 2^53: the doubles above have gaps */
    const uint8_t *const p = number.data;
    const bool is_negative = *p == '-';
    const ln_span digits = {p + is_negative, number.size - is_negative};
    uint64_t size;
    double d;

    int rc = ln_text_parse_u64(digits, (uint64_t)INT64_MAX + is_negative, &size);
    if (rc == 0)
        *value = is_negative ? (int64_t)(0 - size) : (int64_t)size;
    if (rc != LN_ERR_INVALID)
        return rc;
    rc = ln_json_double(number, &d);
    if (rc < 0)
        return rc;
    if (d > exact || d < -exact)
        return LN_ERR_LIMIT;
    if (d != (double)(int64_t)d)
        return LN_ERR_INVALID;
    *value = (int64_t)d;
    return 0;
}

/* ---- for applications ---- */

/* The text as one value; LN_ERR_PROTOCOL. */
static int read_whole(ln_span json, ln_json_value *value)
{
    ln_json_value rest;
    ln_json j;

    ln_json_init(&j, json);
    const ln_json_type type = ln_json_next_value(&j, value);
    return type == LN_JSON_FAULT || ln_json_next(&j, &rest) != LN_JSON_DONE ? LN_ERR_PROTOCOL : 0;
}

static int find_member(ln_json *j, const char *name, ln_span *value)
{
    ln_json_field field = {.name = name == NULL ? "" : name};

    if (!ln_json_read_fields(j, &field, 1) || !ln_json_finish(j))
        return LN_ERR_PROTOCOL;
    if (name == NULL || field.count == 0)
        return LN_ERR_NOT_FOUND;
    if (field.count > 1)
        return LN_ERR_EXISTS;
    *value = field.value.text;
    return 0;
}

static int find_element(ln_json *j, size_t index, ln_span *value)
{
    ln_json_value element, found = {.type = LN_JSON_NONE};
    ln_json_type type;

    while ((type = ln_json_next_value(j, &element)) != LN_JSON_NONE && type != LN_JSON_FAULT)
        if (index-- == 0)
            found = element;
    if (!ln_json_finish(j))
        return LN_ERR_PROTOCOL;
    if (found.type == LN_JSON_NONE)
        return LN_ERR_NOT_FOUND;
    *value = found.text;
    return 0;
}

int ln_json_find(ln_span json, const char *name, size_t index, ln_span *value)
{
    ln_json_value token;
    ln_json j;

    ln_json_init(&j, json);
    const ln_json_type type = ln_json_next(&j, &token);
    if (type == LN_JSON_OBJECT)
        return find_member(&j, name, value);
    if (type == LN_JSON_ARRAY)
        return find_element(&j, index, value);
    return ln_json_finish(&j) ? LN_ERR_NOT_FOUND : LN_ERR_PROTOCOL;
}

int ln_json_text(ln_span value, char *buffer, size_t size)
{
    ln_json_value v;

    const int rc = read_whole(value, &v);
    if (rc < 0)
        return rc;
    if (v.type != LN_JSON_STRING)
        return LN_ERR_INVALID;
    const size_t n = ln_json_decoded_bytes(v.text);
    if (n >= size || n > INT32_MAX)
        return LN_ERR_LIMIT;
    const size_t written = ln_json_decode(v.text, (uint8_t *)buffer);
    LN_ASSERT(written == n);
    buffer[n] = '\0';
    return (int)n;
}

int ln_json_number(ln_span value, double *number)
{
    ln_json_value v;

    const int rc = read_whole(value, &v);
    if (rc < 0)
        return rc;
    return v.type == LN_JSON_NUMBER ? ln_json_double(v.text, number) : LN_ERR_INVALID;
}

int ln_json_quote(ln_span text, char *buffer, size_t size)
{
    const uint8_t *const bytes = text.data;
    char room[8];
    size_t n = 0;

    if (!ln_utf8_is_valid(text.data, text.size))
        return LN_ERR_INVALID;
    if (size < 3 || size > INT32_MAX)
        return LN_ERR_LIMIT;
    buffer[n++] = '"';
    for (size_t i = 0; i < text.size; i++) {
        const ln_span escaped = ln_json_escape(bytes[i], room);
        if (escaped.size + 2 > size - n) /* with the closing quote and the NUL */
            return LN_ERR_LIMIT;
        memcpy(buffer + n, escaped.data, escaped.size);
        n += escaped.size;
    }
    buffer[n++] = '"';
    buffer[n] = '\0';
    return (int)n;
}
