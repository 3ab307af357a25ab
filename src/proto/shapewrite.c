/* SPDX-License-Identifier: MIT */
/* shapewrite.c - a struct into JSON (linnet/shape.h). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "shapefault.h"

/* Invariant: n < size; out[n] is where the next byte goes. */
typedef struct writing {
    char *out;
    size_t size;
    size_t n;
    char *why;
} writing;

static int write_object(writing *w, const ln_shape *shape, const void *value,
                        const ln_shape_step *outer);

static const void *place_of(const void *value, size_t offset)
{
    return (const char *)value + offset;
}

/* ---- pieces ---- */

static int put(writing *w, ln_span text)
{
    LN_ASSERT(w->n < w->size);
    if (text.size >= w->size - w->n) /* the NUL has to fit, too */
        return LN_ERR_LIMIT;
    if (text.size > 0)
        memcpy(w->out + w->n, text.data, text.size);
    w->n += text.size;
    return 0;
}

/* The string that means `text`. */
static int put_string(writing *w, ln_span text)
{
    const int n = ln_json_quote(text, w->out + w->n, w->size - w->n);

    if (n < 0)
        return n;
    w->n += (size_t)n;
    return 0;
}

/* ---- elements ---- */

static uint64_t load_unsigned(const void *place, size_t size)
{
    uint8_t n8;
    uint16_t n16;
    uint32_t n32;
    uint64_t n64;

    switch (size) {
    case sizeof n8:
        memcpy(&n8, place, sizeof n8);
        return n8;
    case sizeof n16:
        memcpy(&n16, place, sizeof n16);
        return n16;
    case sizeof n32:
        memcpy(&n32, place, sizeof n32);
        return n32;
    default:
        LN_ASSERT(size == sizeof n64);
        memcpy(&n64, place, sizeof n64);
        return n64;
    }
}

static int write_unsigned(writing *w, size_t size, const void *place)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "%" PRIu64, load_unsigned(place, size));
    return put(w, (ln_span){text, (size_t)n});
}

static int write_signed(writing *w, size_t size, const void *place)
{
    const uint64_t bits = load_unsigned(place, size), sign = UINT64_C(1) << (8 * size - 1);
    char text[24];
    const int n = snprintf(text, sizeof text, "%" PRId64, (int64_t)((bits ^ sign) - sign));
    return put(w, (ln_span){text, (size_t)n});
}

/* Few digits that read back the same: tried from what a type always keeps to what it may need. */
static int print_real(double d, size_t size, char *text, size_t room)
{
    const bool is_float = size == sizeof(float);
    const int enough = is_float ? 9 : 17;
    int n = 0;

    for (int digits = is_float ? 6 : 15; digits <= enough; digits++) {
        n = snprintf(text, room, "%.*g", digits, d);
        if (is_float ? strtof(text, NULL) == (float)d : strtod(text, NULL) == d)
            break;
    }
    return n;
}

/* A locale may have another decimal point, of several bytes. */
static size_t mend_point(char *text, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        const bool is_ours = strchr("0123456789+-e", text[i]) != NULL;
        if (is_ours || text[kept - 1] != '.')
            text[kept++] = is_ours ? text[i] : '.';
    }
    return kept;
}

static int write_real(writing *w, size_t size, const void *place, const ln_shape_step *step)
{
    char text[40];
    double d;
    float f;

    if (size == sizeof f) {
        memcpy(&f, place, sizeof f);
        d = (double)f;
    } else {
        memcpy(&d, place, sizeof d);
    }
    if (!isfinite(d))
        return ln_shape_refuse(w->why, step, "not a finite number");
    const int n = print_real(d, size, text, sizeof text);
    LN_ASSERT(n > 0 && (size_t)n < sizeof text);
    return put(w, (ln_span){text, mend_point(text, (size_t)n)});
}

static int write_text(writing *w, size_t size, const void *place, const ln_shape_step *step)
{
    const void *const end = memchr(place, '\0', size);

    if (end == NULL)
        return ln_shape_refuse(w->why, step, "no NUL ends it");
    const int rc =
        put_string(w, (ln_span){place, (size_t)((const char *)end - (const char *)place)});
    return rc == LN_ERR_INVALID ? ln_shape_refuse(w->why, step, "not UTF-8") : rc;
}

