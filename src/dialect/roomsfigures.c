/* SPDX-License-Identifier: MIT */
/* roomsfigures.c - how many there are and were. */
#include "roomsinner.h"

size_t ln_rooms_count(ln_rooms *rm, ln_span room)
{
    return room.size > 0 ? ln_capacity_count(rm->capacity, room)
                         : (size_t)ln_capacity_total(rm->capacity);
}

int ln_rooms_each(ln_rooms *rm, void (*fn)(ln_span room, size_t members, void *user), void *user)
{
    uint32_t members;
    ln_span room;
    ln_buf list;

    ln_buf_init(&list, rm->alloc);
    const int rc = ln_capacity_list(rm->capacity, &list);
    ln_span rest = {list.data, rc == 0 ? list.size : 0};
    while (ln_capacity_next(&rest, &room, &members))
        fn(room, members, user);
    ln_buf_fini(&list);
    return rc;
}

static void add_up(ln_rooms_stats *sum, const ln_rooms_counts *n)
{
    const struct {
        uint64_t *to;
        const _Atomic uint64_t *from;
    } pairs[] = {
        {&sum->joined_total, &n->joined},
        {&sum->refused_total, &n->refused},
        {&sum->security_refused_total, &n->security_refused},
        {&sum->tokens_total, &n->tokens},
        {&sum->password_checks_total, &n->password_checks},
        {&sum->passwords_wrong_total, &n->passwords_wrong},
        {&sum->attempts_limited_total, &n->attempts_limited},
        {&sum->busy_total, &n->busy},
        {&sum->expired_total, &n->expired},
        {&sum->refreshed_total, &n->refreshed},
        {&sum->refresh_refused_total, &n->refresh_refused},
        {&sum->messages_total, &n->messages},
        {&sum->rejected_text_total, &n->rejected_text},
        {&sum->forbidden_total, &n->forbidden},
        {&sum->paused_total, &n->paused},
        {&sum->rate_closed_total, &n->rate_closed},
        {&sum->abandoned_total, &n->abandoned},
        {&sum->delivered_total, &n->deliveries[LN_DELIVERED]},
        {&sum->queued_total, &n->deliveries[LN_DELIVERY_QUEUED]},
        {&sum->dropped_total, &n->deliveries[LN_DELIVERY_DROPPED]},
        {&sum->closed_total, &n->deliveries[LN_DELIVERY_CLOSED]},
        {&sum->displaced_total, &n->displaced},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(pairs); i++)
        *pairs[i].to += atomic_load_explicit(pairs[i].from, memory_order_relaxed);
}

void ln_rooms_stats_get(ln_rooms *rm, ln_rooms_stats *stats)
{
    ln_rooms_stats sum = {.rooms = ln_capacity_topics(rm->capacity),
                          .members = ln_capacity_total(rm->capacity),
                          .broadcasts_total = atomic_load(&rm->broadcasts)};

    for (unsigned i = 0; i < rm->server->worker_count; i++)
        add_up(&sum, &rm->sides[i].counts);
    *stats = sum;
}
