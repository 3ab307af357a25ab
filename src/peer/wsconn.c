/* SPDX-License-Identifier: MIT */
#include "wsconn.h"

#include "connqueue.h"
#include "exchange.h"
#include "meta.h"
#include "sendwait.h"

/* ---- life ---- */

static void on_timer(ln_timer *timer);

/* Memory and a name. */
static ln_conn *take(ln_home *home)
{
    uint64_t name;

    if (home->slots == NULL)
        return ln_alloc_zero(home->alloc, sizeof(ln_conn));
    if (ln_slots_add(home->slots, home, &name) < 0)
        return NULL;
    ln_conn *const c = ln_connpages_take(&home->pages, ln_slots_index(name), home->alloc);
    if (c == NULL) {
        ln_slots_remove(home->slots, name);
        return NULL;
    }
    ln_slots_set(home->slots, name, c);
    c->id = name | (uint64_t)home->worker << LN_CONN_WORKER_SHIFT;
    return c;
}

static void give(ln_home *home, ln_conn *c)
{
    const uint64_t name = c->id & LN_CONN_NAME_MASK;

    if (home->slots == NULL) {
        ln_free(home->alloc, c);
        return;
    }
    ln_slots_remove(home->slots, name);
    ln_connpages_give(&home->pages, ln_slots_index(name), home->alloc);
}

ln_conn *ln_conn_new(ln_home *home)
{
    ln_conn *const c = take(home);
    if (c == NULL)
        return NULL;
    c->as.home = home;
    ln_timer_init(&c->timer, on_timer);
    home->conn_count++;
    return c;
}

static void free_more(ln_conn *c, const ln_allocator *alloc)
{
    ln_conn_more *const more = c->more;
    if (more == NULL)
        return;
    if (more->on_free != NULL)
        more->on_free(c, more->owner);
    ln_buf_fini(&more->stash);
    ln_meta_free(more->meta, alloc);
    ln_sendq_free(more->waiting);
    ln_free(alloc, more);
}

void ln_conn_free(ln_conn *c)
{
    ln_home *const home = ln_conn_home(c);

    LN_ASSERT(!(c->flags & LN_CONN_ANNOUNCED));
    ln_timer_clear(&home->loop->wheel, &c->timer);
    if (c->ws.config == NULL) {
        ln_exchange_free(c->of.http);
        /* an answer, or a client's request, that was not taken */
        ln_chain_fini(&c->ws.out, &home->loop->pool);
    }
    ln_connqueue_account(c, 0);
    ln_ws_fini(&c->ws);
    free_more(c, home->alloc);
    give(home, c);
    home->conn_count--;
    if (home->conn_count == 0 && home->is_draining && home->on_empty != NULL)
        home->on_empty(home);
}

ln_conn_more *ln_conn_need_more(ln_conn *c)
{
    if (c->more == NULL) {
        const ln_allocator *const alloc = ln_conn_home(c)->alloc;
        c->more = ln_alloc_zero(alloc, sizeof *c->more);
        if (c->more != NULL)
            ln_buf_init(&c->more->stash, alloc);
    }
    return c->more;
}

/* ---- endings ---- */

static void close_stream(ln_conn *c)
{
    if (c->phase == LN_CONN_GONE)
        return;
    c->phase = LN_CONN_GONE;
    ln_timer_clear(&ln_conn_home(c)->loop->wheel, &c->timer);
    if (c->flags & LN_CONN_SKIPS_FLUSH)
        ln_stream_reset(&c->stream);
    else
        ln_stream_close(&c->stream);
}

static void count_close(ln_home *home, const ln_conn *c)
{
    ln_count(&home->counters.closed, 1);
    ln_uncount(&home->counters.connections, 1);
    if (c->error <= LN_ERR_PROTOCOL && c->error > LN_ERR_NOMEM)
        ln_count(&home->counters.protocol_errors, 1);
}

