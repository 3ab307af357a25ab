/* SPDX-License-Identifier: MIT */
/*
 * benchsource - the addresses that a load test connects from.
 *
 * One address has about 28,000 ports for connections to one server; all of 127.0.0.0/8 is ours, so
 * a server on this machine can be given any number of connections.
 */
#ifndef LN_BENCHSOURCE_H
#define LN_BENCHSOURCE_H

#include "option.h"

enum { LN_BENCHSOURCE_RANGES_MAX = 32, LN_BENCHSOURCE_TEXT_BYTES = 48 };

typedef struct ln_benchsource_range {
    char text[LN_BENCHSOURCE_TEXT_BYTES]; /* of a single address */
    uint32_t first;                       /* of several, IPv4, in our byte order */
    uint32_t count;
} ln_benchsource_range;

typedef struct ln_benchsource {
    ln_benchsource_range ranges[LN_BENCHSOURCE_RANGES_MAX];
    unsigned range_count;
    uint32_t address_count; /* 0 = the system chooses */
} ln_benchsource;

/* "127.0.0.2-127.0.0.9,10.0.0.7" or an IPv6 address. LN_ERR_INVALID: *why is a sentence. */
LN_NODISCARD int ln_benchsource_parse(ln_benchsource *s, const char *list,
                                      char why[LN_OPTION_WHY_SIZE]);

/*
 * For when the user named none: addresses of 127.0.0.0/8 from 127.0.0.2 up, if `url` leads there and
 * `connections` are more than a third of the ports that one address has; else none.
 */
void ln_benchsource_choose(ln_benchsource *s, const char *url, uint32_t connections);

/* The address of connection `i`, dealt in turn; NULL = the system chooses. Borrowed from `text`. */
const char *ln_benchsource_get(const ln_benchsource *s, uint32_t i,
                               char text[LN_BENCHSOURCE_TEXT_BYTES]);

#endif
