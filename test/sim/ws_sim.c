/* SPDX-License-Identifier: MIT */
/*
 * ws_sim - a client's and a server's WebSocket machine talk over a simulated link, seeded.
 *
 *     ws_sim [SEEDS [FIRST]]      default: 3000 seeds from 1
 *
 * One seed is one connection: permessage-deflate or not, with any window and takeover; whole
 * messages or pieces on either side; keepalive pings. Both send texts, binaries, fragmented
 * messages, shared frames and pings. The link takes as many bytes as it likes, keeps them for a
 * while and gives them on in other portions; now and then it takes nothing. Then one side begins to
 * close, or both do.
 *
 * Checked
 *   1. What one side sent before it closed, the other receives: once, in order, the same bytes and
 *      kind. All of it, unless the other had begun to close itself: then a beginning of it.
 *   2. Pongs repeat the data of pings, in order, none twice; what was never asked is not answered.
 *   3. Both sides get one CLOSED, last and clean, with the code and the reason of whoever closed.
 *   4. At the end nothing is left: no output, no memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "proto/ws.h"

enum {
    LINK_BYTES = 1 << 14, /* under way in one direction; a power of two */
    CHUNKS_MAX = 256,     /* likewise */
    MESSAGES_MAX = 64,
    MESSAGE_MAX_BYTES = 24000,
    DELAY_MAX_MS = 200,
    STEPS_MAX = 200000
};

typedef struct world world;

/* Bytes on their way, in portions that arrive together. */
typedef struct wire {
    uint8_t bytes[LINK_BYTES];
    size_t head, tail; /* counted on for ever */
    struct {
        size_t end; /* of the portion */
        uint64_t at_ms;
    } chunks[CHUNKS_MAX];
    unsigned chunk_head, chunk_tail;
} wire;

typedef struct message {
    enum ln_kind kind;
    ln_buf data;
} message;

/* One end. */
typedef struct side {
    world *world;
    const char *name;
    ln_ws ws;
    ln_ws_config config;
    ln_pool pool;
    ln_buf scratch;
    ln_zpool *zpool;
    wire out;
    message sent[MESSAGES_MAX]; /* in the order in which they leave */
    unsigned sent_count, received_count;
    unsigned to_send; /* messages it still wants to send */
    message open;     /* the fragmented one that is being sent, if is_piecewise */
    size_t open_sent;
    bool is_piecewise;
    message held[MESSAGES_MAX]; /* shared frames that wait behind it */
    unsigned held_count;
    ln_buf pieces; /* of a message that is being received */
    uint32_t pings_sent, pongs_seen;
    bool will_close, has_closed;
    uint16_t close_code;
    bool was_open_at_end; /* it had not begun to close when the other's close frame came */
    bool is_closed;
    ln_ws_event closed;
    char reason[LN_WS_REASON_MAX_BYTES + 1];
} side;

struct world {
    uint64_t seed, random, now_ms;
    ln_allocator hook;
    size_t live_bytes;
    side sides[2];
};

static uint64_t total_messages, total_bytes, total_pongs, total_steps;

static _Noreturn void broken(const world *w, const side *s, const char *what)
{
    fprintf(stderr, "ws_sim: seed %" PRIu64 ", %s at %" PRIu64 " ms: %s\n", w->seed, s->name,
            w->now_ms, what);
    abort();
}

static void check(const side *s, bool is_good, const char *what)
{
    if (!is_good)
        broken(s->world, s, what);
}

/* ---- chance and memory ---- */

