/* SPDX-License-Identifier: MIT */
/*
 * ws_bench - one WebSocket machine with all it needs, for tests: counted memory, a mask key, frames
 * to feed it.
 *
 *     ws_bench b;
 *     ws_bench_init(&b, LN_WS_SERVER);
 *     b.config.message_max_bytes = 1000;          options, before it opens
 *     ws_bench_open(&b, NULL);
 *     assert_int_equal(ws_bench_frame(&b, 0x81, "Hello", 5), 1);
 *     ws_bench_assert_event(&b, LN_WS_MESSAGE, "Hello");
 *     ws_bench_fini(&b);                          nothing may be left allocated
 */
#ifndef WS_BENCH_H
#define WS_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "failing_alloc.h"
#include "proto/ws.h"

enum { WS_BENCH_HEAD_MAX = 14, WS_BENCH_SHOWN_MAX = 256, WS_BENCH_LEVEL = 6 };

typedef struct ws_bench {
    failing_alloc memory;
    ln_ws_config config;
    ln_pool pool;
    ln_buf scratch;
    ln_zpool *zpool;
    ln_ws ws;
    uint64_t now_ms;
    uint32_t key; /* of every frame it sends as a client */
    unsigned keys_asked;
    ln_ws_event last; /* the latest event; its data is a copy, the first bytes of it */
    uint8_t last_data[WS_BENCH_SHOWN_MAX + 1];
    size_t last_size;
} ws_bench;

static inline uint32_t ws_bench_key(void *user)
{
    ws_bench *b = user;
    b->keys_asked++;
    return b->key;
}

/* `b` must not move. */
static inline void ws_bench_init(ws_bench *b, ln_ws_role role)
{
    memset(b, 0, sizeof *b);
    failing_alloc_init(&b->memory, FAILING_NEVER);
    ln_pool_init(&b->pool, &b->memory.hook);
    ln_buf_init(&b->scratch, &b->memory.hook);
    b->config = (ln_ws_config){.role = role,
                               .pool = &b->pool,
                               .alloc = &b->memory.hook,
                               .scratch = &b->scratch,
                               .mask_key = ws_bench_key,
                               .mask_user = b};
}

/* `params` NULL: without permessage-deflate. */
static inline void ws_bench_open(ws_bench *b, const ln_pmd_params *params)
{
    ln_deflate *deflate = NULL;

    if (params) {
        b->zpool = ln_zpool_new(&b->memory.hook);
        deflate = ln_deflate_new(b->zpool, params, b->config.role == LN_WS_SERVER, WS_BENCH_LEVEL);
        assert_non_null(deflate);
    }
    ln_ws_init(&b->ws, &b->config, deflate, b->now_ms);
}

static inline void ws_bench_fini(ws_bench *b)
{
    ln_ws_fini(&b->ws);
    ln_zpool_free(b->zpool);
    ln_buf_fini(&b->scratch);
    ln_pool_fini(&b->pool);
    failing_alloc_assert_empty(&b->memory);
}

/* Bytes that the machine holds: what pools keep for others is given back first. */
static inline size_t ws_bench_memory(ws_bench *b)
{
    ln_pool_trim(&b->pool);
    if (b->zpool)
        ln_zpool_trim(b->zpool);
    ln_buf_release(&b->scratch);
    return atomic_load(&b->memory.live_bytes);
}

/* Takes all events that wait. Their number. */
static inline unsigned ws_bench_take(ws_bench *b)
{
    unsigned n = 0;

    for (; ln_ws_next(&b->ws, &b->last); n++) {
        const size_t shown =
            b->last.data.size < WS_BENCH_SHOWN_MAX ? b->last.data.size : WS_BENCH_SHOWN_MAX;
        if (shown > 0)
            memcpy(b->last_data, b->last.data.data, shown);
        b->last_data[shown] = '\0';
        b->last_size = b->last.data.size;
        b->last.data = (ln_span){b->last_data, shown};
    }
    return n;
}

