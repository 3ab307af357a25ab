/* SPDX-License-Identifier: MIT */
/* watch - the handles of linnet/loop.h: timers, watched descriptors, signals. Owned by their
 * loop. */
#ifndef LN_WATCH_H
#define LN_WATCH_H

#include "loop.h"

/* Takes all of them back; the memory of some goes with the loop's next turns. */
void ln_watch_free_all(ln_loop *loop);

#endif
