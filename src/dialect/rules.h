/* SPDX-License-Identifier: MIT */
/* rules - permission rules (linnet/rules.h) as the dialects use them. */
#ifndef LN_RULES_H
#define LN_RULES_H

#include <linnet/rules.h>

#include "base/alloc.h"

enum {
    LN_RULES_MAX = 256,
    LN_RULES_LINE_MAX_BYTES = 512 /* of one rule */
};

/* Another reference; returns `rules`. Accepts NULL. Any thread. */
ln_rules *ln_rules_ref(ln_rules *rules);

/* What ln_rules_explain() decides. Any thread. */
bool ln_rules_allow(const ln_rules *rules, const ln_identity *identity, ln_verb_bit verb,
                    ln_span name);

#endif