/* CLOSED: the application hears of it, once; what follows is between the peer and us. */
static void announce_close(ln_conn *c, const ln_ws_event *event)
{
    const ln_site *const site = ln_conn_site(c);
    ln_home *const home = site->home;
    const ln_ws_handlers *const h = &site->plan->handlers;
    const char *what = NULL;

    if (c->error == 0)
        c->error = (int8_t)ln_ws_error(&c->ws);
    const ln_close_info info = {.code = event->code,
                                .reason = event->data,
                                .by = event->by == LN_WS_BY_PEER ? LN_CLOSED_BY_PEER
                                                                 : LN_CLOSED_BY_US,
                                .is_clean = event->is_clean,
                                .error = c->error};
    c->phase = LN_CONN_ENDING;
    if (ln_stream_is_sending(&c->stream))
        ln_conn_touch(c); /* it may have left quietly, and now its end is waited for */
    if (c->more != NULL)
        ln_sendq_clear(c->more->waiting); /* it cannot begin any more */
    ln_sendwait_dismiss(c);
    if (home->slots != NULL)
        ln_slots_retire(home->slots, c->id & LN_CONN_NAME_MASK);
    count_close(home, c);
    if (ln_ws_fault(&c->ws, &what) > 0 && *what != '\0' && h->on_error != NULL)
        h->on_error(c, c->error, what, h->user);
    if (h->on_close != NULL)
        h->on_close(c, &info, h->user);
    c->flags &= (uint8_t) ~(LN_CONN_ANNOUNCED | LN_CONN_WATCHED);
    if (home->hooks != NULL)
        home->hooks->on_gone(c, c->as.attachment);
    c->as.attachment = NULL;
    ln_timer_set(&home->loop->wheel, &c->timer, home->loop->now_ms + site->config.close_wait_ms);
}

/* ENDING: output first, then our FIN, then the peer's; a client lets the server go first (RFC 6455
 * 7.1.1). */
static void advance_ending(ln_conn *c)
{
    const bool is_flushed = ln_ws_queued(&c->ws) == 0 && !ln_stream_is_sending(&c->stream);

    if (c->flags & (LN_CONN_SKIPS_FLUSH | LN_CONN_PEER_ENDED)) {
        if (is_flushed || (c->flags & LN_CONN_SKIPS_FLUSH))
            close_stream(c);
        return;
    }
    if (!is_flushed || (c->flags & LN_CONN_FIN_SENT))
        return;
    const bool is_client = c->ws.config != NULL && c->ws.config->role == LN_WS_CLIENT;
    if (!is_client) {
        c->flags |= LN_CONN_FIN_SENT;
        ln_stream_shutdown(&c->stream);
    }
    ln_stream_resume(&c->stream); /* a paused connection still has to see the peer's FIN */
}

void ln_conn_drop(ln_conn *c, int error)
{
    if (c->phase == LN_CONN_GONE)
        return;
    c->flags |= LN_CONN_SKIPS_FLUSH;
    if (c->phase == LN_CONN_OPEN) {
        if (c->error == 0)
            c->error = (int8_t)error;
        ln_ws_abort(&c->ws);
    } else {
        c->phase = LN_CONN_ENDING;
    }
    ln_conn_touch(c);
}

