/* SPDX-License-Identifier: MIT */
/*
 * stream - a socket with or without TLS: the floors above see plain bytes either way.
 *
 * Plain costs one pointer and one jump per event. TLS reads and writes through memory that lives as
 * long as one call; a connection keeps only what OpenSSL keeps, and ciphertext only while it waits
 * to be sent.
 *
 * Invariants
 *   1. Same promises as sock.h; on_open comes once before the first on_recv (at once for plain,
 *      after the TLS handshake otherwise); on_end with LN_ERR_TLS reports a failed handshake or
 *      record, ln_stream_tls_error() says what.
 *   2. With TLS, on_end(0) is the peer's close_notify; a FIN without one is LN_ERR_RESET, since
 *      what was lost is unknown.
 *   3. ln_stream_send() with TLS takes what it can encrypt (bounded) and reports it gone; the
 *      ciphertext is the stream's. What it did not take is taken after on_sent(0).
 */
#ifndef LN_STREAM_H
#define LN_STREAM_H

#include "sock.h"

typedef struct ln_stream ln_stream;
typedef struct ln_tls ln_tls;                 /* one connection's session: tls.c */
typedef struct ln_tls_context ln_tls_context; /* certificates and trust: tls.h */

typedef struct ln_stream_ops {
    void (*on_open)(ln_stream *s);
    void (*on_recv)(ln_stream *s, uint8_t *bytes, size_t n);
    void (*on_sent)(ln_stream *s, size_t n); /* as ln_sock_ops; ask for more output */
    void (*on_end)(ln_stream *s, int err);
    void (*on_flush)(ln_stream *s);
    void (*on_closed)(ln_stream *s);
    uint8_t *(*lend)(ln_stream *s, size_t *n); /* plain only; may be NULL */
} ln_stream_ops;

struct ln_stream {
    ln_sock sock;
    const ln_stream_ops *ops;
    ln_tls *tls; /* NULL = plain */
};

/*
 * Takes over a connected fd. `context` NULL = plain; `server_name`: client only, for SNI and
 * verification (the context's own, if it has one, goes first). on_open comes from inside (plain) or
 * later. Errors as ln_sock_open(); LN_ERR_TLS; LN_ERR_INVALID when there is no usable name to
 * verify.
 */
LN_NODISCARD int ln_stream_open_server(ln_stream *s, ln_loop *loop, int fd, ln_tls_context *context,
                                       const ln_stream_ops *ops);
LN_NODISCARD int ln_stream_open_client(ln_stream *s, ln_loop *loop, int fd, ln_tls_context *context,
                                       const char *server_name, const ln_stream_ops *ops);

/* Changes what is called from now on. */
void ln_stream_set_ops(ln_stream *s, const ln_stream_ops *ops);

/* A sentence about the TLS failure, "" if none; static. */
const char *ln_stream_tls_error(const ln_stream *s);
/* ALPN protocol agreed, empty if none; borrowed until on_closed. */
ln_span ln_stream_alpn(const ln_stream *s);

/* tls.c's half of the functions here; nobody else calls them. */
LN_NODISCARD int ln_tls_open(ln_stream *s, ln_loop *loop, int fd, ln_tls_context *context,
                             const char *server_name);
const char *ln_tls_error(const ln_tls *t);
ln_span ln_tls_alpn(const ln_tls *t);
size_t ln_tls_send(ln_tls *t, const ln_span *spans, int k);
bool ln_tls_is_sending(const ln_tls *t);
size_t ln_tls_queued(const ln_tls *t);
void ln_tls_cork(ln_tls *t);
void ln_tls_pause(ln_tls *t);
void ln_tls_resume(ln_tls *t);
void ln_tls_shutdown(ln_tls *t);

/*
 * As ln_sock_send(), with the same rule for the memory of what did not leave (TLS does not hold on
 * to it). The spans may lie anywhere, loop->scratch included.
 */
LN_INLINE size_t ln_stream_send(ln_stream *s, const ln_span *spans, int k)
{
    return LN_LIKELY(!s->tls) ? ln_sock_send(&s->sock, spans, k) : ln_tls_send(s->tls, spans, k);
}

/* As ln_sock_send_quiet(). */
LN_INLINE size_t ln_stream_send_quiet(ln_stream *s, const ln_span *spans, int k)
{
    return LN_LIKELY(!s->tls) ? ln_sock_send_quiet(&s->sock, spans, k)
                              : ln_tls_send(s->tls, spans, k);
}

/* As ln_sock_write(); TLS takes as much as it encrypts at once. */
LN_INLINE size_t ln_stream_write(ln_stream *s, const ln_span *spans, int k)
{
    return LN_LIKELY(!s->tls) ? ln_sock_write(&s->sock, spans, k) : ln_tls_send(s->tls, spans, k);
}

LN_INLINE bool ln_stream_is_sending(const ln_stream *s)
{
    return LN_LIKELY(!s->tls) ? ln_sock_is_sending(&s->sock) : ln_tls_is_sending(s->tls);
}

/* Bytes encrypted and not yet with the system; 0 for plain. */
LN_INLINE size_t ln_stream_queued(const ln_stream *s)
{
    return LN_LIKELY(!s->tls) ? 0 : ln_tls_queued(s->tls);
}

LN_INLINE void ln_stream_cork(ln_stream *s)
{
    if (LN_LIKELY(!s->tls))
        ln_sock_cork(&s->sock);
    else
        ln_tls_cork(s->tls);
}

/* As for the socket; with TLS at most one receive buffer of ciphertext and one record are kept
 * until resume. */
LN_INLINE void ln_stream_pause(ln_stream *s)
{
    if (LN_LIKELY(!s->tls))
        ln_sock_pause(&s->sock);
    else
        ln_tls_pause(s->tls);
}

/* on_recv for what was kept comes before the loop sleeps, not from inside. */
LN_INLINE void ln_stream_resume(ln_stream *s)
{
    if (LN_LIKELY(!s->tls))
        ln_sock_resume(&s->sock);
    else
        ln_tls_resume(s->tls);
}

/* FIN; with TLS once what is encrypted has left, and close_notify first. Only when
 * ln_stream_is_sending() is false. */
LN_INLINE void ln_stream_shutdown(ln_stream *s)
{
    if (LN_LIKELY(!s->tls))
        ln_sock_shutdown(&s->sock);
    else
        ln_tls_shutdown(s->tls);
}

LN_INLINE void ln_stream_close(ln_stream *s)
{
    ln_sock_close(&s->sock);
}

LN_INLINE void ln_stream_reset(ln_stream *s)
{
    ln_sock_reset(&s->sock);
}

LN_INLINE bool ln_stream_is_closing(const ln_stream *s)
{
    return ln_sock_is_closing(&s->sock);
}

#endif
