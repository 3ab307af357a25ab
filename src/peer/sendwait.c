/* SPDX-License-Identifier: MIT */
#include "sendwait.h"

#include "connqueue.h"
#include "serverinner.h"

enum { WAITING, TAKEN, LEFT };

enum { LOOK_MS = 100 }; /* how often a thread that waits looks whether there is a server yet */

struct ln_sendwait {
    ln_letter order;
    ln_letter farewell;
    ln_worker *worker;
    ln_conn_id id;
    enum ln_kind kind;
    ln_span data; /* the thread's, until it has left or was told */
    _Atomic int state;
    int rc;
    ln_latch told;
    ln_conn *parked_at; /* NULL = nowhere */
    ln_sendwait *next;
};

/* ---- on the connection's loop ---- */

static void park(ln_conn *c, ln_sendwait *w)
{
    ln_sendwait **at = &c->more->parked;

    while (*at != NULL)
        at = &(*at)->next;
    *at = w;
    w->next = NULL;
    w->parked_at = c;
}

static void unpark(ln_sendwait *w)
{
    ln_sendwait **at = &w->parked_at->more->parked;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->parked_at = NULL;
}

/* Does the thread still wait? Then its message is ours until it is told. */
static bool take(ln_sendwait *w)
{
    int state = WAITING;

    if (w->parked_at != NULL)
        unpark(w);
    return atomic_compare_exchange_strong(&w->state, &state, TAKEN);
}

static void tell(ln_sendwait *w, int rc)
{
    w->rc = rc;
    ln_latch_open(&w->told); /* from here on it may be gone */
}

void ln_sendwait_dismiss(ln_conn *c)
{
    while (c->more != NULL && c->more->parked != NULL) {
        ln_sendwait *const w = c->more->parked;
        if (take(w))
            tell(w, LN_ERR_CLOSED);
    }
}

void ln_sendwait_wake(ln_conn *c)
{
    if (!ln_ws_is_open(&c->ws)) {
        ln_sendwait_dismiss(c);
        return;
    }
    while (c->more->parked != NULL && ln_connqueue_has_room(c, c->more->parked->data.size)) {
        ln_sendwait *const w = c->more->parked;
        if (take(w))
            tell(w, ln_conn_send(c, w->kind, w->data));
    }
}

static void on_order(ln_letter *letter, ln_loop *loop)
{
    ln_sendwait *const w = LN_CONTAINER_OF(letter, ln_sendwait, order);
    ln_conn *const c =
        loop == NULL ? NULL : ln_slots_find(&w->worker->slots, w->id & LN_CONN_NAME_MASK);
    const bool is_open = c != NULL && c->phase == LN_CONN_OPEN; /* not still speaking HTTP */

    if (!is_open || ln_conn_need_more(c) == NULL) {
        if (take(w))
            tell(w, is_open ? LN_ERR_NOMEM : LN_ERR_CLOSED);
        return;
    }
    park(c, w); /* behind those that came before */
    ln_sendwait_wake(c);
}

static void free_wait(ln_sendwait *w)
{
    ln_latch_fini(&w->told);
    ln_free(w->worker->home.alloc, w);
}

static void on_farewell(ln_letter *letter, ln_loop *loop)
{
    ln_sendwait *const w = LN_CONTAINER_OF(letter, ln_sendwait, farewell);
    (void)loop;

    if (w->parked_at != NULL)
        unpark(w);
    free_wait(w);
}

/* ---- on the thread that waits ---- */

/* The deadline has passed: unless the loop was faster. */
static bool leave(ln_sendwait *w)
{
    int state = WAITING;

    if (!atomic_compare_exchange_strong(&w->state, &state, LEFT))
        return false;
    ln_loop_send_letter(w->worker->home.loop, &w->farewell);
    return true;
}

static bool is_running(const ln_server *s)
{
    return atomic_load(&s->state) == LN_SERVER_RUNNING;
}

/* Has the loop told? One that ended before it could read the order never will. */
static bool await(ln_sendwait *w, const ln_server *s, uint32_t timeout_ms)
{
    bool is_told = false;

    while (!is_told && timeout_ms > 0 && is_running(s)) {
        const uint32_t step_ms = timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS;
        is_told = ln_latch_wait_ms(&w->told, step_ms);
        timeout_ms -= step_ms;
    }
    return is_told;
}

int ln_send_wait(ln_server *s, ln_conn_id id, enum ln_kind kind, ln_span data, uint32_t timeout_ms)
{
    ln_worker *const worker = ln_server_worker_of(s, id);

    if (ln_loop_current() != NULL)
        return LN_ERR_STATE;
    if ((kind != LN_TEXT && kind != LN_BINARY) || timeout_ms == 0)
        return LN_ERR_INVALID;
    if (worker == NULL || ln_slots_peek(&worker->slots, id & LN_CONN_NAME_MASK) == NULL)
        return LN_ERR_CLOSED;
    ln_sendwait *const w = ln_alloc_zero(worker->home.alloc, sizeof *w);
    if (w == NULL)
        return LN_ERR_NOMEM;
    w->order.handle = on_order;
    w->farewell.handle = on_farewell;
    w->worker = worker;
    w->id = id;
    w->kind = kind;
    w->data = data;
    ln_latch_init(&w->told);
    ln_loop_send_letter(worker->home.loop, &w->order);
    if (!await(w, s, timeout_ms)) {
        if (leave(w))
            return is_running(s) ? LN_ERR_TIMEOUT : LN_ERR_CLOSED;
        ln_latch_wait(&w->told); /* it is being told */
    }
    const int rc = w->rc;
    free_wait(w);
    return rc;
}
