/* SPDX-License-Identifier: MIT */
/*
 * body - the body of an HTTP/1.1 message: by Content-Length, chunked, or until the end (RFC 9112 6,
 * 7).
 *
 * Strict where smuggling lives: a Content-Length with anything but digits, more than one of them
 * (also equal ones), both it and Transfer-Encoding, Transfer-Encoding in HTTP/1.0, a chunk size
 * with sign, blank or more than 16 digits, a bare LF: all are faults. Chunk extensions and trailers
 * are refused.
 *
 * Invariants
 *   1. total <= max, and left <= max - total while a length is known.
 *   2. The payload given out before a fault does not depend on how the bytes were cut into feeds.
 *
 * States: LENGTH | chunked (size, data and their line ends) | UNTIL_END -> DONE | FAULTED
 */
#ifndef LN_BODY_H
#define LN_BODY_H

#include "head.h"

typedef struct ln_body {
    uint64_t left;  /* bytes of the body or of the current chunk */
    uint64_t total; /* bytes given out so far */
    uint64_t max;
    uint8_t state;
    uint8_t digits; /* of the chunk size so far */
    uint16_t fault_status;
    const char *fault_text;
    ln_span piece; /* ready for next() */
} ln_body;

/*
 * Chooses the framing for what follows `head`. Requests without either field have no body.
 * `is_bodiless`: a response to HEAD, or 1xx/204/304. `max`: bytes of body allowed. Bad framing is a
 * fault at once: 400; 413 a Content-Length above `max`; 501 a transfer coding besides chunked.
 */
void ln_body_init(ln_body *b, ln_head_role role, const ln_head *head, bool is_bodiless,
                  uint64_t max);

/* Takes bytes; stops early when a piece is ready for next(), takes none while one is, and none
 * behind the body. */
size_t ln_body_feed(ln_body *b, const uint8_t *bytes, size_t n);

/* The next piece of payload, valid until the next feed. */
bool ln_body_next(ln_body *b, ln_span *piece);

/* The stream ended: completes UNTIL_END, faults the others. */
void ln_body_end(ln_body *b);

/* The body is complete and its last piece has been taken. */
bool ln_body_is_done(const ln_body *b);

/* The status that answers a fault, 0 if there is none: 400, 413, 501; *text, if wanted, is a static
 * sentence. */
unsigned ln_body_fault(const ln_body *b, const char **text);

#endif
