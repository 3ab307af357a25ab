/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "desk.h"
#include "slash.h"
#include "verb.h"

enum {
    EXECUTE_WAIT_MS = 2000, /* for answers to -x: what wscat waits */
    HASTY_MS = 500,         /* for the peer's goodbye, when nothing depends on it any more */
    RECHECK_MS = 100        /* how soon a queue that emptied without a word is noticed */
};

typedef struct session {
    const ln_dial_settings *set;
    ln_desk desk;
    ln_client *client;
    ln_conn *conn; /* NULL while there is none */
    uint64_t sent; /* messages, for naming one that could not be */
    uint64_t received;
    bool was_open;
    bool is_full; /* the send queue is above high water */
    bool awaits_last_pong;
} session;

/* The ping behind the last line: what a server answers in order is back before its pong is. */
static const ln_span last_ping = {"last", 4};
enum { LAST_PONG_MS = 1000 };

/* What there was to show has been shown, or cannot be: how the connection ends does not matter any
 * more. */
static bool has_its_fill(const session *s)
{
    return s->desk.screen.failure != 0 || (s->set->wants_one && s->received > 0);
}

static void say_goodbye(void *arg)
{
    session *s = arg;
    if (s->conn == NULL)
        ln_desk_end(&s->desk);
    else
        ln_client_stop(s->client);
}

/* ------------------------------------------------------------------------------------------------
 * handlers */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    session *s = user;
    (void)request;
    s->conn = c;
    s->was_open = true;
    s->is_full = false;
    ln_desk_notice(&s->desk);
    ln_screen_say(&s->desk.screen, LN_TONE_EVENT, "Connected (press CTRL+C to quit)");
    const ln_span subprotocol = ln_conn_subprotocol(c);
    FILE *out = subprotocol.size > 0 ? ln_screen_begin(&s->desk.screen, LN_TONE_DETAIL) : NULL;
    if (out == NULL)
        return;
    fputs("Subprotocol: ", out);
    ln_screen_quote(out, subprotocol);
    ln_screen_end(&s->desk.screen);
}

static void on_message(ln_conn *c, const ln_message *message, void *user)
{
    session *s = user;
    (void)c;
    if (s->set->wants_one && s->received > 0)
        return;
    s->received++;
    ln_screen_message(&s->desk.screen, message->kind, message->data);
    if (s->set->wants_one)
        ln_desk_leave(&s->desk);
}

static void show_control(session *s, const char *name, ln_span data)
{
    if (!s->set->shows_pings)
        return;
    FILE *out = ln_screen_begin(&s->desk.screen, LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "received %s (data: \"", name);
    ln_screen_quote(out, data);
    fputs("\")", out);
    ln_screen_end(&s->desk.screen);
}

static void on_ping(ln_conn *c, ln_span data, void *user)
{
    (void)c;
    show_control(user, "ping", data);
}

static void on_pong(ln_conn *c, ln_span data, void *user)
{
    session *s = user;
    (void)c;
    if (s->awaits_last_pong && data.size == last_ping.size &&
        memcmp(data.data, last_ping.data, data.size) == 0) {
        s->awaits_last_pong = false;
        ln_desk_notice(&s->desk);
        return;
    }
    show_control(s, "pong", data);
}

static void on_drain(ln_conn *c, void *user)
{
    session *s = user;
    (void)c;
    s->is_full = false;
    ln_desk_notice(&s->desk);
}

/* Did it end as it should? What we ended did if the peer agreed; what the peer ended, if it did not
 * complain. */
static bool is_good_end(const session *s, const ln_close_info *info)
{
    if (!info->is_clean)
        return false;
    return s->desk.is_leaving || info->code == 1000 || info->code == 1001 || info->code == 1005;
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    session *s = user;
    (void)c;
    s->conn = NULL;
    ln_desk_notice(&s->desk);
    const bool is_last = s->desk.is_leaving || !s->set->reconnects;
    const bool is_good = is_good_end(s, info);
    const bool is_wanted = s->desk.is_over || has_its_fill(s);
    if (is_last)
        ln_desk_end(&s->desk);
    if (is_last && !is_good && !is_wanted)
        s->desk.has_failed = true;

    FILE *out =
        ln_screen_begin(&s->desk.screen, is_good || is_wanted ? LN_TONE_EVENT : LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "Disconnected (code: %u, reason: \"", info->code);
    ln_screen_quote(out, info->reason);
    fputs("\")", out);
    if (info->error != 0)
        fprintf(out, ": %s", ln_strerror(info->error));
    ln_screen_end(&s->desk.screen);
}

