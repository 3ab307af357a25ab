/* SPDX-License-Identifier: MIT */
/*
 * url - request targets and ws:// URLs: splitting, decoding, normalising. No I/O, no allocation,
 * one pass.
 *
 * A path is decoded exactly once; NUL, backslash, an encoded slash, a broken escape and ".." above
 * the root are errors, because each of them has opened a file server somewhere. Origins are
 * origin.h's, hosts and ports authority.h's.
 */
#ifndef LN_URL_H
#define LN_URL_H

#include "base/text.h"

typedef struct ln_url {
    bool is_secure; /* wss, https */
    ln_span host;   /* without brackets or port */
    bool is_ipv6;   /* host is an address literal that stood in brackets */
    uint16_t port;  /* given, or 80 / 443 */
    bool has_port;  /* it was given */
    /* "/path?query" as written; "/" if there was none; "?query" if only the path is missing, which
     * ln_head_write_request() completes. */
    ln_span target;
} ln_url;

/*
 * "ws://", "wss://" (also http, https); spans into `text`. LN_ERR_INVALID for another scheme, user
 * info, a bad host or port, blanks, controls and non-ASCII (escape or punycode them), and a
 * fragment (RFC 6455 3).
 */
LN_NODISCARD int ln_url_parse(ln_span text, ln_url *url);

/*
 * Splits a request target into its path, decoded and with dot segments removed, into buffer (`size`
 * >= target.size + 1, NUL-terminated, length in *length) and its raw query. Accepts origin-form,
 * and absolute-form by dropping scheme and authority (which is then in *authority, else empty).
 * LN_ERR_INVALID, also for "*" and authority-form; the buffer's contents are then unspecified.
 */
LN_NODISCARD int ln_url_split_target(ln_span target, char *buffer, size_t size, size_t *length,
                                     ln_span *query, ln_span *authority);

/* The authority of an absolute-form target, to be used in place of Host (RFC 9112 3.2.2); empty for
 * other forms. */
ln_span ln_url_authority(ln_span target);

/*
 * The first parameter `name` of a query, decoded (%XX, '+') into buffer with a NUL. Length;
 * LN_ERR_NOT_FOUND; LN_ERR_LIMIT if it does not fit; LN_ERR_INVALID for a broken escape and for
 * %00, which would end it early for some readers only. Names are decoded too. On an error the
 * buffer's contents are unspecified.
 */
int ln_url_param(ln_span query, ln_span name, char *buffer, size_t size);

#endif
