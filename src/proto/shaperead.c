/* SPDX-License-Identifier: MIT */
/*
 * shaperead.c - JSON into a struct (linnet/shape.h).
 *
 * Three looks at a text: is it JSON, does it fit, and then it is stored. The second and the third
 * are the same functions, without and with a struct to store in, so that an error leaves the struct
 * as it was.
 *
 * Invariants
 *   1. After the first look no reader can find a fault.
 *   2. The third look succeeds, because the second did.
 *   3. A nested value is looked at once more for each struct around it, and shapes are constants:
 *      their depth, not the peer, says how often.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "json.h"
#include "shapefault.h"

static int read_object(char *why, const ln_shape *shape, ln_span json, void *value,
                       const ln_shape_step *outer);

/* Where a member is; NULL when nothing is to be stored. */
static void *place_of(void *value, size_t offset)
{
    return value == NULL ? NULL : (char *)value + offset;
}

/* ---- numbers ---- */

/* Two's complement: the low bytes are the number, whatever the width. */
static void store_integer(void *place, size_t size, uint64_t bits)
{
    const uint8_t n8 = (uint8_t)bits;
    const uint16_t n16 = (uint16_t)bits;
    const uint32_t n32 = (uint32_t)bits;

    if (place == NULL)
        return;
    switch (size) {
    case sizeof n8:
        memcpy(place, &n8, sizeof n8);
        break;
    case sizeof n16:
        memcpy(place, &n16, sizeof n16);
        break;
    case sizeof n32:
        memcpy(place, &n32, sizeof n32);
        break;
    default:
        LN_ASSERT(size == sizeof bits);
        memcpy(place, &bits, sizeof bits);
        break;
    }
}

static bool is_negative(ln_span number)
{
    return *(const char *)number.data == '-';
}

/* ln_json_integer() takes what a double cannot hold exactly only in plain digits: is it that? */
static bool is_inexact(ln_span number, double most)
{
    double d = 0;

    if (memchr(number.data, 'e', number.size) == NULL &&
        memchr(number.data, 'E', number.size) == NULL &&
        memchr(number.data, '.', number.size) == NULL)
        return false;
    return ln_json_double(number, &d) == 0 && fabs(d) <= most;
}

static int read_signed(char *why, size_t size, ln_span number, void *place,
                       const ln_shape_step *step)
{
    const int64_t most = INT64_MAX >> (64 - 8 * size), least = -most - 1;
    int64_t n;

    const int rc = ln_json_integer(number, &n);
    if (rc == LN_ERR_INVALID)
        return ln_shape_refuse(why, step, "not a whole number");
    if (rc < 0 && is_inexact(number, (double)most))
        return ln_shape_refuse(why, step, "beyond 2^53 and not in plain digits");
    if (rc < 0 ? !is_negative(number) : n > most)
        return ln_shape_refuse(why, step, "above %" PRId64, most);
    if (rc < 0 || n < least)
        return ln_shape_refuse(why, step, "below %" PRId64, least);
    store_integer(place, size, (uint64_t)n);
    return 0;
}

static int read_unsigned(char *why, size_t size, ln_span number, void *place,
                         const ln_shape_step *step)
{
    const uint64_t most = UINT64_MAX >> (64 - 8 * size);
    uint64_t n;
    int64_t whole = 0;

    int rc = ln_text_parse_u64(number, UINT64_MAX, &n);
    if (rc == LN_ERR_INVALID) { /* not in plain digits */
        rc = ln_json_integer(number, &whole);
        n = (uint64_t)whole;
    }
    if (rc == LN_ERR_INVALID)
        return ln_shape_refuse(why, step, "not a whole number");
    if (whole < 0 || (rc < 0 && is_negative(number)))
        return ln_shape_refuse(why, step, "below 0");
    if (rc < 0 && is_inexact(number, (double)most))
        return ln_shape_refuse(why, step, "beyond 2^53 and not in plain digits");
    if (rc < 0 || n > most)
        return ln_shape_refuse(why, step, "above %" PRIu64, most);
    store_integer(place, size, n);
    return 0;
}

/* From here on a number is nearer to what would come after FLT_MAX than to it. */
#define FLOAT_END 0x1.ffffffp127

static float nearest_float(double d)
{
    if (fabs(d) <= (double)FLT_MAX)
        return (float)d;
    return d > 0 ? FLT_MAX : -FLT_MAX;
}

static int read_real(char *why, size_t size, ln_span number, void *place, const ln_shape_step *step)
{
    double d;

    /* what a double cannot hold is no JSON to the reader, so it need not be looked at twice */
    if (place == NULL && size == sizeof d)
        return 0;
    const int rc = ln_json_double(number, &d);
    LN_ASSERT(rc == 0);
    const float f = nearest_float(d);
    if (size == sizeof f && fabs(d) >= FLOAT_END)
        return ln_shape_refuse(why, step, "beyond a float");
    if (place != NULL && size == sizeof f)
        memcpy(place, &f, sizeof f);
    else if (place != NULL)
        memcpy(place, &d, sizeof d);
    return 0;
}

