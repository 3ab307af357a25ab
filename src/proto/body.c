/* SPDX-License-Identifier: MIT */
/*
 * Payload is handed on in runs; what stands between the chunks is read character by character, one
 * state each:
 *
 *   CHUNK_SIZE    digits             CHUNK_SIZE; CR -> CHUNK_SIZE_LF
 *   CHUNK_SIZE_LF LF                 CHUNK_DATA, after a size of 0 LAST_CR
 *   CHUNK_DATA    `left` bytes       CHUNK_DATA_CR
 *   CHUNK_DATA_CR CR, then LF        CHUNK_SIZE
 *   LAST_CR       CR, then LF        DONE
 *
 * Any other character is a fault: nothing is skipped, so that no other reader can skip something
 * else.
 */
#include "body.h"

enum { SIZE_DIGITS_MAX = 16 }; /* of a chunk: 64 bits */

enum {
    LENGTH,
    UNTIL_END,
    CHUNK_SIZE,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    LAST_CR, /* the empty line that ends the trailers, which there are none of */
    LAST_LF,
    DONE,
    FAULTED
};

static LN_COLD void refuse(ln_body *b, uint16_t status, const char *text)
{
    LN_ASSERT(b->state != FAULTED);
    b->state = FAULTED;
    b->fault_status = status;
    b->fault_text = text;
}

/* RFC 9112 6.1: a list that ends with chunked, once, has a meaning, even if one that nothing here
 * understands. */
static bool ends_chunked(ln_span list)
{
    ln_span item;
    bool is_chunked = false;
    while (ln_text_next(&list, ',', &item)) {
        if (is_chunked)
            return false;
        is_chunked = ln_text_equal_nocase(item, LN_SPAN("chunked"));
    }
    return is_chunked;
}

static void init_coded(ln_body *b, const ln_head *head, ln_span coding, unsigned coding_count,
                       unsigned length_count)
{
    if (length_count > 0)
        refuse(b, 400, "both Content-Length and Transfer-Encoding");
    else if (head->minor == 0)
        refuse(b, 400, "Transfer-Encoding in HTTP/1.0");
    else if (coding_count > 1 || !ends_chunked(coding))
        refuse(b, 400, "a Transfer-Encoding that does not end with chunked");
    else if (!ln_text_equal_nocase(coding, LN_SPAN("chunked")))
        refuse(b, 501, "a transfer coding besides chunked");
    else
        b->state = CHUNK_SIZE;
}

static void init_length(ln_body *b, ln_span value, unsigned count)
{
    uint64_t length = 0;
    const int rc = ln_text_parse_u64(value, b->max, &length);
    if (count > 1) {
        refuse(b, 400, "more than one Content-Length");
    } else if (rc == LN_ERR_INVALID) {
        refuse(b, 400, "a Content-Length that is no number");
    } else if (rc == LN_ERR_LIMIT) {
        refuse(b, 413, "the body is too large");
    } else {
        b->left = length;
        b->state = length > 0 ? LENGTH : DONE;
    }
}

void ln_body_init(ln_body *b, ln_head_role role, const ln_head *head, bool is_bodiless,
                  uint64_t max)
{
    unsigned coding_count, length_count;
    const ln_span coding = ln_head_find(head, "Transfer-Encoding", &coding_count);
    const ln_span length = ln_head_find(head, "Content-Length", &length_count);

    LN_ASSERT(role == LN_HEAD_RESPONSE || !is_bodiless);
    *b = (ln_body){.max = max, .state = DONE};
    if (is_bodiless)
        return;
    if (coding_count > 0)
        init_coded(b, head, coding, coding_count, length_count);
    else if (length_count > 0)
        init_length(b, length, length_count);
    else if (role == LN_HEAD_RESPONSE)
        b->state = UNTIL_END;
}

/* Up to `n` bytes become the piece. How many. */
static size_t give(ln_body *b, const uint8_t *bytes, uint64_t n)
{
    LN_ASSERT(n > 0 && n <= b->max - b->total);
    b->piece = (ln_span){bytes, (size_t)n};
    b->total += n;
    return (size_t)n;
}

