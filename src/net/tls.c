/* SPDX-License-Identifier: MIT */
/*
 * tls.c - one connection's session: ciphertext from the socket, plaintext for the floors above, and
 * back.
 *
 * OpenSSL reads and writes through a transport (tlsbio.c) that owns no buffer. Plaintext lives on
 * the stack while one callback runs. The records are OpenSSL's; should the kernel take them over
 * (kTLS), that happens in shake_hands(), unseen from above.
 *
 * Invariants
 *   1. Ciphertext in `in` is only touched during on_recv of the socket; what a pause leaves of it
 *      moves to `held`, and the socket stays paused until `held` is empty again: it never has more
 *      than one receive buffer.
 *   2. `out` has less than LN_TLS_QUEUE_MAX_BYTES when a record of data is begun, and answers to a
 *      peer's other records are limited by `rare`.
 *   3. OpenSSL's error queue of this thread is empty when a function here returns.
 *
 * States                     becomes                                        by
 *   shaking hands            open                                           shake_hands()
 *   open                     ended: 0 (may still send) or an error          conclude()
 *   any                      closing: nothing is called but on_closed       ln_sock_close()
 */
#include <string.h>
#include <unistd.h>

#include "tlsinner.h"

enum {
    RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH, /* 16 KiB: what one record carries */
    SPANS = 16                               /* of ciphertext per send: 16 chunks of 16 KiB */
};

/* The end, found here and reported by settle(). An error may come once after the peer's goodbye,
 * nothing else. */

static void conclude(ln_tls *t, int err)
{
    if (t->has_end && (t->end != 0 || err == 0))
        return;
    t->has_end = true;
    t->end = err;
    t->is_told = false;
}

/* OpenSSL gave up. */
static void fail(ln_tls *t)
{
    const char *const why = ln_tls_error_explain(t->ssl);
    t->is_failed = true;
    if (!t->is_starved && t->error[0] == '\0')
        t->error = t->is_flooded ? "the peer sends too many records without data" : why;
    conclude(t, t->is_starved ? LN_ERR_NOMEM : LN_ERR_TLS);
}

static bool is_closing(const ln_tls *t)
{
    return ln_sock_is_closing(&t->stream->sock);
}

/* Bytes of the peer that have not been handed up. */
static bool has_kept(const ln_tls *t)
{
    return t->held.bytes > 0 || SSL_pending(t->ssl) > 0;
}

static bool has_input(const ln_tls *t)
{
    return t->in_size > 0 || has_kept(t);
}

/* The socket has ended: so does the stream, with what that means for TLS. */
static void conclude_fin(ln_tls *t)
{
    if (t->fin == 0 && !t->is_open)
        t->error = "the peer closed the connection during the TLS handshake";
    conclude(t, t->fin != 0 ? t->fin : t->is_open ? LN_ERR_RESET : LN_ERR_TLS);
}

/* What is kept back comes first; but a send has failed if there is an error amid a pause, and who
 * waits for room to send would never end it. */
static bool is_fin_due(const ln_tls *t)
{
    if (t->has_end)
        return t->fin != 0;
    return !has_kept(t) || (t->fin != 0 && t->is_paused);
}

static void settle(ln_tls *t)
{
    if (t->has_fin && is_fin_due(t))
        conclude_fin(t);
    if (!t->has_end || t->is_told || is_closing(t))
        return;
    t->is_told = true;
    t->stream->ops->on_end(t->stream, t->end);
}

/* Out. */

/* Gives the system as much of `out` as it takes, and FIN once all of it has left. */
static void push(ln_tls *t)
{
    ln_sock *const sock = &t->stream->sock;
    size_t n = 1;
    while (n > 0 && t->out.bytes > 0 && !ln_sock_is_sending(sock) && !is_closing(t)) {
        ln_span spans[SPANS];
        const int k = ln_chain_peek(&t->out, spans, SPANS);
        n = ln_sock_send(sock, spans, k);
        ln_chain_drop(&t->out, &t->loop->pool, n);
    }
    if (t->wants_fin && t->out.bytes == 0 && !ln_sock_is_sending(sock) && !is_closing(t)) {
        t->wants_fin = false;
        t->is_shut = true;
        ln_sock_shutdown(sock);
    }
}

/* The next record's worth of what follows `skip` bytes: where it lies if that is one piece, else
 * copied together. */
