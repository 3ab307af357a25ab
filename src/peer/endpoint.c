/* SPDX-License-Identifier: MIT */
/*
 * endpoint.c - linnet/endpoint.h: the machines of `proto` put together for one connection, without
 * a stream.
 *
 * States
 *   SHAKING   the peer's head is awaited
 *   ASKING    server: REQUEST was given out, the answer is awaited
 *   OPEN      the WebSocket machine has it
 *   FAILED    the last event is FAILED
 */
#include <linnet/endpoint.h>

#include "base/limits.h"
#include "base/text.h"
#include "net/random.h"
#include "opening.h"
#include "site.h"

enum { SHAKING, ASKING, OPEN, FAILED };

enum { ANSWER_MAX_BYTES = 4096 };

struct ln_endpoint {
    ln_site site; /* its home is ours */
    ln_home home;
    ln_plan plan;
    ln_opening opening; /* client */
    ln_pool pool;
    ln_ws ws; /* its output is the endpoint's, also before the upgrade */
    ln_head_parser parser;
    ln_head head;
    ln_span subprotocol;
    uint64_t due_ms; /* of the handshake */
    uint8_t state;
    bool is_secure;
    bool has_event; /* REQUEST, OPEN or FAILED waits to be taken */
    bool is_told;   /* FAILED has been */
    int error;
    unsigned status;
    const char *text;
    void (*random)(void *user, void *bytes, size_t n);
    void *random_user;
};

/* ---- life ---- */

static void system_random(void *user, void *bytes, size_t n)
{
    (void)user;
    ln_random_fill(bytes, n);
}

static uint32_t mask_key(void *user)
{
    const ln_endpoint *const e = user;
    uint32_t key;

    e->random(e->random_user, &key, sizeof key);
    return key;
}

static void configure(ln_endpoint *e, ln_ws_role role, const ln_endpoint_options *o)
{
    const ln_allocator *const alloc = o->allocator == NULL ? &ln_alloc_libc : o->allocator;

    e->home.alloc = alloc;
    ln_buf_init(&e->home.scratch, alloc);
    ln_pool_init(&e->pool, alloc);
    ln_site_init(&e->site, &e->home, &e->plan, role);
    e->site.config.pool = &e->pool;
    e->site.config.is_streaming = o->streams;
    e->site.config.mask_key = mask_key;
    e->site.config.mask_user = e;
}

static ln_endpoint *make(ln_ws_role role, const ln_endpoint_options *o, uint64_t now_ms, int *rc)
{
    const ln_head_limits limits = {LN_DEFAULT_REQUEST_HEADER_MAX_BYTES, LN_HEAD_FIELDS_MAX};
    ln_endpoint *const e = ln_alloc_zero(o->allocator, sizeof *e);

    if (e == NULL) {
        *rc = LN_ERR_NOMEM;
        return NULL;
    }
    e->random = o->random == NULL ? system_random : o->random;
    e->random_user = o->random_user;
    e->is_secure = o->is_secure;
    *rc = ln_plan_init(&e->plan, NULL, &o->ws, o->allocator);
    configure(e, role, o);
    ln_head_init(&e->parser, role == LN_WS_SERVER ? LN_HEAD_REQUEST : LN_HEAD_RESPONSE, &limits,
                 o->allocator);
    e->due_ms = now_ms + e->plan.options.handshake_ms;
    return e;
}

void ln_endpoint_free(ln_endpoint *e)
{
    if (e == NULL)
        return;
    const ln_allocator *const alloc = e->home.alloc;
    if (e->ws.config == NULL)
        ln_chain_fini(&e->ws.out, &e->pool);
    ln_ws_fini(&e->ws);
    ln_head_fini(&e->parser);
    ln_opening_fini(&e->opening, alloc);
    ln_plan_fini(&e->plan, alloc);
    ln_home_fini(&e->home);
    ln_pool_fini(&e->pool);
    ln_free(alloc, e);
}