static void on_failure(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user)
{
    session *s = user;
    (void)client;
    if (retry_ms < 0) {
        ln_desk_end(&s->desk);
        s->desk.has_failed = true;
    }
    FILE *out = ln_screen_begin(&s->desk.screen, LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "%s", ln_strerror(err));
    if (status != 0)
        fprintf(out, " with status %u", status);
    if (what != NULL && strcmp(what, ln_strerror(err)) != 0) {
        fputs(": ", out);
        ln_screen_quote(out, ln_text(what));
    }
    ln_screen_put_wait(out, retry_ms);
    ln_screen_end(&s->desk.screen);
}

/* ------------------------------------------------------------------------------------------------
 * sending */

/* Waits until all that was sent is on its way: a close has a deadline, a slow reader may need
 * longer. */
static void drain(session *s)
{
    ln_desk_turn(&s->desk, 0);
    while (s->conn != NULL && !ln_desk_is_done(&s->desk) && ln_conn_queued_bytes(s->conn) > 0)
        ln_desk_turn(&s->desk, RECHECK_MS);
}

/* Waits for a connection with room in its queue. */
static bool wait_for_room(session *s)
{
    while (!ln_desk_is_done(&s->desk) && (s->conn == NULL || s->is_full)) {
        ln_desk_turn(&s->desk, s->conn == NULL ? -1 : RECHECK_MS);
        if (s->conn != NULL && ln_conn_queued_bytes(s->conn) == 0)
            s->is_full = false;
    }
    return !ln_desk_is_done(&s->desk);
}

static void refuse_message(session *s, int rc)
{
    s->desk.has_failed = true;
    FILE *out = ln_screen_begin(&s->desk.screen, LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "message %" PRIu64 " was not sent: %s", s->sent + 1,
            rc == LN_ERR_INVALID ? "it is not UTF-8 (see --binary)" : ln_strerror(rc));
    ln_screen_end(&s->desk.screen);
}

static void send_message(session *s, ln_span payload)
{
    const enum ln_kind kind = s->set->is_binary ? LN_BINARY : LN_TEXT;
    while (wait_for_room(s)) {
        const int rc = ln_conn_send(s->conn, kind, payload);
        if (rc == LN_ERR_WOULD_EXCEED && ln_conn_queued_bytes(s->conn) > 0) {
            s->is_full = true;
            continue;
        }
        if (rc == LN_ERR_CLOSED) { /* the peer is closing; on_close comes in a turn */
            ln_desk_turn(&s->desk, -1);
            continue;
        }
        s->is_full = rc == 1;
        if (rc < 0)
            refuse_message(s, rc);
        s->sent++;
        return;
    }
}

static void run_slash(session *s, ln_span line)
{
    ln_slash slash;
    int rc = ln_slash_parse(line, &slash);
    if (rc < 0) {
        ln_screen_say(&s->desk.screen, LN_TONE_ERROR,
                      "commands are /ping [DATA] and /close [CODE [REASON]]");
        return;
    }
    if (!wait_for_room(s))
        return;
    switch (slash.type) {
    case LN_SLASH_PING:
        rc = ln_conn_ping(s->conn, slash.text);
        break;
    case LN_SLASH_CLOSE:
        rc = ln_conn_close(s->conn, slash.code, slash.text);
        if (rc == 0)
            ln_desk_leave(&s->desk);
        break;
    }
    if (rc < 0)
        ln_screen_say(&s->desk.screen, LN_TONE_ERROR, ln_strerror(rc));
}

