/* SPDX-License-Identifier: MIT */
/*
 * sock - a connected stream socket on a loop, whatever the back end: bytes in, bytes out, and its
 * end.
 *
 * Completion-shaped: received bytes are handed up in the loop's buffer, sends are submitted and
 * complete later. Knows no TLS (stream.h) and no protocol. Thirty-two bytes and no buffer per idle
 * socket.
 *
 * Invariants
 *   1. At most one send is under way. While it is, the spans given to it must not move or change.
 *   2. on_recv is never called while paused, after on_end, or after ln_sock_close().
 *   3. on_closed comes exactly once after ln_sock_close(), from the loop's reap phase, with no
 *      operation left in the system; only then may the memory go.
 */
#ifndef LN_SOCK_H
#define LN_SOCK_H

#include "address.h"
#include "loop.h"

enum { LN_SOCK_SPANS_MAX = 64 }; /* spans per send */

typedef struct ln_sock_ops {
    /* Bytes came; writable, valid during the call. */
    void (*on_recv)(ln_sock *s, uint8_t *bytes, size_t n);
    /* The send under way ended: `n` bytes left. 0 is possible; pull and send again if there is
     * more. */
    void (*on_sent)(ln_sock *s, size_t n);
    /*
     * Nothing more will be received: 0 = the peer shut its side down; LN_ERR_RESET, LN_ERR_IO,
     * LN_ERR_TIMEOUT = broken, and nothing can be sent either (a send under way gets no on_sent).
     * An error may come once after a 0. Broken while paused comes when it is resumed, or when a
     * send finds out.
     */
    void (*on_end)(ln_sock *s, int err);
    /* The turn ends and the socket was corked: send what there is. */
    void (*on_flush)(ln_sock *s);
    void (*on_closed)(ln_sock *s);
    /*
     * Optional: memory to receive the next bytes into, instead of the loop's buffer; *n its size.
     * NULL = the loop's. Asked after on_recv, maybe more than once before the next: only the last
     * answer counts, and bytes that were on their way already still come in the loop's buffer. Once
     * the system has the memory, on_recv gets that very pointer; it must stay until then, or until
     * on_closed (on_end is not enough).
     */
    uint8_t *(*lend)(ln_sock *s, size_t *n);
    /* Not for streams: what a listener, a connect or a watch waited for (backend.h). */
    void (*on_result)(ln_sock *s, int result);
} ln_sock_ops;

struct ln_sock {
    ln_loop *loop;
    const ln_sock_ops *ops;
    ln_sock *next; /* in loop->corked or loop->closing */
    int fd;
    uint8_t flags;     /* backend.h */
    uint8_t io_flags;  /* the kind, and the back end's */
    uint16_t inflight; /* operations the system still has */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct ln_sock) == 32, "an idle connection is small");

/* Takes over `fd` (non-blocking, connected) and starts receiving. LN_ERR_NOMEM, LN_ERR_IO: fd is
 * closed, nothing called. */
LN_NODISCARD int ln_sock_open(ln_sock *s, ln_loop *loop, int fd, const ln_sock_ops *ops);

/* Changes what is called from now on: a handshake becomes a connection. */
void ln_sock_set_ops(ln_sock *s, const ln_sock_ops *ops);

/*
 * Sends spans (k <= LN_SOCK_SPANS_MAX). Returns how many bytes are gone already; if fewer than
 * given, a send is under way (or waits for room): leave the memory as it is until on_sent. Only
 * when ln_sock_is_sending() is false. A broken connection shows as on_end, never as an error here.
 */
size_t ln_sock_send(ln_sock *s, const ln_span *spans, int k);
/*
 * The same, for the last there is to send: nothing waits for on_sent (no more output, no closing,
 * nobody to be told), so that it may be as late as the next event of any kind on the loop. With
 * io_uring this saves a system call a turn. Should something come to wait for it after all,
 * ln_sock_cork() brings it soon: a corked socket is never quiet.
 */
size_t ln_sock_send_quiet(ln_sock *s, const ln_span *spans, int k);
/*
 * Sends what the system takes at this moment, and no more: nothing is under way afterwards. For
 * much at once, which is not to be copied. 0 also when the connection is broken: the next send says
 * so. Only when ln_sock_is_sending() is false.
 */
size_t ln_sock_write(ln_sock *s, const ln_span *spans, int k);
bool ln_sock_is_sending(const ln_sock *s);

/* on_flush will come before the loop sleeps; once per turn however often this is called. */
void ln_sock_cork(ln_sock *s);

/* Stops and restarts receiving. Bytes already on their way up are kept back until resume. */
void ln_sock_pause(ln_sock *s);
void ln_sock_resume(ln_sock *s);
bool ln_sock_is_paused(const ln_sock *s);

/* No more output after what was sent: FIN. Only when nothing is under way. */
void ln_sock_shutdown(ln_sock *s);

/* Ends it. With `reset`, by RST and without waiting (SO_LINGER 0). */
void ln_sock_close(ln_sock *s);
void ln_sock_reset(ln_sock *s);
bool ln_sock_is_closing(const ln_sock *s);

/* How long sent bytes may stay unacknowledged before the connection is given up (TCP_USER_TIMEOUT);
 * 0 = the system's. */
void ln_sock_set_user_timeout(ln_sock *s, uint32_t ms);

/*
 * Starts connecting a non-blocking socket to an address; `done` is called once, from a later turn,
 * with 0 and a connected fd (owned by the callee; TCP_NODELAY set), or LN_ERR_CONNECT,
 * LN_ERR_ACCESS, LN_ERR_TIMEOUT, LN_ERR_IO and -1. `from`: an address of ours to connect from, its
 * port the system's choice if 0, or NULL; LN_ERR_ADDRESS tells that it is not ours, or has no port
 * left. The handle is gone then; ln_connect_cancel() before it means that `done` will not be
 * called. LN_ERR_NOMEM, LN_ERR_DESCRIPTORS, LN_ERR_ADDRESS (length or family): nothing was started.
 */
typedef struct ln_connect ln_connect;
LN_NODISCARD int ln_connect_start(ln_loop *loop, const ln_address *to, const ln_address *from,
                                  void (*done)(void *arg, int err, int fd), void *arg,
                                  ln_connect **handle);
void ln_connect_cancel(ln_connect *handle);

#endif
