/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 65536 }; /* what a pipe holds */

void ln_input_init(ln_input *in, const ln_allocator *alloc, int fd, size_t line_max,
                   ln_input_wait *wait, void *arg)
{
    *in = (ln_input){.fd = fd, .wait = wait, .arg = arg, .line_max = line_max};
    ln_buf_init(&in->bytes, alloc);
}

void ln_input_fini(ln_input *in)
{
    ln_buf_fini(&in->bytes);
}

/* Waits until something has come, and reads it behind what is still there. 1; 0 at the end; an
 * error. */
static int fill(ln_input *in)
{
    ssize_t n;
    do {
        if (in->is_at_end || !in->wait(in->arg))
            return 0;
        ln_buf_consume(&in->bytes, in->begin);
        in->scanned -= in->begin;
        in->begin = 0;
        const int rc = ln_buf_reserve(&in->bytes, READ_BYTES, in->line_max + READ_BYTES);
        if (rc < 0)
            return rc;
        n = read(in->fd, in->bytes.data + in->bytes.size, READ_BYTES);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN)); /* or it is gone again */
    if (n < 0)
        return LN_ERR_IO;
    in->bytes.size += (size_t)n;
    in->is_at_end = n == 0;
    return n > 0;
}

/* Gives out `n` bytes and forgets `skip` more behind them. */
static ln_span take(ln_input *in, size_t n, size_t skip)
{
    const ln_span taken = {in->bytes.data + in->begin, n};
    in->begin += n + skip;
    in->scanned = in->begin;
    return taken;
}

static size_t left(const ln_input *in)
{
    return in->bytes.size - in->begin;
}

/* As fill(), unless something is there still. */
static int need(ln_input *in)
{
    return left(in) > 0 ? 1 : fill(in);
}

int ln_input_line(ln_input *in, ln_span *line)
{
    for (;;) {
        const size_t unseen = in->bytes.size - in->scanned;
        const uint8_t *newline =
            unseen > 0 ? memchr(in->bytes.data + in->scanned, '\n', unseen) : NULL;
        const size_t n =
            (newline != NULL ? (size_t)(newline - in->bytes.data) : in->bytes.size) - in->begin;
        if (n > in->line_max)
            return LN_ERR_TOO_BIG;
        if (newline != NULL) {
            *line = take(in, n, 1);
            return 1;
        }
        in->scanned = in->bytes.size;
        const int rc = fill(in);
        if (rc > 0)
            continue;
        if (rc < 0 || !in->is_at_end || left(in) == 0)
            return rc;
        *line = take(in, left(in), 0);
        return 1;
    }
}

int ln_input_chunk(ln_input *in, ln_span *chunk)
{
    const int rc = need(in);
    if (rc <= 0)
        return rc;
    *chunk = take(in, ln_min_size(left(in), in->line_max), 0);
    return 1;
}

int ln_input_byte(ln_input *in, uint8_t *byte)
{
    const int rc = need(in);
    if (rc <= 0)
        return rc;
    const ln_span one = take(in, 1, 0);
    *byte = *(const uint8_t *)one.data;
    return 1;
}