static void send_typed(session *s, ln_span line)
{
    if (s->set->has_slash && ln_slash_is(line))
        run_slash(s, line);
    else if (line.size > 0 ||
             !s->desk.screen
                  .is_interactive) /* a lone Return is no message, an empty line of a file is one */
        send_message(s, line);
}

/* ------------------------------------------------------------------------------------------------
 * life */

/* How long to listen when everything is said. */
static uint32_t patience_ms(const ln_dial_settings *set)
{
    if (set->wait_ms != LN_OPTION_UNSET)
        return set->wait_ms;
    if (set->wants_one || set->keeps_open)
        return LN_OFF;
    return set->execute.count > 0 ? EXECUTE_WAIT_MS : 0;
}

/* How long to wait for the peer's goodbye: as long as --close-wait says, unless it changes nothing
 * any more. */
static uint32_t parting_ms(const session *s)
{
    if (s->set->exits_on_eof)
        return 0;
    return has_its_fill(s) ? HASTY_MS : LN_OFF;
}

/* Before we say goodbye at the end of the input: answers to what was sent last should not come too
 * late. */
static void await_answers(session *s)
{
    if (s->conn == NULL || s->sent == 0 || ln_conn_ping(s->conn, last_ping) < 0)
        return;
    s->awaits_last_pong = true;
    const uint64_t until = ln_loop_now_ms(s->desk.loop) + LAST_PONG_MS;
    while (s->awaits_last_pong && s->conn != NULL && !ln_desk_is_done(&s->desk)) {
        const uint64_t now = ln_loop_now_ms(s->desk.loop);
        if (now >= until)
            break;
        ln_desk_turn(&s->desk, (int)(until - now));
    }
    s->awaits_last_pong = false;
}

static void converse(session *s)
{
    while (s->conn == NULL && !ln_desk_is_done(&s->desk))
        ln_desk_turn(&s->desk, -1);
    for (unsigned i = 0; i < s->set->execute.count && !ln_desk_is_done(&s->desk); i++)
        send_message(s, ln_text(s->set->execute.items[i]));
    ln_span text;
    while (s->set->execute.count == 0 && !ln_desk_is_done(&s->desk) &&
           ln_desk_read(&s->desk, &text))
        send_typed(s, text);
    drain(s);
    if (!s->set->exits_on_eof && s->set->execute.count == 0 && patience_ms(s->set) == 0)
        await_answers(s);
    if (!s->set->exits_on_eof)
        ln_desk_rest(&s->desk, patience_ms(s->set));
    ln_desk_leave(&s->desk);
    ln_desk_turn(&s->desk, 0); /* the close frame is on its way, whatever comes now */
    ln_desk_rest_until_over(&s->desk, parting_ms(s));
    ln_desk_end(&s->desk);
    if (!s->was_open)
        s->desk.has_failed = true;
    else if (s->set->wants_one && s->received == 0 && !s->desk.has_failed)
        ln_desk_fail(&s->desk, "no message came");
}

static int open_client(session *s, ln_offer *offer)
{
    const ln_ws_handlers handlers = {
        .on_open = on_open,
        .on_message = on_message,
        .on_ping = on_ping,
        .on_pong = on_pong,
        .on_drain = on_drain,
        .on_close = on_close,
        .user = s,
    };
    offer->options.on_failure = on_failure;
    offer->options.user = s;
    return ln_client_new(s->desk.loop, offer->url, &handlers, &offer->options, &s->client);
}

int ln_session_run(const ln_dial_settings *set, ln_offer *offer)
{
    session s = {.set = set};
    int rc = ln_desk_init(&s.desk, set, say_goodbye, &s);
    if (rc == 0) {
        rc = open_client(&s, offer);
        if (rc == 0)
            converse(&s);
        else
            ln_desk_fail(
                &s.desk,
                rc == LN_ERR_INVALID
                    ? "not a URL like ws://host:port/path, or a header of the handshake's own"
                    : ln_strerror(rc));
    }
    ln_client_free(s.client);
    ln_desk_fini(&s.desk);
    if (rc == LN_ERR_INVALID)
        return LN_EXIT_USAGE;
    return s.desk.has_failed ? LN_EXIT_FAILED : LN_EXIT_DONE;
}
