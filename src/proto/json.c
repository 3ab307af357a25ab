/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <string.h>

#include "base/text.h"
#include "jsonscan.h"
#include "utf8.h"

/* What may come next. */
enum {
    ANY_VALUE,    /* at the beginning, behind a colon, behind an array's comma */
    VALUE_OR_END, /* behind '[' */
    NAME_OR_END,  /* behind '{' */
    NAME,         /* behind an object's comma */
    COMMA_OR_END, /* behind a value inside of something */
    NOTHING,      /* behind the value that is the text */
};

void ln_json_init(ln_json *j, ln_span text)
{
    const uint8_t *const bytes = text.size == 0 ? (const uint8_t *)"" : text.data;
    *j = (ln_json){.begin = bytes, .at = bytes, .end = bytes + text.size, .expects = ANY_VALUE};
}

void ln_json_init_member(ln_json *j, ln_span text, size_t offset)
{
    LN_ASSERT(offset > 0 && offset <= text.size);
    ln_json_init(j, text);
    j->at += offset;
    j->levels = 1;
    j->depth = 1;
}

/* Always false. */
static LN_COLD bool refuse(ln_json *j, const uint8_t *at, const char *sentence)
{
    LN_ASSERT(j->fault == NULL && at >= j->begin && at <= j->end);
    j->at = at;
    j->fault = sentence;
    return false;
}

static LN_COLD ln_json_type fail(ln_json *j, const char *sentence)
{
    refuse(j, j->at, sentence);
    return LN_JSON_FAULT;
}

const char *ln_json_fault(const ln_json *j, size_t *offset)
{
    if (j->fault != NULL && offset != NULL)
        *offset = (size_t)(j->at - j->begin);
    return j->fault;
}

/* ---- strings ---- */

