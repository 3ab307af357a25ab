/* SPDX-License-Identifier: MIT */
/*
 * units - durations and sizes as people write them: "500ms", "10s", "1.5m", "64KiB", "1M".
 *
 * A number with up to three decimals, then a unit without a blank between them.
 *
 *   durations  ms, s, m, h, d; a bare number counts seconds, as in wscat and websocat
 *   sizes      B, K or KiB, M or MiB, G or GiB (powers of 1024), KB, MB, GB (powers of 1000), any
 *              case;
 *              a bare number counts bytes
 */
#ifndef LN_UNITS_H
#define LN_UNITS_H

#include "base/text.h"

enum { LN_UNITS_TEXT_SIZE = 32 }; /* holds every formatted value */

/*
 * The value in milliseconds, or in bytes. LN_ERR_INVALID: no such number or unit, or a fraction of
 * the smallest unit; LN_ERR_LIMIT: beyond 64 bits.
 */
LN_NODISCARD int ln_units_parse_duration(ln_span text, uint64_t *ms);
LN_NODISCARD int ln_units_parse_size(ln_span text, uint64_t *bytes);

/* Exactly, in the largest unit that needs no fraction: "1m", "1500ms", "64KiB"; parsing gives the
 * same value back. */
void ln_units_format_duration(uint64_t ms, char text[LN_UNITS_TEXT_SIZE]);
void ln_units_format_size(uint64_t bytes, char text[LN_UNITS_TEXT_SIZE]);

#endif