void ln_conn_shed(ln_conn *c)
{
    /* The system may hold the spans of a send; TLS has copied what it has taken. */
    const size_t lent =
        c->stream.tls == NULL && ln_stream_is_sending(&c->stream) ? LN_SOCK_SPANS_MAX : 0;

    if (c->phase == LN_CONN_GONE || (c->flags & LN_CONN_SKIPS_FLUSH))
        return;
    if (c->phase == LN_CONN_OPEN && ln_ws_is_open(&c->ws)) {
        const size_t before = ln_conn_queued_bytes(c);
        ln_count(&ln_conn_home(c)->counters.shed_slow, 1);
        c->error = LN_ERR_WOULD_EXCEED;
        if (c->more != NULL)
            ln_sendq_clear(c->more->waiting);
        ln_ws_shed(&c->ws, lent, 1013, "overloaded");
        /* A goodbye is not worth it if others had to go for what it keeps. */
        if (ln_conn_queued_bytes(c) > ln_min_size(before / 8, LN_CONN_SHED_KEEPS_BYTES))
            c->flags |= LN_CONN_SKIPS_FLUSH;
        ln_conn_touch(c);
    } else {
        ln_conn_drop(c, LN_ERR_WOULD_EXCEED);
    }
    ln_connqueue_account(c, ln_conn_queued_bytes(c));
}

void ln_conn_finish(ln_conn *c)
{
    LN_ASSERT(c->phase == LN_CONN_HTTP && c->of.http != NULL);
    ln_home *const home = ln_conn_home(c);

    ln_chain_splice(&c->ws.out, &c->of.http->out);
    c->phase = LN_CONN_ENDING;
    ln_timer_set(&home->loop->wheel, &c->timer, home->loop->now_ms + LN_CONN_LINGER_MS);
    ln_conn_touch(c);
}

/* ---- output ---- */

/* Is nobody waiting for the end of a send of `k` spans, which is all there is to send? */
static bool may_be_quiet(const ln_conn *c, int k)
{
    return c->phase == LN_CONN_OPEN && !(c->flags & LN_CONN_ABOVE_HIGH) && c->more == NULL &&
           c->ws.extra == NULL && k < LN_SOCK_SPANS_MAX &&
           c->ws.out.bytes <=
               LN_SITE_PUSH_BYTES; /* more may take its time, and has to be counted */
}

LN_HOT void ln_conn_push(ln_conn *c)
{
    ln_span spans[LN_SOCK_SPANS_MAX];
    ln_home *const home = ln_conn_home(c);
    bool is_quiet = false;

    while (!ln_stream_is_sending(&c->stream)) {
        /* Each time: when the system takes everything at once, nothing else would ask for what
         * waits. */
        if (LN_UNLIKELY(c->more != NULL && ln_sendq_waiting(c->more->waiting) > 0))
            ln_conn_refill(c, ln_connqueue_of(c)->low_water_bytes);
        const int k = ln_chain_peek(&c->ws.out, spans, LN_SOCK_SPANS_MAX);
        if (k == 0)
            break;
        is_quiet = may_be_quiet(c, k);
        const size_t n = is_quiet ? ln_stream_send_quiet(&c->stream, spans, k)
                                  : ln_stream_send(&c->stream, spans, k);
        if (n == 0)
            break;
        ln_conn_sent(c, n);
        ln_count(&home->counters.bytes_out, n);
    }
    /* What left quietly is as good as gone, and may be told to be so only with the next event. */
    ln_connqueue_account(c, is_quiet ? 0 : ln_conn_queued_bytes(c));
}

void ln_conn_sent(ln_conn *c, size_t n)
{
    if (LN_LIKELY(c->ws.config != NULL))
        ln_ws_sent(&c->ws, n);
    else
        ln_chain_drop(&c->ws.out, &ln_conn_home(c)->loop->pool, n);
    if (LN_UNLIKELY(c->more != NULL && c->more->waiting != NULL))
        ln_sendq_sent(c->more->waiting, n);
    if (LN_UNLIKELY(c->laggard != 0) && n > 0) {
        ln_laggards_moved(&ln_conn_home(c)->laggards, c->laggard, c->stream.sock.loop->now_ms);
        ln_connqueue_moved(c);
    }
}

static void check_low_water(ln_conn *c)
{
    const ln_ws_handlers *const h = &ln_conn_site(c)->plan->handlers;

    if (!ln_connqueue_is_low(c) || !ln_ws_is_open(&c->ws))
        return;
    c->flags &= (uint8_t)~LN_CONN_ABOVE_HIGH;
    if (h->on_drain != NULL)
        h->on_drain(c, h->user);
}

