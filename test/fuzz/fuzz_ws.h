/* SPDX-License-Identifier: MIT */
/* fuzz_ws - a WebSocket machine with all it needs, and a log of what it did. */
#ifndef FUZZ_WS_H
#define FUZZ_WS_H

#include "base/buf.h"
#include "proto/ws.h"

/* What the first byte of an input says. */
enum {
    FUZZ_WS_CLIENT = 1,
    FUZZ_WS_DEFLATE = 2,
    FUZZ_WS_FRESH = 4,
    FUZZ_WS_STREAMING = 8,
    FUZZ_WS_NARROW = 16
};

typedef struct fuzz_ws {
    ln_ws_config config;
    ln_pool pool;
    ln_zpool *zpool;
    ln_buf scratch;
    ln_buf log, message; /* for the user */
    ln_ws ws;
} fuzz_ws;

static uint32_t fuzz_ws_key(void *user)
{
    (void)user;
    return 0;
}

static inline void fuzz_ws_add(ln_buf *to, const void *bytes, size_t n)
{
    LN_ASSERT(ln_buf_append(to, bytes, n, SIZE_MAX) == 0);
}

static inline void fuzz_ws_open(fuzz_ws *f, uint8_t flags)
{
    const bool fresh = flags & FUZZ_WS_FRESH;
    const ln_pmd_params params = {fresh, fresh, 15, 15};

    *f = (fuzz_ws){.zpool = ln_zpool_new(NULL)};
    ln_pool_init(&f->pool, NULL);
    f->config = (ln_ws_config){.role = flags & FUZZ_WS_CLIENT ? LN_WS_CLIENT : LN_WS_SERVER,
                               .is_streaming = flags & FUZZ_WS_STREAMING,
                               .message_max_bytes = flags & FUZZ_WS_NARROW ? 100 : 100000,
                               .frame_max_bytes = flags & FUZZ_WS_NARROW ? 80 : 0,
                               .fragments_max = 9,
                               .control_rate = {2, 30},
                               .deflate_min_bytes = 20,
                               .pool = &f->pool,
                               .scratch = &f->scratch,
                               .mask_key = fuzz_ws_key};
    const bool is_server = f->config.role == LN_WS_SERVER;
    fuzz_ws_add(&f->log, &flags, sizeof flags);
    ln_ws_init(&f->ws, &f->config,
               flags & FUZZ_WS_DEFLATE ? ln_deflate_new(f->zpool, &params, is_server, 1) : NULL, 0);
}

static inline void fuzz_ws_close(fuzz_ws *f)
{
    ln_ws_fini(&f->ws);
    ln_zpool_free(f->zpool);
    ln_pool_fini(&f->pool);
    ln_buf_fini(&f->scratch);
    ln_buf_fini(&f->log);
    ln_buf_fini(&f->message);
}

#endif
