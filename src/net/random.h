/* SPDX-License-Identifier: MIT */
/*
 * random - a page of the system generator's bytes for ln_loop_random(), so that a mask or a seed
 * costs no system call.
 *
 * Invariants
 *   1. No byte is given out twice: not in a child after fork() (the page is wiped there), not after
 *      it has been used.
 */
#ifndef LN_RANDOM_H
#define LN_RANDOM_H

#include "base/base.h"

struct ln_random;

/* Straight from the system's generator, for seeds. Any thread. */
void ln_random_fill(void *bytes, size_t n);

/* NULL when out of memory. One thread. */
struct ln_random *ln_random_new(void);
/* Accepts NULL. */
void ln_random_free(struct ln_random *random);

#endif
