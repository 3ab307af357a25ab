/* SPDX-License-Identifier: MIT */
#include "origin.h"

#include "authority.h"
#include "charclass.h"

static bool is_letter(uint8_t c)
{
    return ln_charclass_has(c, LN_CHAR_SCHEME) && (c | 0x20) >= 'a';
}

static uint16_t default_port(ln_span scheme)
{
    if (ln_text_equal_nocase(scheme, LN_SPAN("https")) ||
        ln_text_equal_nocase(scheme, LN_SPAN("wss")))
        return 443;
    if (ln_text_equal_nocase(scheme, LN_SPAN("http")) ||
        ln_text_equal_nocase(scheme, LN_SPAN("ws")))
        return 80;
    return 0;
}

static int fill(ln_span scheme, ln_span text, ln_origin *origin)
{
    ln_authority authority;
    if (ln_authority_parse(text, &authority) < 0)
        return LN_ERR_INVALID;

    ln_span host = authority.host;
    if (authority.is_ipv6)
        host = (ln_span){(const char *)host.data - 1, host.size + 2};
    LN_ASSERT(host.size > 0 && host.size <= text.size);
    *origin = (ln_origin){
        .scheme = scheme,
        .host = host,
        .port = authority.port != 0 ? authority.port : default_port(scheme),
    };
    return 0;
}

int ln_origin_parse(ln_span text, ln_origin *origin)
{
    const size_t size = ln_charclass_span(text, LN_CHAR_SCHEME);
    const ln_span scheme = {text.data, size};
    if (size == 0 || !is_letter(*(const uint8_t *)text.data))
        return LN_ERR_INVALID;

    const ln_span rest = {(const char *)text.data + size, text.size - size};
    const ln_span mark = LN_SPAN("://");
    if (!ln_text_has_prefix(rest, mark))
        return LN_ERR_INVALID;
    return fill(scheme, (ln_span){(const char *)rest.data + mark.size, rest.size - mark.size},
                origin);
}

int ln_origin_of_host(ln_span host, bool is_secure, ln_origin *origin)
{
    return fill(is_secure ? LN_SPAN("https") : LN_SPAN("http"), host, origin);
}

bool ln_origin_equal(const ln_origin *a, const ln_origin *b)
{
    LN_ASSERT(a->host.size > 0 && b->host.size > 0);
    return a->port == b->port && ln_text_equal_nocase(a->scheme, b->scheme) &&
           ln_text_equal_nocase(a->host, b->host);
}
