/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/text.h"

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((ln_address *)0)->bytes),
               "any address fits");

static void set(ln_address *address, const void *sockaddr, size_t length)
{
    *address = (ln_address){.length = (unsigned)length};
    memcpy(address->bytes, sockaddr, length);
}

static int parse_unix(ln_span path, ln_address *address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (path.size == 0 || path.size >= sizeof un.sun_path || memchr(path.data, 0, path.size))
        return LN_ERR_ADDRESS;
    memcpy(un.sun_path, path.data, path.size);
    size_t length = offsetof(struct sockaddr_un, sun_path) + path.size;
    if (un.sun_path[0] == '@')
        un.sun_path[0] = 0; /* abstract: counted, not terminated */
    else
        length++;
    set(address, &un, length);
    return 0;
}

/* `host` without brackets. */
static int parse_inet(ln_span host, bool is_v6, uint16_t port, ln_address *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
    char text[INET6_ADDRSTRLEN] = "127.0.0.1";

    if (host.size >= sizeof text)
        return LN_ERR_ADDRESS;
    if (is_v6 || !ln_text_equal_nocase(host, LN_SPAN("localhost"))) {
        if (host.size > 0)
            memcpy(text, host.data, host.size);
        text[host.size] = 0;
    }
    if (is_v6 ? inet_pton(AF_INET6, text, &in6.sin6_addr) == 1 : host.size == 0)
        set(address, &in6, sizeof in6);
    else if (!is_v6 && inet_pton(AF_INET, text, &in.sin_addr) == 1)
        set(address, &in, sizeof in);
    else
        return LN_ERR_ADDRESS;
    return 0;
}

int ln_address_parse(ln_span text, ln_address *address)
{
    const ln_span unix_prefix = LN_SPAN("unix:");
    const char *const begin = text.data;
    if (ln_text_has_prefix(text, unix_prefix))
        return parse_unix((ln_span){begin + unix_prefix.size, text.size - unix_prefix.size},
                          address);

    const char *const colon = text.size > 0 ? memrchr(begin, ':', text.size) : NULL;
    uint64_t port;
    if (!colon)
        return LN_ERR_ADDRESS;
    ln_span host = {begin, (size_t)(colon - begin)};
    if (ln_text_parse_u64((ln_span){colon + 1, text.size - host.size - 1}, UINT16_MAX, &port) < 0)
        return LN_ERR_ADDRESS;

    const bool is_v6 = host.size >= 2 && begin[0] == '[' && colon[-1] == ']';
    if (is_v6)
        host = (ln_span){begin + 1, host.size - 2};
    if (memchr(host.data, 0, host.size))
        return LN_ERR_ADDRESS;
    return parse_inet(host, is_v6, (uint16_t)port, address);
}

static size_t write_inet(int family, const void *ip, uint16_t port, char text[LN_ADDRESS_TEXT_MAX])
{
    char buffer[INET6_ADDRSTRLEN] = "?";
    inet_ntop(family, ip, buffer, sizeof buffer);
    return (size_t)snprintf(text, LN_ADDRESS_TEXT_MAX, family == AF_INET ? "%s:%u" : "[%s]:%u",
                            buffer, (unsigned)ntohs(port));
}

static size_t write_unix(const struct sockaddr_un *un, size_t length,
                         char text[LN_ADDRESS_TEXT_MAX])
{
    const size_t before = offsetof(struct sockaddr_un, sun_path);
    size_t n = length > before ? length - before : 0;
    if (n == 0)
        return (size_t)snprintf(text, LN_ADDRESS_TEXT_MAX, "unix");
    if (un->sun_path[0] == 0)
        return (size_t)snprintf(text, LN_ADDRESS_TEXT_MAX, "unix:@%.*s", (int)n - 1,
                                un->sun_path + 1);
    n = strnlen(un->sun_path, n);
    return (size_t)snprintf(text, LN_ADDRESS_TEXT_MAX, "unix:%.*s", (int)n, un->sun_path);
}

size_t ln_address_write(const ln_address *address, char text[LN_ADDRESS_TEXT_MAX])
{
    const struct sockaddr *const any = (const struct sockaddr *)address->bytes;
    const struct sockaddr_in *const in = (const struct sockaddr_in *)address->bytes;
    const struct sockaddr_in6 *const in6 = (const struct sockaddr_in6 *)address->bytes;

    if (any->sa_family == AF_INET)
        return write_inet(AF_INET, &in->sin_addr, in->sin_port, text);
    if (any->sa_family != AF_INET6)
        return write_unix((const struct sockaddr_un *)address->bytes, address->length, text);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        return write_inet(AF_INET, in6->sin6_addr.s6_addr + 12, in6->sin6_port, text);
    return write_inet(AF_INET6, &in6->sin6_addr, in6->sin6_port, text);
}

void ln_address_prefix(const ln_address *address, unsigned v4_bits, unsigned v6_bits,
                       uint8_t prefix[LN_ADDRESS_PREFIX_BYTES])
{
    const struct sockaddr *const any = (const struct sockaddr *)address->bytes;
    const struct sockaddr_in *const in = (const struct sockaddr_in *)address->bytes;
    const struct sockaddr_in6 *const in6 = (const struct sockaddr_in6 *)address->bytes;
    const bool is_v6 = any->sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    const uint8_t *bytes = in6->sin6_addr.s6_addr + (is_v6 ? 0 : 12);
    unsigned bits = is_v6 ? v6_bits : v4_bits;

    LN_ASSERT(v4_bits <= 32 && v6_bits <= 128);
    memset(prefix, 0, LN_ADDRESS_PREFIX_BYTES);
    if (any->sa_family != AF_INET && any->sa_family != AF_INET6)
        return;
    if (any->sa_family == AF_INET)
        bytes = (const uint8_t *)&in->sin_addr;
    prefix[0] = is_v6 ? 6 : 4;
    for (uint8_t *at = prefix + 1; bits > 0; at++, bytes++) {
        const unsigned n = bits < 8 ? bits : 8;
        *at = (uint8_t)(*bytes & 0xff00 >> n);
        bits -= n;
    }
}

uint16_t ln_address_port(const ln_address *address)
{
    const struct sockaddr *const any = (const struct sockaddr *)address->bytes;
    const struct sockaddr_in *const in = (const struct sockaddr_in *)address->bytes;
    /* Both families have the port in the same place. */
    return any->sa_family == AF_INET || any->sa_family == AF_INET6 ? ntohs(in->sin_port) : 0;
}

int ln_address_of_peer(int fd, ln_address *address)
{
    struct sockaddr_storage storage = {0};
    socklen_t length = sizeof storage;
    if (getpeername(fd, (struct sockaddr *)&storage, &length) < 0)
        return LN_ERR_IO;
    set(address, &storage, length);
    return 0;
}

int ln_address_of_self(int fd, ln_address *address)
{
    struct sockaddr_storage storage = {0};
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0)
        return LN_ERR_IO;
    set(address, &storage, length);
    return 0;
}
