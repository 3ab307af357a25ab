/* SPDX-License-Identifier: MIT */
/* address - where somebody listens or connects: the text people write, and the sockaddr the system
 * wants. */
#ifndef LN_ADDRESS_H
#define LN_ADDRESS_H

#include "base/base.h"

typedef struct ln_address {
    unsigned length;                /* of the sockaddr in bytes */
    _Alignas(8) uint8_t bytes[128]; /* a struct sockaddr_storage */
} ln_address;

enum { LN_ADDRESS_TEXT_MAX = 120 };

/*
 * Parses "host:port", ":port" (every address, v6 and v4), "[v6]:port", "unix:/path", "unix:@name"
 * (Linux's abstract names). A host name is not resolved here except "localhost", which is
 * 127.0.0.1. LN_ERR_ADDRESS.
 */
LN_NODISCARD int ln_address_parse(ln_span text, ln_address *address);

/* "192.0.2.1:80" (also for a v4 peer of a v6 socket), "[::1]:80", "unix:/path" or "unix". Its
 * length. */
size_t ln_address_write(const ln_address *address, char text[LN_ADDRESS_TEXT_MAX]);

enum { LN_ADDRESS_PREFIX_BYTES = 17 };

/*
 * What an address has in common with its neighbours: 4, 6 or (Unix sockets, which are all one) 0,
 * then its first `v4_bits` or `v6_bits` bits, then zeros. A v4 peer of a v6 socket is a v4 one.
 * v4_bits <= 32, v6_bits <= 128.
 */
void ln_address_prefix(const ln_address *address, unsigned v4_bits, unsigned v6_bits,
                       uint8_t prefix[LN_ADDRESS_PREFIX_BYTES]);

/* 0 for Unix sockets. */
uint16_t ln_address_port(const ln_address *address);

/* The peer's or our own end of a connected socket, or what a listening one is bound to.
 * LN_ERR_IO. */
LN_NODISCARD int ln_address_of_peer(int fd, ln_address *address);
LN_NODISCARD int ln_address_of_self(int fd, ln_address *address);

#endif
