/* SPDX-License-Identifier: MIT */
/*
 * A text, whole and cut in two: every variant ends in the state of the scalar one, in the middle
 * and at the end.
 *
 * Input: two bytes for the cut, then the text.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const size_t n = size - 2, cut = n > 0 ? (size_t)(data[0] << 8 | data[1]) % n : 0;
    uint8_t *const first = malloc(cut); /* of their own: no byte around them */
    uint8_t *const second = malloc(n - cut);
    LN_ASSERT((first || cut == 0) && (second || n == 0));
    memcpy(first, data + 2, cut);
    memcpy(second, data + 2 + cut, n - cut);

    const uint8_t middle = ln_utf8_scalar(LN_UTF8_ACCEPT, first, cut);
    const uint8_t end = ln_utf8_scalar(middle, second, n - cut);
    const char *name;
    ln_utf8_fn *fn;
    for (unsigned i = 1; ln_utf8_variant(i, &name, &fn); i++) {
        if (!fn)
            continue;
        LN_ASSERT(fn(LN_UTF8_ACCEPT, data + 2, n) == end);
        LN_ASSERT(fn(LN_UTF8_ACCEPT, first, cut) == middle);
        LN_ASSERT(fn(middle, second, n - cut) == end);
    }
    LN_ASSERT(ln_utf8_feed(middle, second, n - cut) == end);
    LN_ASSERT(ln_utf8_is_valid(data + 2, n) == (end == LN_UTF8_ACCEPT));
    free(first);
    free(second);
    return 0;
}
