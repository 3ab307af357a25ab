/* SPDX-License-Identifier: MIT */
#include "connqueue.h"

#include <string.h>

#include "base/map.h"

/* ---- room ---- */

size_t ln_conn_queued_bytes(const ln_conn *c)
{
    size_t n = ln_ws_queued(&c->ws) + ln_stream_queued(&c->stream);
    if (c->more != NULL)
        n += ln_sendq_bytes(c->more->waiting);
    return n;
}

static ln_sendq *sendq_of(const ln_conn *c)
{
    return c->more == NULL ? NULL : c->more->waiting;
}

/* Does `size` fit behind `queued`? An empty queue takes any one message, so that a limit below the
 * message limit does not make sending impossible. */
static bool fits(const ln_queue_options *o, size_t queued, size_t size)
{
    return queued == 0 || (queued < o->max_bytes && size <= o->max_bytes - queued);
}

/* Behind what the message replaces, if it does. */
static bool has_room(const ln_conn *c, size_t size, uint64_t key)
{
    const ln_queue_options *const o = ln_connqueue_of(c);
    const ln_sendq *const q = sendq_of(c);
    const size_t replaced = ln_sendq_cost(q, key);

    if (o->max_messages > 0 && ln_sendq_messages(q) - (replaced > 0) >= o->max_messages)
        return false;
    return fits(o, ln_conn_queued_bytes(c) - replaced, size);
}

bool ln_connqueue_has_room(const ln_conn *c, size_t size)
{
    return c->ws.sending == 0 && has_room(c, size, 0);
}

/* Would there be room if nothing waited? */
static bool may_have_room(const ln_conn *c, size_t size)
{
    const ln_queue_options *const o = ln_connqueue_of(c);
    const ln_sendq *const q = sendq_of(c);

    if (o->max_messages > 0 && ln_sendq_messages(q) - ln_sendq_waiting(q) >= o->max_messages)
        return false;
    return fits(o, ln_conn_queued_bytes(c) - ln_sendq_bytes(q), size);
}

/* The queue is full: what the policy says. Never 0. */
static LN_COLD int overflow(ln_conn *c)
{
    ln_counters *const counters = &ln_conn_site(c)->home->counters;

    if (!ln_ws_is_open(&c->ws))
        return LN_ERR_CLOSED; /* it is closing already, perhaps because of the message before */
    switch (ln_connqueue_of(c)->overflow) {
    case LN_OVERFLOW_REFUSE:
    case LN_OVERFLOW_DROP_OLDEST: /* what could be dropped was */
    case LN_OVERFLOW_KEEP_LATEST:
        c->flags |= LN_CONN_ABOVE_HIGH;
        ln_count(&counters->queue_refused, 1);
        return LN_ERR_WOULD_EXCEED;
    case LN_OVERFLOW_DROP_NEWEST:
        ln_count(&counters->dropped, 1);
        ln_count(&counters->dropped_newest, 1);
        return LN_ERR_DROPPED;
    case LN_OVERFLOW_CLOSE:
        break;
    }
    ln_count(&counters->overflow_closes, 1);
    c->error = LN_ERR_WOULD_EXCEED;
    ln_ws_fail(&c->ws, 1008, "too slow");
    ln_conn_touch(c);
    return LN_ERR_CLOSED;
}

/* A message that waited has given way to a newer one. */
static void note_displaced(const ln_conn *c, _Atomic uint64_t *counter)
{
    const ln_plan *const plan = ln_conn_site(c)->plan;

    ln_count(counter, 1);
    if (plan->on_displaced != NULL)
        plan->on_displaced(c, plan->handlers.user);
}

/* Makes room among what has not been begun, unless all of it would not be enough. */
static void drop_oldest(ln_conn *c, size_t size, uint64_t key)
{
    ln_counters *const counters = &ln_conn_home(c)->counters;
    int kind;

    if (!may_have_room(c, size))
        return;
    while (!has_room(c, size, key)) {
        ln_block *const oldest = ln_sendq_pop(c->more->waiting, &kind);
        LN_ASSERT(oldest != NULL);
        ln_block_unref(oldest);
        ln_count(&counters->dropped, 1);
        note_displaced(c, &counters->dropped_oldest);
    }
}

int ln_connqueue_make_room(ln_conn *c, size_t size, uint64_t key)
{
    if (LN_UNLIKELY(c->phase != LN_CONN_OPEN))
        return LN_ERR_CLOSED;
    if (LN_LIKELY(has_room(c, size, key)))
        return 0;
    if (!ln_stream_is_sending(&c->stream)) {
        ln_conn_push(c);
        if (has_room(c, size, key))
            return 0;
    }
    if (ln_queue_waits(ln_connqueue_of(c)))
        drop_oldest(c, size, key);
    return has_room(c, size, key) ? 0 : overflow(c);
}

