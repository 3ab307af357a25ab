/* SPDX-License-Identifier: MIT */
#include "benchsource.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
    PORTS = 28232,          /* of Linux, unless the administrator says otherwise */
    RANGE_MAX = 65536,      /* addresses */
    FIRST_AUTO = 0x7F000002 /* 127.0.0.2 */
};

static int refuse(char *why, ln_span item)
{
    snprintf(why, LN_OPTION_WHY_SIZE,
             "option --source: \"%.*s\" is neither an address nor a range like "
             "127.0.0.2-127.0.0.9",
             (int)ln_min_size(item.size, 100), (const char *)item.data);
    return LN_ERR_INVALID;
}

/* `text` as a NUL-terminated copy; false if it is too long for an address. */
static bool copy(ln_span text, char out[LN_BENCHSOURCE_TEXT_BYTES])
{
    if (text.size == 0 || text.size >= LN_BENCHSOURCE_TEXT_BYTES)
        return false;
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

static bool parse_v4(ln_span text, uint32_t *address)
{
    char z[LN_BENCHSOURCE_TEXT_BYTES];
    struct in_addr in;
    if (!copy(text, z) || inet_pton(AF_INET, z, &in) != 1)
        return false;
    *address = ntohl(in.s_addr);
    return true;
}

static bool parse_range(ln_span text, const char *dash, ln_benchsource_range *range)
{
    const size_t n = (size_t)(dash - (const char *)text.data);
    const ln_span first = {text.data, n}, last = {dash + 1, text.size - n - 1};
    uint32_t from, to;
    if (!parse_v4(ln_text_trim(first), &from) || !parse_v4(ln_text_trim(last), &to) || to < from ||
        to - from >= RANGE_MAX)
        return false;
    *range = (ln_benchsource_range){.first = from, .count = to - from + 1};
    return true;
}

static bool parse_item(ln_span item, ln_benchsource_range *range)
{
    struct in6_addr in6;
    const char *const dash = item.size > 0 ? memchr(item.data, '-', item.size) : NULL;
    if (dash != NULL)
        return parse_range(item, dash, range);
    *range = (ln_benchsource_range){.count = 1};
    if (!copy(item, range->text))
        return false;
    return parse_v4(item, &range->first) || inet_pton(AF_INET6, range->text, &in6) == 1;
}

int ln_benchsource_parse(ln_benchsource *s, const char *list, char why[LN_OPTION_WHY_SIZE])
{
    ln_span rest = ln_text(list), item;
    *s = (ln_benchsource){0};
    while (ln_text_next(&rest, ',', &item)) {
        if (s->range_count == LN_BENCHSOURCE_RANGES_MAX ||
            !parse_item(item, &s->ranges[s->range_count]))
            return refuse(why, item);
        s->address_count += s->ranges[s->range_count++].count;
    }
    return 0;
}

/* Does the host of `url` stand for an address of 127.0.0.0/8? */
static bool is_loopback(const char *url)
{
    const char *const scheme = strstr(url, "://");
    const char *const host = scheme != NULL ? scheme + 3 : url;
    const ln_span name = {host, strcspn(host, ":/?")};
    uint32_t address;
    if (ln_text_equal_nocase(name, LN_SPAN("localhost")))
        return true;
    return parse_v4(name, &address) && address >> 24 == 127;
}

/* Connections that one address is good for: a third of its ports. Those of connections that have just
 * ended rest for a minute, and the last free ones are looked for one by one. */
static uint32_t ports(void)
{
    FILE *const file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    uint32_t low, high;
    const bool is_known =
        file != NULL && fscanf(file, "%" SCNu32 " %" SCNu32, &low, &high) == 2 && low < high;
    if (file != NULL)
        fclose(file);
    const uint32_t count = is_known ? high - low + 1 : PORTS;
    return count / 3;
}

void ln_benchsource_choose(ln_benchsource *s, const char *url, uint32_t connections)
{
    const uint32_t each = ports();
    *s = (ln_benchsource){0};
    if (connections <= each || !is_loopback(url))
        return;
    s->address_count = (connections + each - 1) / each;
    s->range_count = 1;
    s->ranges[0] = (ln_benchsource_range){.first = FIRST_AUTO, .count = s->address_count};
}

const char *ln_benchsource_get(const ln_benchsource *s, uint32_t i,
                               char text[LN_BENCHSOURCE_TEXT_BYTES])
{
    if (s->address_count == 0)
        return NULL;
    uint32_t n = i % s->address_count;
    const ln_benchsource_range *r = s->ranges;
    while (n >= r->count)
        n -= (r++)->count;
    const uint32_t address = r->first + n;
    if (r->text[0] != '\0')
        snprintf(text, LN_BENCHSOURCE_TEXT_BYTES, "%s", r->text);
    else
        snprintf(text, LN_BENCHSOURCE_TEXT_BYTES, "%u.%u.%u.%u", (unsigned)(address >> 24),
                 (unsigned)(address >> 16 & 255), (unsigned)(address >> 8 & 255),
                 (unsigned)(address & 255));
    return text;
}
