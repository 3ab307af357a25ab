/* SPDX-License-Identifier: MIT */
/*
 * brokersystem.c - what every client may ask for: who am I (system:register, and the older
 * generation's _client.register), who else is there (system:list_clients), and, where it is allowed,
 * something of another client (system:proxy).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "brokerinner.h"
#include "proto/jsonwrite.h"

#define REGISTER "system:register"
#define LIST     "system:list_clients"
#define PROXY    "system:proxy"

static ln_broker_peer *peer_of_call(const ln_rpc_call *call)
{
    return ln_broker_peer_of(call->conn);
}

/* ---- strings of a payload ---- */

/* The strings of one payload without their escapes, one after the other. */
typedef struct strings {
    ln_json_field *fields;
    size_t count;
    uint8_t *room;
} strings;

/*
 * Reads the members of an object that have to be strings (or null); no payload, and null, have none.
 * LN_ERR_INVALID: of another shape; LN_ERR_NOMEM. Afterwards s->room is the caller's to free.
 */
static int read_strings(ln_span payload, const ln_allocator *alloc, strings *s)
{
    ln_json_value bracket;
    ln_json j;

    s->room = NULL;
    if (payload.size == 0 || ln_text_equal(payload, LN_SPAN("null")))
        return 0;
    ln_json_init(&j, payload);
    if (ln_json_next(&j, &bracket) != LN_JSON_OBJECT ||
        !ln_json_read_fields(&j, s->fields, s->count))
        return LN_ERR_INVALID;
    size_t bytes = 1;
    for (size_t i = 0; i < s->count; i++) {
        const ln_json_type type = s->fields[i].value.type;
        if (type != LN_JSON_STRING && type != LN_JSON_NULL && type != LN_JSON_NONE)
            return LN_ERR_INVALID;
        bytes += s->fields[i].value.text.size;
    }
    s->room = ln_alloc(alloc, bytes);
    if (s->room == NULL)
        return LN_ERR_NOMEM;
    uint8_t *at = s->room;
    for (size_t i = 0; i < s->count; i++) {
        ln_json_value *const v = &s->fields[i].value;
        const bool is_string = v->type == LN_JSON_STRING;
        v->text = (ln_span){at, is_string ? ln_json_decode(v->text, at) : 0};
        at += v->text.size;
    }
    return 0;
}

static ln_span first_of(const ln_json_field *a, const ln_json_field *b)
{
    return a->value.text.size > 0 ? a->value.text : b->value.text;
}

/* ---- who am I ---- */

int ln_broker_introduce(ln_broker_peer *p, const ln_broker_card *card)
{
    ln_broker_card complete = *card;

    /* a page that does not say where it is */
    if (card->url.size == 0 && p->entry.url.size == 0 &&
        ln_text_equal(card->type, LN_SPAN("browser")))
        complete.url = LN_SPAN("unknown-browser");
    return ln_broker_register(p, &complete);
}

static void tell_registered(ln_broker_peer *p)
{
    const ln_broker_options *const o = &p->broker->options;

    if (o->on_registered == NULL)
        return;
    const ln_broker_info client = ln_broker_show(&p->entry);
    o->on_registered(p->rpc.conn, &client, o->user);
}

