/* SPDX-License-Identifier: MIT */
/* broker.c - the broker dialect (linnet/broker.h): clients, from coming to going, and their
 * messages. */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "brokerinner.h"

enum { PING_INTERVAL_MS = 30000 };

/* ---- coming ---- */

static int admit(ln_broker *b, ln_conn *c, const ln_request *request)
{
    ln_broker_peer *const p = ln_alloc_zero(b->alloc, sizeof *p);

    if (p == NULL)
        return LN_ERR_NOMEM;
    p->broker = b;
    ln_rpc_peer_init(&p->rpc, &b->rpc, c);
    p->nonce = ln_broker_nonce(b, c->id);
    int rc = ln_broker_enter(p, request);
    if (rc < 0) {
        ln_free(b->alloc, p);
        return rc;
    }
    rc = ln_topics_speak(c, ln_broker_send_flat);
    if (rc == 0)
        rc = ln_places_set(b->places, c, p);
    if (rc < 0) {
        ln_broker_leave(p);
        ln_free(b->alloc, p);
        return rc;
    }
    ln_broker_start_pings(p);
    ln_broker_begin_lists(p);
    return 0;
}

static void on_request(ln_request *request, void *user)
{
    const ln_broker *const b = user;
    if (b->options.on_request != NULL)
        b->options.on_request(request, b->options.user);
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    ln_broker *const b = user;

    if (admit(b, c, request) < 0) {
        (void)ln_conn_close(c, 1013, LN_SPAN("no room"));
        return;
    }
    if (b->options.on_connect != NULL)
        b->options.on_connect(c, request, b->options.user);
}

/* ---- messages ---- */

static void dispatch(ln_broker_peer *p, const ln_envelope *e)
{
    switch (e->type) {
    case LN_ENVELOPE_REQUEST:
        ln_broker_take_request(p, e);
        break;
    case LN_ENVELOPE_RESPONSE:
    case LN_ENVELOPE_ERROR:
        ln_broker_take_reply(p, e);
        break;
    case LN_ENVELOPE_PUBLISH:
        ln_broker_take_publication(p, e);
        break;
    case LN_ENVELOPE_SUBSCRIBE:
    case LN_ENVELOPE_UNSUBSCRIBE:
        ln_broker_take_subscription(p, e);
        break;
    case LN_ENVELOPE_ACK:
    case LN_ENVELOPE_UNKNOWN:
        ln_broker_count(&p->broker->counts.ignored);
        break;
    }
}

/* It is of this generation from now on. */
static void settle(ln_broker_peer *p, ln_envelope_style style)
{
    p->style = style;
    if (style == LN_ENVELOPE_HEADED)
        (void)ln_topics_speak(p->rpc.conn,
                              ln_broker_send_headed); /* needs no memory: it speaks already */
}

/* The older generation passes over what it cannot read; the current one ends there. */
static void take_malformed(ln_broker_peer *p, ln_span text)
{
    ln_broker_count(&p->broker->counts.malformed);
    if (p->style == 0 && ln_envelope_is_headed(text))
        settle(p, LN_ENVELOPE_HEADED);
    if (p->style != LN_ENVELOPE_HEADED)
        (void)ln_conn_close(p->rpc.conn, 1007, LN_SPAN("failed to unmarshal JSON"));
}

/* Who does not take its answers is not read either: see on_drain(). One that the application does not
 * want to be read stays its own to resume. */
static void hold(ln_broker_peer *p)
{
    ln_conn *const c = p->rpc.conn;

    if ((c->flags & LN_CONN_PAUSED) || !(c->flags & LN_CONN_ABOVE_HIGH))
        return;
    p->is_held = true;
    ln_conn_pause(c);
}

static void on_message(ln_conn *c, const ln_message *message, void *user)
{
    ln_broker *const b = user;
    ln_broker_peer *const p = ln_places_get(b->places, c);
    ln_envelope e;

    if (p == NULL)
        return;
    if (p->style == LN_ENVELOPE_HEADED && message->kind != LN_TEXT) {
        ln_broker_count(&b->counts.ignored);
        return;
    }
    if (ln_envelope_read(message->data, &e) < 0) {
        take_malformed(p, message->data);
        return;
    }
    if (p->style == 0 && (e.style == LN_ENVELOPE_HEADED || e.type != LN_ENVELOPE_UNKNOWN))
        settle(p, e.style);
    if (e.style != p->style) {
        ln_broker_count(&b->counts.ignored);
        return;
    }
    dispatch(p, &e);
    if (e.type == LN_ENVELOPE_REQUEST)
        hold(p);
}

static void on_drain(ln_conn *c, void *user)
{
    ln_broker_peer *const p = ln_broker_peer_of(c);
    (void)user;

    if (p == NULL)
        return;
    p->drops = 0;
    if (p->is_held) {
        p->is_held = false;
        ln_conn_resume(c);
    }
}

static void on_pong(ln_conn *c, ln_span data, void *user)
{
    ln_broker_peer *const p = ln_broker_peer_of(c);
    (void)user;
    if (p != NULL)
        ln_broker_take_pong(p, data);
}

int ln_broker_say(ln_broker_peer *p, const ln_envelope *e)
{
    ln_buf *const text = ln_rpc_take_scratch(&p->rpc);

    int rc = ln_envelope_write(text, e);
    if (rc == 0)
        rc = ln_conn_send(p->rpc.conn, LN_TEXT, (ln_span){text->data, text->size});
    ln_rpc_give_scratch(text);
    return rc;
}

