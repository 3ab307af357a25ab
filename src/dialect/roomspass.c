/* SPDX-License-Identifier: MIT */
/*
 * roomspass.c - whom a token names, until when, and how it is exchanged for another.
 *
 * The end of a token is a time of the wall clock, timers are monotonic: a timer that fires compares
 * the clocks again, and does so once a minute, should one of them have been set.
 */
#include <string.h>

#include <linnet/json.h>

#include "base/text.h"
#include "proto/jsonwrite.h"
#include "roomsinner.h"

enum { LOOK_MS = 60000, REFRESH_MAX_BYTES = LN_AUTH_TOKEN_MAX_BYTES + 1024 };

static const ln_bucket_rate refresh_rate = {LN_ROOMS_REFRESH_PER_SECOND, LN_ROOMS_REFRESH_BURST};

/* ---- the end of a token ---- */

static void watch(ln_rooms_pass *p)
{
    ln_conn *const c = p->guest->conn;
    ln_loop *const loop = ln_conn_home(c)->loop;
    const uint64_t wall_ms = ln_rooms_wall_ms();
    const uint64_t end_ms = p->identity->expires_ms;

    if (end_ms == UINT64_MAX) {
        ln_timer_clear(&loop->wheel, &p->timer);
    } else if (wall_ms < end_ms) {
        const uint64_t left_ms = end_ms - wall_ms;
        ln_timer_set(&loop->wheel, &p->timer,
                     loop->now_ms + (left_ms < LOOK_MS ? left_ms : LOOK_MS));
    } else if (ln_conn_close(c, LN_ROOMS_EXPIRED, LN_SPAN("token expired")) == 0) {
        ln_count(&ln_rooms_side_of_guest(p->guest)->counts.expired, 1);
    }
}

static void on_timer(ln_timer *timer)
{
    watch(LN_CONTAINER_OF(timer, ln_rooms_pass, timer));
}

void ln_rooms_pass_watch(ln_rooms_pass *p)
{
    const ln_loop *const loop = ln_conn_home(p->guest->conn)->loop;

    ln_bucket_init(&p->refreshes, &refresh_rate, loop->now_ms);
    watch(p);
}

/* ---- life ---- */

int ln_rooms_pass_new(ln_rooms_guest *g, ln_span token)
{
    const ln_auth *const auth = ln_rooms_law_of(g->rooms)->auth;
    const ln_identity *identity;

    if (auth == NULL)
        return LN_ERR_POLICY;
    const int rc = ln_auth_verify(auth, token, ln_rooms_wall_ms(), &identity, NULL);
    if (rc < 0)
        return rc == LN_ERR_NOMEM ? rc : LN_ERR_POLICY;
    ln_rooms_pass *const p = ln_alloc_zero(g->rooms->alloc, sizeof *p);
    if (p == NULL) {
        ln_identity_unref(identity);
        return LN_ERR_NOMEM;
    }
    p->guest = g;
    p->identity = identity;
    ln_timer_init(&p->timer, on_timer);
    g->pass = p;
    return 0;
}

void ln_rooms_pass_free(ln_rooms_pass *p, const ln_allocator *alloc)
{
    if (p == NULL)
        return;
    if (p->guest->conn != NULL)
        ln_timer_clear(&ln_conn_home(p->guest->conn)->loop->wheel, &p->timer);
    ln_identity_unref(p->identity);
    ln_free(alloc, p);
}

/* ---- another one ---- */

/* {"type":"refresh",...}: a text for us, whatever else is in it. */
static bool is_refresh(ln_span text)
{
    char type[16];
    ln_span value;

    return text.size > 0 && text.size <= REFRESH_MAX_BYTES && *(const char *)text.data == '{' &&
           ln_json_find(text, "type", 0, &value) == 0 &&
           ln_json_text(value, type, sizeof type) > 0 && strcmp(type, "refresh") == 0;
}

/* Puts a new identity in the place of the old one. LN_ERR_POLICY, LN_ERR_NOMEM. */
static int exchange(ln_rooms_pass *p, ln_span token)
{
    const ln_auth *const auth = ln_rooms_law_of(p->guest->rooms)->auth;
    const ln_identity *fresh;

    if (auth == NULL)
        return LN_ERR_POLICY;
    const int rc = ln_auth_verify(auth, token, ln_rooms_wall_ms(), &fresh, NULL);
    if (rc < 0)
        return rc;
    if (!ln_text_equal(fresh->id, p->identity->id)) {
        ln_identity_unref(fresh);
        return LN_ERR_POLICY;
    }
    ln_identity_unref(p->identity);
    p->identity = fresh;
    return 0;
}

/* The token in the message, judged. LN_ERR_LIMIT: too many of them. */
static int judge(ln_rooms_guest *g, ln_span text)
{
    const ln_loop *const loop = ln_conn_home(g->conn)->loop;
    char token[LN_AUTH_TOKEN_MAX_BYTES + 1];
    ln_span value;

    if (g->pass == NULL)
        return LN_ERR_POLICY; /* nobody cannot become somebody */
    if (!ln_bucket_take(&g->pass->refreshes, &refresh_rate, 1, loop->now_ms))
        return LN_ERR_LIMIT;
    if (ln_json_find(text, "token", 0, &value) < 0)
        return LN_ERR_POLICY;
    const int n = ln_json_text(value, token, sizeof token);
    const int rc = n < 0 ? LN_ERR_POLICY : exchange(g->pass, (ln_span){token, (size_t)n});
    explicit_bzero(token, sizeof token);
    return rc;
}

static int write_answer(const ln_rooms_guest *g, int verdict, ln_buf *out)
{
    static const char refused[] = "{\"type\":\"error\",\"error\":{\"code\":"
                                  "\"WEBSOCKET_INVALID_TOKEN\",\"message\":"
                                  "\"invalid websocket token\"}}";
    static const char limited[] = "{\"type\":\"error\",\"error\":{\"code\":"
                                  "\"WEBSOCKET_RATE_LIMITED\",\"message\":"
                                  "\"too many refreshes\"}}";

    if (verdict < 0)
        return ln_json_write_raw(out, verdict == LN_ERR_LIMIT ? limited : refused);
    const uint64_t end_ms = g->pass->identity->expires_ms;
    int rc = ln_json_write_raw(out, "{\"type\":\"refreshed\",\"expires\":");
    if (rc == 0)
        rc = end_ms == UINT64_MAX ? ln_json_write_raw(out, "null")
                                  : ln_json_write_u64(out, end_ms / 1000);
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

bool ln_rooms_refresh(ln_rooms_guest *g, ln_span text)
{
    ln_rooms_counts *const counts = &ln_rooms_side_of_guest(g)->counts;
    ln_buf answer;

    if (!is_refresh(text))
        return false;
    const int verdict = judge(g, text);
    ln_count(verdict < 0 ? &counts->refresh_refused : &counts->refreshed, 1);
    ln_buf_init(&answer, g->rooms->alloc);
    if (write_answer(g, verdict, &answer) == 0)
        /* not sent: the client has no answer and asks again */
        (void)ln_conn_send(g->conn, LN_TEXT, (ln_span){answer.data, answer.size});
    ln_buf_fini(&answer);
    if (verdict == 0) {
        watch(g->pass);
        ln_rooms_judge(g);
    }
    return true;
}