static int write_registered(const ln_broker_peer *p, ln_buf *out)
{
    char text[40] = "";
    const time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    int rc = ln_json_write_raw(out, "{\"serverAssignedId\":");
    if (rc == 0)
        rc = ln_json_write_string(out, p->entry.id);
    if (rc == 0)
        rc = ln_json_write_raw(out, ",\"clientName\":");
    if (rc == 0)
        rc = ln_json_write_string(out, p->entry.name);
    if (rc == 0)
        rc = ln_json_write_raw(out, ",\"serverTime\":");
    if (rc == 0)
        rc = ln_json_write_string(out, ln_text(text));
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

static int answer_registered(ln_broker_peer *p, const ln_rpc_call *call)
{
    ln_buf out;

    ln_buf_init(&out, p->broker->alloc);
    int rc = write_registered(p, &out);
    if (rc == 0)
        rc = ln_rpc_result(&call->ticket, (ln_span){out.data, out.size});
    ln_buf_fini(&out);
    return rc;
}

static int on_register(const ln_rpc_call *call, void *user)
{
    enum { ID, OLD_ID, NAME, TYPE, URL, OLD_URL, FIELDS };
    ln_broker *const b = user;
    ln_broker_peer *const p = peer_of_call(call);
    ln_json_field fields[FIELDS] = {{.name = "clientId"},   {.name = "clientID"},
                                    {.name = "clientName"}, {.name = "clientType"},
                                    {.name = "clientUrl"},  {.name = "clientURL"}};
    strings s = {fields, FIELDS, NULL};

    int rc = read_strings(call->params, b->alloc, &s);
    if (rc == 0) {
        const ln_broker_card card = {.session_id = first_of(&fields[ID], &fields[OLD_ID]),
                                     .name = fields[NAME].value.text,
                                     .type = fields[TYPE].value.text,
                                     .url = first_of(&fields[URL], &fields[OLD_URL])};
        rc = ln_broker_introduce(p, &card);
    }
    ln_free(b->alloc, s.room);
    if (rc == 0)
        rc = answer_registered(p, call);
    if (rc == 0)
        tell_registered(p);
    return rc;
}

/* ---- the older generation ---- */

static int write_acknowledgement(const ln_broker_peer *p, ln_buf *out)
{
    int rc = ln_json_write_raw(out, "{\"brokerClientID\":");
    if (rc == 0)
        rc = ln_json_write_string(out, p->entry.id);
    if (rc == 0)
        rc = ln_json_write_raw(out, ",\"pageSessionID\":");
    if (rc == 0)
        rc = ln_json_write_string(out, p->entry.session_id);
    return rc == 0 ? ln_json_write_raw(out, ",\"status\":\"registered\"}") : rc;
}

static int acknowledge(ln_broker_peer *p)
{
    char stamp[LN_BROKER_MESSAGE_ID_ROOM];
    ln_envelope e = {.style = LN_ENVELOPE_HEADED,
                     .type = LN_ENVELOPE_PUBLISH,
                     .topic = LN_SPAN("\"_internal.client.registered\"")};
    ln_buf out;

    e.message_id = ln_broker_stamp(ln_conn_home(p->rpc.conn)->loop, stamp, &e.timestamp_ms);
    ln_buf_init(&out, p->broker->alloc);
    int rc = write_acknowledgement(p, &out);
    e.payload = (ln_span){out.data, out.size};
    if (rc == 0)
        rc = ln_broker_say(p, &e);
    ln_buf_fini(&out);
    return rc;
}

void ln_broker_take_introduction(ln_broker_peer *p, const ln_envelope *e)
{
    const ln_allocator *const alloc = p->broker->alloc;
    ln_json_field field = {.name = "pageSessionID"};
    strings s = {&field, 1, NULL};

    int rc = read_strings(e->payload, alloc, &s);
    if (rc == 0 && field.value.text.size == 0)
        rc = LN_ERR_INVALID;
    if (rc == 0) {
        const ln_broker_card card = {.session_id = field.value.text};
        rc = ln_broker_introduce(p, &card);
    }
    ln_free(alloc, s.room);
    if (rc == 0)
        rc = acknowledge(p);
    if (rc >= 0)
        tell_registered(p);
    else if (rc == LN_ERR_INVALID)
        ln_broker_complain(p, e, LN_BROKER_BAD_REQUEST, LN_SPAN("pageSessionID is missing"));
    else if (rc != LN_ERR_CLOSED)
        (void)ln_conn_close(p->rpc.conn, 1013, LN_SPAN("no room"));
}

/* ---- who else is there ---- */

static const ln_bucket_rate list_rate = {.per_second = LN_BROKER_LIST_STEPS_PER_SECOND,
                                         .burst = LN_BROKER_LIST_STEPS_BURST};

void ln_broker_begin_lists(ln_broker_peer *p)
{
    ln_bucket_init(&p->steps, &list_rate, ln_conn_home(p->rpc.conn)->loop->now_ms);
}

/* LN_ERR_WOULD_EXCEED: the client has had more of them than others should have to wait for. */
static int list(ln_broker_peer *p, ln_span type, ln_buf *out)
{
    const uint32_t steps = ln_broker_list_steps(p->broker, type);

    if (!ln_bucket_take(&p->steps, &list_rate, steps, ln_conn_home(p->rpc.conn)->loop->now_ms))
        return LN_ERR_WOULD_EXCEED;
    return ln_broker_list(p->broker, type, out);
}

static int on_list(const ln_rpc_call *call, void *user)
{
    ln_broker *const b = user;
    ln_json_field type = {.name = "clientType"};
    strings s = {&type, 1, NULL};
    ln_buf out;

    if (!ln_broker_may(peer_of_call(call), LN_BROKER_LIST, (ln_span){"", 0}, (ln_span){"", 0}))
        return ln_rpc_error(&call->ticket, LN_BROKER_FORBIDDEN, LN_SPAN("list not permitted"),
                            (ln_span){"", 0});
    ln_buf_init(&out, b->alloc);
    int rc = read_strings(call->params, b->alloc, &s);
    if (rc == 0)
        rc = list(peer_of_call(call), type.value.text, &out);
    if (rc == LN_ERR_WOULD_EXCEED)
        rc = ln_rpc_error(&call->ticket, LN_BROKER_BUSY, LN_SPAN("Too many requests"),
                          (ln_span){"", 0});
    else if (rc == 0)
        rc = ln_rpc_result(&call->ticket, (ln_span){out.data, out.size});
    ln_buf_fini(&out);
    ln_free(b->alloc, s.room);
    return rc;
}

/* ---- something of another client ---- */

/* A request that was passed on. */
typedef struct proxied {
    ln_broker *broker;
    ln_rpc_ticket ticket; /* of who asked */
    uint32_t timeout_ms;
    size_t target_size;
    char target[];
} proxied;

/* As 10s, 150ms, 1.5s or 1m30s. */
static void write_duration(uint32_t ms, char text[32])
{
    const unsigned minutes = ms / 60000, rest_ms = ms % 60000;

    if (ms < 1000)
        snprintf(text, 32, "%ums", (unsigned)ms);
    else if (minutes > 0)
        snprintf(text, 32, "%um%gs", minutes, (double)rest_ms / 1000);
    else
        snprintf(text, 32, "%gs", (double)ms / 1000);
}

/* The words behind the target's id. */
static int write_reason(const proxied *x, const ln_rpc_reply *reply, const char *id, ln_buf *out)
{
    char text[160], duration[32];

    switch (reply->error) {
    case LN_ERR_TIMEOUT:
        write_duration(x->timeout_ms, duration);
        snprintf(text, sizeof text, " (ID: %s) timed out after %s", id, duration);
        break;
    case LN_ERR_REFUSED:
        snprintf(text, sizeof text,
                 " responded with error (code %" PRId64 ") for request ID %s: ", reply->code, id);
        break;
    case LN_ERR_CLOSED:
        snprintf(text, sizeof text,
                 " context done while waiting for response (ID: %s): context canceled", id);
        break;
    default:
        snprintf(text, sizeof text, " could not be asked: %s", ln_strerror(reply->error));
        break;
    }
    int rc = ln_json_write_raw(out, text);
    if (rc < 0 || reply->error != LN_ERR_REFUSED)
        return rc;
    rc = ln_buf_reserve(out, reply->message.size, SIZE_MAX);
    if (rc == 0)
        out->size += ln_json_decode(reply->message, out->data + out->size);
    return rc;
}

static int describe(const proxied *x, const ln_rpc_reply *reply, ln_buf *out)
{
    char id[LN_BROKER_MADE_ID_SIZE + 1];

    ln_broker_write_id(ln_broker_nonce(x->broker, reply->conn), reply->serial, id);
    int rc = ln_json_write_raw(out, reply->error == LN_ERR_TIMEOUT
                                        ? "proxy target error: request to client "
                                        : "proxy target error: client ");
    if (rc == 0)
        rc = ln_json_write_span(out, (ln_span){x->target, x->target_size});
    return rc == 0 ? write_reason(x, reply, id, out) : rc;
}

static int fail(const proxied *x, const ln_rpc_reply *reply)
{
    ln_buf out;

    ln_buf_init(&out, x->broker->alloc);
    int rc = describe(x, reply, &out);
    rc = ln_rpc_error(&x->ticket, LN_BROKER_FAILED,
                      rc == 0 ? (ln_span){out.data, out.size} : LN_SPAN("out of memory"),
                      (ln_span){"", 0});
    ln_buf_fini(&out);
    return rc;
}

/* The way to who asked takes no more, or there is no memory for it: a short answer may still get
 * through; else the request ends with its connection, as any without an answer. */
static void fall_short(const proxied *x)
{
    const int rc = ln_rpc_error(&x->ticket, LN_BROKER_FAILED,
                                LN_SPAN("proxy target error: its answer could not be passed on"),
                                (ln_span){"", 0});
    if (rc == LN_ERR_WOULD_EXCEED || rc == LN_ERR_NOMEM)
        (void)ln_close(x->broker->server, x->ticket.conn, 1008,
                       LN_SPAN("too many dropped messages"));
}

/* On the target's loop. Who asked may be gone; then nobody minds. */
static void on_reply(const ln_rpc_reply *reply, void *user)
{
    proxied *const x = user;
    int rc = 0;

    if (reply->error == 0)
        rc = ln_rpc_result(&x->ticket, reply->result.size > 0 ? reply->result : LN_SPAN("null"));
    else if (reply->error != LN_ERR_CANCELLED)
        rc = fail(x, reply);
    if (rc == LN_ERR_WOULD_EXCEED || rc == LN_ERR_NOMEM)
        fall_short(x);
    ln_free(x->broker->alloc, x);
}

static int refuse_proxy(const ln_rpc_call *call, int code, ln_span words)
{
    return ln_rpc_error(&call->ticket, code, words, (ln_span){"", 0});
}

static int not_found(const ln_broker *b, const ln_rpc_call *call, ln_span target)
{
    ln_buf words;

    ln_buf_init(&words, b->alloc);
    int rc = ln_json_write_raw(&words, "proxy target client: client with ID '");
    if (rc == 0)
        rc = ln_json_write_span(&words, target);
    if (rc == 0)
        rc = ln_json_write_raw(&words, "' not found");
    if (rc == 0)
        rc = refuse_proxy(call, LN_BROKER_FAILED, (ln_span){words.data, words.size});
    ln_buf_fini(&words);
    return rc;
}

/* Asks the target for who asks us: LN_ERR_AGAIN, or an error. */
static int pass_on(ln_broker *b, const ln_rpc_call *call, ln_conn_id conn, ln_span target,
                   const ln_rpc_order *what)
{
    proxied *const x = ln_alloc(b->alloc, sizeof *x + target.size);
    ln_rpc_order order = *what;
    ln_rpc_ticket onward;

    if (x == NULL)
        return LN_ERR_NOMEM;
    *x = (proxied){.broker = b,
                   .ticket = call->ticket,
                   .timeout_ms = b->request_ms,
                   .target_size = target.size};
    memcpy(x->target, target.data, target.size);
    order.conn = conn;
    order.timeout_ms = b->request_ms;
    order.on_reply = on_reply;
    order.user = x;
    const int rc = ln_rpc_request(&b->rpc, &order, &onward);
    if (rc < 0) {
        const ln_rpc_reply reply = {.conn = conn, .error = rc};
        on_reply(&reply, x);
        return 0;
    }
    ln_rpc_hand_on(&peer_of_call(call)->rpc, &onward);
    return LN_ERR_AGAIN;
}

static int proxy(ln_broker *b, const ln_rpc_call *call, ln_span target, const ln_rpc_order *what)
{
    ln_conn_id conn;

    if (target.size == 0)
        return refuse_proxy(call, LN_BROKER_FAILED,
                            LN_SPAN("proxy request missing target client ID"));
    if (!ln_broker_may(peer_of_call(call), LN_BROKER_PROXY, what->method, target))
        return refuse_proxy(call, LN_BROKER_FORBIDDEN, LN_SPAN("proxy request not permitted"));
    if (ln_broker_find(b, target, &conn) < 0)
        return not_found(b, call, target);
    return pass_on(b, call, conn, target, what);
}

static int on_proxy(const ln_rpc_call *call, void *user)
{
    enum { TARGET, TOPIC, FIELDS };
    ln_broker *const b = user;
    ln_json_field fields[FIELDS] = {{.name = "targetId"}, {.name = "topic"}};
    ln_json_field payload = {.name = "payload"};
    strings s = {fields, FIELDS, NULL};
    ln_json_value bracket;
    ln_json j;

    int rc = read_strings(call->params, b->alloc, &s);
    if (rc == 0 && call->params.size > 0) {
        ln_json_init(&j, call->params);
        if (ln_json_next(&j, &bracket) == LN_JSON_OBJECT)
            (void)ln_json_read_fields(&j, &payload, 1);
    }
    if (rc == 0) {
        const bool has_payload = payload.value.type != LN_JSON_NONE;
        const ln_rpc_order what = {.method = fields[TOPIC].value.text,
                                   .params = has_payload ? payload.value.text : LN_SPAN("null")};
        rc = proxy(b, call, fields[TARGET].value.text, &what);
    }
    ln_free(b->alloc, s.room);
    return rc;
}

/* ---- serving ---- */

static const struct {
    ln_span topic;
    ln_rpc_handler *handler;
} services[] = {{{REGISTER, sizeof REGISTER - 1}, on_register},
                {{LIST, sizeof LIST - 1}, on_list},
                {{PROXY, sizeof PROXY - 1}, on_proxy}};

int ln_broker_serve_system(ln_broker *b)
{
    int rc = 0;

    for (size_t i = 0; i < LN_ARRAY_SIZE(services) && rc == 0; i++) {
        const ln_rpc_service service = {.handler = services[i].handler, .user = b};
        rc = ln_rpc_set_method(&b->rpc, services[i].topic, &service);
    }
    return rc;
}

bool ln_broker_is_system(ln_span topic)
{
    for (size_t i = 0; i < LN_ARRAY_SIZE(services); i++)
        if (ln_text_equal(topic, services[i].topic))
            return true;
    return false;
}