/* ---- other elements ---- */

/* Only an escape can mean a NUL: as a byte it is a control character. */
static bool has_nul(ln_span string)
{
    const char *p = string.data;
    const char *const end = p + string.size;

    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        if (end - p > 6 && memcmp(p, "\\u0000", 6) == 0)
            return true;
        p += 2; /* behind a backslash that is escaped itself */
    }
    return false;
}

static int read_text(char *why, size_t size, ln_span string, void *place, const ln_shape_step *step)
{
    const size_t n = ln_json_decoded_bytes(string);

    if (n >= size)
        return ln_shape_refuse(why, step, "longer than %zu bytes", size - 1);
    if (has_nul(string))
        return ln_shape_refuse(why, step, "has a NUL in it");
    if (place == NULL)
        return 0;
    const size_t written = ln_json_decode(string, place);
    LN_ASSERT(written == n);
    memset((char *)place + n, 0, size - n); /* no byte of it is left to chance */
    return 0;
}

static int read_json(ln_span text, void *place)
{
    if (place != NULL)
        memcpy(place, &text, sizeof text);
    return 0;
}

static int read_bool(bool b, void *place)
{
    if (place != NULL)
        memcpy(place, &b, sizeof b);
    return 0;
}

/* ---- elements, arrays, members ---- */

/* What a JSON value has to be for a member; LN_JSON_NONE: anything. */
static ln_json_type wanted(enum ln_shape_type type)
{
    switch (type) {
    case LN_SHAPE_BOOL:
        return LN_JSON_TRUE;
    case LN_SHAPE_SIGNED:
    case LN_SHAPE_UNSIGNED:
    case LN_SHAPE_REAL:
        return LN_JSON_NUMBER;
    case LN_SHAPE_TEXT:
        return LN_JSON_STRING;
    case LN_SHAPE_STRUCT:
        return LN_JSON_OBJECT;
    case LN_SHAPE_JSON:
        break;
    }
    return LN_JSON_NONE;
}

static const char *name_of(ln_json_type type)
{
    switch (type) {
    case LN_JSON_TRUE:
        return "not true or false";
    case LN_JSON_NUMBER:
        return "not a number";
    case LN_JSON_STRING:
        return "not a string";
    case LN_JSON_ARRAY:
        return "not an array";
    default:
        return "not an object";
    }
}

static bool is_wanted(enum ln_shape_type type, ln_json_type found)
{
    const ln_json_type one = wanted(type);

    return one == LN_JSON_NONE || one == found || (type == LN_SHAPE_BOOL && found == LN_JSON_FALSE);
}

static int read_element(char *why, const ln_shape_field *field, const ln_json_value *v, void *place,
                        const ln_shape_step *step)
{
    if (!is_wanted(field->type, v->type))
        return ln_shape_refuse(why, step, "%s", name_of(wanted(field->type)));
    switch (field->type) {
    case LN_SHAPE_BOOL:
        return read_bool(v->type == LN_JSON_TRUE, place);
    case LN_SHAPE_SIGNED:
        return read_signed(why, field->size, v->text, place, step);
    case LN_SHAPE_UNSIGNED:
        return read_unsigned(why, field->size, v->text, place, step);
    case LN_SHAPE_REAL:
        return read_real(why, field->size, v->text, place, step);
    case LN_SHAPE_TEXT:
        return read_text(why, field->size, v->text, place, step);
    case LN_SHAPE_JSON:
        return read_json(v->text, place);
    case LN_SHAPE_STRUCT:
        break;
    }
    return read_object(why, field->shape, v->text, place, step);
}

static int read_array(char *why, const ln_shape_field *field, const ln_json_value *array,
                      void *value, ln_shape_step *step)
{
    ln_json_value element;
    ln_json j;
    size_t n = 0;

    if (array->type != LN_JSON_ARRAY)
        return ln_shape_refuse(why, step, "%s", name_of(LN_JSON_ARRAY));
    ln_json_init(&j, array->text);
    ln_json_next(&j, &element); /* the bracket */
    for (; ln_json_next_value(&j, &element) != LN_JSON_NONE; n++) {
        LN_ASSERT(element.type != LN_JSON_FAULT);
        if (n == field->capacity)
            return ln_shape_refuse(why, step, "more than %zu elements", field->capacity);
        step->index = n;
        const int rc = read_element(why, field, &element,
                                    place_of(value, field->offset + n * field->size), step);
        if (rc < 0)
            return rc;
        step->index = LN_SHAPE_NO_INDEX;
    }
    store_integer(place_of(value, field->count_offset), field->count_size, n);
    return 0;
}

