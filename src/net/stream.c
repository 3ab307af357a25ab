/* SPDX-License-Identifier: MIT */
#include "stream.h"

/* Plain: what the socket says is what the stream says. */

static ln_stream *of(ln_sock *sock)
{
    return LN_CONTAINER_OF(sock, ln_stream, sock);
}

static LN_HOT void plain_recv(ln_sock *sock, uint8_t *bytes, size_t n)
{
    ln_stream *const s = of(sock);
    s->ops->on_recv(s, bytes, n);
}

static LN_HOT void plain_sent(ln_sock *sock, size_t n)
{
    ln_stream *const s = of(sock);
    s->ops->on_sent(s, n);
}

static void plain_end(ln_sock *sock, int err)
{
    ln_stream *const s = of(sock);
    s->ops->on_end(s, err);
}

static LN_HOT void plain_flush(ln_sock *sock)
{
    ln_stream *const s = of(sock);
    s->ops->on_flush(s);
}

static void plain_closed(ln_sock *sock)
{
    ln_stream *const s = of(sock);
    s->ops->on_closed(s);
}

static uint8_t *plain_lend(ln_sock *sock, size_t *n)
{
    ln_stream *const s = of(sock);
    return s->ops->lend(s, n);
}

static const ln_sock_ops plain = {
    .on_recv = plain_recv,
    .on_sent = plain_sent,
    .on_end = plain_end,
    .on_flush = plain_flush,
    .on_closed = plain_closed,
};

static const ln_sock_ops plain_lending = {
    .on_recv = plain_recv,
    .on_sent = plain_sent,
    .on_end = plain_end,
    .on_flush = plain_flush,
    .on_closed = plain_closed,
    .lend = plain_lend,
};

static const ln_sock_ops *plain_ops(const ln_stream_ops *ops)
{
    return ops->lend ? &plain_lending : &plain;
}

static int open_plain(ln_stream *s, ln_loop *loop, int fd, const ln_stream_ops *ops)
{
    s->ops = ops;
    s->tls = NULL;
    const int rc = ln_sock_open(&s->sock, loop, fd, plain_ops(ops));
    if (rc < 0)
        return rc;
    ops->on_open(s);
    return 0;
}

int ln_stream_open_server(ln_stream *s, ln_loop *loop, int fd, ln_tls_context *context,
                          const ln_stream_ops *ops)
{
    if (!context)
        return open_plain(s, loop, fd, ops);
    s->ops = ops;
    return ln_tls_open(s, loop, fd, context, NULL);
}

int ln_stream_open_client(ln_stream *s, ln_loop *loop, int fd, ln_tls_context *context,
                          const char *server_name, const ln_stream_ops *ops)
{
    if (!context)
        return open_plain(s, loop, fd, ops);
    s->ops = ops;
    return ln_tls_open(s, loop, fd, context, server_name);
}

void ln_stream_set_ops(ln_stream *s, const ln_stream_ops *ops)
{
    s->ops = ops;
    if (!s->tls)
        ln_sock_set_ops(&s->sock, plain_ops(ops));
}

const char *ln_stream_tls_error(const ln_stream *s)
{
    return s->tls ? ln_tls_error(s->tls) : "";
}

ln_span ln_stream_alpn(const ln_stream *s)
{
    return s->tls ? ln_tls_alpn(s->tls) : (ln_span){0};
}
