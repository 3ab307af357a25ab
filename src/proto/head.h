/* SPDX-License-Identifier: MIT */
/*
 * head - the start line and header fields of an HTTP/1.1 message (RFC 9112), strict and
 * incremental.
 *
 * What it is not: it knows no body (body.h), no meaning of any field but Host (upgrade.h) and no
 * socket. Strict means: CRLF line ends only, no folding, no blank before the colon, token names,
 * visible ASCII + obs-text + blanks in values, one Host that can be one. Lenient in one place: the
 * blank between status and a missing reason may be missing too.
 *
 * Invariants
 *   1. Each byte is looked at no more than twice, however it arrives: once for the end of the head,
 *      once to parse. Only the Host and a target's own authority are then read again, to see
 *      whether they can be one.
 *   2. When the whole head arrives in one feed nothing is copied: spans point into the caller's
 *      bytes.
 *   3. After a fault the parser accepts nothing more; status and sentence stay.
 *   4. What comes of a head, and how many bytes it used, does not depend on how it was cut into
 *      feeds.
 *
 * States                          left by
 *   BEFORE (blank lines)          feed -> READING | FAULTED
 *   READING                       feed -> COMPLETE | FAULTED, reset -> BEFORE
 *   COMPLETE                      next -> TAKEN | FAULTED, reset -> BEFORE
 *   TAKEN (head given out)        reset -> BEFORE
 *   FAULTED                       -
 */
#ifndef LN_HEAD_H
#define LN_HEAD_H

#include "base/buf.h"
#include "base/text.h"

typedef enum ln_head_role { LN_HEAD_REQUEST, LN_HEAD_RESPONSE } ln_head_role;

typedef struct ln_field {
    ln_span name;  /* as received */
    ln_span value; /* trimmed; data is not NULL, also when it is empty */
} ln_field;

enum { LN_HEAD_FIELDS_MAX = 64 };

/* A parsed head. Spans are valid until the next feed, reset or fini, and as long as the bytes that
 * were fed. */
typedef struct ln_head {
    ln_span method; /* request: token */
    /* request: path, absolute-form, authority-form (CONNECT) or "*" (OPTIONS); visible ASCII,
     * no '#' */
    ln_span target;
    ln_span reason;  /* response; may be empty */
    unsigned status; /* response: 100-999 */
    unsigned minor;  /* HTTP/1.minor, 0 or 1 */
    unsigned field_count;
    ln_field fields[LN_HEAD_FIELDS_MAX];
} ln_head;

typedef struct ln_head_limits {
    uint32_t bytes_max;  /* whole head, with the empty line, without blank lines before it; > 0 */
    uint32_t fields_max; /* <= LN_HEAD_FIELDS_MAX */
} ln_head_limits;

typedef struct ln_head_parser {
    ln_head_limits limits;
    ln_head_role role;
    uint8_t state;
    uint8_t line_state; /* how much of CRLFCRLF has been seen */
    bool has_line;      /* the start line has ended: a head too large is 431, not 414 */
    /* 0 = none, else the HTTP status that answers it: 400, 414, 431, 503, 505 */
    uint16_t fault_status;
    const char *fault_text;
    ln_buf kept;   /* the head so far, when it came in pieces */
    ln_span whole; /* the complete head, once COMPLETE */
} ln_head_parser;

void ln_head_init(ln_head_parser *p, ln_head_role role, const ln_head_limits *limits,
                  const ln_allocator *alloc);
void ln_head_fini(ln_head_parser *p);

/* Ready for the next message on the same connection; memory kept for pieces is given back. A fault
 * stays. */
void ln_head_reset(ln_head_parser *p);

/*
 * Takes bytes up to and including the empty line. Returns how many were used: fewer than `n` when
 * the head is complete or faulted. Leading CRLFs before a request line are skipped (RFC 9112 2.2),
 * at most two of them. Out of memory is a fault with status 503. Bytes that came whole must stay
 * until the head was dealt with.
 */
size_t ln_head_feed(ln_head_parser *p, const uint8_t *bytes, size_t n);

/*
 * Parses the complete head into *head: true once per head; false while incomplete, or faulted (also
 * by this call), with *head unspecified.
 */
bool ln_head_next(ln_head_parser *p, ln_head *head);

/*
 * The HTTP status a server answers a faulted head with, 0 if there is no fault; *text, if wanted,
 * is a static sentence. 400 malformed; 414 the request line is longer than bytes_max; 431 the head
 * is, or has more than fields_max fields; 505 a version other than 1.0 and 1.1; 503 out of memory.
 */
unsigned ln_head_fault(const ln_head_parser *p, const char **text);

/* The whole head is there, in p->whole, and next() has not been asked yet. */
bool ln_head_is_complete(const ln_head_parser *p);

/* Bytes of an unfinished head are being kept. */
bool ln_head_is_partial(const ln_head_parser *p);

/* The value of the first field `name` (any case). data NULL: absent. *count, if wanted: how many
 * there are. */
ln_span ln_head_find(const ln_head *head, const char *name, unsigned *count);

/* True if some field `name`, read as a comma separated list, has the element `token` (any case). */
bool ln_head_has_token(const ln_head *head, const char *name, const char *token);

/* The token in the value of an Authorization field of the scheme Bearer, in any case (RFC 6750 2.1);
 * empty: none follows. data NULL: of another scheme. */
ln_span ln_head_bearer(ln_span value);

/*
 * Writing (headwrite.c): appends a start line, a field, the empty line, to `out` up to `limit`
 * bytes. LN_ERR_INVALID for a method or name that is no token, a target that could not be read
 * back, a status outside 100-999, a value with control characters other than HTAB: nothing can
 * break out of its line. LN_ERR_TOO_BIG; LN_ERR_NOMEM. On an error nothing was appended.
 */

/* A target that begins with '?' gets the '/' of the empty path in front (RFC 6455 3). */
LN_NODISCARD int ln_head_write_request(ln_buf *out, ln_span method, ln_span target, size_t limit);
LN_NODISCARD int ln_head_write_status(ln_buf *out, unsigned status, size_t limit);
LN_NODISCARD int ln_head_write_field(ln_buf *out, ln_span name, ln_span value, size_t limit);
LN_NODISCARD int ln_head_write_end(ln_buf *out, size_t limit);

enum { LN_HEAD_DATE_SIZE = 30 }; /* with the NUL */

/* A time as a field has it (IMF-fixdate, RFC 9110 5.6.7), in `text`, in English whatever the locale;
 * empty for one before year 0 or after 9999. */
ln_span ln_head_date(int64_t unix_s, char text[LN_HEAD_DATE_SIZE]);

/* "Not Found" for 404; "Unknown" for what has no phrase. Static. */
const char *ln_head_reason(unsigned status);

#endif
