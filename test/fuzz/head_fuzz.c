/* SPDX-License-Identifier: MIT */
/*
 * A head, fed whole, byte by byte and in two pieces: the same head, fault and number of bytes used
 * each time.
 *
 * Input: a byte for the role (bit 0) and how narrow the limits are (the rest), one for the cut,
 * then what the peer sends.
 */
#include <string.h>

#include "fuzz_head.h"

static void compare(const ln_head *a, const ln_head *b)
{
    LN_ASSERT(a->status == b->status && a->minor == b->minor && a->field_count == b->field_count);
    LN_ASSERT(ln_text_equal(a->method, b->method) && ln_text_equal(a->target, b->target));
    LN_ASSERT(ln_text_equal(a->reason, b->reason));
    for (unsigned i = 0; i < a->field_count; i++) {
        const ln_field *f = &a->fields[i];
        LN_ASSERT(ln_text_is_token(f->name) && ln_text_equal(f->name, b->fields[i].name));
        LN_ASSERT(!memchr(f->value.data, '\r', f->value.size) &&
                  !memchr(f->value.data, '\0', f->value.size));
        LN_ASSERT(ln_text_equal(f->value, b->fields[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const ln_head_role role = data[0] & 1 ? LN_HEAD_RESPONSE : LN_HEAD_REQUEST;
    const ln_head_limits limits = {.bytes_max = 1u + (data[0] >> 1) * 64u,
                                   .fields_max = data[0] % LN_HEAD_FIELDS_MAX};
    const ln_span input = {data + 2, size - 2};
    const size_t first[] = {input.size, 1, 1 + data[1] % input.size},
                 rest[] = {input.size, 1, input.size};
    ln_head_parser p[3];
    ln_head heads[3];
    size_t used[3];
    bool is_read[3];

    for (int i = 0; i < 3; i++) {
        used[i] = fuzz_head_feed(&p[i], role, limits, input, first[i], rest[i]);
        is_read[i] = ln_head_next(&p[i], &heads[i]);
        LN_ASSERT(used[i] == used[0] && is_read[i] == is_read[0] &&
                  p[i].fault_text == p[0].fault_text);
        if (is_read[i])
            compare(&heads[0], &heads[i]);
    }
    for (int i = 0; i < 3; i++)
        ln_head_fini(&p[i]);
    return 0;
}
