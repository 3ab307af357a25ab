/* SPDX-License-Identifier: MIT */
/*
 * A head and its body, the body fed whole, byte by byte and in two pieces: the same payload and the
 * same end each time.
 *
 * Input: a byte for the role (bit 0), bodiless (bit 1) and how much body is allowed, then what the
 * peer sends.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_head.h"
#include "proto/body.h"

typedef struct outcome {
    uint8_t *payload;
    size_t size, used;
    const char *fault;
} outcome;

static outcome feed(ln_body *b, const uint8_t *bytes, size_t n, size_t first, size_t rest)
{
    outcome o = {.payload = malloc(n + 1)};
    LN_ASSERT(o.payload != NULL);
    for (size_t end = ln_min_size(first, n);; end += ln_min_size(rest, n - end)) {
        ln_span piece;
        for (size_t took; (took = ln_body_feed(b, bytes + o.used, end - o.used)) > 0;
             o.used += took)
            for (; ln_body_next(b, &piece); o.size += piece.size)
                memcpy(o.payload + o.size, piece.data, piece.size);
        if (o.used < end || end == n)
            break;
    }
    ln_body_end(b);
    LN_ASSERT(o.size == b->total && b->total <= b->max);
    LN_ASSERT(ln_body_is_done(b) == (ln_body_fault(b, &o.fault) == 0));
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ln_head_role role = size > 0 && data[0] & 1 ? LN_HEAD_RESPONSE : LN_HEAD_REQUEST;
    const ln_span input = {data + 1, size > 0 ? size - 1 : 0};
    ln_head_parser p;
    ln_head head;
    const size_t at = 1 + fuzz_head_feed(&p, role, fuzz_head_wide, input, size, size);
    const size_t n = input.size + 1 - at;
    const size_t first[] = {n, 1, n > 0 ? data[at] % n : 0}, rest[] = {n, 1, n};
    outcome o[3] = {{0}};
    for (int i = 0, is_read = ln_head_next(&p, &head); is_read && i < 3; i++) {
        ln_body b;
        ln_body_init(&b, role, &head, (data[0] & 3) == 3, data[0] >> 2);
        o[i] = feed(&b, data + at, n, first[i], rest[i]);
        LN_ASSERT(o[i].size == o[0].size && memcmp(o[i].payload, o[0].payload, o[0].size) == 0);
        LN_ASSERT(o[i].used == o[0].used && o[i].fault == o[0].fault);
    }
    for (int i = 0; i < 3; i++)
        free(o[i].payload);
    return ln_head_fini(&p), 0;
}
