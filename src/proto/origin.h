/* SPDX-License-Identifier: MIT */
/*
 * origin - where a page comes from: scheme, host and port (RFC 6454 4), as browsers write it into
 * an Origin field.
 *
 * Comparing two is comparing all three: scheme and host without regard to ASCII case. A trailing
 * dot of the host counts, and two spellings of one IPv6 address are two hosts: browsers write only
 * one.
 */
#ifndef LN_ORIGIN_H
#define LN_ORIGIN_H

#include "base/text.h"

typedef struct ln_origin {
    ln_span scheme;
    ln_span host;  /* with brackets for an IPv6 literal */
    uint16_t port; /* given, or the scheme's default; 0 = the scheme has none */
} ln_origin;

/* "https://example.com:8443". Spans into `text`. LN_ERR_INVALID for "null", a path (also "/"), user
 * info, two origins. */
LN_NODISCARD int ln_origin_parse(ln_span text, ln_origin *origin);

/* The origin of pages served under a Host field's value, over TLS or not. LN_ERR_INVALID. */
LN_NODISCARD int ln_origin_of_host(ln_span host, bool is_secure, ln_origin *origin);

bool ln_origin_equal(const ln_origin *a, const ln_origin *b);

#endif
