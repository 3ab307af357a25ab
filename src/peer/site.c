/* SPDX-License-Identifier: MIT */
#include "site.h"

#include "base/limits.h"
#include "base/text.h"
#include "proto/frame.h"
#include "proto/upgrade.h"

/* ---- options ---- */

typedef struct setting {
    const char *name;
    uint32_t *value;
} setting;

static int settle(const setting *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int rc =
            ln_limit_get(ln_limit_find(ln_text(list[i].name)), *list[i].value, list[i].value);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int settle_options(ln_ws_options *o)
{
    const setting list[] = {
        {"MESSAGE_MAX_BYTES", &o->message_max_bytes},
        {"FRAME_MAX_BYTES", &o->frame_max_bytes},
        {"FRAGMENTS_MAX", &o->fragments_max},
        {"CONTROL_PER_SECOND", &o->control_per_second},
        {"HANDSHAKE_MS", &o->handshake_ms},
        {"PING_INTERVAL_MS", &o->ping_interval_ms},
        {"PONG_WAIT_MS", &o->pong_wait_ms},
        {"IDLE_MS", &o->idle_ms},
        {"CLOSE_WAIT_MS", &o->close_wait_ms},
        {"QUEUE_MAX_BYTES", &o->queue_max_bytes},
        {"HIGH_WATER_BYTES", &o->high_water_bytes},
        {"LOW_WATER_BYTES", &o->low_water_bytes},
        {"QUEUE_MAX_MESSAGES", &o->queue_max_messages},
        {"DEFLATE_MIN_BYTES", &o->deflate_min_bytes},
    };
    const bool is_frame_open = o->frame_max_bytes == 0;
    const bool is_high_open = o->high_water_bytes == 0;
    const bool is_low_open = o->low_water_bytes == 0;

    const int rc = settle(list, LN_ARRAY_SIZE(list));
    if (rc < 0)
        return rc;
    /* Defaults that depend on what was set: they must not contradict it. */
    if (is_frame_open)
        o->frame_max_bytes = o->message_max_bytes;
    if (is_high_open && o->high_water_bytes > o->queue_max_bytes)
        o->high_water_bytes = o->queue_max_bytes;
    if (is_low_open && o->low_water_bytes > o->high_water_bytes / 4)
        o->low_water_bytes = o->high_water_bytes / 4;
    return o->low_water_bytes <= o->high_water_bytes && o->high_water_bytes <= o->queue_max_bytes
               ? 0
               : LN_ERR_INVALID;
}

/* A comma separated list of tokens, each once. */
static bool is_token_list(const char *list)
{
    ln_span rest = ln_text(list), item;

    while (rest.size > 0 && ln_text_next(&rest, ',', &item)) {
        if (!ln_text_is_token(item))
            return false;
    }
    return true;
}

int ln_plan_init(ln_plan *p, const ln_ws_handlers *handlers, const ln_ws_options *options,
                 const ln_allocator *alloc)
{
    static const ln_ws_handlers no_handlers;
    static const ln_ws_options no_options;

    *p = (ln_plan){.handlers = handlers == NULL ? no_handlers : *handlers,
                   .options = options == NULL ? no_options : *options};
    if (p->handlers.on_message != NULL && p->handlers.on_chunk != NULL)
        return LN_ERR_INVALID;
    if (p->options.subprotocols != NULL && !is_token_list(p->options.subprotocols))
        return LN_ERR_INVALID;
    if ((unsigned)p->options.overflow > LN_OVERFLOW_KEEP_LATEST)
        return LN_ERR_INVALID;
    const int rc = settle_options(&p->options);
    if (rc < 0)
        return rc;
    p->queue = (ln_queue_options){.overflow = p->options.overflow,
                                  .max_bytes = p->options.queue_max_bytes,
                                  .max_messages = p->options.queue_max_messages,
                                  .high_water_bytes = p->options.high_water_bytes,
                                  .low_water_bytes = p->options.low_water_bytes};
    const ln_span subprotocols = ln_text(p->options.subprotocols);
    const ln_span origins = ln_text(p->options.origins);
    p->subprotocols = ln_strndup(alloc, subprotocols.data, subprotocols.size);
    p->origins = ln_strndup(alloc, origins.data, origins.size);
    if (p->subprotocols != NULL && p->origins != NULL)
        return 0;
    ln_plan_fini(p, alloc);
    return LN_ERR_NOMEM;
}

/* One number of it: the plan's, or that of the row `name`. */
static int wish_for(const char *name, uint32_t asked, uint32_t *value)
{
    return asked == 0 ? 0 : ln_limit_get(ln_limit_find(ln_text(name)), asked, value);
}

int ln_plan_queue(const ln_plan *p, const ln_queue_options *wish, ln_queue_options *queue)
{
    ln_queue_options q = p->queue;

    if ((unsigned)wish->overflow > LN_OVERFLOW_KEEP_LATEST)
        return LN_ERR_INVALID;
    if (wish->overflow != LN_OVERFLOW_REFUSE)
        q.overflow = wish->overflow;
    if (wish_for("QUEUE_MAX_BYTES", wish->max_bytes, &q.max_bytes) < 0 ||
        wish_for("QUEUE_MAX_MESSAGES", wish->max_messages, &q.max_messages) < 0 ||
        wish_for("HIGH_WATER_BYTES", wish->high_water_bytes, &q.high_water_bytes) < 0 ||
        wish_for("LOW_WATER_BYTES", wish->low_water_bytes, &q.low_water_bytes) < 0)
        return LN_ERR_INVALID;
    /* As with an endpoint's: marks that nobody asked for do not contradict what somebody did. */
    if (wish->high_water_bytes == 0 && q.high_water_bytes > q.max_bytes)
        q.high_water_bytes = q.max_bytes;
    if (wish->low_water_bytes == 0 && q.low_water_bytes > q.high_water_bytes)
        q.low_water_bytes = q.high_water_bytes / 4;
    if (q.low_water_bytes > q.high_water_bytes || q.high_water_bytes > q.max_bytes)
        return LN_ERR_INVALID;
    *queue = q;
    return 0;
}

void ln_plan_fini(ln_plan *p, const ln_allocator *alloc)
{
    ln_free(alloc, p->subprotocols);
    ln_free(alloc, p->origins);
    p->subprotocols = p->origins = NULL;
}

/* ---- on one loop ---- */

/* See site.h. A frame's head counts, too; what may still be dropped waits above low water; and where
 * messages are counted, none is easy. */
static size_t easy_bytes(const ln_queue_options *q)
{
    if (q->max_messages > 0)
        return 0;
    const size_t most = ln_queue_waits(q) ? q->low_water_bytes : q->max_bytes;
    const size_t near = ln_min_size(most, LN_SITE_PUSH_BYTES);
    return near > LN_FRAME_HEAD_MAX ? near - LN_FRAME_HEAD_MAX : 0;
}

void ln_site_init(ln_site *site, ln_home *home, const ln_plan *plan, ln_ws_role role)
{
    const ln_ws_options *const o = &plan->options;
    const uint32_t rate = o->control_per_second;

    *site = (ln_site){
        .home = home,
        .plan = plan,
        .easy_bytes = easy_bytes(&plan->queue),
        .config = {.role = role,
                   .is_streaming = plan->handlers.on_chunk != NULL,
                   .trusts_text = o->trust_text,
                   .message_max_bytes = o->message_max_bytes,
                   .frame_max_bytes = o->frame_max_bytes,
                   .fragments_max = o->fragments_max,
                   .control_rate = {rate, rate * LN_CONTROL_BURST_SECONDS},
                   .ping_interval_ms = o->ping_interval_ms,
                   .pong_wait_ms = o->pong_wait_ms,
                   .idle_ms = o->idle_ms,
                   .message_ms = LN_DEFAULT_MESSAGE_MS,
                   .close_wait_ms = o->close_wait_ms,
                   .deflate_min_bytes = o->deflate_min_bytes,
                   /* an endpoint brings its own */
                   .pool = home->loop == NULL ? NULL : &home->loop->pool,
                   .alloc = home->alloc,
                   .scratch = &home->scratch,
                   .spare = &home->spare,
                   .mask_key = ln_home_mask_key,
                   .mask_user = home},
    };
}

bool ln_site_deflate_wish(const ln_site *site, ln_pmd_params *wish)
{
    const ln_ws_options *const o = &site->plan->options;

    *wish = (ln_pmd_params){.server_no_context_takeover = !o->deflate_context_takeover,
                            .client_no_context_takeover = !o->deflate_context_takeover,
                            .server_max_window_bits = 15,
                            .client_max_window_bits = 15};
    return o->deflate;
}

const char *ln_site_negotiate(const ln_site *site, const ln_head *head, ln_accepted *accepted)
{
    bool is_malformed = false;
    ln_pmd_params wish, agreed;

    *accepted = (ln_accepted){.subprotocol = ln_upgrade_choose_subprotocol(
                                  head, ln_text(site->plan->subprotocols), &is_malformed)};
    if (is_malformed)
        return "Sec-WebSocket-Protocol is malformed\n";
    if (!ln_site_deflate_wish(site, &wish))
        return NULL;
    const int rc =
        ln_pmd_accept(head, &wish, &agreed, accepted->extensions, &accepted->extensions_size);
    if (rc < 0)
        return "Sec-WebSocket-Extensions is malformed\n";
    if (rc == 0)
        return NULL;
    ln_zpool *const zpool = ln_home_zpool(site->home);
    accepted->deflate =
        zpool == NULL ? NULL : ln_deflate_new(zpool, &agreed, true, LN_SITE_DEFLATE_LEVEL);
    if (accepted->deflate == NULL)
        accepted->extensions_size = 0; /* no memory for it: go on without */
    return NULL;
}
