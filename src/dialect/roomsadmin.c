/* SPDX-License-Identifier: MIT */
/*
 * roomsadmin.c - two requests for who knows the administrators' secret: POST .../broadcast[?room=]
 * sends a text to a room or to everybody, GET .../metrics[?form=] has the counts.
 *
 * A broadcast is answered when all workers have made it; the request waits for that on its own
 * thread, and a letter brings the result there.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "peer/exchange.h"
#include "proto/jsonwrite.h"
#include "roomsinner.h"

/* ---- answers ---- */

/* LN_ERR_NOMEM: one that was not deferred gets 500 then. */
static int reply(ln_request *r, unsigned status, const char *type, ln_span body)
{
    (void)ln_request_add_header(r, "Cache-Control", LN_SPAN("no-store"));
    return ln_request_reply(r, status, type, body);
}

static int refuse(ln_request *r, unsigned status, const char *code, const char *message,
                  const char *kind)
{
    char body[256];
    const int n =
        snprintf(body, sizeof body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",%s}}\n", code,
                 message, kind);
    return reply(r, status, "application/json", (ln_span){body, (size_t)n});
}

#define KIND(category, type) "\"category\":\"" category "\",\"type\":\"" type "\""

/* As long for the first byte as for the last; only the length of what was sent shows. */
static bool is_secret(const ln_rooms *rm, ln_span shown)
{
    const ln_span secret = rm->options.admin_secret;
    const volatile uint8_t *const a = secret.data;
    const volatile uint8_t *const b = shown.data;
    uint8_t difference = shown.size != secret.size;

    for (size_t i = 0; i < shown.size; i++)
        difference |= a[i % secret.size] ^ b[i];
    return difference == 0;
}

/* False: answered. */
static bool is_admitted(const ln_rooms *rm, ln_request *r, const char *method)
{
    if (!ln_text_equal(ln_request_method(r), ln_text(method))) {
        (void)ln_request_add_header(r, "Allow", ln_text(method));
        (void)refuse(r, 405, "METHOD_NOT_ALLOWED", "method not allowed",
                     KIND("client_error", "method_not_allowed"));
        return false;
    }
    if (is_secret(rm, ln_head_bearer(ln_request_header(r, "Authorization"))))
        return true;
    (void)ln_request_add_header(r, "WWW-Authenticate", LN_SPAN("Bearer"));
    (void)refuse(r, 401, "UNAUTHORIZED", "unauthorized",
                 KIND("auth_error", "unauthorized_request"));
    return false;
}

/* Before their bodies are read, which strangers could make large, slow, and many. */
static bool may_broadcast(ln_request *r, void *user)
{
    return is_admitted(user, r, "POST");
}

static bool may_have_metrics(ln_request *r, void *user)
{
    return is_admitted(user, r, "GET");
}

/* ---- broadcast ---- */

/* A request that waits for its result. */
typedef struct appeal {
    ln_letter letter; /* to the request's worker */
    const ln_server *server;
    const ln_allocator *alloc;
    ln_loop *loop;
    ln_request *request; /* NULL: gone */
    bool is_over;        /* it could not be answered, and goes with the request */
    ln_publish_result result;
} appeal;

static bool is_lost(const ln_publish_result *r)
{
    return r->delivered == 0 && r->queued == 0 && (r->dropped > 0 || r->closed > 0);
}

static int refuse_broadcast(ln_request *r)
{
    return refuse(r, 503, "WEBSOCKET_BROADCAST_REJECTED", "websocket broadcast rejected",
                  KIND("server_error", "service_unavailable"));
}

static void on_answer(ln_letter *letter, ln_loop *loop)
{
    appeal *const a = LN_CONTAINER_OF(letter, appeal, letter);
    ln_request *const r = loop == NULL ? NULL : a->request;
    int rc = 0;

    if (r != NULL) {
        ln_conn *const c = r->exchange->conn;
        rc = is_lost(&a->result) ? refuse_broadcast(r) : reply(r, 204, NULL, (ln_span){NULL, 0});
        a->is_over = rc < 0;
        if (rc < 0)
            ln_conn_drop(c, rc);
    }
    if (rc == 0)
        ln_free(a->alloc, a);
}

