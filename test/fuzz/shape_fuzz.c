/* SPDX-License-Identifier: MIT */
/*
 * A JSON text read into a struct: an error has a sentence of UTF-8 and stores nothing; what was
 * read can be written, reads back, and is written the same again.
 *
 * Input: the text.
 */
#include <string.h>

#include <linnet/shape.h>

#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct inner {
    float f;
    ln_span any;
} inner;
LN_SHAPE_STRICT(inner, LN_FIELD(inner, f), LN_FIELD(inner, any, .is_optional = true));

typedef struct outer {
    int8_t i;
    uint64_t u;
    double d;
    bool b, has_t;
    char t[5];
    uint8_t n, m;
    int32_t many[3];
    inner in, all[2];
} outer;
LN_SHAPE(outer, LN_FIELD(outer, i, .is_optional = true), LN_FIELD(outer, u, .is_optional = true),
         LN_FIELD(outer, d, .is_optional = true), LN_FIELD(outer, b, .is_optional = true),
         LN_FIELD(outer, t, LN_PRESENT(outer, has_t)),
         LN_FIELD_ARRAY(outer, many, n, .is_optional = true),
         LN_FIELD_SHAPE(outer, in, inner, .is_optional = true),
         LN_FIELD_SHAPE_ARRAY(outer, all, m, inner, .is_optional = true));

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char first[1 << 16], second[1 << 16];
    char why[LN_SHAPE_WHY_SIZE] = "";
    outer value = {0}, back = {0};
    const outer before = value;

    if (outer_read((ln_span){data, size}, &value, why) < 0) {
        LN_ASSERT(why[0] != '\0' && ln_utf8_is_valid(why, strlen(why)));
        LN_ASSERT(memcmp(&value, &before, sizeof value) == 0);
        return 0;
    }
    const int n = outer_write(&value, first, sizeof first, why);
    if (n == LN_ERR_LIMIT) /* a long span */
        return 0;
    LN_ASSERT(n > 0 && outer_read((ln_span){first, (size_t)n}, &back, why) == 0);
    LN_ASSERT(outer_write(&back, second, sizeof second, why) == n);
    LN_ASSERT(strcmp(first, second) == 0);
    return 0;
}
