/* SPDX-License-Identifier: MIT */
/*
 * Bytes to a machine that echoes messages, whole and in pieces: the same events and output each
 * time, nothing after CLOSED, sizes within the limits, text that may be sent again. Input: flags
 * (fuzz_ws.h), size of pieces, bytes.
 */
#include <string.h>

#include "fuzz_ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces are told when the message is whole: how they are cut is no difference. */
static void note(fuzz_ws *f, const ln_ws_event *e)
{
    const unsigned about[] = {e->type, e->kind, e->code, e->by, e->is_clean};
    const bool is_data = e->type == LN_WS_MESSAGE || e->type == LN_WS_PIECE;
    fuzz_ws_add(is_data ? &f->message : &f->log, e->data.data, e->data.size);
    LN_ASSERT(f->message.size <= f->config.message_max_bytes);
    if (is_data && !e->is_last)
        return;
    fuzz_ws_add(&f->log, about, sizeof about);
    if (is_data) {
        fuzz_ws_add(&f->log, f->message.data, f->message.size);
        LN_ASSERT(ln_ws_send(&f->ws, e->kind, (ln_span){f->message.data, f->message.size}) == 0);
        f->message.size = 0;
    }
}

static void run(fuzz_ws *f, uint8_t flags, const uint8_t *data, size_t size, size_t step)
{
    uint8_t *const bytes = memcpy(ln_alloc(NULL, size), data, size);
    bool is_closed = false;
    ln_ws_event e;
    ln_span span;
    fuzz_ws_open(f, flags);
    for (size_t at = 0; at < size;) {
        at += ln_ws_feed(&f->ws, bytes + at, ln_min_size(step, size - at), 0);
        for (; ln_ws_next(&f->ws, &e); is_closed = e.type == LN_WS_CLOSED, note(f, &e))
            LN_ASSERT(!is_closed);
    }
    ln_free(NULL, bytes);
    for (; ln_ws_pull(&f->ws, &span, 1) > 0; ln_ws_sent(&f->ws, span.size))
        fuzz_ws_add(&f->log, span.data, span.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_ws whole, cut;
    /* From 2048 on a compressed message is taken in one form more if it is whole: deflate.c. */
    if (size <= 2 || size > 2000)
        return 0;
    run(&whole, data[0], data + 2, size - 2, SIZE_MAX);
    run(&cut, data[0], data + 2, size - 2, 1 + data[1]);
    LN_ASSERT(whole.log.size == cut.log.size);
    LN_ASSERT(memcmp(whole.log.data, cut.log.data, cut.log.size) == 0);
    fuzz_ws_close(&whole);
    fuzz_ws_close(&cut);
    return 0;
}