/* On any worker's thread, or in ln_server_free(), where the request's loop may be gone already. */
static void on_result(const ln_publish_result *result, void *user)
{
    appeal *const a = user;

    a->result = *result;
    if (atomic_load(&a->server->state) != LN_SERVER_STOPPED)
        ln_loop_send_letter(a->loop, &a->letter);
    else if (a->request != NULL)
        a->is_over = true;
    else
        ln_free(a->alloc, a);
}

static void on_gone(ln_request *r, void *user)
{
    appeal *const a = user;
    (void)r;
    a->request = NULL;
    if (a->is_over)
        ln_free(a->alloc, a);
}

static void broadcast(ln_rooms *rm, ln_request *r, ln_span room)
{
    appeal *const a = ln_alloc_zero(rm->alloc, sizeof *a);

    if (a == NULL) {
        (void)refuse_broadcast(r);
        return;
    }
    a->letter.handle = on_answer;
    a->server = rm->server;
    a->alloc = rm->alloc;
    a->loop = ln_conn_home(r->exchange->conn)->loop;
    a->request = r;
    const int rc = ln_rooms_publish(rm, room, LN_TEXT, ln_request_body(r), on_result, a);
    if (rc == 0) {
        (void)ln_request_defer(r, on_gone, a); /* for the first time: it cannot fail */
        return;
    }
    ln_free(rm->alloc, a);
    if (rc == LN_ERR_INVALID)
        (void)refuse(r, 400, "WEBSOCKET_INVALID_TEXT", "body is not UTF-8",
                     KIND("validation_error", "validation_failure"));
    else
        (void)refuse_broadcast(r);
}

static void on_broadcast(ln_request *r, void *user)
{
    ln_rooms *const rm = user;
    char room[LN_ROOMS_NAME_MAX_BYTES + 1];

    if (!is_admitted(rm, r, "POST"))
        return;
    if (ln_request_body(r).size > rm->options.broadcast_max_bytes) {
        (void)refuse(r, 413, "WEBSOCKET_REQUEST_TOO_LARGE", "request body too large",
                     KIND("client_error", "request_too_large"));
        return;
    }
    const int n = ln_request_param(r, "room", room, sizeof room);
    const ln_span name = {room, n < 0 ? 0 : (size_t)n};
    if (n != LN_ERR_NOT_FOUND && n != 0 && (n < 0 || !ln_rooms_is_room(rm, name)))
        (void)refuse(r, 400, "WEBSOCKET_INVALID_ROOM", "invalid websocket room",
                     KIND("validation_error", "validation_failure"));
    else if (ln_server_is_stopping(rm->server))
        (void)refuse_broadcast(r);
    else
        broadcast(rm, r, name);
}

/* ---- metrics ---- */

typedef struct figure {
    const char *name;
    uint64_t value;
} figure;

static int write_figures(ln_buf *out, const figure *list, size_t count)
{
    int rc = ln_json_write_raw(out, "{");

    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = ln_json_write_raw(out, i == 0 ? "\"" : ",\"");
        if (rc == 0)
            rc = ln_json_write_raw(out, list[i].name);
        if (rc == 0)
            rc = ln_json_write_raw(out, "\":");
        if (rc == 0)
            rc = ln_json_write_u64(out, list[i].value);
    }
    return rc == 0 ? ln_json_write_raw(out, "}\n") : rc;
}

static int write_legacy(ln_buf *out, const ln_rooms *rm, const ln_rooms_stats *s)
{
    const figure list[] = {
        {"active_connections", s->members},
        {"rooms", s->rooms},
        {"accepted_total", s->joined_total},
        {"rejected_total", s->refused_total},
        {"max_connections", rm->options.members_max},
        {"max_room_connections", rm->options.room_members_max},
    };
    return write_figures(out, list, LN_ARRAY_SIZE(list));
}

