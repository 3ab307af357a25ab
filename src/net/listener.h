/* SPDX-License-Identifier: MIT */
/*
 * listener - a listening socket on a loop: accepts, sheds when descriptors run out, backs off,
 * recovers.
 *
 * Out of descriptors (EMFILE, ENFILE): the reserve descriptor is given up to accept and reset one
 * waiting connection, and accepting pauses for LN_LISTENER_BACKOFF_MS, so that a full process
 * neither spins nor leaves peers hanging. Errors of one connection (ECONNABORTED and its like) are
 * nobody's business; anything else is waited out as well.
 */
#ifndef LN_LISTENER_H
#define LN_LISTENER_H

#include "address.h"
#include "sock.h"

enum { LN_LISTENER_BACKOFF_MS = 100, LN_LISTENER_BACKLOG = 4096 };

/*
 * A bound, listening, non-blocking socket in *fd. `is_shared`: SO_REUSEPORT, so that each worker
 * binds its own (Unix sockets are bound once and duplicated by the caller). A stale Unix socket
 * file that nobody answers is replaced. LN_ERR_ADDRESS, LN_ERR_ACCESS, LN_ERR_DESCRIPTORS,
 * LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_listen(const ln_address *address, bool is_shared, int *fd);

/* Is somebody else on that TCP port, who would share what comes with sockets of ours that are shared?
 * LN_ERR_ADDRESS then. */
LN_NODISCARD int ln_listen_probe(const ln_address *address);

typedef struct ln_listener ln_listener;
struct ln_listener {
    ln_sock sock; /* its ops are listener.c's */
    /* A connection: `fd` is the callee's, non-blocking, TCP_NODELAY set. Its peer:
     * ln_address_of_peer(). */
    void (*on_accept)(ln_listener *listener, int fd);
    void (*on_closed)(ln_listener *listener); /* memory may go; its descriptors are closed */
    ln_timer backoff;
    int reserve_fd; /* -1: given up, and not got back yet */
    uint64_t shed_count;
    void *user;
};

/*
 * Starts accepting; takes over `fd` (from ln_listen(): TCP_NODELAY is inherited from it). Leaves
 * `user` as it is. LN_ERR_NOMEM, LN_ERR_DESCRIPTORS: fd is closed.
 */
LN_NODISCARD int ln_listener_open(ln_listener *listener, ln_loop *loop, int fd,
                                  void (*on_accept)(ln_listener *listener, int fd));
/* Accepts no more, at once; `on_closed` comes from the reap phase. */
void ln_listener_close(ln_listener *listener, void (*on_closed)(ln_listener *listener));

#endif
