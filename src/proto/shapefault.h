/* SPDX-License-Identifier: MIT */
/* shapefault - where in a struct something does not fit, and why, as a sentence (linnet/shape.h). */
#ifndef LN_SHAPEFAULT_H
#define LN_SHAPEFAULT_H

#include <linnet/shape.h>

#include "base/base.h"

#define LN_SHAPE_NO_INDEX SIZE_MAX

/* A step down into a value: each lives on the stack of the function that takes it. */
typedef struct ln_shape_step {
    const struct ln_shape_step *outer; /* NULL: this member is the outermost struct's */
    const char *name;
    size_t index; /* in an array, or LN_SHAPE_NO_INDEX */
} ln_shape_step;

/* The member's name in JSON. */
const char *ln_shape_name(const ln_shape_field *field);

/*
 * Writes "PATH: SENTENCE" to `why`, if it is not NULL, cut where it does not fit; only the sentence
 * if `step` is NULL. Always LN_ERR_INVALID.
 */
LN_COLD int ln_shape_refuse(char *why, const ln_shape_step *step, const char *text, ...)
    LN_PRINTF(3, 4);

#endif