/* ---- input ---- */

static void handle(ln_conn *c, const ln_ws_event *event)
{
    const ln_site *const site = ln_conn_site(c);
    const ln_ws_handlers *const h = &site->plan->handlers;
    const ln_message message = {event->kind, event->data, event->is_first, event->is_last};

    switch (event->type) {
    case LN_WS_MESSAGE:
        ln_count(&site->home->counters.messages_in, 1);
        if (LN_LIKELY(h->on_message != NULL))
            h->on_message(c, &message, h->user);
        break;
    case LN_WS_PIECE:
        ln_count(&site->home->counters.messages_in, event->is_last);
        h->on_chunk(c, &message, h->user);
        break;
    case LN_WS_PING:
        if (h->on_ping != NULL)
            h->on_ping(c, event->data, h->user);
        break;
    case LN_WS_PONG:
        if (h->on_pong != NULL)
            h->on_pong(c, event->data, h->user);
        break;
    case LN_WS_CLOSED:
        announce_close(c, event);
        break;
    }
}

static void deliver(ln_conn *c)
{
    ln_ws_event event;

    while (ln_ws_next(&c->ws, &event))
        handle(c, &event);
}

/*
 * Keeps what a paused connection has received: no more than what had come when it was paused, since
 * the stream is paused too, and stays so until this has been fed.
 */
static void stash(ln_conn *c, const uint8_t *bytes, size_t n)
{
    ln_conn_more *const more = ln_conn_need_more(c);

    if (more == NULL || ln_buf_append(&more->stash, bytes, n, SIZE_MAX) < 0)
        ln_conn_drop(c, LN_ERR_NOMEM);
}

/* Short whole messages from the front of `bytes`, as long as there are some. Bytes used. */
static size_t feed_short(ln_conn *c, uint8_t *bytes, size_t n, uint64_t now_ms)
{
    const ln_site *const site = ln_conn_site(c);
    const ln_ws_handlers *const h = &site->plan->handlers;
    ln_message message = {.is_first = true, .is_last = true};
    size_t used = 0;

    for (;;) {
        const bool is_listening = c->phase == LN_CONN_OPEN && !(c->flags & LN_CONN_PAUSED);
        const size_t took = ln_ws_take_short(&c->ws, bytes + used, is_listening ? n - used : 0,
                                             now_ms, &message.kind, &message.data);
        if (took == 0)
            return used;
        used += took;
        ln_count(&site->home->counters.messages_in, 1);
        if (LN_LIKELY(h->on_message != NULL))
            h->on_message(c, &message, h->user);
    }
}

/* Until the connection is paused, or over. Bytes used. */
LN_INLINE size_t feed(ln_conn *c, uint8_t *bytes, size_t n)
{
    const uint64_t now_ms = c->stream.sock.loop->now_ms;
    size_t used = 0;

    while (used < n && c->phase == LN_CONN_OPEN && !(c->flags & LN_CONN_PAUSED)) {
        used += feed_short(c, bytes + used, n - used, now_ms);
        if (LN_LIKELY(used == n) || LN_UNLIKELY(c->flags & LN_CONN_PAUSED))
            break;
        used += ln_ws_feed(&c->ws, bytes + used, n - used, now_ms);
        deliver(c);
    }
    return used;
}

LN_HOT void ln_conn_feed(ln_conn *c, uint8_t *bytes, size_t n)
{
    /* new bytes wait behind old ones */
    const size_t used = LN_UNLIKELY(ln_conn_has_stash(c)) ? 0 : feed(c, bytes, n);

    if (LN_UNLIKELY(used < n) && c->phase == LN_CONN_OPEN)
        stash(c, bytes + used, n - used);
}

/* Resumed: what was kept back comes first, and then the stream. What is still too much stays where
 * it is: copied at each message it would cost the square of its length. */
