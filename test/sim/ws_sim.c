/* SPDX-License-Identifier: MIT */
/*
 * ws_sim - a client's and a server's WebSocket machine talk over a simulated link, seeded.
 *
 *     ws_sim [SEEDS [FIRST]]      default: 3000 seeds from 1
 *
 * One seed is one connection: permessage-deflate or not, with any window and takeover; whole messages or pieces on either
 * side; keepalive pings. Both send texts, binaries, fragmented messages, shared frames and pings. The link takes as many
 * bytes as it likes, keeps them for a while and gives them on in other portions; now and then it takes nothing. Then one
 * side begins to close, or both do.
 *
 * Checked
 *   1. What one side sent before it closed, the other receives: once, in order, the same bytes and kind. All of it, unless
 *      the other had begun to close itself: then a beginning of it.
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
    message open;     /* the fragmented one that is being sent */
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
    fprintf(stderr, "ws_sim: seed %" PRIu64 ", %s at %" PRIu64 " ms: %s\n", w->seed, s->name, w->now_ms, what);
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
    static const char *const letters[] = {"a", "b", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    const size_t most = is_one_in(w, 8) ? MESSAGE_MAX_BYTES : is_one_in(w, 3) ? 1000 : 60;
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

/* A frame for many, made outside of the machine: plain, or compressed without context where that may be. */
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
    ln_block *const block = ln_ws_encode(&w->hook, m->kind, (ln_span){packed.data, packed.size}, true);
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

/* The next piece of what is left of the open message; empty ones too. */
static void send_piece(side *s)
{
    world *const w = s->world;
    const size_t left = s->open.data.size - s->open.data.capacity; /* see begin_pieces() */
    const size_t n = pick(w, (unsigned)left + 1);
    const bool is_last = n == left && is_one_in(w, 2);
    const ln_span piece = {s->open.data.data + s->open.data.capacity, n};

    check(s, ln_ws_send_piece(&s->ws, s->open.kind, piece, is_last) == 0, "a piece was refused");
    s->open.data.capacity += n;
    if (!is_last)
        return;
    s->is_piecewise = false;
    s->open.data.capacity = s->open.data.size;
    remember(s, &s->open);
    for (unsigned i = 0; i < s->held_count; i++)
        remember(s, &s->held[i]);
    s->held_count = 0;
}