static ln_span gather(const ln_span *spans, int k, size_t skip, uint8_t buffer[RECORD_BYTES])
{
    const ln_span first = {(const uint8_t *)spans->data + skip, spans->size - skip};
    if (k == 1 || first.size >= RECORD_BYTES)
        return (ln_span){first.data, ln_min_size(first.size, RECORD_BYTES)};

    size_t size = 0;
    for (int i = 0; i < k && size < RECORD_BYTES; i++) {
        const ln_span piece = i == 0 ? first : spans[i];
        const size_t n = ln_min_size(piece.size, RECORD_BYTES - size);
        if (n > 0)
            memcpy(buffer + size, piece.data, n);
        size += n;
    }
    return (ln_span){buffer, size};
}

/* Encrypts one record; how many bytes of the spans it took. 0 = not now, or never again. */
static size_t write_record(ln_tls *t, const ln_span *spans, int k, size_t skip)
{
    if (t->out.bytes >= LN_TLS_QUEUE_MAX_BYTES)
        push(t);
    if (t->out.bytes >= LN_TLS_QUEUE_MAX_BYTES)
        return 0;

    uint8_t buffer[RECORD_BYTES];
    const ln_span record = gather(spans, k, skip, buffer);
    size_t written = 0;
    ln_tls_error_forget();
    if (SSL_write_ex(t->ssl, record.data, record.size, &written) == 1)
        return written;
    fail(t);
    ln_sock_cork(&t->stream->sock); /* on_end comes from the loop, not from inside of a send */
    return 0;
}

size_t ln_tls_send(ln_tls *t, const ln_span *spans, int k)
{
    size_t taken = 0, skip = 0;
    t->is_blocked = !t->is_open || t->is_failed || t->wants_fin || t->is_shut || is_closing(t);
    while (!t->is_blocked) {
        for (; k > 0 && skip >= spans->size; k--)
            skip -= spans++->size;
        if (k == 0)
            break;
        const size_t n = write_record(t, spans, k, skip);
        skip += n;
        taken += n;
        t->is_blocked = n == 0;
    }
    push(t);
    return taken;
}

bool ln_tls_is_sending(const ln_tls *t)
{
    return t->is_blocked;
}

size_t ln_tls_queued(const ln_tls *t)
{
    return t->out.bytes;
}

/* Half of the queue has left: time to ask for more, so that the system never runs dry meanwhile. */
static void unblock(ln_tls *t)
{
    if (!t->is_blocked || !t->is_open || t->is_failed || is_closing(t) ||
        t->out.bytes > LN_TLS_QUEUE_MAX_BYTES / 2)
        return;
    t->is_blocked = false;
    t->stream->ops->on_sent(t->stream, 0);
}

void ln_tls_shutdown(ln_tls *t)
{
    if (t->is_shut || t->wants_fin)
        return;
    if (t->is_open && !t->is_failed) {
        ln_tls_error_forget();
        SSL_shutdown(t->ssl); /* writes ours and does not wait for the peer's */
        ln_tls_error_forget();
    }
    t->wants_fin = true;
    push(t);
}

/* In. */

static void shake_hands(ln_tls *t)
{
    ln_tls_error_forget();
    const int rc = SSL_do_handshake(t->ssl);
    if (rc == 1)
        t->is_open = true;
    else if (SSL_get_error(t->ssl, rc) != SSL_ERROR_WANT_READ)
        fail(t);
}

/*
 * Fills `plain` with what the peer's bytes say; less than all of it when they are used up, or at
 * the end. Reads at least once: behind a handshake that is what makes OpenSSL give its 16 KiB
 * buffer back.
 */
static size_t decrypt(ln_tls *t, uint8_t plain[RECORD_BYTES])
{
    size_t size = 0, n = 0;
    do {
        ln_tls_error_forget();
        if (SSL_read_ex(t->ssl, plain + size, RECORD_BYTES - size, &n) != 1) {
            const int why = SSL_get_error(t->ssl, 0);
            if (why == SSL_ERROR_ZERO_RETURN)
                conclude(t, 0);
            else if (why != SSL_ERROR_WANT_READ)
                fail(t);
            break;
        }
        size += n;
    } while (size < RECORD_BYTES && has_input(t));
    return size;
}

static void hand_up(ln_tls *t)
{
    uint8_t plain[RECORD_BYTES];
    bool has_more = true;
    while (has_more && !t->has_end && !t->is_paused && !is_closing(t)) {
        const size_t n = decrypt(t, plain);
        if (n > 0)
            t->stream->ops->on_recv(t->stream, plain, n);
        has_more = has_input(t);
    }
}

/* Handles what the peer sent, as far as the floor above lets us. */
static void proceed(ln_tls *t)
{
    if (!t->is_open) {
        shake_hands(t);
        if (t->is_open) {
            t->stream->ops->on_open(t->stream);
            unblock(t);
        }
    }
    if (t->is_open)
        hand_up(t);
    push(t);
    settle(t);
}

void ln_tls_cork(ln_tls *t)
{
    t->wants_flush = true;
    ln_sock_cork(&t->stream->sock);
}

