/* SPDX-License-Identifier: MIT */
/*
 * resolve - host names to addresses, off the loop: getaddrinfo on a thread of its own, the answer
 * by mail.
 *
 * Not a cache: the system has one, or wants none.
 *
 * Invariants
 *   1. No call here waits for the network. A thread that does may outlive the loop, and the program
 *      need not wait for it: therefore look-ups live in the C library's memory and not in the
 *      loop's allocator.
 *   2. `done` comes exactly once, on the loop's thread, never from inside the start and never after
 *      a cancel.
 *   3. After ln_resolve_cancel() no thread touches the loop on behalf of that look-up.
 */
#ifndef LN_RESOLVE_H
#define LN_RESOLVE_H

#include "address.h"
#include "loop.h"

enum {
    LN_RESOLVE_ADDRESSES_MAX = 8,
    LN_RESOLVE_HOST_MAX = 253,    /* characters: RFC 1035 2.3.4 without the root's dot */
    LN_RESOLVE_THREADS_MAX = 16,  /* of the process: a name that times out holds one for 30 s */
    LN_RESOLVE_WAITING_MAX = 4096 /* without a thread yet: a load test's clients start at once */
};

typedef struct ln_resolve ln_resolve;

/*
 * Looks `host` up: a name, or an address without brackets. `done` gets 1 to 8 addresses in the
 * system's order of preference (borrowed during the call), or LN_ERR_RESOLVE and none. Addresses
 * and "localhost" are answered without a thread. *handle is the loop's, until `done` was called or
 * it is cancelled; what is left must be cancelled before the loop is freed. LN_ERR_INVALID (empty
 * or longer than a name can be), LN_ERR_NOMEM, LN_ERR_LIMIT (too many waiting).
 */
int ln_resolve_start(ln_loop *loop, const char *host, uint16_t port,
                     void (*done)(void *arg, int err, const ln_address *addresses, unsigned count),
                     void *arg, ln_resolve **handle);
/* `done` will not be called; the thread ends by itself. Accepts NULL; from inside `done` it does
 * nothing. */
void ln_resolve_cancel(ln_resolve *handle);

#endif
