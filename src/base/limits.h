/* SPDX-License-Identifier: MIT */
/*
 * limits - src/limits.def as constants and as a table: what an option means when it is 0, and how
 * far it may go.
 *
 *     LN_DEFAULT_QUEUE_MAX_BYTES, LN_MIN_QUEUE_MAX_BYTES, LN_MAX_QUEUE_MAX_BYTES
 *
 * It counts nothing itself: whoever holds, does or waits compares.
 */
#ifndef LN_LIMITS_H
#define LN_LIMITS_H

#include "base.h"

#define LN_LIMIT(NAME, usual, least, most, UNIT, reason)                                           \
    LN_DEFAULT_##NAME = (usual), LN_MIN_##NAME = (least), LN_MAX_##NAME = (most),
#define LN_FIXED(NAME, value, UNIT, reason)
enum {
#include "limits.def"
    LN_CONTROL_BURST_SECONDS = 4 /* a peer's burst of pings, in seconds of CONTROL_PER_SECOND */
};
#undef LN_LIMIT
#undef LN_FIXED

enum ln_limit_unit { LN_UNIT_BYTES, LN_UNIT_COUNT, LN_UNIT_MS, LN_UNIT_PER_SECOND };

typedef struct ln_limit {
    const char *name; /* "QUEUE_MAX_BYTES" */
    uint32_t usual;   /* the default; 0 = off */
    uint32_t least;   /* 0 = may be switched off */
    uint32_t most;
    enum ln_limit_unit unit;
    const char *reason; /* a clause for people */
} ln_limit;

/* The row `name` (any case), or NULL. Static. */
const ln_limit *ln_limit_find(ln_span name);

/* Row number `index`, or NULL past the last. Fixed rows are not in the table. */
const ln_limit *ln_limit_at(size_t index);

/*
 * What an option set to `asked` means: 0 = the default, LN_OFF = 0 if the row may be switched off,
 * else `asked`. LN_ERR_INVALID below the least, above the most, or for LN_OFF where there must be a
 * bound.
 */
LN_NODISCARD int ln_limit_get(const ln_limit *limit, uint32_t asked, uint32_t *value);

#endif