void ln_tls_pause(ln_tls *t)
{
    t->is_paused = true;
    ln_sock_pause(&t->stream->sock);
}

void ln_tls_resume(ln_tls *t)
{
    if (!t->is_paused)
        return;
    t->is_paused = false;
    if (has_kept(t))
        ln_sock_cork(&t->stream->sock);
    else
        ln_sock_resume(&t->stream->sock);
}

/* What the socket calls. */

static ln_tls *of(ln_sock *sock)
{
    return LN_CONTAINER_OF(sock, ln_stream, sock)->tls;
}

static void on_recv(ln_sock *sock, uint8_t *bytes, size_t n)
{
    ln_tls *const t = of(sock);
    if (t->has_end)
        /* behind a close_notify or an error; read nevertheless, so that our close is no reset */
        return;
    t->in = bytes;
    t->in_size = n;
    proceed(t);
    if (t->in_size > 0 && !t->has_end && !is_closing(t) &&
        ln_chain_append(&t->held, &t->loop->pool, t->in, t->in_size) < 0) {
        t->is_failed = true;
        conclude(t, LN_ERR_NOMEM);
        settle(t);
    }
    t->in = NULL;
    t->in_size = 0;
}

static void on_sent(ln_sock *sock, size_t n)
{
    ln_tls *const t = of(sock);
    ln_chain_drop(&t->out, &t->loop->pool, n);
    push(t);
    if (t->is_blocked)
        unblock(t);
    else if (t->out.bytes == 0 && t->is_open && !t->is_failed && !is_closing(t))
        t->stream->ops->on_sent(t->stream, 0); /* somebody may wait for the queue to be short */
}

static void on_end(ln_sock *sock, int err)
{
    ln_tls *const t = of(sock);
    t->has_fin = true;
    t->fin = err;
    settle(t);
}

static void on_flush(ln_sock *sock)
{
    ln_tls *const t = of(sock);
    if (!t->is_paused && has_kept(t))
        proceed(t);
    if (!t->is_paused && !is_closing(t)) /* then proceed() has left nothing */
        ln_sock_resume(sock);
    settle(t);
    if (t->wants_flush && !is_closing(t)) {
        t->wants_flush = false;
        t->stream->ops->on_flush(t->stream);
    }
}

static void session_free(ln_tls *t)
{
    SSL_free(t->ssl);
    ln_tls_context_unref(t->context);
    ln_chain_fini(&t->held, &t->loop->pool);
    ln_chain_fini(&t->out, &t->loop->pool);
    ln_free(t->loop->alloc, t);
}

static void on_closed(ln_sock *sock)
{
    ln_stream *const s = LN_CONTAINER_OF(sock, ln_stream, sock);
    session_free(s->tls);
    s->tls = NULL;
    s->ops->on_closed(s);
}

static const ln_sock_ops socket_ops = {
    .on_recv = on_recv,
    .on_sent = on_sent,
    .on_end = on_end,
    .on_flush = on_flush,
    .on_closed = on_closed,
};

/* OpenSSL's objects, and a client's first message in `out`. */
static int session_start(ln_tls *t, const char *server_name)
{
    const int rc = ln_tls_context_start(t->context, server_name, &t->ssl);
    if (rc < 0)
        return rc;
    BIO *const bio = BIO_new(t->context->transport);
    if (!bio)
        return LN_ERR_NOMEM;
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_msg_callback_arg(t->ssl, t);
    if (!t->context->is_server)
        shake_hands(t);
    return t->has_end ? t->end : 0;
}

int ln_tls_open(ln_stream *s, ln_loop *loop, int fd, ln_tls_context *context,
                const char *server_name)
{
    ln_tls *const t = ln_alloc_zero(loop->alloc, sizeof *t);
    s->tls = NULL;
    if (!t) {
        close(fd);
        return LN_ERR_NOMEM;
    }
    t->stream = s;
    t->loop = loop;
    t->context = ln_tls_context_ref(context);
    t->error = "";
    ln_bucket_init(&t->rare, &ln_tls_bio_rare_rate, loop->now_ms);
    int rc = session_start(t, server_name);
    if (rc < 0)
        close(fd);
    else
        rc = ln_sock_open(&s->sock, loop, fd, &socket_ops);
    if (rc < 0) {
        ln_tls_error_forget();
        session_free(t);
        return rc;
    }
    s->tls = t;
    push(t);
    return 0;
}

const char *ln_tls_error(const ln_tls *t)
{
    return t->error;
}

ln_span ln_tls_alpn(const ln_tls *t)
{
    const uint8_t *name = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(t->ssl, &name, &size);
    return (ln_span){name, size};
}