static void unstash(ln_conn *c)
{
    ln_conn_more *const more = c->more;
    ln_buf kept = more->stash;
    size_t at = more->stash_at;

    ln_buf_init(&more->stash, kept.alloc);
    more->stash_at = 0;
    at += feed(c, kept.data + at, kept.size - at);
    if (at < kept.size && c->phase == LN_CONN_OPEN) {
        LN_ASSERT(more->stash.size == 0); /* nothing is received meanwhile */
        more->stash = kept;
        more->stash_at = at;
        return;
    }
    ln_buf_fini(&kept);
    if (c->phase != LN_CONN_OPEN)
        return;
    if (c->flags & LN_CONN_PEER_ENDED)
        ln_ws_eof(&c->ws);
    else if (!(c->flags & LN_CONN_PAUSED))
        ln_stream_resume(&c->stream);
}

/* ---- everything else ---- */

void ln_conn_settle(ln_conn *c)
{
    if (c->phase == LN_CONN_HTTP) {
        ln_exchange_push(c->of.http, 0);
        return;
    }
    if (c->phase == LN_CONN_OPEN) {
        if (LN_UNLIKELY(ln_conn_has_stash(c) && !(c->flags & LN_CONN_PAUSED)))
            unstash(c);
        deliver(c);
    }
    if (c->phase == LN_CONN_GONE)
        return;
    ln_conn_push(c);
    if (LN_UNLIKELY(c->more != NULL && c->more->parked != NULL))
        ln_sendwait_wake(c);
    if (LN_UNLIKELY(c->flags & LN_CONN_ABOVE_HIGH))
        check_low_water(c);
    if (LN_LIKELY(c->phase == LN_CONN_OPEN))
        ln_conn_arm(c);
    else if (c->phase == LN_CONN_ENDING)
        advance_ending(c);
}

void ln_conn_end(ln_conn *c)
{
    ln_ws_event event;

    if (c->phase == LN_CONN_OPEN && ln_ws_next(&c->ws, &event))
        handle(c, &event); /* CLOSED; next() once more would give the memory of a message back */
    if (c->phase == LN_CONN_ENDING)
        close_stream(c);
}

void ln_conn_arm(ln_conn *c)
{
    const uint64_t due = c->phase == LN_CONN_HTTP ? c->of.http->due_ms : ln_ws_deadline(&c->ws);

    /* Later is cheap: the timer finds out when it fires. Only earlier has to move it. */
    if (LN_LIKELY(ln_timer_is_set(&c->timer) && c->timer.at_ms <= due))
        return;
    if (due != UINT64_MAX)
        ln_timer_set(&c->stream.sock.loop->wheel, &c->timer, due);
}

static void on_timer(ln_timer *timer)
{
    ln_conn *const c = LN_CONTAINER_OF(timer, ln_conn, timer);
    const uint64_t now_ms = c->stream.sock.loop->now_ms;

    switch (c->phase) {
    case LN_CONN_HTTP:
        if (now_ms >= c->of.http->due_ms)
            ln_exchange_expire(c->of.http);
        else
            ln_conn_arm(c);
        return;
    case LN_CONN_OPEN:
        if (c->flags & LN_CONN_PAUSED)
            ln_ws_touch(&c->ws, now_ms); /* we did not listen: silence proves nothing */
        ln_ws_tick(&c->ws, now_ms);
        ln_conn_settle(c);
        return;
    case LN_CONN_ENDING:
        c->flags |= LN_CONN_SKIPS_FLUSH;
        close_stream(c);
        return;
    default:
        return;
    }
}

/* ---- what the stream calls ---- */

static void on_stream_open(ln_stream *s)
{
    ln_conn *const c = ln_conn_of_stream(s);

    if (c->phase == LN_CONN_HTTP) /* it may have been given up while TLS shook hands */
        ln_conn_arm(c);
}

