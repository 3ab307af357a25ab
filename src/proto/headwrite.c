/* SPDX-License-Identifier: MIT */
/* headwrite - the writing half of head.h. Every line is checked, measured and appended as a whole,
 * or not at all. */
#include "head.h"

#include "charclass.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* RFC 9110 15, and the registered ones a server of ours may send or a client may meet. */
static const char *const reasons[] = {
    [100] = "Continue",
    [101] = "Switching Protocols",
    [200] = "OK",
    [201] = "Created",
    [202] = "Accepted",
    [204] = "No Content",
    [206] = "Partial Content",
    [301] = "Moved Permanently",
    [302] = "Found",
    [303] = "See Other",
    [304] = "Not Modified",
    [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [403] = "Forbidden",
    [404] = "Not Found",
    [405] = "Method Not Allowed",
    [406] = "Not Acceptable",
    [408] = "Request Timeout",
    [409] = "Conflict",
    [410] = "Gone",
    [411] = "Length Required",
    [412] = "Precondition Failed",
    [413] = "Content Too Large",
    [414] = "URI Too Long",
    [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable",
    [417] = "Expectation Failed",
    [421] = "Misdirected Request",
    [422] = "Unprocessable Content",
    [426] = "Upgrade Required",
    [428] = "Precondition Required",
    [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [500] = "Internal Server Error",
    [501] = "Not Implemented",
    [502] = "Bad Gateway",
    [503] = "Service Unavailable",
    [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [511] = "Network Authentication Required",
};

const char *ln_head_reason(unsigned status)
{
    const char *reason = status < LN_ARRAY_SIZE(reasons) ? reasons[status] : NULL;
    return reason ? reason : "Unknown";
}

/* Measure, reserve, copy: the assertion holds the two passes together. */
static int append_line(ln_buf *out, const ln_span *parts, size_t count, size_t limit)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;

    const int rc = ln_buf_reserve(out, size, limit);
    if (rc < 0)
        return rc;

    const size_t before = out->size;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0)
            memcpy(out->data + out->size, parts[i].data, parts[i].size);
        out->size += parts[i].size;
    }
    LN_ASSERT(out->size == before + size && out->size <= out->capacity);
    return 0;
}

int ln_head_write_request(ln_buf *out, ln_span method, ln_span target, size_t limit)
{
    if (!ln_text_is_token(method) || target.size == 0 ||
        !ln_charclass_is_all(target, LN_CHAR_TARGET))
        return LN_ERR_INVALID;

    const bool lacks_path = *(const char *)target.data == '?';
    const ln_span parts[] = {
        method,
        LN_SPAN(" "),
        lacks_path ? LN_SPAN("/") : LN_SPAN(""),
        target,
        LN_SPAN(" HTTP/1.1\r\n"),
    };
    return append_line(out, parts, LN_ARRAY_SIZE(parts), limit);
}

int ln_head_write_status(ln_buf *out, unsigned status, size_t limit)
{
    if (status < 100 || status > 999)
        return LN_ERR_INVALID;

    const char digits[] = {
        (char)('0' + status / 100),
        (char)('0' + status / 10 % 10),
        (char)('0' + status % 10),
    };
    const ln_span parts[] = {
        LN_SPAN("HTTP/1.1 "), {digits, sizeof digits},
        LN_SPAN(" "),         ln_text(ln_head_reason(status)),
        LN_SPAN("\r\n"),
    };
    return append_line(out, parts, LN_ARRAY_SIZE(parts), limit);
}

int ln_head_write_field(ln_buf *out, ln_span name, ln_span value, size_t limit)
{
    if (!ln_text_is_token(name) || !ln_charclass_is_all(value, LN_CHAR_VALUE))
        return LN_ERR_INVALID;

    const ln_span parts[] = {name, LN_SPAN(": "), value, LN_SPAN("\r\n")};
    return append_line(out, parts, LN_ARRAY_SIZE(parts), limit);
}

int ln_head_write_end(ln_buf *out, size_t limit)
{
    return ln_buf_append(out, "\r\n", 2, limit);
}

ln_span ln_head_date(int64_t unix_s, char text[LN_HEAD_DATE_SIZE])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t when = (time_t)unix_s;
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        return (ln_span){"", 0};
    const int n = snprintf(text, LN_HEAD_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                           days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                           tm.tm_hour, tm.tm_min, tm.tm_sec);
    LN_ASSERT(n == LN_HEAD_DATE_SIZE - 1);
    return (ln_span){text, (size_t)n};
}
