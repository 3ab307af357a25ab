/* SPDX-License-Identifier: MIT */
/*
 * Characters are checked where they are read, decoded ones again: an escape must not bring in what
 * the plain text may not have. Only the last step of a path, the dot segments, works on decoded
 * text.
 */
#include "url.h"

#include "authority.h"
#include "charclass.h"

#include <limits.h>
#include <string.h>

enum { PORT_PLAIN = 80, PORT_SECURE = 443 };

static const struct {
    ln_span text;
    bool is_secure;
} schemes[] = {
    {{"ws://", 5}, false},
    {{"wss://", 6}, true},
    {{"http://", 7}, false},
    {{"https://", 8}, true},
};

static ln_span after(ln_span s, size_t n)
{
    LN_ASSERT(n <= s.size);
    return (ln_span){(const char *)s.data + n, s.size - n};
}

/* Up to, not including, the first character of the path or what stands in its place. */
static size_t authority_size(ln_span s)
{
    const char *p = s.data;
    size_t n = 0;
    while (n < s.size && p[n] != '/' && p[n] != '?' && p[n] != '#')
        n++;
    return n;
}

/* Cuts "scheme://authority" off `text`. *rest begins with '/', '?' or '#', or is empty. */
static int cut_authority(ln_span text, bool *is_secure, ln_span *authority, ln_span *rest)
{
    for (size_t i = 0; i < LN_ARRAY_SIZE(schemes); i++) {
        const ln_span scheme = schemes[i].text;
        if (text.size < scheme.size ||
            !ln_text_equal_nocase((ln_span){text.data, scheme.size}, scheme))
            continue;
        const ln_span tail = after(text, scheme.size);
        const size_t n = authority_size(tail);
        *is_secure = schemes[i].is_secure;
        *authority = (ln_span){tail.data, n};
        *rest = after(tail, n);
        return 0;
    }
    return LN_ERR_INVALID;
}

int ln_url_parse(ln_span text, ln_url *url)
{
    bool is_secure;
    ln_span name, rest;
    ln_authority authority;

    if (cut_authority(text, &is_secure, &name, &rest) < 0 ||
        ln_authority_parse(name, &authority) < 0)
        return LN_ERR_INVALID;
    if (!ln_charclass_is_all(rest, LN_CHAR_TARGET))
        return LN_ERR_INVALID;

    const bool has_port = authority.port != 0;
    *url = (ln_url){
        .is_secure = is_secure,
        .host = authority.host,
        .is_ipv6 = authority.is_ipv6,
        .port = has_port    ? authority.port
                : is_secure ? PORT_SECURE
                            : PORT_PLAIN,
        .has_port = has_port,
        .target = rest.size > 0 ? rest : LN_SPAN("/"),
    };
    return 0;
}

ln_span ln_url_authority(ln_span target)
{
    bool is_secure;
    ln_span name, rest;
    ln_authority authority;

    if (cut_authority(target, &is_secure, &name, &rest) < 0 ||
        ln_authority_parse(name, &authority) < 0)
        return (ln_span){NULL, 0};
    return name;
}

