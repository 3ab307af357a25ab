/* SPDX-License-Identifier: MIT */
#include "frame.h"

/* What a first byte is; everything that is not named is an error. */
enum { NONE = 0, DATA = 1, CONTROL = 2, RSV1_DATA = 3 };

static const uint8_t first_bytes[256] = {
    [0x00] = DATA,
    [0x80] = DATA, /* continuation */
    [0x01] = DATA,
    [0x81] = DATA, /* text */
    [0x02] = DATA,
    [0x82] = DATA, /* binary */
    /* RFC 7692 6: RSV1 on the first frame of a message only */
    [0x41] = RSV1_DATA,
    [0xc1] = RSV1_DATA,
    [0x42] = RSV1_DATA,
    [0xc2] = RSV1_DATA,
    [0x88] = CONTROL,
    [0x89] = CONTROL,
    [0x8a] = CONTROL,
};

/* Why a first byte that the table does not allow is wrong. */
static LN_COLD ln_frame_fault blame(uint8_t first)
{
    const uint8_t opcode = first & LN_FRAME_OPCODE;

    if (first & 0x70)
        return LN_FRAME_RESERVED_BITS;
    if (opcode >= LN_OPCODE_CLOSE && opcode <= LN_OPCODE_PONG)
        return LN_FRAME_SPLIT_CONTROL;
    return LN_FRAME_RESERVED_OPCODE;
}

static ln_frame_fault check_first(uint8_t first, bool allows_rsv1)
{
    const uint8_t what = first_bytes[first];
    return what == NONE || (what == RSV1_DATA && !allows_rsv1) ? blame(first) : LN_FRAME_GOOD;
}

static ln_frame_fault check_second(uint8_t first, uint8_t second, bool is_masked)
{
    if (((second & LN_FRAME_MASKED) != 0) != is_masked)
        return is_masked ? LN_FRAME_MASK_MISSING : LN_FRAME_MASK_FORBIDDEN;
    if (first_bytes[first] == CONTROL && (second & 0x7f) > LN_FRAME_CONTROL_MAX)
        return LN_FRAME_LONG_CONTROL;
    return LN_FRAME_GOOD;
}

/* Extended lengths: the highest bit is 0 and the shortest form is used (RFC 6455 5.2). */
static ln_frame_fault check_length(uint8_t code, uint64_t length)
{
    if (length >> 63)
        return LN_FRAME_LENGTH_TOP_BIT;
    if (length <= (code == 126 ? LN_FRAME_CONTROL_MAX : UINT16_MAX))
        return LN_FRAME_NOT_MINIMAL;
    return LN_FRAME_GOOD;
}

int ln_frame_parse(const uint8_t *bytes, size_t n, bool is_masked, bool allows_rsv1, ln_frame *f,
                   ln_frame_fault *fault)
{
    *fault = n > 0 ? check_first(bytes[0], allows_rsv1) : LN_FRAME_GOOD;
    if (*fault == LN_FRAME_GOOD && n > 1)
        *fault = check_second(bytes[0], bytes[1], is_masked);
    if (*fault != LN_FRAME_GOOD)
        return LN_ERR_PROTOCOL;
    if (n < 2)
        return 0;

    const uint8_t code = bytes[1] & 0x7f;
    const size_t extended = code == 127 ? 8 : code == 126 ? 2 : 0;
    uint64_t length = code;
    if (n < 2 + extended)
        return 0;
    if (extended > 0) {
        length = extended == 2 ? ln_load_be16(bytes + 2) : ln_load_be64(bytes + 2);
        *fault = check_length(code, length);
        if (*fault != LN_FRAME_GOOD)
            return LN_ERR_PROTOCOL;
    }

    const size_t size = 2 + extended + (is_masked ? 4 : 0);
    if (n < size)
        return 0;
    uint32_t mask = 0;
    if (is_masked)
        memcpy(&mask, bytes + 2 + extended, sizeof mask);
    *f = (ln_frame){.length = length, .mask = mask, .first = bytes[0], .size = (uint8_t)size};
    return 1;
}
