/* SPDX-License-Identifier: MIT */
#include "benchwords.h"

#include <inttypes.h>
#include <string.h>

void ln_benchwords_count(uint64_t n, char text[LN_BENCHWORDS_BYTES])
{
    char plain[24];
    const int length = snprintf(plain, sizeof plain, "%" PRIu64, n);
    char *out = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = plain[i];
    }
    *out = '\0';
}

/* With as many decimals as three figures need. */
static void three_figures(double n, const char *unit, char text[LN_BENCHWORDS_BYTES])
{
    const int decimals = n < 9.995 ? 2 : n < 99.95 ? 1 : 0;
    snprintf(text, LN_BENCHWORDS_BYTES, "%.*f%s%s", decimals, n, unit[0] != '\0' ? " " : "", unit);
}

void ln_benchwords_rate(double n, char text[LN_BENCHWORDS_BYTES])
{
    if (n < 99.5)
        three_figures(n, "", text);
    else
        ln_benchwords_count((uint64_t)(n + 0.5), text);
}

typedef struct unit {
    const char *name;
    double size;
} unit;

static void in_units(double n, const unit *units, size_t count, char text[LN_BENCHWORDS_BYTES])
{
    size_t i = 0;
    while (i + 1 < count && n / units[i].size >= 999.5) /* no more than three figures */
        i++;
    if (i == 0)
        snprintf(text, LN_BENCHWORDS_BYTES, "%.0f %s", n, units[0].name);
    else
        three_figures(n / units[i].size, units[i].name, text);
}

void ln_benchwords_time(double ns, char text[LN_BENCHWORDS_BYTES])
{
    static const unit units[] = {{"ns", 1}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    in_units(ns, units, LN_ARRAY_SIZE(units), text);
}

void ln_benchwords_bytes(double bytes, char text[LN_BENCHWORDS_BYTES])
{
    static const unit units[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}};
    in_units(bytes, units, LN_ARRAY_SIZE(units), text);
}

/* ------------------------------------------------------------------------------------------------
 * foreign text */

static bool is_continuation(char c)
{
    return ((uint8_t)c & 0xC0) == 0x80;
}

size_t ln_benchwords_character(const char *text)
{
    const uint8_t c = (uint8_t)text[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7F;
    const size_t n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (!is_continuation(text[i]))
            return 0;
    const uint8_t second = (uint8_t)text[1];
    const bool is_control = c == 0xC2 && second < 0xA0; /* C1 */
    const bool is_overlong = (c == 0xE0 && second < 0xA0) || (c == 0xF0 && second < 0x90);
    const bool is_beyond = (c == 0xED && second >= 0xA0) || (c == 0xF4 && second >= 0x90);
    return is_control || is_overlong || is_beyond ? 0 : n;
}

/* Writes character by character; what `escape` knows, as it says. */
static void write_text(const char *text, const char *(*escape)(char c), FILE *out)
{
    while (*text != '\0') {
        const size_t n = ln_benchwords_character(text);
        const char *const escaped = n == 0 ? "?" : escape(*text);
        if (escaped != NULL)
            fputs(escaped, out);
        else
            fwrite(text, 1, n, out);
        text += n > 0 ? n : 1;
    }
}

static const char *nothing(char c)
{
    (void)c;
    return NULL;
}

static const char *json(char c)
{
    return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
}

static const char *html(char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

void ln_benchwords_write_plain(const char *text, FILE *out)
{
    write_text(text, nothing, out);
}

void ln_benchwords_write_json(const char *text, FILE *out)
{
    fputc('"', out);
    write_text(text, json, out);
    fputc('"', out);
}

void ln_benchwords_write_html(const char *text, FILE *out)
{
    write_text(text, html, out);
}
