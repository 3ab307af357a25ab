/* SPDX-License-Identifier: MIT */
/*
 * benchrun - the conductor of a load test: says when what begins, looks at the server's /proc at the
 * right moments, shows how far it is, and minds Ctrl-C.
 */
#ifndef LN_BENCHRUN_H
#define LN_BENCHRUN_H

#include "benchresult.h"

/*
 * Runs the plan to its end, which a first INT or TERM brings nearer and a second one at once, and
 * sums it up. LN_ERR_NOMEM, LN_ERR_LIMIT: it could not begin.
 */
LN_NODISCARD int ln_benchrun(const ln_benchplan *plan, ln_benchresult *result);

#endif
