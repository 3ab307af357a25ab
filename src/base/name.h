/* SPDX-License-Identifier: MIT */
/*
 * name - what topics, rooms and people are called: a bounded run of UTF-8 (RFC 3629) without
 * control characters.
 *
 * Names are short and come from peers, so they are checked whole, once, where they enter; a long
 * text that arrives in pieces is the business of proto's utf8.
 */
#ifndef LN_NAME_H
#define LN_NAME_H

#include "base.h"

/*
 * 1 to `max_bytes` bytes of valid UTF-8, none of them a control character (U+0000 to U+001F, U+007F
 * to U+009F): such a name can stand in a log line, a JSON string or a header without surprises
 * beyond the usual quoting.
 */
bool ln_name_is_valid(ln_span name, size_t max_bytes);

#endif
