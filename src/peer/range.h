/* SPDX-License-Identifier: MIT */
/* range - a Range field with one range of bytes (RFC 9110 14.1.2, 14.2). */
#ifndef LN_RANGE_H
#define LN_RANGE_H

#include "base/base.h"

typedef struct ln_range {
    uint64_t first;
    uint64_t length;
} ln_range;

typedef enum ln_range_result {
    LN_RANGE_NONE,   /* absent, malformed, or several: the whole is sent */
    LN_RANGE_PART,   /* *range is filled */
    LN_RANGE_OUTSIDE /* well-formed, and nothing of it exists: 416 */
} ln_range_result;

/* `field`: the value, data NULL if absent. `size`: of the whole. *range changes only with
 * LN_RANGE_PART. */
ln_range_result ln_range_parse(ln_span field, uint64_t size, ln_range *range);

#endif
