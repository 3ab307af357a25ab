/* SPDX-License-Identifier: MIT */
/* roomstext.c - what an endpoint does not want in text (ln_rooms_text). */
#include "roomsinner.h"

static bool is_rejected(uint32_t rules, uint8_t c)
{
    if (c == '\n' || c == '\r')
        return rules & LN_ROOMS_TEXT_NO_NEWLINES;
    if (c == '\t')
        return rules & LN_ROOMS_TEXT_NO_TABS;
    return (c < 0x20 || c == 0x7f) && (rules & LN_ROOMS_TEXT_NO_CONTROLS);
}

bool ln_rooms_text_is_good(uint32_t rules, ln_span text)
{
    const uint8_t *const bytes = text.data;

    if (text.size == 0)
        return !(rules & LN_ROOMS_TEXT_NOT_EMPTY);
    if ((rules & ~(uint32_t)LN_ROOMS_TEXT_NOT_EMPTY) == 0)
        return true;
    for (size_t i = 0; i < text.size; i++)
        if (is_rejected(rules, bytes[i]))
            return false;
    return true;
}