/* Moves a written head into the output. */
static int put(ln_endpoint *e, ln_buf *head, int rc)
{
    if (rc == 0)
        rc = ln_chain_append(&e->ws.out, &e->pool, head->data, head->size);
    ln_buf_fini(head);
    return rc;
}

int ln_endpoint_new_server(const ln_endpoint_options *options, uint64_t now_ms,
                           ln_endpoint **endpoint)
{
    static const ln_endpoint_options no_options;
    int rc;

    ln_endpoint *const e = make(LN_WS_SERVER, options == NULL ? &no_options : options, now_ms, &rc);
    if (rc < 0) {
        ln_endpoint_free(e);
        return rc;
    }
    *endpoint = e;
    return 0;
}

static int write_request(ln_endpoint *e)
{
    uint8_t random[16];
    ln_buf head;

    e->random(e->random_user, random, sizeof random);
    ln_buf_init(&head, e->home.alloc);
    return put(e, &head, ln_opening_write(&e->opening, &e->site, random, &head));
}

int ln_endpoint_new_client(const char *url, const ln_endpoint_options *options, uint64_t now_ms,
                           ln_endpoint **endpoint)
{
    static const ln_endpoint_options no_options;
    const ln_endpoint_options *const o = options == NULL ? &no_options : options;
    int rc;

    ln_endpoint *const e = make(LN_WS_CLIENT, o, now_ms, &rc);
    if (rc == 0)
        rc = ln_opening_init(&e->opening, url, o->headers, o->header_count, o->origin,
                             e->home.alloc);
    if (rc == 0)
        rc = write_request(e);
    if (rc < 0) {
        ln_endpoint_free(e);
        return rc;
    }
    *endpoint = e;
    return 0;
}

/* ---- the handshake ---- */

static void fail(ln_endpoint *e, int error, unsigned status, const char *text)
{
    e->state = FAILED;
    e->has_event = true;
    e->error = error;
    e->status = status;
    e->text = text;
}

/* A complete answer that is not 101. */
static int write_refusal(ln_endpoint *e, unsigned status)
{
    static const ln_span names[] = {{"Upgrade", 7}, {"Sec-WebSocket-Version", 21}};
    static const ln_span values[] = {{"websocket", 9}, {"13", 2}};
    ln_buf head;

    ln_buf_init(&head, e->home.alloc);
    int rc = ln_head_write_status(&head, status, ANSWER_MAX_BYTES);
    if (rc == 0)
        rc = ln_head_write_field(&head, LN_SPAN("Content-Length"), LN_SPAN("0"), ANSWER_MAX_BYTES);
    for (size_t i = 0; i < LN_ARRAY_SIZE(names) && rc == 0 && status == 426; i++)
        rc = ln_head_write_field(&head, names[i], values[i], ANSWER_MAX_BYTES);
    if (rc == 0)
        rc = ln_head_write_field(&head, LN_SPAN("Connection"), LN_SPAN("close"), ANSWER_MAX_BYTES);
    if (rc == 0)
        rc = ln_head_write_end(&head, ANSWER_MAX_BYTES);
    return put(e, &head, rc);
}

static void refuse(ln_endpoint *e, unsigned status, const char *text)
{
    const int rc = write_refusal(e, status);
    fail(e, rc < 0 ? rc : LN_ERR_HANDSHAKE, status, text);
}

static void judge_request(ln_endpoint *e)
{
    ln_upgrade_verdict verdict;

    ln_upgrade_check_request(&e->head, &verdict);
    if (verdict.status != 101) {
        refuse(e, verdict.status, verdict.reason);
    } else if (!ln_upgrade_is_origin_allowed(&e->head, ln_text(e->plan.origins), e->is_secure)) {
        refuse(e, 403, "origin is not allowed");
    } else {
        e->state = ASKING;
        e->has_event = true;
    }
}

