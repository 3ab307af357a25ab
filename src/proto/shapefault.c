/* SPDX-License-Identifier: MIT */
#include "shapefault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ln_shape_name(const ln_shape_field *field)
{
    return field->as != NULL ? field->as : field->name;
}

/* What was written, kept below the room there is: snprintf() tells what it would have liked to. */
static size_t advance(size_t n, int written)
{
    return ln_min_size(n + (written > 0 ? (size_t)written : 0), LN_SHAPE_WHY_SIZE - 1);
}

static size_t add(char *why, size_t n, const char *text)
{
    return advance(n, snprintf(why + n, LN_SHAPE_WHY_SIZE - n, "%s", text));
}

/* Outermost first: the steps point outwards, so this goes there before it writes. */
static size_t add_path(char *why, const ln_shape_step *step)
{
    size_t n = 0;

    if (step->outer != NULL) {
        n = add_path(why, step->outer);
        n = add(why, n, ".");
    }
    n = add(why, n, step->name);
    if (step->index != LN_SHAPE_NO_INDEX)
        n = advance(n, snprintf(why + n, LN_SHAPE_WHY_SIZE - n, "[%zu]", step->index));
    return n;
}

/* Names may be any UTF-8: a code point that was cut goes whole. */
static void drop_cut_end(char *why)
{
    size_t n = strlen(why), behind = n;

    while (n > 0 && ((uint8_t)why[n - 1] & 0xc0) == 0x80)
        n--;
    if (n == 0 || ((uint8_t)why[n - 1] & 0x80) == 0)
        return;
    const uint8_t first = (uint8_t)why[n - 1];
    const size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    behind -= n - 1;
    LN_ASSERT(behind <= wanted);
    if (behind < wanted)
        why[n - 1] = '\0';
}

int ln_shape_refuse(char *why, const ln_shape_step *step, const char *text, ...)
{
    va_list arguments;
    size_t n = 0;

    if (why == NULL)
        return LN_ERR_INVALID;
    if (step != NULL) {
        n = add_path(why, step);
        n = add(why, n, ": ");
    }
    LN_ASSERT(n < LN_SHAPE_WHY_SIZE);
    va_start(arguments, text);
    vsnprintf(why + n, LN_SHAPE_WHY_SIZE - n, text, arguments);
    va_end(arguments);
    drop_cut_end(why);
    return LN_ERR_INVALID;
}
