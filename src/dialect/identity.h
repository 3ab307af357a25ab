/* SPDX-License-Identifier: MIT */
/*
 * identity - makes what linnet/auth.h promises of an ln_identity: one block of memory, counted
 * references.
 */
#ifndef LN_IDENTITY_H
#define LN_IDENTITY_H

#include <linnet/auth.h>

#include "base/base.h"

/*
 * A copy of `parts` and of all that it points to; one reference in *identity. For whoever knows a
 * client by other means than a token, too: then `claims` is empty and `expires_ms` UINT64_MAX.
 * LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_identity_new(const ln_allocator *alloc, const ln_identity *parts,
                                 const ln_identity **identity);

/* NULL is nobody, and has none. */
bool ln_identity_has_role(const ln_identity *identity, ln_span role);

#endif