static void become_open(ln_endpoint *e, ln_deflate *deflate, uint64_t now_ms)
{
    const ln_chain handshake = e->ws.out;

    ln_ws_init(&e->ws, &e->site.config, deflate, now_ms);
    e->ws.out = handshake;
    e->state = OPEN;
    e->has_event = true;
}

static void judge_response(ln_endpoint *e, uint64_t now_ms)
{
    ln_upgrade_result result;
    ln_deflate *deflate = NULL;

    const int rc = ln_opening_judge(&e->opening, &e->site, &e->head, &result, &deflate);
    if (rc < 0) {
        fail(e, rc, result.status, result.reason);
        return;
    }
    e->subprotocol = result.subprotocol;
    become_open(e, deflate, now_ms);
}

static size_t feed_head(ln_endpoint *e, const uint8_t *bytes, size_t n, uint64_t now_ms)
{
    const bool is_server = e->site.config.role == LN_WS_SERVER;
    const char *text;

    const size_t used = ln_head_feed(&e->parser, bytes, n);
    if (ln_head_next(&e->parser, &e->head)) {
        if (is_server)
            judge_request(e);
        else
            judge_response(e, now_ms);
        return used;
    }
    const unsigned status = ln_head_fault(&e->parser, &text);
    if (status == 0)
        return used;
    if (is_server)
        refuse(e, status, text);
    else
        fail(e, LN_ERR_HANDSHAKE, 0, text);
    return n;
}

int ln_endpoint_accept(ln_endpoint *e, uint64_t now_ms)
{
    ln_accepted a;
    ln_buf head;

    if (e->state != ASKING)
        return LN_ERR_STATE;
    const char *const malformed = ln_site_negotiate(&e->site, &e->head, &a);
    if (malformed != NULL) {
        refuse(e, 400, malformed);
        return 0;
    }
    ln_buf_init(&head, e->home.alloc);
    const int rc = put(e, &head,
                       ln_upgrade_write_response(
                           &head, ln_head_find(&e->head, "Sec-WebSocket-Key", NULL), a.subprotocol,
                           (ln_span){a.extensions, a.extensions_size}, NULL, 0, ANSWER_MAX_BYTES));
    if (rc < 0) {
        ln_deflate_free(a.deflate);
        fail(e, rc, 0, ln_strerror(rc));
        return rc;
    }
    e->subprotocol = a.subprotocol;
    become_open(e, a.deflate, now_ms);
    return 0;
}

int ln_endpoint_refuse(ln_endpoint *e, unsigned status)
{
    if (e->state != ASKING)
        return LN_ERR_STATE;
    if (status < 400 || status > 599)
        return LN_ERR_INVALID;
    refuse(e, status, "refused");
    return 0;
}

ln_span ln_endpoint_header(const ln_endpoint *e, const char *name)
{
    return ln_head_find(&e->head, name, NULL);
}

ln_span ln_endpoint_subprotocol(const ln_endpoint *e)
{
    return e->subprotocol.data == NULL ? (ln_span){"", 0} : e->subprotocol;
}

/* ---- bytes and events ---- */

size_t ln_endpoint_feed(ln_endpoint *e, void *bytes, size_t n, uint64_t now_ms)
{
    if (e->has_event || e->state == ASKING)
        return 0;
    switch (e->state) {
    case SHAKING:
        return feed_head(e, bytes, n, now_ms);
    case OPEN:
        return ln_ws_feed(&e->ws, bytes, n, now_ms);
    default:
        return n;
    }
}

/* REQUEST, OPEN and FAILED: the handshake's own. */
static void fill_handshake(ln_endpoint *e, ln_event *event)
{
    e->has_event = false;
    switch (e->state) {
    case ASKING:
        *event = (ln_event){.type = LN_EVENT_REQUEST, .data = e->head.target};
        break;
    case OPEN:
        *event = (ln_event){.type = LN_EVENT_OPEN};
        break;
    default:
        *event = (ln_event){.type = LN_EVENT_FAILED,
                            .data = ln_text(e->text),
                            .error = e->error,
                            .status = e->status};
        break;
    }
}

