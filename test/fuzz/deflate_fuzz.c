/* SPDX-License-Identifier: MIT */
/*
 * Two messages, inflated whole, byte by byte and in pieces: the same bytes or refusal each time.
 * Then the input as our text, compressed and inflated again. Input: takeover, bits and limit; size
 * of pieces; where the second one begins.
 */
#include <string.h>

#include "proto/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int inflate_message(ln_deflate *z, const uint8_t *bytes, size_t n, size_t step, ln_buf *out,
                           size_t limit)
{
    int rc = 0;
    for (out->size = 0; n > step && rc == 0; bytes += step, n -= step)
        rc = ln_deflate_inflate(z, bytes, step, false, out, limit);
    rc = rc == 0 ? ln_deflate_inflate(z, bytes, n, true, out, limit) : rc;
    ln_deflate_idle(z);
    LN_ASSERT(out->size <= limit);
    return rc;
}

static bool holds(const ln_buf *b, const uint8_t *bytes, size_t n)
{
    return b->size == n && (n == 0 || memcmp(b->data, bytes, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const uint8_t fresh = data[0] & 1, bits = 9 + (data[0] >> 1) % 7, *const text = data + 3;
    const size_t limit = (size_t)16 << (data[0] >> 4), step = 1 + data[1];
    const size_t n = size - 3, first = n * data[2] / 255, steps[3] = {1, step, SIZE_MAX};
    const ln_pmd_params params = {fresh, fresh, bits, fresh ? bits : 15}; /* see deflate.h, 6 */
    ln_zpool *const pool = ln_zpool_new(NULL);
    ln_buf out[4] = {{0}}, *const wire = &out[3];
    int rc[3];
    for (int i = 0; i < 3; i++) {
        ln_deflate *const z = ln_deflate_new(pool, &params, true, 1);
        rc[i] = inflate_message(z, text, first, steps[i], &out[i], limit);
        if (rc[i] == 0)
            rc[i] = inflate_message(z, text + first, n - first, steps[i], &out[i], limit);
        /* Only whole may a message pass that swallowed its end: deflate.c, inflate_whole(). */
        LN_ASSERT(rc[i] == rc[0] || (fresh && i == 2 && rc[i] == 0));
        LN_ASSERT(rc[0] < 0 || holds(&out[i], out[0].data, out[0].size));
        ln_deflate_free(z);
    }
    ln_deflate *const z = ln_deflate_new(pool, &params, true, 1 + data[1] % 9);
    LN_ASSERT(ln_deflate_compress(z, text, first, false, wire) == 0);
    LN_ASSERT(ln_deflate_compress(z, text + first, n - first, true, wire) == 0);
    LN_ASSERT(inflate_message(z, wire->data, wire->size, step, out, n) == 0 && holds(out, text, n));
    ln_deflate_free(z);
    for (int i = 0; i < 4; i++)
        ln_buf_fini(&out[i]);
    ln_zpool_free(pool);
    return 0;
}
