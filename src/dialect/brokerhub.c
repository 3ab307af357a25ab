/* SPDX-License-Identifier: MIT */
/*
 * brokerhub.c - subscriptions and publications. A publication of this dialect is made as the frame
 * of the current generation, and what others call its payload lies within that: the bytes are copied
 * once. Other forms are made from it on first need, and shared.
 */
#include <string.h>

#include "base/base64.h"
#include "brokerinner.h"
#include "proto/frame.h"
#include "proto/jsonwrite.h"

bool ln_broker_may(ln_broker_peer *p, enum ln_broker_act act, ln_span topic, ln_span target)
{
    const ln_broker_options *const o = &p->broker->options;
    const ln_broker_wish wish = {.act = act, .conn = p->rpc.conn, .topic = topic, .target = target};

    return o->allow == NULL ? act != LN_BROKER_PROXY : o->allow(&wish, o->user);
}

/* ---- forms ---- */

/* A text frame of an envelope. */
static ln_block *make_frame(const ln_allocator *alloc, const ln_envelope *e)
{
    uint8_t head[LN_FRAME_HEAD_MAX];
    const size_t size = ln_envelope_size(e);
    const size_t at = ln_frame_write(head, LN_FRAME_FIN | LN_TEXT, size);

    ln_block *const block = ln_block_new(alloc, at + size);
    if (block == NULL)
        return NULL;
    memcpy(block->bytes, head, at);
    (void)ln_envelope_put(e, block->bytes + at);
    return block;
}

/* What a publication of another dialect is in JSON: `own` is memory for it, or its own bytes are. */
static int read_foreign(const ln_msg *m, ln_buf *own, ln_span *json)
{
    ln_json j;

    ln_json_init(&j, m->payload);
    if (m->kind != LN_MSG_BINARY && ln_json_finish(&j)) {
        *json = m->payload;
        return 0;
    }
    int rc;
    if (m->kind == LN_MSG_BINARY) {
        const size_t size = ln_base64_size(m->payload.size);
        rc = ln_buf_reserve(own, size + 2, SIZE_MAX);
        if (rc == 0) {
            own->data[0] = '"';
            ln_base64_write(m->payload, (char *)own->data + 1);
            own->data[size + 1] = '"';
            own->size = size + 2;
        }
    } else {
        rc = ln_json_write_string(own, m->payload);
    }
    *json = (ln_span){own->data, own->size};
    return rc;
}

/* A publication that has no form of ours yet, for a client of generation `style`. */
static ln_block *make_style(const ln_msg *m, ln_loop *loop, ln_envelope_style style)
{
    char topic[LN_BROKER_TOPIC_ROOM + 1], stamp[LN_BROKER_MESSAGE_ID_ROOM];
    ln_envelope e = {.style = style, .type = LN_ENVELOPE_PUBLISH};
    ln_block *block = NULL;
    ln_buf own;

    const int n = ln_json_quote(m->topic, topic, sizeof topic);
    LN_ASSERT(n > 0); /* a topic is short and UTF-8 */
    e.topic = (ln_span){topic, (size_t)n};
    if (style == LN_ENVELOPE_HEADED)
        e.message_id = ln_broker_stamp(loop, stamp, &e.timestamp_ms);
    ln_buf_init(&own, m->alloc);
    if (read_foreign(m, &own, &e.payload) == 0)
        block = make_frame(m->alloc, &e);
    ln_buf_fini(&own);
    return block;
}

static ln_block *make_flat(const ln_msg *m, void *arg)
{
    return make_style(m, arg, LN_ENVELOPE_FLAT);
}

static ln_block *make_headed(const ln_msg *m, void *arg)
{
    return make_style(m, arg, LN_ENVELOPE_HEADED);
}

static ln_block *make_own(const ln_msg *m, void *arg)
{
    return make_frame(m->alloc, arg);
}