static void fill(const ln_endpoint *e, const ln_ws_event *from, ln_event *to)
{
    static const enum ln_event_type types[] = {[LN_WS_MESSAGE] = LN_EVENT_MESSAGE,
                                               [LN_WS_PIECE] = LN_EVENT_PIECE,
                                               [LN_WS_PING] = LN_EVENT_PING,
                                               [LN_WS_PONG] = LN_EVENT_PONG,
                                               [LN_WS_CLOSED] = LN_EVENT_CLOSED};

    *to = (ln_event){.type = types[from->type],
                     .message = {from->kind, from->data, from->is_first, from->is_last},
                     .data = from->data};
    if (from->type == LN_WS_CLOSED)
        to->close =
            (ln_close_info){.code = from->code,
                            .reason = from->data,
                            .by = from->by == LN_WS_BY_PEER ? LN_CLOSED_BY_PEER : LN_CLOSED_BY_US,
                            .is_clean = from->is_clean,
                            .error = ln_ws_error(&e->ws)};
}

bool ln_endpoint_next(ln_endpoint *e, ln_event *event)
{
    ln_ws_event inner;

    if (e->has_event) {
        fill_handshake(e, event);
        return true;
    }
    if (e->state != OPEN || !ln_ws_next(&e->ws, &inner))
        return false;
    fill(e, &inner, event);
    return true;
}

int ln_endpoint_pull(const ln_endpoint *e, ln_span *spans, int max)
{
    return ln_chain_peek(&e->ws.out, spans, max);
}

void ln_endpoint_sent(ln_endpoint *e, size_t size)
{
    if (e->state == OPEN)
        ln_ws_sent(&e->ws, size);
    else
        ln_chain_drop(&e->ws.out, &e->pool, size);
}

size_t ln_endpoint_queued(const ln_endpoint *e)
{
    return e->ws.out.bytes;
}

/* ---- intentions ---- */

int ln_endpoint_send(ln_endpoint *e, enum ln_kind kind, ln_span data)
{
    return e->state == OPEN ? ln_ws_send(&e->ws, kind, data) : LN_ERR_STATE;
}

int ln_endpoint_send_piece(ln_endpoint *e, enum ln_kind kind, ln_span data, bool is_last)
{
    return e->state == OPEN ? ln_ws_send_piece(&e->ws, kind, data, is_last) : LN_ERR_STATE;
}

int ln_endpoint_ping(ln_endpoint *e, ln_span data)
{
    return e->state == OPEN ? ln_ws_send_ping(&e->ws, data) : LN_ERR_STATE;
}

int ln_endpoint_close(ln_endpoint *e, uint16_t code, ln_span reason, uint64_t now_ms)
{
    return e->state == OPEN ? ln_ws_send_close(&e->ws, code, reason, now_ms) : LN_ERR_STATE;
}

/* ---- time and the end ---- */

uint64_t ln_endpoint_deadline(const ln_endpoint *e)
{
    if (e->state == OPEN)
        return ln_ws_deadline(&e->ws);
    return e->state == FAILED ? UINT64_MAX : e->due_ms;
}

void ln_endpoint_tick(ln_endpoint *e, uint64_t now_ms)
{
    if (e->state == OPEN)
        ln_ws_tick(&e->ws, now_ms);
    else if (e->state != FAILED && now_ms >= e->due_ms)
        fail(e, LN_ERR_TIMEOUT, 0, "the handshake took too long");
}

void ln_endpoint_eof(ln_endpoint *e)
{
    if (e->state == OPEN)
        ln_ws_eof(&e->ws);
    else if (e->state != FAILED)
        fail(e, LN_ERR_HANDSHAKE, 0, "the peer ended the connection");
}
