/* SPDX-License-Identifier: MIT */
/*
 * site - a WebSocket endpoint as one loop sees it: handlers, options with their defaults filled in,
 * and the codec's configuration. All connections of the endpoint on that loop point to it.
 */
#ifndef LN_SITE_H
#define LN_SITE_H

#include "home.h"
#include "proto/upgrade.h"

enum {
    LN_SITE_DEFLATE_LEVEL = 6,
    /*
     * Output beyond this is given to the system at once instead of at the end of the turn: a
     * handler that sends a lot should fill the socket, not our memory.
     */
    LN_SITE_PUSH_BYTES = 65536
};

/* An endpoint's fixed part, shared by all workers. */
typedef struct ln_plan {
    ln_ws_handlers handlers;
    ln_ws_options options;  /* checked, defaults filled in */
    ln_queue_options queue; /* of them: what a connection may have otherwise */
    char *subprotocols;     /* owned; "" if none */
    char *origins;          /* owned; "" = same origin */
    /* A dialect's words for refusals that are ours: answers `r`. NULL = plain text. `user` is the
     * handlers'. */
    void (*refuse)(ln_request *r, const ln_upgrade_verdict *why, void *user);
    /* A dialect's count of messages that waited for `c` and gave way to newer ones. NULL = none;
     * `user` likewise. */
    void (*on_displaced)(const ln_conn *c, void *user);
} ln_plan;

/* Checks and copies. LN_ERR_INVALID: a limit out of range, both on_message and on_chunk, a
 * subprotocol that is no token. */
LN_NODISCARD int ln_plan_init(ln_plan *p, const ln_ws_handlers *handlers,
                              const ln_ws_options *options, const ln_allocator *alloc);
/* The queue of a connection that asks for `wish`, with what is 0 as the plan has it.
 * LN_ERR_INVALID. */
LN_NODISCARD int ln_plan_queue(const ln_plan *p, const ln_queue_options *wish,
                               ln_queue_options *queue);
void ln_plan_fini(ln_plan *p, const ln_allocator *alloc);

/* Its policy chooses among messages that have not begun: they wait in a sendq. */
LN_INLINE bool ln_queue_waits(const ln_queue_options *q)
{
    return q->overflow == LN_OVERFLOW_DROP_OLDEST || q->overflow == LN_OVERFLOW_KEEP_LATEST;
}

typedef struct ln_site {
    ln_ws_config config;
    ln_home *home;
    const ln_plan *plan;
    size_t easy_bytes; /* with less output than this, no limit and no mark is near */
} ln_site;

void ln_site_init(ln_site *site, ln_home *home, const ln_plan *plan, ln_ws_role role);

/* What an upgrade gets. */
typedef struct ln_accepted {
    ln_span subprotocol;                    /* in the plan's memory; empty if none */
    ln_deflate *deflate;                    /* owned; NULL = not agreed */
    char extensions[LN_PMD_TEXT_MAX_BYTES]; /* the answer, if agreed */
    size_t extensions_size;
} ln_accepted;

/* Server: subprotocol and compression for a request. NULL, or a static sentence about what is
 * malformed (400). */
const char *ln_site_negotiate(const ln_site *site, const ln_head *head, ln_accepted *accepted);

/* The compression we are willing to do on this site. False: none. */
bool ln_site_deflate_wish(const ln_site *site, ln_pmd_params *wish);

#endif
