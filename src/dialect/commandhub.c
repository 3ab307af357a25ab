/* SPDX-License-Identifier: MIT */
/*
 * commandhub.c - commands to many. A publication carries its command id as the event's name, in
 * decimal; one from another dialect has none, and gets that of the bridge. Either way its frame is
 * made once (LN_FORM_COMMAND) and shared.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "commandinner.h"
#include "proto/frame.h"
#include "proto/utf8.h"

/* ---- bridges ---- */

static const ln_command_span *bridge_of_topic(const ln_command *game, ln_span topic)
{
    for (size_t i = 0; i < game->bridge_count; i++)
        if (ln_text_equal(game->bridges[i].topic, topic))
            return &game->bridges[i];
    return NULL;
}

int ln_command_copy_bridges(ln_command *game, const ln_command_options *o)
{
    if (o->bridge_count > LN_COMMAND_BRIDGES_MAX)
        return LN_ERR_LIMIT;
    if (o->bridge_count == 0)
        return 0;
    game->bridges = ln_alloc_zero(game->alloc, o->bridge_count * sizeof *game->bridges);
    if (game->bridges == NULL)
        return LN_ERR_NOMEM;
    for (size_t i = 0; i < o->bridge_count; i++) {
        const ln_command_bridge *const from = &o->bridges[i];
        const ln_span topic = ln_text(from->topic);
        if (from->id >= LN_COMMAND_RPC_ERROR ||
            (from->kind != LN_TEXT && from->kind != LN_BINARY) || !ln_topics_is_open(topic) ||
            bridge_of_topic(game, topic) != NULL)
            return LN_ERR_INVALID;
        const char *const copy = ln_strndup(game->alloc, topic.data, topic.size);
        if (copy == NULL)
            return LN_ERR_NOMEM;
        game->bridges[i] = (ln_command_span){from->id, from->kind, {copy, topic.size}};
        game->bridge_count++;
    }
    return 0;
}

void ln_command_free_bridges(ln_command *game)
{
    for (size_t i = 0; i < game->bridge_count; i++)
        ln_free(game->alloc, (void *)(uintptr_t)game->bridges[i].topic.data);
    ln_free(game->alloc, game->bridges);
}

/* ---- delivering ---- */

/*
 * The command that a message is for clients of `game`; false: it is none. Only the application
 * chooses: what a connection published, here or in another dialect, is what the bridge says.
 */
static bool id_of(const ln_command *game, const ln_msg *m, uint32_t *id)
{
    uint64_t number;

    if (m->publisher == 0 && m->event.size > 0 &&
        ln_text_parse_u64(m->event, UINT32_MAX, &number) == 0) {
        *id = (uint32_t)number;
        return true;
    }
    const ln_command_span *const b = bridge_of_topic(game, m->topic);
    if (b != NULL)
        *id = b->id;
    return b != NULL;
}

typedef struct recipe {
    const ln_allocator *alloc;
    uint32_t id;
} recipe;

static ln_block *make_frame(const ln_msg *m, void *arg)
{
    const recipe *const r = arg;
    uint8_t head[LN_FRAME_HEAD_MAX + LN_COMMAND_HEAD];
    const size_t at =
        ln_frame_write(head, LN_FRAME_FIN | LN_BINARY, LN_COMMAND_HEAD + m->payload.size);

    ln_store_be32(head + at, r->id);
    ln_block *const block = ln_block_new(r->alloc, at + LN_COMMAND_HEAD + m->payload.size);
    if (block == NULL)
        return NULL;
    memcpy(block->bytes, head, at + LN_COMMAND_HEAD);
    if (m->payload.size > 0)
        memcpy(block->bytes + at + LN_COMMAND_HEAD, m->payload.data, m->payload.size);
    return block;
}

/* Two endpoints may bridge one topic to different ids; the form is the first one's. */
static bool is_for(const ln_block *frame, const ln_msg *m, uint32_t id)
{
    return ln_load_be32(frame->bytes + frame->size - m->payload.size - LN_COMMAND_HEAD) == id;
}

static int send_frame(ln_conn *c, ln_msg *m, uint32_t id)
{
    recipe r = {ln_conn_home(c)->alloc, id};

    ln_block *const shared = ln_msg_form(m, LN_FORM_COMMAND, make_frame, &r);
    if (LN_LIKELY(shared != NULL && is_for(shared, m, id)))
        return ln_conn_send_block_latest(c, shared, m->topic);
    ln_block *const own = shared == NULL ? NULL : make_frame(m, &r);
    const int rc = own == NULL ? LN_ERR_NOMEM : ln_conn_send_block_latest(c, own, m->topic);
    ln_block_unref(own);
    return rc;
}

