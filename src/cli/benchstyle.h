/* SPDX-License-Identifier: MIT */
/* benchstyle - how the page of a load test looks: CSS, in the colours of the demo page. */
#ifndef LN_BENCHSTYLE_H
#define LN_BENCHSTYLE_H

/* Rules, each with a newline behind it; NULL is the end. */
extern const char *const ln_benchstyle[];

#endif