ln_msg *ln_broker_make_msg(const ln_broker *b, ln_span name, ln_span topic, ln_span payload,
                           ln_conn_id publisher)
{
    static const char tail[] = "}\n"; /* behind the payload */
    ln_envelope e = {.style = LN_ENVELOPE_FLAT,
                     .type = LN_ENVELOPE_PUBLISH,
                     .topic = topic,
                     .payload = payload.size > 0 ? payload : LN_SPAN("null")};

    ln_msg *const m =
        ln_msg_new(b->alloc, LN_MSG_JSON, name, (ln_span){"", 0}, (ln_span){"", 0}, publisher);
    const ln_block *const frame = m == NULL ? NULL : ln_msg_form(m, LN_FORM_BROKER, make_own, &e);
    if (frame == NULL) {
        ln_msg_unref(m);
        return NULL;
    }
    m->payload =
        (ln_span){frame->bytes + frame->size - (sizeof tail - 1) - e.payload.size, e.payload.size};
    return m;
}

/* ---- delivering ---- */

/* One more was lost. */
static void drop(ln_broker_peer *p)
{
    ln_broker *const b = p->broker;

    ln_broker_count(&b->counts.dropped);
    p->drops++;
    p->rpc.conn->flags |= LN_CONN_ABOVE_HIGH; /* whatever the policy: on_drain forgives */
    ln_conn_touch(p->rpc.conn);
    if (b->drops_max == 0 || p->drops < b->drops_max)
        return;
    if (ln_conn_close(p->rpc.conn, 1008, LN_SPAN("too many dropped messages")) == 0)
        ln_broker_count(&b->counts.slow_closes);
}

/* Who takes everything is not looked at: its own memory may be far away. */
LN_INLINE int send_frame(ln_conn *c, ln_block *frame, ln_span topic)
{
    const int rc = frame == NULL ? LN_ERR_NOMEM : ln_conn_send_block_latest(c, frame, topic);

    if (LN_UNLIKELY(rc < 0 && rc != LN_ERR_CLOSED))
        drop(ln_broker_peer_of(c));
    return rc;
}

int ln_broker_send_flat(ln_conn *c, ln_msg *m)
{
    if (!ln_ws_is_open(&c->ws))
        return LN_ERR_CLOSED;
    return send_frame(c, ln_msg_form(m, LN_FORM_BROKER, make_flat, ln_conn_home(c)->loop),
                      m->topic);
}

int ln_broker_send_headed(ln_conn *c, ln_msg *m)
{
    if (!ln_ws_is_open(&c->ws))
        return LN_ERR_CLOSED;
    return send_frame(c, ln_msg_form(m, LN_FORM_BROKER_HEADED, make_headed, ln_conn_home(c)->loop),
                      m->topic);
}

/* ---- what clients send ---- */

static void acknowledge(ln_broker_peer *p, const ln_envelope *e, const char *status)
{
    ln_buf payload;
    ln_envelope ack = {
        .style = LN_ENVELOPE_FLAT, .type = LN_ENVELOPE_ACK, .id = e->id, .topic = e->topic};

    if (p->style == LN_ENVELOPE_HEADED)
        return; /* it knows none */
    ln_buf_init(&payload, p->broker->alloc);
    int rc = ln_json_write_raw(&payload, "{\"status\":\"");
    if (rc == 0)
        rc = ln_json_write_raw(&payload, status);
    if (rc == 0)
        rc = ln_json_write_raw(&payload, "\",\"topic\":");
    if (rc == 0)
        rc = ln_json_write_span(&payload, e->topic);
    if (rc == 0)
        rc = ln_json_write_raw(&payload, "}");
    ack.payload = (ln_span){payload.data, payload.size};
    rc = rc < 0 ? rc : ln_broker_say(p, &ack);
    ln_buf_fini(&payload);
    if (rc < 0 && rc != LN_ERR_CLOSED)
        p->broker->carrier.lose(p->rpc.conn);
}

