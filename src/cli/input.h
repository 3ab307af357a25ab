/* SPDX-License-Identifier: MIT */
/*
 * input - standard input, cut into lines or taken as it comes, for a program that must not sleep in
 * read().
 *
 * When bytes are wanted and none are there, `wait` is called: it does other work until the
 * descriptor is readable. The reader is therefore written as if reading blocked, and yet the rest
 * of the program goes on.
 *
 * Invariants
 *   1. begin <= scanned <= bytes.size; no newline stands in [begin, scanned).
 *   2. A line longer than `line_max` is an error and not a memory problem.
 */
#ifndef LN_INPUT_H
#define LN_INPUT_H

#include "base/buf.h"

/* True: the descriptor is readable, or at its end. If that may have changed until it is read, it has
 * to be a non-blocking one, and is waited for again. False: nothing more is to be read. */
typedef bool ln_input_wait(void *arg);

typedef struct ln_input {
    int fd; /* the caller's, and its mode is not touched, since others may share it */
    ln_input_wait *wait;
    void *arg;
    size_t line_max;
    ln_buf bytes;
    size_t begin;   /* of what has not been given out */
    size_t scanned; /* no newline before this */
    bool is_at_end;
} ln_input;

/* Allocates nothing. */
void ln_input_init(ln_input *in, const ln_allocator *alloc, int fd, size_t line_max,
                   ln_input_wait *wait, void *arg);
void ln_input_fini(ln_input *in);

/*
 * The next line without its newline; the last one may lack it. Borrowed until the next call.
 * 1; 0 at the end, or when wait() said false; LN_ERR_TOO_BIG, LN_ERR_IO, LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_input_line(ln_input *in, ln_span *line);

/* Whatever has come, at least one byte. Results as ln_input_line(). */
LN_NODISCARD int ln_input_chunk(ln_input *in, ln_span *chunk);

/* The next byte. Results as ln_input_line(). */
LN_NODISCARD int ln_input_byte(ln_input *in, uint8_t *byte);

#endif