static LN_HOT void on_stream_recv(ln_stream *s, uint8_t *bytes, size_t n)
{
    ln_conn *const c = ln_conn_of_stream(s);

    if (LN_LIKELY(c->phase == LN_CONN_OPEN)) {
        ln_count(&ln_conn_site(c)->home->counters.bytes_in, n);
        ln_conn_feed(c, bytes, n);
        ln_conn_touch(c);
    } else if (c->phase == LN_CONN_HTTP) {
        ln_exchange_recv(c->of.http, bytes, n);
    }
    /* ENDING: read and forgotten, so that the close does not become a reset (RFC 6455 7.1.1). */
}

static void on_stream_sent(ln_stream *s, size_t n)
{
    ln_conn *const c = ln_conn_of_stream(s);

    if (c->phase == LN_CONN_HTTP) {
        ln_exchange_push(c->of.http, n);
        return;
    }
    ln_count(&ln_conn_home(c)->counters.bytes_out, n);
    ln_conn_sent(c, n);
    ln_conn_settle(c);
}

static void on_stream_end(ln_stream *s, int err)
{
    ln_conn *const c = ln_conn_of_stream(s);

    c->flags |= LN_CONN_PEER_ENDED;
    if (err < 0)
        c->flags |= LN_CONN_SKIPS_FLUSH;
    if (c->phase == LN_CONN_HTTP) {
        ln_exchange_end(c->of.http, err);
        return;
    }
    if (c->phase == LN_CONN_OPEN) {
        if (err < 0 && c->error == 0)
            c->error = (int8_t)err;
        if (!ln_conn_has_stash(c) || err < 0)
            ln_ws_eof(&c->ws);
    }
    ln_conn_settle(c);
}

static void on_stream_flush(ln_stream *s)
{
    ln_conn_settle(ln_conn_of_stream(s));
}

static void on_stream_closed(ln_stream *s)
{
    ln_conn_free(ln_conn_of_stream(s));
}

static uint8_t *on_stream_lend(ln_stream *s, size_t *n)
{
    ln_conn *const c = ln_conn_of_stream(s);

    if (LN_LIKELY(c->ws.message == NULL) || c->phase != LN_CONN_OPEN || ln_conn_has_stash(c))
        return NULL;
    return ln_ws_lend(&c->ws, n);
}

const ln_stream_ops ln_conn_ops = {
    .on_open = on_stream_open,
    .on_recv = on_stream_recv,
    .on_sent = on_stream_sent,
    .on_end = on_stream_end,
    .on_flush = on_stream_flush,
    .on_closed = on_stream_closed,
    .lend = on_stream_lend,
};

/* ---- from HTTP to WebSocket ---- */

void ln_conn_upgrade(ln_conn *c, ln_site *site, ln_deflate *deflate, const ln_request *request,
                     void *user)
{
    ln_home *const home = c->as.home;
    const ln_ws_handlers *const h = &site->plan->handlers;

    LN_ASSERT(c->phase == LN_CONN_HTTP);
    const ln_chain handshake = c->ws.out; /* a client's request may still be under way */
    ln_ws_init(&c->ws, &site->config, deflate, home->loop->now_ms);
    ln_loop_random(home->loop, &c->ws.spread, sizeof c->ws.spread);
    c->ws.out = handshake;
    c->as.attachment = NULL;
    if (c->of.http != NULL)
        ln_chain_splice(&c->ws.out, &c->of.http->out);
    c->of.user = user; /* the exchange frees itself */
    c->phase = LN_CONN_OPEN;
    c->flags |= LN_CONN_ANNOUNCED;
    ln_timer_clear(&home->loop->wheel, &c->timer);
    ln_count(&home->counters.opened, 1);
    ln_count(&home->counters.connections, 1);
    if (h->on_open != NULL)
        h->on_open(c, request, h->user);
    ln_conn_touch(c);
}
