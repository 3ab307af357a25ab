/* SPDX-License-Identifier: MIT */
/* roomsguest.c - in the room: from the 101 to the end, and every message on its way. */
#include <string.h>

#include "base/text.h"
#include "hub/filter.h"
#include "roomsinner.h"

/* ---- coming ---- */

/* The queue that the room's members have. */
static int set_queue(const ln_rooms_guest *g)
{
    const ln_span room = ln_rooms_room_of(g);

    for (size_t i = 0; i < g->rooms->queue_count; i++) {
        const ln_span pattern = ln_text(g->rooms->queues[i].pattern);
        if (ln_filter_is(pattern) ? ln_filter_matches(pattern, room) : ln_text_equal(pattern, room))
            return ln_conn_set_queue(g->conn, &g->rooms->queues[i].queue);
    }
    return 0;
}

static int enter(ln_rooms_guest *g)
{
    ln_rooms *const rm = g->rooms;

    int rc = set_queue(g);
    if (rc == 0 && rm->has_rates)
        rc = ln_rooms_meter_new(g);
    if (rc == 0)
        rc = ln_topics_tally(g->conn, ln_rooms_side_of_guest(g)->counts.deliveries);
    if (rc == 0)
        rc = ln_topics_subscribe(g->conn, ln_rooms_room_of(g));
    if (rc == 0 && rm->desk != NULL)
        g->is_listed = ln_presence_enter(rm->desk, g->conn, ln_rooms_room_of(g),
                                         (ln_span){g->text + g->room_size, g->name_size}) == 0;
    return rc;
}

/* Starts or ends telling a guest of presence, as it wishes and the law allows. */
static void settle_presence(ln_rooms_guest *g, bool is_allowed)
{
    const bool wanted = g->wants_presence && is_allowed;

    if (wanted == g->follows)
        return;
    if (wanted)
        g->follows = ln_presence_follow(g->rooms->desk, g->conn, ln_rooms_room_of(g)) == 0;
    else
        ln_presence_unfollow(g->conn, ln_rooms_room_of(g));
    g->follows = wanted && g->follows;
}

static bool is_allowed(const ln_rooms_guest *g, ln_verb_bit verb)
{
    return ln_rules_allow(ln_rooms_law_of(g->rooms)->rules, ln_rooms_identity_of(g), verb,
                          ln_rooms_room_of(g));
}

/* False: it may not be here, and is sent away. */
static bool may_stay(const ln_rooms_guest *g)
{
    if (is_allowed(g, LN_VERB_SUBSCRIBE))
        return true;
    /* closing already is as good */
    if (ln_conn_close(g->conn, 1008, LN_SPAN("not permitted to be here")) == 0)
        ln_count(&ln_rooms_side_of_guest(g)->counts.forbidden, 1);
    return false;
}

void ln_rooms_judge(ln_rooms_guest *g)
{
    if (!may_stay(g))
        return;
    g->may_publish = is_allowed(g, LN_VERB_PUBLISH);
    settle_presence(g, is_allowed(g, LN_VERB_PRESENCE));
}

/* Once more, now that it can be told by a close code: while its password was looked at, its token
 * may have ended and the rules may have changed. */
static bool may_enter(const ln_rooms_guest *g)
{
    if (g->pass != NULL)
        ln_rooms_pass_watch(g->pass);
    return ln_ws_is_open(&g->conn->ws) && may_stay(g);
}

void ln_rooms_on_open(ln_conn *c, const ln_request *request, void *user)
{
    const ln_rooms *const rm = user;
    ln_rooms_guest *const g = ln_conn_user(c);
    ln_rooms_side *const side = ln_rooms_side_of(rm, ln_conn_home(c));
    (void)request;

    g->conn = c;
    ln_list_add(&side->guests, &g->link);
    if (!may_enter(g))
        return;
    if (enter(g) < 0) {
        /* it is open: nothing can go wrong */
        (void)ln_conn_close(c, 1013, LN_SPAN("the room cannot be joined"));
        return;
    }
    ln_count(&side->counts.joined, 1);
    ln_count(&side->counts.tokens, g->pass != NULL);
    g->is_announced = true;
    ln_rooms_judge(g);
    if (rm->options.on_join != NULL)
        rm->options.on_join(c, ln_rooms_room_of(g), rm->options.user);
}

/* ---- messages ---- */

static void refuse(ln_rooms_guest *g, _Atomic uint64_t *counter, uint16_t code, ln_span reason)
{
    /* closing already is as good */
    if (ln_conn_close(g->conn, code, reason) == 0)
        ln_count(counter, 1);
}

/* False: the text is not wanted, and its sender is sent away. */
static bool is_wanted(ln_rooms_guest *g, ln_span text)
{
    const ln_rooms_options *const o = &g->rooms->options;
    ln_rooms_counts *const counts = &ln_rooms_side_of_guest(g)->counts;

    if (o->text_max_bytes > 0 && text.size > o->text_max_bytes)
        refuse(g, &counts->rejected_text, 1009, LN_SPAN("message too large"));
    else if (!ln_rooms_text_is_good(o->text, text))
        refuse(g, &counts->rejected_text, 1008, LN_SPAN("message rejected"));
    else
        return true;
    return false;
}

static void publish(ln_rooms_guest *g, enum ln_kind kind, ln_span data)
{
    const ln_rooms_options *const o = &g->rooms->options;
    const ln_message message = {kind, data, true, true};

    /* Out of memory: this message is lost, as to a full queue. */
    if (o->on_message != NULL)
        o->on_message(g->conn, ln_rooms_room_of(g), &message, o->user);
    else if (o->excludes_sender)
        (void)ln_conn_publish_others(g->conn, ln_rooms_room_of(g), kind, data, NULL);
    else
        (void)ln_conn_publish(g->conn, ln_rooms_room_of(g), kind, data, NULL);
}

void ln_rooms_take(ln_rooms_guest *g, enum ln_kind kind, ln_span data)
{
    ln_rooms_counts *const counts = &ln_rooms_side_of_guest(g)->counts;

    if (kind == LN_TEXT && !is_wanted(g, data))
        return;
    if (kind == LN_TEXT && g->rooms->options.refresh && ln_rooms_refresh(g, data))
        return;
    if (!g->may_publish) {
        refuse(g, &counts->forbidden, 1008, LN_SPAN("not permitted to publish"));
        return;
    }
    ln_count(&counts->messages, 1);
    publish(g, kind, data);
}

void ln_rooms_on_message(ln_conn *c, const ln_message *message, void *user)
{
    ln_rooms_guest *const g = ln_conn_user(c);
    (void)user;

    if (g->meter == NULL || ln_rooms_pay(g, message->kind, message->data))
        ln_rooms_take(g, message->kind, message->data);
}

/* ---- going ---- */

void ln_rooms_on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    const ln_rooms *const rm = user;
    ln_rooms_guest *const g = ln_conn_user(c);
    (void)info;

    if (g->is_announced && rm->options.on_leave != NULL)
        rm->options.on_leave(c, ln_rooms_room_of(g), rm->options.user);
    if (g->is_listed)
        ln_presence_leave(rm->desk, c, ln_rooms_room_of(g));
    ln_list_remove(&g->link);
    ln_rooms_let_go(g);
}

const ln_identity *ln_rooms_identity(const ln_conn *c)
{
    if (c->ws.config == NULL || ln_conn_site(c)->plan->handlers.on_message != ln_rooms_on_message)
        return NULL; /* none of this dialect's */
    return ln_rooms_identity_of(ln_conn_user(c));
}