static int write_strict(ln_buf *out, const ln_rooms *rm, const ln_rooms_stats *s)
{
    const uint64_t enqueued = s->delivered_total + s->queued_total;
    ln_server_stats server;

    ln_server_stats_get(rm->server, &server);
    const figure list[] = {
        {"active_connections", s->members},
        {"room_registrations", s->members},
        {"rooms", s->rooms},
        {"accepted_total", s->joined_total},
        {"rejected_total", s->refused_total},
        {"max_room_registrations", rm->options.members_max},
        {"max_room_connections", rm->options.room_members_max},
        {"broadcast_attempted", enqueued + s->dropped_total + s->closed_total},
        {"broadcast_enqueued", enqueued},
        {"broadcast_skipped", s->closed_total},
        {"broadcast_dropped", s->dropped_total + s->displaced_total},
        {"security_rejections", s->security_refused_total},
        {"invalid_ws_keys", server.malformed_total},
        {"successful_auths", s->tokens_total},
    };
    return write_figures(out, list, LN_ARRAY_SIZE(list));
}

static int write_ours(ln_buf *out, const ln_rooms_stats *s)
{
    const figure list[] = {
        {"rooms", s->rooms},
        {"members", s->members},
        {"joined_total", s->joined_total},
        {"refused_total", s->refused_total},
        {"security_refused_total", s->security_refused_total},
        {"tokens_total", s->tokens_total},
        {"password_checks_total", s->password_checks_total},
        {"passwords_wrong_total", s->passwords_wrong_total},
        {"attempts_limited_total", s->attempts_limited_total},
        {"busy_total", s->busy_total},
        {"expired_total", s->expired_total},
        {"refreshed_total", s->refreshed_total},
        {"refresh_refused_total", s->refresh_refused_total},
        {"messages_total", s->messages_total},
        {"rejected_text_total", s->rejected_text_total},
        {"forbidden_total", s->forbidden_total},
        {"paused_total", s->paused_total},
        {"rate_closed_total", s->rate_closed_total},
        {"abandoned_total", s->abandoned_total},
        {"broadcasts_total", s->broadcasts_total},
        {"delivered_total", s->delivered_total},
        {"queued_total", s->queued_total},
        {"dropped_total", s->dropped_total},
        {"closed_total", s->closed_total},
        {"displaced_total", s->displaced_total},
    };
    return write_figures(out, list, LN_ARRAY_SIZE(list));
}

static void on_metrics(ln_request *r, void *user)
{
    ln_rooms *const rm = user;
    ln_rooms_stats stats;
    char form[16] = "";
    ln_buf out;

    if (!is_admitted(rm, r, "GET"))
        return;
    (void)ln_request_param(r, "form", form, sizeof form); /* any other one: ours */
    ln_rooms_stats_get(rm, &stats);
    ln_buf_init(&out, rm->alloc);
    const int rc = strcmp(form, "legacy") == 0   ? write_legacy(&out, rm, &stats)
                   : strcmp(form, "strict") == 0 ? write_strict(&out, rm, &stats)
                                                 : write_ours(&out, &stats);
    if (rc == 0)
        (void)reply(r, 200, "application/json", (ln_span){out.data, out.size});
    ln_buf_fini(&out);
}

int ln_rooms_admin_mount(ln_rooms *rm)
{
    const char *const base = rm->options.admin_path == NULL ? "/_admin" : rm->options.admin_path;
    char path[LN_ROUTE_PATH_MAX_BYTES + 2];

    snprintf(path, sizeof path, "%s/broadcast", base); /* a longer one is cut, and refused */
    int rc = ln_server_http_guarded(rm->server, path, on_broadcast, may_broadcast, rm);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof path, "%s/metrics", base);
    return ln_server_http_guarded(rm->server, path, on_metrics, may_have_metrics, rm);
}
