/* SPDX-License-Identifier: MIT */
/*
 * authority - "host", "host:port", "[2001:db8::1]:port": what stands in a Host field, a URL and an
 * Origin.
 *
 * Narrower than RFC 3986 3.2 on purpose: no user info, no escapes, no empty host or port, no zone
 * of an address, and of a name only the characters that DNS can have. Whatever two programs could
 * read in two ways is refused.
 */
#ifndef LN_AUTHORITY_H
#define LN_AUTHORITY_H

#include "base/text.h"

enum { LN_AUTHORITY_HOST_MAX_BYTES = 255 }; /* RFC 1035 2.3.4 */

typedef struct ln_authority {
    ln_span host;  /* without brackets or port */
    uint16_t port; /* 0 = none was given */
    bool is_ipv6;  /* an address literal, stood in brackets */
} ln_authority;

/* Spans into `text`, all of which has to fit. LN_ERR_INVALID. */
LN_NODISCARD int ln_authority_parse(ln_span text, ln_authority *authority);

#endif
