/* SPDX-License-Identifier: MIT */
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

/* Largest first among those that formatting may choose; "" is what a bare number counts. */
static const unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                 {"s", 1000},     {"ms", 1},      {"", 1000}};

static const unit sizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},  {"B", 1},
                             {"", 1},          {"G", 1 << 30},   {"M", 1 << 20},    {"K", 1 << 10},
                             {"KB", 1000},     {"MB", 1000000},  {"GB", 1000000000}};

enum { FORMATTED_DURATIONS = 5, FORMATTED_SIZES = 4 };

static const unit *find_unit(const unit *units, size_t count, ln_span name, bool any_case)
{
    for (size_t i = 0; i < count; i++) {
        const ln_span candidate = ln_text(units[i].name);
        if (any_case ? ln_text_equal_nocase(name, candidate) : ln_text_equal(name, candidate))
            return &units[i];
    }
    return NULL;
}

/* How many digits `s` begins with. */
static size_t digits(ln_span s)
{
    const char *c = s.data;
    size_t n = 0;
    while (n < s.size && c[n] >= '0' && c[n] <= '9')
        n++;
    return n;
}

static ln_span after(ln_span s, size_t n)
{
    return (ln_span){(const char *)s.data + n, s.size - n};
}

/* Cuts "12" or "12.345" off the front of *text, as thousandths. */
static int take_millis(ln_span *text, uint64_t *millis)
{
    uint64_t whole;
    const size_t n = digits(*text);
    const int rc = ln_text_parse_u64((ln_span){text->data, n}, UINT64_MAX / 1000 - 1, &whole);
    if (rc < 0)
        return rc;
    *text = after(*text, n);
    *millis = whole * 1000;
    if (text->size == 0 || *(const char *)text->data != '.')
        return 0;

    const ln_span decimals = after(*text, 1);
    const size_t places = digits(decimals);
    if (places == 0 || places > 3)
        return LN_ERR_INVALID;
    uint64_t part = 0;
    for (size_t i = 0; i < 3; i++)
        part = part * 10 + (i < places ? (uint64_t)(((const char *)decimals.data)[i] - '0') : 0);
    *millis += part;
    *text = after(decimals, places);
    return 0;
}

static int parse(ln_span text, const unit *units, size_t count, bool any_case, uint64_t *value)
{
    uint64_t millis;
    if (text.size == 0)
        return LN_ERR_INVALID;
    const int rc = take_millis(&text, &millis);
    if (rc < 0)
        return rc;
    const unit *u = find_unit(units, count, text, any_case);
    if (u == NULL)
        return LN_ERR_INVALID;
    if (millis > UINT64_MAX / u->factor)
        return LN_ERR_LIMIT;
    if (millis * u->factor % 1000 != 0)
        return LN_ERR_INVALID;
    *value = millis * u->factor / 1000;
    return 0;
}

static void format(uint64_t value, const unit *units, size_t count, char *text)
{
    size_t i = 0;
    while (i + 1 < count && (value == 0 || value % units[i].factor != 0))
        i++;
    snprintf(text, LN_UNITS_TEXT_SIZE, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

int ln_units_parse_duration(ln_span text, uint64_t *ms)
{
    return parse(text, durations, LN_ARRAY_SIZE(durations), false, ms);
}

int ln_units_parse_size(ln_span text, uint64_t *bytes)
{
    return parse(text, sizes, LN_ARRAY_SIZE(sizes), true, bytes);
}

void ln_units_format_duration(uint64_t ms, char text[LN_UNITS_TEXT_SIZE])
{
    format(ms, durations, FORMATTED_DURATIONS, text);
}

void ln_units_format_size(uint64_t bytes, char text[LN_UNITS_TEXT_SIZE])
{
    format(bytes, sizes, FORMATTED_SIZES, text);
}