/* ---- going ---- */

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    ln_broker *const b = user;
    ln_broker_peer *const p = ln_broker_peer_of(c);

    if (p == NULL)
        return;
    ln_broker_stop_pings(p);
    ln_rpc_peer_fini(&p->rpc);
    if (b->options.on_disconnect != NULL) {
        const ln_broker_info client = ln_broker_show(&p->entry);
        b->options.on_disconnect(c, &client, info, b->options.user);
    }
    ln_places_clear(b->places, c);
    ln_broker_leave(p);
    ln_free(b->alloc, p);
}

ln_broker_peer *ln_broker_peer_of(const ln_conn *c)
{
    if (c->ws.config == NULL || ln_conn_site(c)->plan->handlers.on_message != on_message)
        return NULL; /* none of this dialect's */
    const ln_broker *const b = ln_conn_site(c)->plan->handlers.user;
    return ln_places_get(b->places, c);
}

static ln_rpc_peer *peer_of(ln_conn *c)
{
    ln_broker_peer *const p = ln_broker_peer_of(c);
    return p == NULL ? NULL : &p->rpc;
}

/* An answer that does not fit: its request would never end, so the connection does. */
static void lose(ln_conn *c)
{
    ln_broker *const b = ln_conn_site(c)->plan->handlers.user;

    if (ln_conn_close(c, 1008, LN_SPAN("too many dropped messages")) == 0)
        ln_broker_count(&b->counts.slow_closes);
}

/* ---- life ---- */

static void free_broker(void *state)
{
    ln_broker *const b = state;

    ln_broker_free_guests(b);
    ln_broker_directory_fini(&b->directory);
    ln_places_free(b->places, b->server);
    ln_rpc_fini(&b->rpc);
    ln_lock_fini(&b->guests_lock);
    ln_free(b->alloc, b);
}

static int read_options(ln_broker *b, const ln_broker_options *o, ln_ws_options *ws)
{
    if (o->ws != NULL)
        *ws = *o->ws;
    b->options = *o;
    b->options.ws = NULL;
    int rc =
        ln_limit_get(ln_limit_find(LN_SPAN("BROKER_REQUEST_MS")), o->request_ms, &b->request_ms);
    if (rc == 0)
        rc = ln_limit_get(ln_limit_find(LN_SPAN("BROKER_DROPS_MAX")), o->drops_max, &b->drops_max);
    if (rc == 0)
        rc = ln_limit_get(ln_limit_find(LN_SPAN("PING_INTERVAL_MS")),
                          ws->ping_interval_ms == 0 ? PING_INTERVAL_MS : ws->ping_interval_ms,
                          &b->ping_ms);
    if (rc == 0)
        rc = ln_limit_get(ln_limit_find(LN_SPAN("PONG_WAIT_MS")),
                          ws->pong_wait_ms == 0 && b->ping_ms > 0 ? (b->ping_ms + 1) / 2
                                                                  : ws->pong_wait_ms,
                          &b->pong_ms);
    ws->ping_interval_ms = LN_OFF; /* the dialect's pings are its own */
    ws->pong_wait_ms = 0;
    ws->trust_text = true; /* what it sends is made of JSON and words that were checked */
    return rc;
}

static int fill(ln_broker *b, const ln_broker_options *o, ln_ws_options *ws)
{
    int rc = ln_rpc_init(&b->rpc, b->server, &b->carrier);
    if (rc == 0)
        rc = read_options(b, o, ws);
    if (rc < 0)
        return rc;
    b->places = ln_places_new(b->server);
    return b->places == NULL ? LN_ERR_NOMEM : ln_broker_serve_system(b);
}

static int make(ln_server *server, const ln_broker_options *o, ln_ws_options *ws, ln_broker **made)
{
    ln_broker *const b = ln_alloc_zero(server->alloc, sizeof *b);

    if (b == NULL)
        return LN_ERR_NOMEM;
    b->server = server;
    b->alloc = server->alloc;
    b->carrier = (ln_rpc_carrier){
        .speech = &ln_broker_speech,
        .kind = LN_TEXT,
        .prefix = {"", 0},
        .error_prefix = {"", 0},
        .text_max_bytes = INT32_MAX,
        .pending_max = LN_BROKER_CALLS_MAX,
        .requests_max = LN_BROKER_REQUESTS_MAX,
        .peer_of = peer_of,
        .lose = lose,
    };
    ln_lock_init(&b->guests_lock);
    ln_list_init(&b->guests);
    ln_list_init(&b->former_guests);
    ln_broker_directory_init(&b->directory, b->alloc);
    const int rc = fill(b, o, ws);
    if (rc < 0) {
        free_broker(b);
        return rc;
    }
    *made = b;
    return 0;
}

int ln_broker_mount(ln_server *server, const char *path, const ln_broker_options *options,
                    ln_broker **broker)
{
    static const ln_broker_options no_options;
    const ln_broker_options *const o = options == NULL ? &no_options : options;
    ln_ws_options ws = {.overflow = LN_OVERFLOW_REFUSE};
    ln_broker *made;

    int rc = make(server, o, &ws, &made);
    if (rc < 0)
        return rc;
    const ln_ws_handlers handlers = {.on_request = on_request,
                                     .on_open = on_open,
                                     .on_message = on_message,
                                     .on_pong = on_pong,
                                     .on_drain = on_drain,
                                     .on_close = on_close,
                                     .user = made};
    rc = ln_server_ws_own(server, path, &handlers, &ws, made, free_broker);
    if (rc < 0) {
        free_broker(made);
        return rc;
    }
    *broker = made;
    return 0;
}
