/* SPDX-License-Identifier: MIT */
#include "slash.h"

#include <string.h>

enum { CONTROL_MAX = 125 }; /* payload of a control frame (RFC 6455 5.5) */

/* Cuts the first word off *rest, and the blanks behind it. */
static ln_span take_word(ln_span *rest)
{
    const char *c = rest->data;
    size_t n = 0;
    while (n < rest->size && c[n] != ' ')
        n++;
    const ln_span word = {c, n};
    while (n < rest->size && c[n] == ' ')
        n++;
    *rest = (ln_span){c + n, rest->size - n};
    return word;
}

bool ln_slash_is(ln_span line)
{
    return line.size > 0 && *(const char *)line.data == '/';
}

static int parse_close(ln_span rest, ln_slash *slash)
{
    uint64_t code = 0;
    const ln_span number = take_word(&rest);
    if (number.size > 0 && (ln_text_parse_u64(number, 4999, &code) < 0 || code < 1000))
        return LN_ERR_INVALID;
    if (rest.size > CONTROL_MAX - 2) /* the code takes two bytes */
        return LN_ERR_INVALID;
    *slash = (ln_slash){.type = LN_SLASH_CLOSE, .code = (uint16_t)code, .text = rest};
    return 0;
}

int ln_slash_parse(ln_span line, ln_slash *slash)
{
    ln_span rest = line;
    const ln_span name = take_word(&rest);
    if (ln_text_equal(name, LN_SPAN("/close")))
        return parse_close(rest, slash);
    if (!ln_text_equal(name, LN_SPAN("/ping")))
        return LN_ERR_NOT_FOUND;
    if (rest.size > CONTROL_MAX)
        return LN_ERR_INVALID;
    *slash = (ln_slash){.type = LN_SLASH_PING, .text = rest};
    return 0;
}