/* Four hexadecimal digits at `p`; -1 if they are not there. */
static int unit_at(const ln_json *j, const uint8_t *p)
{
    int unit = 0;

    if (j->end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const int digit = ln_text_hex(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Behind the escape that begins with the backslash at `p`; NULL: it is none. */
static const uint8_t *pass_escape(const ln_json *j, const uint8_t *p)
{
    if (j->end - p < 2)
        return NULL;
    if (p[1] != 'u')
        return p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) != NULL ? p + 2 : NULL;
    const int unit = unit_at(j, p + 2);
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return NULL;
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    /* RFC 8259 7: the second half of a code point above U+FFFF follows at once */
    if (j->end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return NULL;
    const int low = unit_at(j, p + 8);
    return low >= 0xdc00 && low <= 0xdfff ? p + 12 : NULL;
}

/* Where the first byte stands that cannot be part of UTF-8 text; the closing quote if the text ends
 * within a code point. */
static LN_COLD const uint8_t *first_foul(const uint8_t *p, const uint8_t *end)
{
    uint8_t state = LN_UTF8_ACCEPT;

    for (; p < end; p++) {
        state = ln_utf8_scalar(state, p, 1);
        if (state == LN_UTF8_REJECT)
            break;
    }
    return p;
}

/* At an opening quote: moves behind the closing one. False: fault. */
static bool pass_string(ln_json *j)
{
    LN_ASSERT(*j->at == '"');
    const uint8_t *const first = j->at + 1;
    const uint8_t *p = first;
    bool is_foreign = false;

    for (;;) {
        p += ln_jsonscan(p, (size_t)(j->end - p), &is_foreign);
        if (p == j->end)
            return refuse(j, p, "a string has no end");
        if (*p == '"')
            break;
        if (*p != '\\')
            return refuse(j, p, "a control character in a string");
        const uint8_t *const behind = pass_escape(j, p);
        if (behind == NULL)
            return refuse(j, p, "an escape that is none");
        p = behind;
    }
    if (LN_UNLIKELY(is_foreign) && !ln_utf8_is_valid(first, (size_t)(p - first)))
        return refuse(j, first_foul(first, p), "a string that is not UTF-8");
    j->at = p + 1;
    return true;
}

/* ---- numbers and words ---- */

static const uint8_t *pass_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Behind the exponent at `p`, or NULL. */
static const uint8_t *pass_exponent(const uint8_t *p, const uint8_t *end, bool *may_be_large)
{
    p++;
    const bool is_negative = p < end && *p == '-';
    if (is_negative || (p < end && *p == '+'))
        p++;
    const uint8_t *const behind = pass_digits(p, end);
    /* a number of LN_JSON_NUMBER_MAX_BYTES leaves a double's range from e+181 on */
    *may_be_large = !is_negative && behind - p >= 3;
    return behind == p ? NULL : behind;
}

/* Behind the number at `p` (RFC 8259 6), or NULL. */
static const uint8_t *pass_number(const uint8_t *p, const uint8_t *end, bool *may_be_large)
{
    if (*p == '-')
        p++;
    const uint8_t *const whole = p;
    p = pass_digits(p, end);
    if (p == whole || (*whole == '0' && p > whole + 1))
        return NULL;
    if (p < end && *p == '.') {
        const uint8_t *const fraction = p + 1;
        p = pass_digits(fraction, end);
        if (p == fraction)
            return NULL;
    }
    return p < end && (*p == 'e' || *p == 'E') ? pass_exponent(p, end, may_be_large) : p;
}

static ln_json_type read_number(ln_json *j)
{
    const uint8_t *const first = j->at;
    bool may_be_large = false;
    double value;

    const uint8_t *const behind = pass_number(first, j->end, &may_be_large);
    if (behind == NULL)
        return fail(j, "a number that is none");
    const ln_span text = {first, (size_t)(behind - first)};
    if (text.size > LN_JSON_NUMBER_MAX_BYTES)
        return fail(j, "a number is too long");
    if (may_be_large && ln_json_double(text, &value) == LN_ERR_LIMIT)
        return fail(j, "a number is too large");
    j->at = behind;
    return LN_JSON_NUMBER;
}

static ln_json_type read_word(ln_json *j, ln_span word, ln_json_type type)
{
    if ((size_t)(j->end - j->at) < word.size || memcmp(j->at, word.data, word.size) != 0)
        return fail(j, "not a value");
    j->at += word.size;
    return type;
}

/* ---- structure ---- */

static bool is_in_object(const ln_json *j)
{
    return (j->levels & 1) != 0;
}

static ln_json_type open_level(ln_json *j, ln_json_type type)
{
    if (j->depth == LN_JSON_DEPTH_MAX)
        return fail(j, "nested too deeply");
    const bool is_object = type == LN_JSON_OBJECT;
    j->levels = j->levels << 1 | is_object;
    j->depth++;
    j->at++;
    j->expects = is_object ? NAME_OR_END : VALUE_OR_END;
    return type;
}

static void value_ended(ln_json *j)
{
    j->expects = j->depth > 0 ? COMMA_OR_END : NOTHING;
}

static ln_json_type close_level(ln_json *j)
{
    const ln_json_type type = is_in_object(j) ? LN_JSON_OBJECT_END : LN_JSON_ARRAY_END;

    LN_ASSERT(j->depth > 0);
    j->levels >>= 1;
    j->depth--;
    j->at++;
    value_ended(j);
    return type;
}

LN_INLINE void pass_space(ln_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

static ln_json_type read_scalar(ln_json *j)
{
    switch (*j->at) {
    case '"':
        return pass_string(j) ? LN_JSON_STRING : LN_JSON_FAULT;
    case 't':
        return read_word(j, LN_SPAN("true"), LN_JSON_TRUE);
    case 'f':
        return read_word(j, LN_SPAN("false"), LN_JSON_FALSE);
    case 'n':
        return read_word(j, LN_SPAN("null"), LN_JSON_NULL);
    default:
        break;
    }
    if (*j->at == '-' || (*j->at >= '0' && *j->at <= '9'))
        return read_number(j);
    return fail(j, "not a value");
}

static ln_json_type read_value(ln_json *j)
{
    if (*j->at == '{')
        return open_level(j, LN_JSON_OBJECT);
    if (*j->at == '[')
        return open_level(j, LN_JSON_ARRAY);
    const ln_json_type type = read_scalar(j);
    if (type != LN_JSON_FAULT)
        value_ended(j);
    return type;
}

/* A member's name and its colon; *key without the colon. */
static ln_json_type read_key(ln_json *j, ln_span *key)
{
    const uint8_t *const first = j->at;

    if (*first != '"')
        return fail(j, "a member has no name");
    if (!pass_string(j))
        return LN_JSON_FAULT;
    *key = (ln_span){first, (size_t)(j->at - first)};
    pass_space(j);
    if (j->at == j->end || *j->at != ':')
        return fail(j, "a name has no colon");
    j->at++;
    j->expects = ANY_VALUE;
    return LN_JSON_KEY;
}

/* Behind a value: the end of what it is in, or what follows the comma is up. */
static bool pass_comma(ln_json *j, ln_json_type *type)
{
    const uint8_t c = *j->at;

    if (c == (is_in_object(j) ? '}' : ']')) {
        *type = close_level(j);
        return false;
    }
    if (c != ',') {
        *type = fail(j, "neither a comma nor an end");
        return false;
    }
    j->at++;
    j->expects = is_in_object(j) ? NAME : ANY_VALUE;
    pass_space(j);
    if (j->at == j->end) {
        *type = fail(j, "it ends too early");
        return false;
    }
    return true;
}

static ln_json_type read_token(ln_json *j, ln_json_value *token)
{
    ln_json_type type;

    if (j->fault != NULL)
        return LN_JSON_FAULT;
    LN_ASSERT(j->depth > 0 || j->expects == ANY_VALUE || j->expects == NOTHING);
    pass_space(j);
    if (j->at == j->end)
        return j->expects == NOTHING ? LN_JSON_DONE : fail(j, "it ends too early");
    if (j->expects == COMMA_OR_END && !pass_comma(j, &type)) {
        token->text = (ln_span){j->at - 1, 1};
        return type;
    }
    token->text.data = j->at;
    switch (j->expects) {
    case NOTHING:
        return fail(j, "something follows the value");
    case VALUE_OR_END:
        type = *j->at == ']' ? close_level(j) : read_value(j);
        break;
    case NAME_OR_END:
        type = *j->at == '}' ? close_level(j) : read_key(j, &token->text);
        break;
    case NAME:
        type = read_key(j, &token->text);
        break;
    default:
        type = read_value(j);
        break;
    }
    if (type != LN_JSON_KEY)
        token->text.size = (size_t)(j->at - (const uint8_t *)token->text.data);
    return type;
}

ln_json_type ln_json_next(ln_json *j, ln_json_value *token)
{
    const ln_json_type type = read_token(j, token);

    if (LN_UNLIKELY(type >= LN_JSON_DONE))
        token->text = (ln_span){j->at, 0};
    token->type = type;
    LN_ASSERT(j->at <= j->end && j->depth <= LN_JSON_DEPTH_MAX);
    return type;
}

/* ---- whole values ---- */

/* The commonest value, if it stands right here. A fault in it is left to be told of. */
static bool take_string(ln_json *j, ln_json_value *value)
{
    const uint8_t *const first = j->at;

    if (j->expects != ANY_VALUE || j->fault != NULL || first == j->end || *first != '"' ||
        !pass_string(j))
        return false;
    value_ended(j);
    *value = (ln_json_value){LN_JSON_STRING, {first, (size_t)(j->at - first)}};
    return true;
}

ln_json_type ln_json_next_value(ln_json *j, ln_json_value *value)
{
    const uint8_t outside = j->depth;
    ln_json_value token;

    if (take_string(j, value))
        return LN_JSON_STRING;
    ln_json_type type = ln_json_next(j, value);
    if (type == LN_JSON_KEY)
        type = ln_json_next(j, value);
    if (type == LN_JSON_OBJECT_END || type == LN_JSON_ARRAY_END)
        return value->type = LN_JSON_NONE;
    while (j->depth > outside)
        if (ln_json_next(j, &token) == LN_JSON_FAULT)
            return value->type = LN_JSON_FAULT;
    LN_ASSERT(j->depth == outside);
    if (type == LN_JSON_OBJECT || type == LN_JSON_ARRAY)
        value->text.size = (size_t)(j->at - (const uint8_t *)value->text.data);
    return type;
}

/* Right behind a value of an object stands its end, as it mostly does when it ends. */
LN_INLINE bool is_closing(const ln_json *j)
{
    return j->expects == COMMA_OR_END && j->at < j->end && *j->at == '}' && is_in_object(j) &&
           j->fault == NULL;
}

bool ln_json_next_member(ln_json *j, ln_span *key, ln_json_value *value)
{
    ln_json_value token;

    LN_ASSERT(is_in_object(j) || j->fault != NULL);
    if (is_closing(j)) {
        (void)close_level(j);
        return false;
    }
    if (ln_json_next(j, &token) != LN_JSON_KEY)
        return false;
    *key = token.text;
    return ln_json_next_value(j, value) != LN_JSON_FAULT;
}

static ln_json_field *field_of(ln_json_field *fields, size_t n, ln_span key)
{
    for (size_t i = 0; i < n; i++)
        if (ln_json_is(key, ln_text(fields[i].name)))
            return &fields[i];
    return NULL;
}

bool ln_json_read_fields(ln_json *j, ln_json_field *fields, size_t n)
{
    ln_json_value value;
    ln_span key;

    for (size_t i = 0; i < n; i++)
        fields[i] = (ln_json_field){.name = fields[i].name, .value = {.type = LN_JSON_NONE}};
    while (ln_json_next_member(j, &key, &value)) {
        ln_json_field *const field = field_of(fields, n, key);
        if (field == NULL)
            continue;
        field->value = value;
        field->count++;
    }
    return j->fault == NULL;
}

bool ln_json_finish(ln_json *j)
{
    ln_json_value token;

    if (j->at == j->end && j->expects == NOTHING && j->fault == NULL)
        return true;
    while (ln_json_next(j, &token) < LN_JSON_DONE)
        ;
    LN_ASSERT(j->fault != NULL || (j->at == j->end && j->depth == 0));
    return j->fault == NULL;
}