static int write_json(writing *w, const void *place, const ln_shape_step *step)
{
    ln_span text;
    ln_json j;

    memcpy(&text, place, sizeof text);
    if (text.size == 0)
        return put(w, LN_SPAN("null"));
    ln_json_init(&j, text);
    if (!ln_json_finish(&j))
        return ln_shape_refuse(w->why, step, "no JSON: %s", ln_json_fault(&j, NULL));
    return put(w, text);
}

static int write_bool(writing *w, const void *place)
{
    bool b;

    memcpy(&b, place, sizeof b);
    return put(w, b ? LN_SPAN("true") : LN_SPAN("false"));
}

/* ---- arrays, members, objects ---- */

static int write_element(writing *w, const ln_shape_field *field, const void *place,
                         const ln_shape_step *step)
{
    switch (field->type) {
    case LN_SHAPE_BOOL:
        return write_bool(w, place);
    case LN_SHAPE_SIGNED:
        return write_signed(w, field->size, place);
    case LN_SHAPE_UNSIGNED:
        return write_unsigned(w, field->size, place);
    case LN_SHAPE_REAL:
        return write_real(w, field->size, place, step);
    case LN_SHAPE_TEXT:
        return write_text(w, field->size, place, step);
    case LN_SHAPE_JSON:
        return write_json(w, place, step);
    case LN_SHAPE_STRUCT:
        break;
    }
    return write_object(w, field->shape, place, step);
}

static int write_array(writing *w, const ln_shape_field *field, const void *value,
                       ln_shape_step *step)
{
    const uint64_t count = load_unsigned(place_of(value, field->count_offset), field->count_size);

    if (count > field->capacity)
        return ln_shape_refuse(w->why, step, "%" PRIu64 " elements in an array of %zu", count,
                               field->capacity);
    int rc = put(w, LN_SPAN("["));
    for (size_t i = 0; rc == 0 && i < count; i++) {
        step->index = i;
        if (i > 0)
            rc = put(w, LN_SPAN(","));
        if (rc == 0)
            rc = write_element(w, field, place_of(value, field->offset + i * field->size), step);
    }
    return rc == 0 ? put(w, LN_SPAN("]")) : rc;
}

static int write_member(writing *w, const ln_shape_field *field, const void *value,
                        const ln_shape_step *outer)
{
    const char *const name = ln_shape_name(field);
    ln_shape_step step = {.outer = outer, .name = name, .index = LN_SHAPE_NO_INDEX};

    int rc = put_string(w, (ln_span){name, strlen(name)});
    if (rc == 0)
        rc = put(w, LN_SPAN(":"));
    if (rc < 0)
        return rc;
    if (field->is_array)
        return write_array(w, field, value, &step);
    return write_element(w, field, place_of(value, field->offset), &step);
}

static bool is_present(const ln_shape_field *field, const void *value)
{
    bool flag;

    if (field->present == 0)
        return true;
    memcpy(&flag, place_of(value, field->present - 1), sizeof flag);
    return flag;
}

static int write_object(writing *w, const ln_shape *shape, const void *value,
                        const ln_shape_step *outer)
{
    bool is_first = true;

    int rc = put(w, LN_SPAN("{"));
    for (size_t i = 0; rc == 0 && i < shape->field_count; i++) {
        const ln_shape_field *const field = &shape->fields[i];
        if (!is_present(field, value))
            continue;
        if (!is_first)
            rc = put(w, LN_SPAN(","));
        if (rc == 0)
            rc = write_member(w, field, value, outer);
        is_first = false;
    }
    return rc == 0 ? put(w, LN_SPAN("}")) : rc;
}

int ln_shape_write(const ln_shape *shape, const void *value, char *buffer, size_t size, char *why)
{
    writing w = {.out = buffer, .size = ln_min_size(size, INT32_MAX), .why = why};

    int rc = size == 0 ? LN_ERR_LIMIT : write_object(&w, shape, value, NULL);
    if (rc == LN_ERR_LIMIT)
        ln_shape_refuse(why, NULL, "does not fit into %zu bytes", size);
    if (rc < 0)
        return rc;
    LN_ASSERT(w.n < w.size);
    buffer[w.n] = '\0';
    return (int)w.n;
}