static uint64_t next_random(world *w) /* splitmix64 */
{
    uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned pick(world *w, unsigned n)
{
    return (unsigned)(next_random(w) % n);
}

static bool is_one_in(world *w, unsigned n)
{
    return pick(w, n) == 0;
}

static uint32_t random_key(void *user)
{
    return (uint32_t)next_random(user);
}

/* Counts, so that what is left at the end is seen. The size stands before the block. */
static void *resize(void *user, void *old, size_t size)
{
    world *const w = user;
    max_align_t *const from = old == NULL ? NULL : (max_align_t *)old - 1;

    if (from != NULL)
        w->live_bytes -= *(size_t *)from;
    if (size == 0) {
        free(from);
        return NULL;
    }
    max_align_t *const to = realloc(from, sizeof *to + size);
    if (to == NULL)
        abort();
    *(size_t *)to = size;
    w->live_bytes += size;
    return to + 1;
}

static void append(ln_buf *to, const void *bytes, size_t n)
{
    if (ln_buf_append(to, bytes, n, SIZE_MAX) < 0)
        abort();
}

/* ---- sending ---- */

/* Mostly small, now and then large; text of one to four bytes a character. */
static void make_message(world *w, message *m)
{
    static const char *const letters[] = {
        "a", "b", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    const size_t most = is_one_in(w, 16) ? MESSAGE_MAX_BYTES : is_one_in(w, 3) ? 1000 : 60;
    const size_t size = pick(w, (unsigned)most);
    const unsigned variety = 1 + pick(w, 6);

    m->kind = is_one_in(w, 2) ? LN_TEXT : LN_BINARY;
    ln_buf_init(&m->data, &w->hook);
    while (m->data.size < size) {
        const uint64_t bits = next_random(w);
        const char *const letter = letters[bits % variety];
        if (m->kind == LN_TEXT)
            append(&m->data, letter, strlen(letter));
        else
            append(&m->data, &bits, variety);
    }
}

static message *remember(side *s, const message *m)
{
    check(s, s->sent_count < MESSAGES_MAX, "too many messages");
    s->sent[s->sent_count] = *m;
    return &s->sent[s->sent_count++];
}

/* A frame for many, made outside of the machine: plain, or compressed without context where that
 * may be. */
static ln_block *encode(side *s, const message *m)
{
    world *const w = s->world;
    const ln_span data = {m->data.data, m->data.size};
    uint8_t bits;
    ln_buf packed;

    if (s->ws.deflate == NULL || data.size == 0 || !ln_deflate_is_shareable(s->ws.deflate, &bits))
        return ln_ws_encode(&w->hook, m->kind, data, false);
    ln_buf_init(&packed, &w->hook);
    if (ln_deflate_shared(s->zpool, 6, bits, data.data, data.size, &packed) < 0)
        abort();
    ln_block *const block =
        ln_ws_encode(&w->hook, m->kind, (ln_span){packed.data, packed.size}, true);
    ln_buf_fini(&packed);
    return block;
}

static void send_shared(side *s)
{
    message m;

    make_message(s->world, &m);
    ln_block *const block = encode(s, &m);
    check(s, block != NULL && ln_ws_send_block(&s->ws, block) == 0, "a shared frame was refused");
    ln_block_unref(block);
    if (s->is_piecewise)
        s->held[s->held_count++] = m;
    else
        remember(s, &m);
}

/* The next piece of what is left of the fragmented message; empty ones too. */
static void send_piece(side *s)
{
    const size_t left = s->open.data.size - s->open_sent;
    const size_t n = pick(s->world, (unsigned)left + 1);
    const bool is_last = n == left && is_one_in(s->world, 2);
    const ln_span piece = {n == 0 ? NULL : s->open.data.data + s->open_sent, n};

    check(s, ln_ws_send_piece(&s->ws, s->open.kind, piece, is_last) == 0, "a piece was refused");
    s->open_sent += n;
    if (!is_last)
        return;
    s->is_piecewise = false;
    remember(s, &s->open);
    for (unsigned i = 0; i < s->held_count; i++)
        remember(s, &s->held[i]);
    s->held_count = 0;
}

static void send_whole(side *s)
{
    message m;

    make_message(s->world, &m);
    check(s, ln_ws_send(&s->ws, m.kind, (ln_span){m.data.data, m.data.size}) == 0,
          "a message was refused");
    remember(s, &m);
}

static void send_ping(side *s)
{
    s->pings_sent++;
    check(s, ln_ws_send_ping(&s->ws, (ln_span){&s->pings_sent, sizeof s->pings_sent}) == 0,
          "a ping was refused");
}

static void begin_close(side *s)
{
    static const uint16_t codes[] = {0, 1000, 1001, 1011, 3000, 4999};
    const uint16_t code = codes[pick(s->world, LN_ARRAY_SIZE(codes))];
    const ln_span reason = {s->name, code == 0 ? 0 : strlen(s->name)};

    check(s, ln_ws_send_close(&s->ws, code, reason, s->world->now_ms) == 0,
          "the close was refused");
    s->has_closed = true;
    s->close_code = code == 0 ? 1005 : code;
}

/* One thing that an application might do. */
static void act(side *s)
{
    world *const w = s->world;

    if (!ln_ws_is_open(&s->ws))
        return;
    if (s->is_piecewise && is_one_in(w, 3)) {
        send_piece(s);
    } else if (is_one_in(w, 4)) {
        send_ping(s);
    } else if (s->to_send == 0) {
        if (s->will_close && (!s->is_piecewise || is_one_in(w, 8)))
            begin_close(s);
    } else if (s->config.role == LN_WS_SERVER && is_one_in(w, 4)) {
        s->to_send--;
        send_shared(s);
    } else if (s->is_piecewise) {
        check(s, ln_ws_send(&s->ws, LN_TEXT, LN_SPAN("no")) == LN_ERR_BUSY,
              "a message came between pieces");
    } else {
        s->to_send--;
        if (is_one_in(w, 3)) {
            make_message(w, &s->open);
            s->open_sent = 0;
            s->is_piecewise = true;
            send_piece(s);
        } else {
            send_whole(s);
        }
    }
}

/* ---- receiving ---- */

static side *other(const side *s)
{
    return &s->world->sides[s == &s->world->sides[0]];
}

static void receive(side *s, enum ln_kind kind, ln_span data)
{
    const side *const from = other(s);
    check(s, s->received_count < from->sent_count, "a message that nobody sent");
    const message *const want = &from->sent[s->received_count++];

    check(s, kind == want->kind, "another kind");
    check(s, data.size == want->data.size, "another size");
    check(s, data.size == 0 || memcmp(data.data, want->data.data, data.size) == 0, "other bytes");
    total_messages++;
    total_bytes += data.size;
}

static void receive_piece(side *s, const ln_ws_event *e)
{
    check(s, e->is_first == (s->pieces.capacity == 0), "first pieces begin messages");
    /* Capacity tells that a message is open, even one without bytes so far. */
    check(s, ln_buf_reserve(&s->pieces, e->data.size + 1, SIZE_MAX) == 0, "memory");
    append(&s->pieces, e->data.data, e->data.size);
    if (!e->is_last)
        return;
    receive(s, e->kind, (ln_span){s->pieces.data, s->pieces.size});
    ln_buf_release(&s->pieces);
}

static void receive_pong(side *s, ln_span data)
{
    uint32_t number;

    if (data.size == 0)
        return; /* to a keepalive ping */
    check(s, data.size == sizeof number, "a pong of another size");
    memcpy(&number, data.data, sizeof number);
    check(s, number > s->pongs_seen && number <= s->pings_sent, "a pong out of turn");
    s->pongs_seen = number;
    total_pongs++;
}

static void receive_closed(side *s, const ln_ws_event *e)
{
    s->is_closed = true;
    s->closed = *e;
    memcpy(s->reason, e->data.data, e->data.size);
    s->reason[e->data.size] = '\0';
}

static void take_events(side *s)
{
    ln_ws_event e;

    while (ln_ws_next(&s->ws, &e)) {
        check(s, !s->is_closed, "an event after CLOSED");
        switch (e.type) {
        case LN_WS_MESSAGE:
            check(s, !s->config.is_streaming, "a message where pieces were wanted");
            receive(s, e.kind, e.data);
            break;
        case LN_WS_PIECE:
            check(s, s->config.is_streaming, "a piece where messages were wanted");
            receive_piece(s, &e);
            break;
        case LN_WS_PING:
            break;
        case LN_WS_PONG:
            receive_pong(s, e.data);
            break;
        case LN_WS_CLOSED:
            receive_closed(s, &e);
            break;
        }
    }
}

/* In portions of its own, each overwritten afterwards. */
static void feed(side *s, uint8_t *bytes, size_t n)
{
    world *const w = s->world;

    while (n > 0) {
        const size_t portion = is_one_in(w, 4) ? 1 : 1 + pick(w, (unsigned)n);
        for (size_t at = 0; at < portion;) {
            at += ln_ws_feed(&s->ws, bytes + at, portion - at, w->now_ms);
            take_events(s);
        }
        memset(bytes, 0xa5, portion);
        bytes += portion;
        n -= portion;
    }
}

/* ---- the link ---- */

static void put_byte_run(wire *to, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to->bytes[to->tail++ % LINK_BYTES] = bytes[i];
}

/* The link takes some of the output. */
static void transmit(side *s)
{
    enum { SPANS = 3 };
    world *const w = s->world;
    wire *const to = &s->out;
    ln_span spans[SPANS];
    const size_t room = LINK_BYTES - (to->tail - to->head);
    const int k = ln_ws_pull(&s->ws, spans, 1 + (int)pick(w, SPANS));
    size_t most = ln_min_size(room, is_one_in(w, 8) ? 1 + pick(w, 4) : LINK_BYTES), taken = 0;

    if (k == 0 || most == 0 || to->chunk_tail - to->chunk_head == CHUNKS_MAX)
        return;
    for (int i = 0; i < k && most > 0; i++) {
        const size_t n = ln_min_size(most, spans[i].size);
        put_byte_run(to, spans[i].data, n);
        most -= n;
        taken += n;
    }
    ln_ws_sent(&s->ws, taken);
    to->chunks[to->chunk_tail % CHUNKS_MAX].end = to->tail;
    to->chunks[to->chunk_tail++ % CHUNKS_MAX].at_ms = w->now_ms + pick(w, DELAY_MAX_MS);
}

/* What has arrived at the other end is read there. */
static void arrive(side *s)
{
    wire *const from = &s->out;
    side *const to = other(s);

    while (from->chunk_head != from->chunk_tail &&
           from->chunks[from->chunk_head % CHUNKS_MAX].at_ms <= s->world->now_ms) {
        const size_t n = from->chunks[from->chunk_head++ % CHUNKS_MAX].end - from->head;
        uint8_t *const bytes = malloc(n); /* so that what lies behind it is out of bounds */
        for (size_t i = 0; bytes != NULL && i < n; i++)
            bytes[i] = from->bytes[from->head++ % LINK_BYTES];
        const bool was_open = !to->has_closed;
        feed(to, bytes, n);
        if (to->is_closed && !to->was_open_at_end)
            to->was_open_at_end = was_open;
        free(bytes);
    }
}

/* ---- a life ---- */

static void create_side(world *w, side *s, ln_ws_role role, const ln_pmd_params *params)
{
    ln_deflate *deflate = NULL;

    *s = (side){.world = w, .name = role == LN_WS_SERVER ? "server" : "client"};
    s->config = (ln_ws_config){.role = role,
                               .is_streaming = is_one_in(w, 3),
                               .trusts_text = is_one_in(w, 4),
                               .message_max_bytes = is_one_in(w, 2) ? 0 : MESSAGE_MAX_BYTES + 8,
                               .ping_interval_ms = is_one_in(w, 2) ? 0 : 100 + pick(w, 2000),
                               .pong_wait_ms = 3600000,
                               .close_wait_ms = 3600000,
                               .deflate_min_bytes = pick(w, 3) * 50,
                               .pool = &s->pool,
                               .alloc = &w->hook,
                               .scratch = &s->scratch,
                               .mask_key = random_key,
                               .mask_user = w};
    ln_pool_init(&s->pool, &w->hook);
    ln_buf_init(&s->scratch, &w->hook);
    ln_buf_init(&s->pieces, &w->hook);
    s->zpool = ln_zpool_new(&w->hook);
    if (params != NULL)
        deflate = ln_deflate_new(s->zpool, params, role == LN_WS_SERVER, 1 + (int)pick(w, 9));
    ln_ws_init(&s->ws, &s->config, deflate, w->now_ms);
    s->to_send = pick(w, MESSAGES_MAX / 2);
}

static void create(world *w, uint64_t seed)
{
    *w = (world){.seed = seed, .random = seed};
    w->hook = (ln_allocator){.resize = resize, .user = w};
    const ln_pmd_params params = {.server_no_context_takeover = is_one_in(w, 2),
                                  .client_no_context_takeover = is_one_in(w, 2),
                                  .server_max_window_bits = (uint8_t)(9 + pick(w, 7)),
                                  .client_max_window_bits = (uint8_t)(9 + pick(w, 7))};
    const bool is_compressed = !is_one_in(w, 3);

    create_side(w, &w->sides[0], LN_WS_SERVER, is_compressed ? &params : NULL);
    create_side(w, &w->sides[1], LN_WS_CLIENT, is_compressed ? &params : NULL);
    const unsigned who = pick(w, 3);
    w->sides[0].will_close = who != 0;
    w->sides[1].will_close = who != 1;
}

static void check_side(const side *s)
{
    const side *const o = other(s);
    const bool is_by_us = s->has_closed;

    check(s, s->closed.is_clean, "not clean");
    check(s, ln_ws_fault(&s->ws, NULL) == 0, "a fault");
    check(s, s->closed.by == (is_by_us ? LN_WS_BY_US : LN_WS_BY_PEER), "closed by the wrong one");
    check(s, s->closed.code == (is_by_us ? s->close_code : o->close_code), "another code");
    check(s,
          strcmp(s->reason, s->closed.code == 1005 ? ""
                            : is_by_us             ? s->name
                                                   : o->name) == 0,
          "another reason");
    if (s->was_open_at_end)
        check(s, s->received_count == o->sent_count, "messages are missing");
    check(s, ln_ws_is_over(&s->ws) && ln_ws_queued(&s->ws) == 0, "not over");
}

static void destroy_side(side *s)
{
    ln_ws_fini(&s->ws);
    for (unsigned i = 0; i < s->sent_count; i++)
        ln_buf_fini(&s->sent[i].data);
    for (unsigned i = 0; i < s->held_count; i++)
        ln_buf_fini(&s->held[i].data);
    if (s->is_piecewise)
        ln_buf_fini(&s->open.data);
    ln_buf_fini(&s->pieces);
    ln_buf_fini(&s->scratch);
    ln_zpool_free(s->zpool);
    ln_pool_fini(&s->pool);
}

static bool is_finished(const side *s)
{
    return s->is_closed && ln_ws_is_over(&s->ws);
}

static void run(world *w, uint64_t seed)
{
    unsigned step = 0;

    create(w, seed);
    const unsigned sloth = 1 + pick(w, 4);
    for (; !is_finished(&w->sides[0]) || !is_finished(&w->sides[1]); step++) {
        side *const s = &w->sides[pick(w, 2)];
        check(s, step < STEPS_MAX, "it does not end");
        w->now_ms += pick(w, 40);
        if (is_one_in(w, sloth))
            act(s);
        if (!is_one_in(w, sloth + 1))
            transmit(s);
        arrive(s);
        ln_ws_tick(&s->ws, w->now_ms);
        take_events(s);
    }
    total_steps += step;
    for (int i = 0; i < 2; i++)
        check_side(&w->sides[i]);
    for (int i = 0; i < 2; i++)
        destroy_side(&w->sides[i]);
    check(&w->sides[0], w->live_bytes == 0, "memory leaked");
}

int main(int argc, char **argv)
{
    const uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3000;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    world *const w = malloc(sizeof *w);

    if (w == NULL || seeds == 0)
        return 2;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        run(w, seed);
    free(w);
    printf("ws_sim: %" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " messages of %" PRIu64
           " bytes, %" PRIu64 " pongs, %" PRIu64 " steps; no fault\n",
           seeds, first, total_messages, total_bytes, total_pongs, total_steps);
    return 0;
}