/* The character at *at, an escape decoded, and moves behind it. -1 for a broken escape. */
static int take_char(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    LN_ASSERT(p < end);
    if (*p != '%') {
        *at = p + 1;
        return *p;
    }
    if (end - p < 3)
        return -1;
    const int high = ln_text_hex(p[1]), low = ln_text_hex(p[2]);
    *at = p + 3;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Where the segment before the one at `begin` has its slash, or LN_ERR_INVALID above the root.
 * out[begin - 1] is '/'. */
static int parent_slash(const char *out, size_t begin, size_t *slash)
{
    size_t at = begin - 1;
    if (at == 0)
        return LN_ERR_INVALID;
    do
        at--;
    while (out[at] != '/');
    *slash = at;
    return 0;
}

/*
 * Decodes `path`, which begins with '/', and removes dot segments as they end: after decoding, so
 * that "%2e%2e" climbs no higher than "..". A byte is taken back at most once, by the ".." that
 * removes it.
 */
static int normalise(ln_span path, char *out, size_t *length)
{
    const uint8_t *at = path.data, *const end = at + path.size;
    size_t n = 0;

    while (at < end) {
        LN_ASSERT(*at == '/');
        at++;
        out[n++] = '/';

        const size_t begin = n;
        while (at < end && *at != '/') {
            const int c = take_char(&at, end);
            if (c <= 0 || c == '/' || c == '\\')
                return LN_ERR_INVALID;
            out[n++] = (char)c;
        }

        const ln_span segment = {out + begin, n - begin};
        size_t slash = begin - 1;
        const bool is_parent = ln_text_equal(segment, LN_SPAN(".."));
        if (is_parent && parent_slash(out, begin, &slash) < 0)
            return LN_ERR_INVALID;
        if (is_parent || ln_text_equal(segment, LN_SPAN(".")))
            n = at == end ? slash + 1
                          : slash; /* "/a/." is "/a/"; else the next segment brings its slash */
    }
    *length = n;
    return 0;
}

int ln_url_split_target(ln_span target, char *buffer, size_t size, size_t *length, ln_span *query,
                        ln_span *authority)
{
    LN_ASSERT(size > target.size);
    ln_span rest = target, name = {NULL, 0};

    if (target.size == 0)
        return LN_ERR_INVALID;
    if (*(const char *)target.data != '/') {
        name = ln_url_authority(target);
        if (name.size == 0)
            return LN_ERR_INVALID;
        rest = after(target,
                     (size_t)((const char *)name.data - (const char *)target.data) + name.size);
    }
    if (!ln_charclass_is_all(rest, LN_CHAR_TARGET))
        return LN_ERR_INVALID;

    const char *mark = rest.size > 0 ? memchr(rest.data, '?', rest.size) : NULL;
    const size_t path_size = mark ? (size_t)(mark - (const char *)rest.data) : rest.size;
    const ln_span path = path_size > 0 ? (ln_span){rest.data, path_size} : LN_SPAN("/");
    size_t n;
    if (normalise(path, buffer, &n) < 0)
        return LN_ERR_INVALID;

    LN_ASSERT(n > 0 && n <= path.size && n < size);
    buffer[n] = '\0';
    *length = n;
    *query = mark ? after(rest, path_size + 1) : (ln_span){NULL, 0};
    *authority = name;
    return 0;
}

/* A character of a query's name or value: '+' is a blank there (WHATWG URL 5.1). */
static int take_query_char(const uint8_t **at, const uint8_t *end)
{
    const bool is_plus = **at == '+';
    const int c = take_char(at, end);
    return is_plus ? ' ' : c;
}

/* `raw`, decoded, is `name`. One with a broken escape is no name at all. */
static bool is_named(ln_span raw, ln_span name)
{
    const uint8_t *at = raw.data, *const end = at + raw.size;
    const uint8_t *want = name.data;
    size_t n = 0;
    while (at < end) {
        const int c = take_query_char(&at, end);
        if (c < 0 || n == name.size || want[n++] != c)
            return false;
    }
    return n == name.size;
}

static int decode_value(ln_span raw, char *buffer, size_t size)
{
    const uint8_t *at = raw.data, *const end = at + raw.size;
    size_t n = 0;
    while (at < end) {
        const int c = take_query_char(&at, end);
        if (c <= 0)
            return LN_ERR_INVALID;
        if (n + 1 >= size)
            return LN_ERR_LIMIT;
        buffer[n++] = (char)c;
    }
    if (size == 0)
        return LN_ERR_LIMIT;
    LN_ASSERT(n < size && n <= INT_MAX);
    buffer[n] = '\0';
    return (int)n;
}

int ln_url_param(ln_span query, ln_span name, char *buffer, size_t size)
{
    ln_span pair;
    while (ln_text_next(&query, '&', &pair)) {
        const char *equals = pair.size > 0 ? memchr(pair.data, '=', pair.size) : NULL;
        const size_t name_size = equals ? (size_t)(equals - (const char *)pair.data) : pair.size;
        if (pair.size == 0 || !is_named((ln_span){pair.data, name_size}, name))
            continue;
        return decode_value(after(pair, equals ? name_size + 1 : name_size), buffer, size);
    }
    return LN_ERR_NOT_FOUND;
}