static size_t feed_known(ln_body *b, const uint8_t *bytes, size_t n)
{
    LN_ASSERT(b->left > 0);
    const size_t used = give(b, bytes, n < b->left ? n : b->left);
    b->left -= used;
    if (b->left == 0)
        b->state = b->state == LENGTH ? DONE : CHUNK_DATA_CR;
    return used;
}

static size_t feed_until_end(ln_body *b, const uint8_t *bytes, size_t n)
{
    const uint64_t room = b->max - b->total;
    if (room > 0)
        return give(b, bytes, n < room ? n : room);
    refuse(b, 413, "the body is too large");
    return 0;
}

static void take_size_char(ln_body *b, uint8_t c)
{
    const int digit = ln_text_hex(c);
    if (digit >= 0) {
        if (b->digits == SIZE_DIGITS_MAX) {
            refuse(b, 400, "a chunk size of more than 16 digits");
            return;
        }
        b->digits++;
        b->left = b->left << 4 | (unsigned)digit;
    } else if (b->digits == 0) {
        refuse(b, 400, "a chunk without a size");
    } else if (c == '\r') {
        b->state = CHUNK_SIZE_LF;
    } else {
        refuse(b, 400, c == ';' ? "a chunk extension" : "a chunk size that is no number");
    }
}

/* The size's line has ended. */
static void begin_chunk(ln_body *b)
{
    b->digits = 0;
    if (b->left > b->max - b->total)
        refuse(b, 413, "the body is too large");
    else
        b->state = b->left > 0 ? CHUNK_DATA : LAST_CR;
}

static void expect(ln_body *b, uint8_t c, uint8_t wanted, uint8_t next, const char *otherwise)
{
    if (c == wanted)
        b->state = next;
    else
        refuse(b, 400, otherwise);
}

/* One character of what stands between the chunks. */
static void take_frame_char(ln_body *b, uint8_t c)
{
    if (b->state == CHUNK_SIZE) {
        take_size_char(b, c);
    } else if (b->state == CHUNK_SIZE_LF) {
        expect(b, c, '\n', CHUNK_DATA, "a carriage return without a line feed");
        if (b->state == CHUNK_DATA)
            begin_chunk(b);
    } else if (b->state == CHUNK_DATA_CR) {
        expect(b, c, '\r', CHUNK_DATA_LF, "a chunk that is longer than its size");
    } else if (b->state == CHUNK_DATA_LF) {
        expect(b, c, '\n', CHUNK_SIZE, "a carriage return without a line feed");
    } else if (b->state == LAST_CR) {
        expect(b, c, '\r', LAST_LF, "a trailer field");
    } else {
        LN_ASSERT(b->state == LAST_LF);
        expect(b, c, '\n', DONE, "a carriage return without a line feed");
    }
}

size_t ln_body_feed(ln_body *b, const uint8_t *bytes, size_t n)
{
    size_t used = 0;
    while (used < n && b->piece.size == 0 && b->state < DONE) {
        if (b->state == LENGTH || b->state == CHUNK_DATA)
            used += feed_known(b, bytes + used, n - used);
        else if (b->state == UNTIL_END)
            used += feed_until_end(b, bytes + used, n - used);
        else
            take_frame_char(b, bytes[used++]);
    }
    LN_ASSERT(b->total <= b->max);
    return used;
}

bool ln_body_next(ln_body *b, ln_span *piece)
{
    if (b->piece.size == 0)
        return false;
    *piece = b->piece;
    b->piece = (ln_span){NULL, 0};
    return true;
}

void ln_body_end(ln_body *b)
{
    if (b->state == UNTIL_END)
        b->state = DONE;
    else if (b->state < DONE)
        refuse(b, 400, "the stream ended inside the body");
}

bool ln_body_is_done(const ln_body *b)
{
    return b->state == DONE && b->piece.size == 0;
}

unsigned ln_body_fault(const ln_body *b, const char **text)
{
    LN_ASSERT((b->state == FAULTED) == (b->fault_status != 0));
    if (text)
        *text = b->fault_text;
    return b->fault_status;
}