static int send_command(ln_conn *c, ln_msg *m)
{
    uint32_t id;

    if (!ln_ws_is_open(&c->ws))
        return LN_ERR_CLOSED;
    ln_command *const game = ln_command_of(c);
    if (id_of(game, m, &id))
        return send_frame(c, m, id);
    ln_command_count(&game->counts.unsuitable);
    return LN_ERR_UNSUPPORTED;
}

int ln_command_enter(ln_command *game, ln_conn *c)
{
    int rc = ln_topics_speak(c, send_command);
    if (rc == 0)
        rc = ln_topics_subscribe(c, ln_text(game->everybody));
    for (size_t i = 0; i < game->bridge_count && rc == 0; i++)
        rc = ln_topics_subscribe(c, game->bridges[i].topic);
    return rc;
}

/* ---- publishing ---- */

static ln_msg *make_msg(const ln_command *game, ln_span topic, uint32_t id, ln_span payload)
{
    const ln_command_span *const b = bridge_of_topic(game, topic);
    const bool is_text =
        b != NULL && b->kind == LN_TEXT && ln_utf8_is_valid(payload.data, payload.size);
    char event[12];
    const int n = snprintf(event, sizeof event, "%u", id);

    return ln_msg_new(game->alloc, is_text ? LN_MSG_TEXT : LN_MSG_BINARY, topic,
                      (ln_span){event, (size_t)n}, payload, 0);
}

bool ln_command_cross(ln_command *game, ln_conn *c, uint32_t id, ln_span payload)
{
    const ln_command_span *b = NULL;

    for (size_t i = 0; i < game->bridge_count && b == NULL; i++)
        if (game->bridges[i].id == id)
            b = &game->bridges[i];
    if (b == NULL)
        return false;
    if (b->kind == LN_TEXT && !ln_utf8_is_valid(payload.data, payload.size)) {
        ln_command_count(&game->counts.unsuitable);
        return true;
    }
    ln_msg *const m = make_msg(game, b->topic, id, payload);
    if (m == NULL) { /* this message is lost, as to a full queue */
        ln_count(&ln_conn_home(c)->counters.dropped, 1);
        return true;
    }
    m->publisher = c->id;
    if (ln_topics_publish(ln_conn_home(c), m, NULL) < 0) /* another worker is too far behind */
        ln_count(&ln_conn_home(c)->counters.dropped, 1);
    ln_msg_unref(m);
    return true;
}

/* A publication of another thread, which a worker makes. */
typedef struct posted {
    ln_letter letter;
    ln_command *game;
    ln_msg *msg;
} posted;

static void on_posted(ln_letter *letter, ln_loop *loop)
{
    posted *const p = LN_CONTAINER_OF(letter, posted, letter);
    const ln_allocator *const alloc = p->game->alloc;

    atomic_fetch_sub_explicit(&p->game->posted, 1, memory_order_relaxed);
    if (loop != NULL) {
        ln_home *const home = &((ln_worker *)loop->owner)->home;
        if (ln_topics_publish(home, p->msg, NULL) < 0)
            ln_count(&home->counters.dropped, 1);
    }
    ln_msg_unref(p->msg);
    ln_free(alloc, p);
}

/* By worker 0, so that what one thread publishes stays in order. Takes a reference. */
static int post(ln_command *game, ln_msg *m)
{
    posted *const p = ln_alloc(game->alloc, sizeof *p);

    if (p == NULL)
        return LN_ERR_NOMEM;
    if (atomic_fetch_add_explicit(&game->posted, 1, memory_order_relaxed) >=
        LN_COMMAND_POSTED_MAX) {
        atomic_fetch_sub_explicit(&game->posted, 1, memory_order_relaxed);
        ln_free(game->alloc, p);
        return LN_ERR_WOULD_EXCEED;
    }
    *p = (posted){.letter = {.handle = on_posted}, .game = game, .msg = ln_msg_ref(m)};
    ln_loop_send_letter(game->server->workers[0].home.loop, &p->letter);
    return 0;
}

int ln_command_publish(ln_command *game, ln_span topic, uint32_t id, ln_span payload,
                       ln_conn_id except)
{
    const ln_span to = topic.size == 0 ? ln_text(game->everybody) : topic;
    const ln_loop *const loop = ln_loop_current();
    ln_worker *const w = loop == NULL ? NULL : loop->owner;

    if (topic.size > 0 && !ln_topics_is_open(topic))
        return LN_ERR_INVALID;
    if (payload.size > LN_COMMAND_PAYLOAD_MAX_BYTES)
        return LN_ERR_LIMIT;
    if (atomic_load(&game->server->state) != LN_SERVER_RUNNING)
        return LN_ERR_STATE;
    ln_msg *const m = make_msg(game, to, id, payload);
    if (m == NULL)
        return LN_ERR_NOMEM;
    m->excluded = except;
    const int rc = w != NULL && w->server == game->server ? ln_topics_publish(&w->home, m, NULL)
                                                          : post(game, m);
    ln_msg_unref(m);
    return rc;
}