/* What can leave at all: while a fragmented message is open, not what waits for its end. */
static size_t moving_bytes(const ln_conn *c)
{
    return c->ws.sending == 0 ? ln_conn_queued_bytes(c)
                              : c->ws.out.bytes + ln_stream_queued(&c->stream);
}

int ln_connqueue_make_room_for_piece(ln_conn *c, size_t size)
{
    const ln_queue_options *const o = ln_connqueue_of(c);

    if (c->phase != LN_CONN_OPEN)
        return LN_ERR_CLOSED;
    if (fits(o, moving_bytes(c), size))
        return 0;
    ln_conn_push(c);
    return fits(o, moving_bytes(c), size) ? 0 : overflow(c);
}

bool ln_connqueue_is_high(const ln_conn *c)
{
    const ln_queue_options *const o = ln_connqueue_of(c);

    return ln_conn_queued_bytes(c) > o->high_water_bytes ||
           (o->max_messages > 0 && ln_sendq_messages(sendq_of(c)) >= o->max_messages);
}

bool ln_connqueue_is_low(const ln_conn *c)
{
    const ln_queue_options *const o = ln_connqueue_of(c);

    return moving_bytes(c) <= o->low_water_bytes &&
           (o->max_messages == 0 || c->ws.sending != 0 ||
            ln_sendq_messages(sendq_of(c)) <= o->max_messages / 2);
}

/*
 * Control frames pass the queue's limit. Pongs have their own in the machine and a close frame comes
 * once; pings are the application's, and get a small reserve.
 */
bool ln_connqueue_takes_ping(const ln_conn *c)
{
    return ln_conn_queued_bytes(c) <
           (size_t)ln_connqueue_of(c)->max_bytes + LN_CONN_PINGS_MAX_BYTES;
}

/* ---- waiting ---- */

uint64_t ln_connqueue_key(const ln_conn *c, ln_span name)
{
    if (name.size == 0 || ln_connqueue_of(c)->overflow != LN_OVERFLOW_KEEP_LATEST)
        return 0;
    const uint64_t key = ln_siphash13(ln_conn_home(c)->seed, name);
    return key == 0 ? 1 : key;
}

/* The connection's sendq, made on first need, with room for a message; NULL when out of memory. */
static ln_sendq *need_sendq(ln_conn *c)
{
    ln_conn_more *const more = ln_conn_need_more(c);

    if (more == NULL)
        return NULL;
    if (more->waiting == NULL)
        more->waiting = ln_sendq_new(ln_conn_home(c)->alloc);
    return more->waiting == NULL || ln_sendq_reserve(more->waiting) < 0 ? NULL : more->waiting;
}

bool ln_connqueue_has_to_wait(const ln_conn *c)
{
    const ln_queue_options *const o = ln_connqueue_of(c);

    if (ln_sendq_waiting(sendq_of(c)) > 0)
        return true;
    if (c->ws.sending != 0)
        return ln_queue_waits(o) || o->max_messages > 0;
    return ln_queue_waits(o) && ln_ws_queued(&c->ws) >= o->low_water_bytes;
}

static int put(ln_conn *c, ln_block *block, int kind, uint64_t key)
{
    ln_sendq *const q = need_sendq(c);

    if (q == NULL)
        return LN_ERR_NOMEM;
    if (ln_sendq_remove(q, key))
        note_displaced(c, &ln_conn_home(c)->counters.replaced);
    ln_sendq_push(q, block, kind, key);
    return 0;
}

int ln_connqueue_put_frame(ln_conn *c, ln_block *frame, uint64_t key)
{
    return put(c, frame, 0, key);
}

/* A payload as it is: a frame only when its time has come, since compression and masks have theirs. */
static ln_block *copy_of(const ln_allocator *alloc, ln_span data)
{
    ln_block *const block = ln_block_new(alloc, data.size);

    if (block != NULL && data.size > 0)
        memcpy(block->bytes, data.data, data.size);
    return block;
}

int ln_connqueue_put_message(ln_conn *c, enum ln_kind kind, ln_span data, uint64_t key)
{
    const ln_allocator *const alloc = ln_conn_home(c)->alloc;
    uint8_t head[LN_FRAME_HEAD_MAX];

    /* The machine judges it now, while there is somebody to be told. */
    int rc = ln_ws_send_begin(&c->ws, kind, data, head);
    if (rc < 0 && rc != LN_ERR_UNSUPPORTED)
        return rc;
    const bool is_frame = rc > 0;
    ln_block *const block =
        is_frame ? ln_ws_encode(alloc, kind, data, false) : copy_of(alloc, data);
    if (block == NULL)
        return LN_ERR_NOMEM;
    rc = put(c, block, is_frame ? 0 : (int)kind, key);
    ln_block_unref(block);
    return rc;
}

/* ---- counting ---- */

static bool is_counting(const ln_conn *c)
{
    return ln_connqueue_of(c)->max_messages > 0;
}

