/* SPDX-License-Identifier: MIT */
/*
 * frame - the header of a WebSocket frame (RFC 6455 5.2): reading it as the bytes come, and writing
 * it.
 *
 * The storey below ws.h: knows one header, no message, no payload, no state.
 */
#ifndef LN_FRAME_H
#define LN_FRAME_H

#include <string.h>

#include "base/base.h"

enum {
    LN_FRAME_FIN = 0x80,
    LN_FRAME_RSV1 = 0x40,
    LN_FRAME_OPCODE = 0x0f,
    LN_FRAME_MASKED = 0x80,
    LN_FRAME_HEAD_MAX = 14,
    LN_FRAME_CONTROL_MAX = 125
};

enum {
    LN_OPCODE_CONTINUATION = 0x0,
    LN_OPCODE_TEXT = 0x1,
    LN_OPCODE_BINARY = 0x2,
    LN_OPCODE_CLOSE = 0x8,
    LN_OPCODE_PING = 0x9,
    LN_OPCODE_PONG = 0xa
};

/* What is wrong with a header, whoever sent it. */
typedef enum ln_frame_fault {
    LN_FRAME_GOOD = 0,
    LN_FRAME_RESERVED_BITS,
    LN_FRAME_RESERVED_OPCODE,
    LN_FRAME_SPLIT_CONTROL,  /* a control frame without FIN */
    LN_FRAME_LONG_CONTROL,   /* a control frame of more than 125 bytes */
    LN_FRAME_NOT_MINIMAL,    /* a length in more bytes than it needs */
    LN_FRAME_LENGTH_TOP_BIT, /* a 64-bit length with its highest bit set */
    LN_FRAME_MASK_MISSING,   /* from a client */
    LN_FRAME_MASK_FORBIDDEN  /* from a server */
} ln_frame_fault;

typedef struct ln_frame {
    uint64_t length; /* payload bytes */
    uint32_t mask;   /* as it stands in memory; 0 if unmasked */
    uint8_t first;   /* FIN, RSV1-3, opcode */
    uint8_t size;    /* of the header, bytes */
} ln_frame;

/*
 * Reads a header from the first `n` bytes. 1: complete, *f is filled. 0: more bytes are needed, and
 * no complete part is wrong. LN_ERR_PROTOCOL: *fault says why; found with the part that proves it
 * (first byte, second byte, length), the first of them if several are wrong, so that how the bytes
 * are split makes no difference.
 *
 * `is_masked`: whether the sender has to mask. `allows_rsv1`: permessage-deflate is in force.
 */
int ln_frame_parse(const uint8_t *bytes, size_t n, bool is_masked, bool allows_rsv1, ln_frame *f,
                   ln_frame_fault *fault);

/* Writes a header without mask for `length` bytes of payload. Its size: 2, 4 or 10. */
LN_INLINE size_t ln_frame_write(uint8_t *to, uint8_t first, uint64_t length)
{
    to[0] = first;
    if (length <= LN_FRAME_CONTROL_MAX) {
        to[1] = (uint8_t)length;
        return 2;
    }
    if (length <= UINT16_MAX) {
        to[1] = 126;
        ln_store_be16(to + 2, (uint16_t)length);
        return 4;
    }
    to[1] = 127;
    ln_store_be64(to + 2, length);
    return 10;
}

/* The same with a mask: sets the bit and appends the key. */
LN_INLINE size_t ln_frame_write_masked(uint8_t *to, uint8_t first, uint64_t length, uint32_t mask)
{
    const size_t size = ln_frame_write(to, first, length);
    to[1] |= LN_FRAME_MASKED;
    memcpy(to + size, &mask, sizeof mask);
    return size + sizeof mask;
}

#endif
