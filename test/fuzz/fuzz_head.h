/* SPDX-License-Identifier: MIT */
/* fuzz_head - what the targets that begin with an HTTP head share: reading one that comes in
 * pieces. */
#ifndef FUZZ_HEAD_H
#define FUZZ_HEAD_H

#include "proto/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ln_head_limits fuzz_head_wide = {.bytes_max = 65536, .fields_max = LN_HEAD_FIELDS_MAX};

/* Begins a parser and feeds it `first` bytes, then pieces of up to `rest`. Returns how many were
 * used. */
static inline size_t fuzz_head_feed(ln_head_parser *p, ln_head_role role, ln_head_limits limits,
                                    ln_span input, size_t first, size_t rest)
{
    const uint8_t *bytes = input.data;
    size_t used = 0, next = first, taken = 0, piece = 0;
    ln_head_init(p, role, &limits, NULL);
    while (used < input.size && taken == piece) {
        piece = ln_min_size(next, input.size - used);
        taken = ln_head_feed(p, bytes + used, piece);
        LN_ASSERT(taken <= piece);
        used += taken;
        next = rest;
    }
    return used;
}

#endif