int ln_connqueue_expect(ln_conn *c)
{
    return is_counting(c) && need_sendq(c) == NULL ? LN_ERR_NOMEM : 0;
}

void ln_connqueue_begun(ln_conn *c)
{
    if (is_counting(c))
        ln_sendq_begin(c->more->waiting, ln_ws_queued(&c->ws));
}

void ln_connqueue_gone_on(ln_conn *c)
{
    if (is_counting(c))
        ln_sendq_go_on(c->more->waiting, ln_ws_queued(&c->ws));
}

void ln_conn_refill(ln_conn *c, size_t below_bytes)
{
    ln_sendq *const q = c->more->waiting;
    int kind;

    while (ln_sendq_waiting(q) > 0 && ln_ws_is_open(&c->ws) && c->ws.sending == 0 &&
           /* low water may be 0 */
           (ln_ws_queued(&c->ws) == 0 || ln_ws_queued(&c->ws) < below_bytes)) {
        ln_block *const b = ln_sendq_pop(q, &kind);
        const int rc = kind == 0
                           ? ln_ws_send_block(&c->ws, b)
                           : ln_ws_send(&c->ws, (enum ln_kind)kind, (ln_span){b->bytes, b->size});
        if (rc < 0)
            ln_count(&ln_conn_home(c)->counters.dropped, 1);
        else
            ln_connqueue_begun(c);
        ln_block_unref(b);
    }
}

/* ---- the books ---- */

void ln_connqueue_count(ln_conn *c, size_t queued)
{
    ln_home *const home = ln_conn_home(c);

    if (c->flags & LN_CONN_SKIPS_FLUSH)
        queued = 0; /* about to be freed: nobody else has to make room for it */
    if (c->laggard == 0 && queued > 0) {
        /* Without memory for it, it is counted the next time. */
        c->laggard = ln_laggards_add(&home->laggards, home->alloc, c, home->loop->now_ms);
        ln_count(&home->counters.queued_connections, c->laggard != 0);
    }
    if (c->laggard == 0)
        return;
    ln_laggard *const l = ln_laggards_at(&home->laggards, c->laggard);
    const uint32_t before = l->bytes, now = queued > UINT32_MAX ? UINT32_MAX : (uint32_t)queued;
    l->bytes = now;
    if (before != now) {
        ln_uncount(&home->counters.queued_bytes, before);
        ln_count(&home->counters.queued_bytes, now);
        ln_budget_count(home, before, now);
    }
    if (now == 0) {
        ln_laggards_remove(&home->laggards, c->laggard);
        ln_uncount(&home->counters.queued_connections, 1);
        c->laggard = 0;
    }
}

void ln_conn_queue_get(const ln_conn *c, ln_queue_state *state)
{
    ln_home *const home = ln_conn_home(c);

    *state = (ln_queue_state){.bytes = ln_conn_queued_bytes(c),
                              .messages = ln_sendq_messages(sendq_of(c))};
    if (c->laggard == 0)
        return;
    const ln_laggard *const l = ln_laggards_at(&home->laggards, c->laggard);
    state->age_ms = home->loop->now_ms - l->moved_ms;
}

/* ---- who waits for room ---- */

bool ln_conn_watch_room(ln_conn *c)
{
    const enum ln_overflow policy = ln_connqueue_of(c)->overflow;

    if (policy != LN_OVERFLOW_REFUSE && policy != LN_OVERFLOW_DROP_NEWEST)
        return false;
    if (c->stream.tls != NULL || c->ws.deflate != NULL || c->laggard == 0 ||
        !ln_ws_is_open(&c->ws) || !ln_stream_is_sending(&c->stream))
        return false;
    c->flags |= LN_CONN_WATCHED;
    return true;
}

void ln_connqueue_moved(ln_conn *c)
{
    ln_home *const home = ln_conn_home(c);

    if (!(c->flags & LN_CONN_WATCHED))
        return;
    c->flags &= (uint8_t)~LN_CONN_WATCHED;
    home->hooks->on_room(c, c->as.attachment);
}

/* ---- another queue ---- */

int ln_conn_set_queue(ln_conn *c, const ln_queue_options *options)
{
    ln_queue_options queue;

    if (c->phase != LN_CONN_OPEN)
        return LN_ERR_CLOSED;
    ln_connqueue_moved(c);
    if (options == NULL) {
        if (c->more != NULL)
            c->more->has_queue = false;
        return 0;
    }
    const int rc = ln_plan_queue(ln_conn_site(c)->plan, options, &queue);
    if (rc < 0)
        return rc;
    ln_conn_more *const more = ln_conn_need_more(c);
    if (more == NULL)
        return LN_ERR_NOMEM;
    more->queue = queue;
    more->has_queue = true;
    ln_conn_touch(c); /* what waits may move on now, or on_drain be due */
    return 0;
}