/* Feeds a copy, so that what lies behind it is out of bounds, and what is kept is found. How many
 * events came. */
static inline unsigned ws_bench_feed(ws_bench *b, const void *bytes, size_t n)
{
    uint8_t *const copy = malloc(n > 0 ? n : 1);
    unsigned events = 0;

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, bytes, n);
    for (size_t at = 0; at < n;) {
        const size_t used = ln_ws_feed(&b->ws, copy + at, n - at, b->now_ms);
        assert_true(used > 0 && used <= n - at);
        at += used;
        events += ws_bench_take(b);
    }
    free(copy);
    return events;
}

/* A header as the machine's peer would write it, masked with zeros if it has to. Its size. */
static inline size_t ws_bench_head(ln_ws_role role, uint8_t *to, uint8_t first, uint64_t length)
{
    const uint8_t masked = role == LN_WS_SERVER ? 0x80 : 0;
    const size_t extended = length > UINT16_MAX ? 8 : length > 125 ? 2 : 0;
    size_t n = 2;

    to[0] = first;
    to[1] = (uint8_t)(masked | (extended == 8 ? 127 : extended == 2 ? 126 : length));
    for (size_t i = 0; i < extended; i++)
        to[n++] = (uint8_t)(length >> (8 * (extended - 1 - i)));
    memset(to + n, 0, masked ? 4 : 0);
    return n + (masked ? 4 : 0);
}

/* The same with a payload behind it, in `to`, which is emptied first. */
static inline void ws_bench_write(ln_ws_role role, ln_buf *to, uint8_t first, const void *payload,
                                  size_t n)
{
    uint8_t head[WS_BENCH_HEAD_MAX];
    const size_t size = ws_bench_head(role, head, first, n);

    to->size = 0;
    assert_int_equal(ln_buf_append(to, head, size, SIZE_MAX), 0);
    assert_int_equal(ln_buf_append(to, payload, n, SIZE_MAX), 0);
}

/* Feeds one frame. How many events came. */
static inline unsigned ws_bench_frame(ws_bench *b, uint8_t first, const void *payload, size_t n)
{
    ln_buf frame;

    ln_buf_init(&frame, NULL);
    ws_bench_write(b->config.role, &frame, first, payload, n);
    const unsigned events = ws_bench_feed(b, frame.data, frame.size);
    ln_buf_fini(&frame);
    return events;
}

static inline void ws_bench_assert_event(const ws_bench *b, ln_ws_event_type type, const char *data)
{
    assert_int_equal(b->last.type, type);
    assert_int_equal(b->last_size, strlen(data));
    assert_memory_equal(b->last_data, data, strlen(data));
}

static inline void ws_bench_assert_closed(const ws_bench *b, uint16_t code, bool is_clean)
{
    assert_int_equal(b->last.type, LN_WS_CLOSED);
    assert_int_equal(b->last.code, code);
    assert_int_equal(b->last.is_clean, is_clean);
}

/* Moves all output to the end of `to`, as the transport would. */
static inline void ws_bench_drain(ws_bench *b, ln_buf *to)
{
    ln_span spans[3];
    int k;

    while ((k = ln_ws_pull(&b->ws, spans, 3)) > 0) {
        size_t n = 0;
        for (int i = 0; i < k; n += spans[i++].size)
            assert_int_equal(ln_buf_append(to, spans[i].data, spans[i].size, SIZE_MAX), 0);
        ln_ws_sent(&b->ws, n);
    }
}

/* The output is these bytes, and is sent. */
static inline void ws_bench_assert_output(ws_bench *b, const void *bytes, size_t n)
{
    ln_buf out;

    ln_buf_init(&out, NULL);
    ws_bench_drain(b, &out);
    assert_int_equal(out.size, n);
    if (n > 0)
        assert_memory_equal(out.data, bytes, n);
    ln_buf_fini(&out);
}

#define WS_BENCH_ASSERT_OUTPUT(b, literal)                                                         \
    ws_bench_assert_output((b), (literal), sizeof(literal) - 1)

#endif
