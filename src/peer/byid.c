/* SPDX-License-Identifier: MIT */
/*
 * byid.c - sending and closing by id, from any thread: at once on the owner's thread, by letter
 * from another.
 */
#include <string.h>

#include "base/limits.h"
#include "serverinner.h"

/* An order to a connection of another thread. */
typedef struct order {
    ln_letter letter;
    ln_worker *worker;
    ln_slot *slot; /* its account of what is under way; outlives the connection */
    ln_conn_id id;
    uint32_t cost_bytes;
    uint16_t close_code;
    bool is_close;
    enum ln_kind kind;
    size_t size;
    uint8_t bytes[];
} order;

ln_worker *ln_server_worker_of(ln_server *s, ln_conn_id id)
{
    const uint64_t index = id >> LN_CONN_WORKER_SHIFT;
    return index < s->worker_count && atomic_load(&s->state) == LN_SERVER_RUNNING
               ? &s->workers[index]
               : NULL;
}

static void carry_out(ln_conn *c, const order *o)
{
    const ln_span data = {o->bytes, o->size};

    if (o->is_close) {
        /* checked when it was given; closing already is as good */
        (void)ln_conn_close(c, o->close_code, data);
        return;
    }
    const int rc = ln_conn_send(c, o->kind, data);
    if (rc == LN_ERR_WOULD_EXCEED || rc == LN_ERR_BUSY || rc == LN_ERR_NOMEM)
        /* the caller is gone; the figures are not */
        ln_count(&o->worker->home.counters.dropped, 1);
}

static void on_order(ln_letter *letter, ln_loop *loop)
{
    order *const o = LN_CONTAINER_OF(letter, order, letter);

    atomic_fetch_sub_explicit(&o->slot->pending_bytes, o->cost_bytes, memory_order_relaxed);
    ln_conn *const c =
        loop == NULL ? NULL : ln_slots_find(&o->worker->slots, o->id & LN_CONN_NAME_MASK);
    if (c != NULL)
        carry_out(c, o);
    ln_free(o->worker->home.alloc, o);
}

/* Posts an order, within what may be under way to one connection. */
static int post(ln_worker *w, const order *what, ln_span data)
{
    ln_slot *const slot = ln_slots_peek(&w->slots, what->id & LN_CONN_NAME_MASK);
    if (slot == NULL)
        return LN_ERR_CLOSED;
    if (data.size > LN_DEFAULT_MAIL_PENDING_BYTES)
        return LN_ERR_WOULD_EXCEED;
    const uint32_t cost = (uint32_t)(sizeof(order) + data.size);
    const uint32_t before =
        atomic_fetch_add_explicit(&slot->pending_bytes, cost, memory_order_relaxed);
    order *const o =
        before + cost > LN_DEFAULT_MAIL_PENDING_BYTES + sizeof(order) && !what->is_close
            ? NULL
            : ln_alloc(w->home.alloc, sizeof *o + data.size);
    if (o == NULL) {
        atomic_fetch_sub_explicit(&slot->pending_bytes, cost, memory_order_relaxed);
        return before + cost > LN_DEFAULT_MAIL_PENDING_BYTES ? LN_ERR_WOULD_EXCEED : LN_ERR_NOMEM;
    }
    *o = *what;
    o->letter.handle = on_order;
    o->worker = w;
    o->slot = slot;
    o->cost_bytes = cost;
    o->size = data.size;
    if (data.size > 0)
        memcpy(o->bytes, data.data, data.size);
    ln_loop_send_letter(w->home.loop, &o->letter);
    return 0;
}

static ln_conn *find_here(ln_worker *w, ln_conn_id id)
{
    return ln_slots_find(&w->slots, id & LN_CONN_NAME_MASK);
}

int ln_send(ln_server *s, ln_conn_id id, enum ln_kind kind, ln_span data)
{
    ln_worker *const w = ln_server_worker_of(s, id);

    if (w == NULL)
        return LN_ERR_CLOSED;
    if (ln_loop_current() == w->home.loop) {
        ln_conn *const c = find_here(w, id);
        return c == NULL ? LN_ERR_CLOSED : ln_conn_send(c, kind, data);
    }
    if (kind != LN_TEXT && kind != LN_BINARY)
        return LN_ERR_INVALID;
    const order what = {.id = id, .kind = kind};
    return post(w, &what, data);
}

int ln_close(ln_server *s, ln_conn_id id, uint16_t code, ln_span reason)
{
    ln_worker *const w = ln_server_worker_of(s, id);

    if (w == NULL)
        return LN_ERR_CLOSED;
    if (ln_loop_current() == w->home.loop) {
        ln_conn *const c = find_here(w, id);
        return c == NULL ? LN_ERR_CLOSED : ln_conn_close(c, code, reason);
    }
    if ((code == 0 ? reason.size > 0 : !ln_ws_is_code(code)) ||
        reason.size > LN_WS_REASON_MAX_BYTES)
        return LN_ERR_INVALID;
    const order what = {.id = id, .is_close = true, .close_code = code};
    return post(w, &what, reason);
}