static void refuse_subscription(ln_broker_peer *p, const ln_envelope *e, int rc)
{
    ln_broker_count(&p->broker->counts.refused);
    if (rc == LN_ERR_POLICY)
        ln_broker_complain(p, e, LN_BROKER_FORBIDDEN, LN_SPAN("Subscription not permitted"));
    else if (rc == LN_ERR_LIMIT)
        ln_broker_complain(p, e, LN_BROKER_BAD_REQUEST, LN_SPAN("Too many subscriptions"));
    else if (rc == LN_ERR_INVALID)
        ln_broker_complain(p, e, LN_BROKER_BAD_REQUEST, LN_SPAN("Subscription topic is not valid"));
    else
        ln_broker_complain(p, e, LN_BROKER_FAILED, ln_text(ln_strerror(rc)));
}

static int subscribe(ln_broker_peer *p, const ln_envelope *e)
{
    uint8_t room[LN_BROKER_TOPIC_ROOM];

    if (e->topic.size > sizeof room)
        return LN_ERR_INVALID;
    const ln_span name = ln_envelope_text(e->topic, room);
    if (!ln_broker_may(p, LN_BROKER_SUBSCRIBE, name, (ln_span){"", 0}))
        return LN_ERR_POLICY;
    return ln_conn_subscribe(p->rpc.conn, name);
}

void ln_broker_take_subscription(ln_broker_peer *p, const ln_envelope *e)
{
    uint8_t room[LN_BROKER_TOPIC_ROOM];
    const bool is_wish = e->type == LN_ENVELOPE_SUBSCRIBE;

    if (e->topic.size == 0 && is_wish) {
        ln_broker_count(&p->broker->counts.refused);
        ln_broker_complain(p, e, LN_BROKER_BAD_REQUEST,
                           LN_SPAN("Subscription topic cannot be empty"));
        return;
    }
    if (e->topic.size == 0) {
        ln_broker_count(&p->broker->counts.ignored);
        return;
    }
    if (is_wish) {
        const int rc = subscribe(p, e);
        if (rc < 0) {
            refuse_subscription(p, e, rc);
            return;
        }
    } else if (e->topic.size <= sizeof room) {
        (void)ln_conn_unsubscribe(p->rpc.conn, ln_envelope_text(e->topic, room));
    }
    acknowledge(p, e, is_wish ? "subscribed" : "unsubscribed");
}

/* The one answer that a publication has. */
static void refuse_publication(ln_broker_peer *p, const ln_envelope *e, int code, ln_span words)
{
    ln_broker_count(&p->broker->counts.refused);
    ln_broker_complain(p, e, code, words);
}

static void publish(ln_broker_peer *p, const ln_envelope *e)
{
    uint8_t room[LN_BROKER_TOPIC_ROOM];
    ln_broker *const b = p->broker;
    ln_home *const home = ln_conn_home(p->rpc.conn);
    const ln_span name =
        e->topic.size <= sizeof room ? ln_envelope_text(e->topic, room) : (ln_span){"", 0};

    if (!ln_topics_is_open(name)) {
        refuse_publication(p, e, LN_BROKER_BAD_REQUEST, LN_SPAN("Publication topic is not valid"));
        return;
    }
    if (!ln_broker_may(p, LN_BROKER_PUBLISH, name, (ln_span){"", 0})) {
        refuse_publication(p, e, LN_BROKER_FORBIDDEN, LN_SPAN("Publication not permitted"));
        return;
    }
    ln_msg *const m = ln_broker_make_msg(b, name, e->topic, e->payload, p->rpc.conn->id);
    if (m == NULL || ln_topics_publish(home, m, NULL) < 0)
        ln_count(&home->counters.dropped, 1); /* as to a full queue */
    ln_msg_unref(m);
    ln_broker_count(&b->counts.published);
}

void ln_broker_take_publication(ln_broker_peer *p, const ln_envelope *e)
{
    if (e->style == LN_ENVELOPE_HEADED && e->topic.size > 0 &&
        ln_json_is(e->topic, LN_SPAN("_client.register")))
        ln_broker_take_introduction(p, e);
    else if (e->topic.size == 0)
        ln_broker_count(&p->broker->counts.ignored);
    else
        publish(p, e);
}