static int read_member(char *why, const ln_shape_field *field, const ln_json_value *v, void *value,
                       const ln_shape_step *outer)
{
    ln_shape_step step = {.outer = outer, .name = ln_shape_name(field), .index = LN_SHAPE_NO_INDEX};

    if (field->is_array)
        return read_array(why, field, v, value, &step);
    return read_element(why, field, v, place_of(value, field->offset), &step);
}

/* ---- objects ---- */

/* The field of that name; looked for from *next on, because peers keep to an order. */
static const ln_shape_field *find_field(const ln_shape *shape, ln_span key, size_t *next)
{
    for (size_t tried = 0; tried < shape->field_count; tried++) {
        const ln_shape_field *const field = &shape->fields[*next];
        *next = *next + 1 < shape->field_count ? *next + 1 : 0;
        if (ln_json_is(key, ln_text(ln_shape_name(field))))
            return field;
    }
    return NULL;
}

/* `key` is the peer's: only the beginning of it is shown, as it stands in the text, quotes
 * included. */
static int refuse_unknown(char *why, ln_span key, const ln_shape_step *outer)
{
    enum { SHOWN_MAX = 40 };
    const bool is_long = key.size > SHOWN_MAX;
    size_t n = ln_min_size(key.size, SHOWN_MAX);

    while (is_long && (((const uint8_t *)key.data)[n] & 0xc0) == 0x80) /* within a code point */
        n--;
    return ln_shape_refuse(why, outer, "no member is called %.*s%s", (int)n, (const char *)key.data,
                           is_long ? "..." : "");
}

static int refuse_member(char *why, const ln_shape_field *field, const ln_shape_step *outer,
                         const char *sentence)
{
    const ln_shape_step step = {
        .outer = outer, .name = ln_shape_name(field), .index = LN_SHAPE_NO_INDEX};
    return ln_shape_refuse(why, &step, "%s", sentence);
}

/* What was not there. */
static int settle_absent(char *why, const ln_shape *shape, uint64_t present, void *value,
                         const ln_shape_step *outer)
{
    for (size_t i = 0; i < shape->field_count; i++) {
        const ln_shape_field *const field = &shape->fields[i];
        const bool is_present = (present >> i & 1) != 0;
        if (!is_present && !field->is_optional)
            return refuse_member(why, field, outer, "missing");
        if (field->present != 0)
            read_bool(is_present, place_of(value, field->present - 1));
    }
    return 0;
}

static int read_object(char *why, const ln_shape *shape, ln_span json, void *value,
                       const ln_shape_step *outer)
{
    ln_json_value v;
    ln_json j;
    ln_span key;
    uint64_t seen = 0, present = 0; /* a bit for each field */
    size_t next = 0;

    LN_ASSERT(shape->field_count <= LN_SHAPE_FIELDS_MAX);
    ln_json_init(&j, json);
    ln_json_next(&j, &v); /* the bracket */
    LN_ASSERT(v.type == LN_JSON_OBJECT);
    while (ln_json_next_member(&j, &key, &v)) {
        const ln_shape_field *const field = find_field(shape, key, &next);
        if (field == NULL && shape->is_strict)
            return refuse_unknown(why, key, outer);
        if (field == NULL)
            continue;
        const uint64_t bit = UINT64_C(1) << (field - shape->fields);
        if ((seen & bit) != 0)
            return refuse_member(why, field, outer, "there twice");
        seen |= bit;
        if (field->is_optional && v.type == LN_JSON_NULL)
            continue;
        present |= bit;
        const int rc = read_member(why, field, &v, value, outer);
        if (rc < 0)
            return rc;
    }
    LN_ASSERT(ln_json_fault(&j, NULL) == NULL);
    return settle_absent(why, shape, present, value, outer);
}

/* ---- the whole ---- */

static int look_for_faults(char *why, ln_span json, ln_json_type *type)
{
    ln_json_value v;
    ln_json j;
    size_t at = 0;

    ln_json_init(&j, json);
    *type = ln_json_next(&j, &v);
    if (ln_json_finish(&j))
        return 0;
    const char *const sentence = ln_json_fault(&j, &at);
    ln_shape_refuse(why, NULL, "no JSON: %s, at byte %zu", sentence, at);
    return LN_ERR_PROTOCOL;
}

int ln_shape_read(const ln_shape *shape, ln_span json, void *value, char *why)
{
    const ln_span text = json.size == 0 ? LN_SPAN("{}") : json;
    ln_json_type type;

    int rc = look_for_faults(why, text, &type);
    if (rc < 0)
        return rc;
    if (type != LN_JSON_OBJECT)
        return ln_shape_refuse(why, NULL, "%s", name_of(LN_JSON_OBJECT));
    rc = read_object(why, shape, text, NULL, NULL);
    if (rc < 0)
        return rc;
    rc = read_object(why, shape, text, value, NULL);
    LN_ASSERT(rc == 0);
    return 0;
}
