/* SPDX-License-Identifier: MIT */
/* arch_other - a processor without vector code of its own offers none; the portable variants
 * remain. */
#include "jsonscan.h"
#include "mask.h"
#include "utf8.h"

#if !defined(LN_ARCH_X86) && !defined(LN_ARCH_ARM)
const ln_jsonscan_offer ln_jsonscan_offers[] = {{NULL, NULL, NULL}};
const ln_mask_offer ln_mask_offers[] = {{NULL, NULL, NULL}};
const ln_utf8_offer ln_utf8_offers[] = {{NULL, NULL, NULL}};
#endif
