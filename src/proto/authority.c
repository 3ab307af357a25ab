/* SPDX-License-Identifier: MIT */
#include "authority.h"

#include "charclass.h"

#include <string.h>

enum { IPV6_GROUPS = 8, PORT_MAX_DIGITS = 5 };

/* Four numbers up to 255, without leading zeros, which some resolvers take for octal. */
static bool is_ipv4(ln_span text)
{
    ln_span part;
    unsigned parts = 0;
    if (!ln_charclass_is_all(text, LN_CHAR_HOST))
        return false; /* a list may have blanks, an address may not */
    while (ln_text_next(&text, '.', &part)) {
        uint64_t value;
        if (ln_text_parse_u64(part, UINT8_MAX, &value) < 0)
            return false;
        if (part.size > 1 && *(const char *)part.data == '0')
            return false;
        parts++;
    }
    return parts == 4;
}

static size_t hex_run(const uint8_t *p, size_t n)
{
    size_t digits = 0;
    while (digits < n && ln_text_hex(p[digits]) >= 0)
        digits++;
    return digits;
}

/* RFC 3986 3.2.2 IPv6address: groups of one to four digits, one gap at most, perhaps an IPv4
 * tail. */
static bool is_ipv6(ln_span text)
{
    const uint8_t *p = text.data;
    const size_t n = text.size;
    if (n < 2)
        return false;

    unsigned groups = 0;
    bool has_gap = p[0] == ':' && p[1] == ':';
    size_t at = has_gap ? 2 : 0;

    while (at < n) {
        const size_t digits = hex_run(p + at, n - at);
        if (at + digits < n && p[at + digits] == '.') {
            if (!is_ipv4((ln_span){p + at, n - at}))
                return false;
            groups += 2;
            break;
        }
        if (digits == 0 || digits > 4)
            return false;
        groups++;
        at += digits;
        if (at == n)
            break;
        if (p[at++] != ':' || at == n)
            return false;
        if (p[at] == ':') {
            if (has_gap)
                return false;
            has_gap = true;
            at++;
        }
    }
    return has_gap ? groups < IPV6_GROUPS : groups == IPV6_GROUPS;
}

/* Decimal, 1 to 65535, as everybody writes it: no leading zero. */
static int parse_port(ln_span text, uint16_t *port)
{
    uint64_t value;
    if (text.size == 0 || text.size > PORT_MAX_DIGITS || *(const char *)text.data == '0')
        return LN_ERR_INVALID;
    if (ln_text_parse_u64(text, UINT16_MAX, &value) < 0)
        return LN_ERR_INVALID;
    LN_ASSERT(value > 0);
    *port = (uint16_t)value;
    return 0;
}

/* "[address]" at the front of `text`: the address, and in *used how long it was with its brackets;
 * 0 if it is none. */
static ln_span bracketed(ln_span text, size_t *used)
{
    const char *p = text.data;
    const char *close = memchr(p, ']', text.size);
    const ln_span address = {p + 1, close ? (size_t)(close - p) - 1 : 0};

    *used = close && is_ipv6(address) ? address.size + 2 : 0;
    return address;
}

int ln_authority_parse(ln_span text, ln_authority *authority)
{
    if (text.size == 0)
        return LN_ERR_INVALID;

    const char *p = text.data;
    ln_authority found = {.is_ipv6 = p[0] == '['};
    size_t used = 0;

    if (found.is_ipv6) {
        found.host = bracketed(text, &used);
    } else {
        used = ln_charclass_span(text, LN_CHAR_HOST);
        found.host = (ln_span){p, used};
    }
    if (used == 0 || found.host.size > LN_AUTHORITY_HOST_MAX_BYTES)
        return LN_ERR_INVALID;

    if (used < text.size) {
        const ln_span port = {p + used + 1, text.size - used - 1};
        if (p[used] != ':' || parse_port(port, &found.port) < 0)
            return LN_ERR_INVALID;
    }
    *authority = found;
    return 0;
}
