/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "screen.h"
#include "slash.h"
#include "verb.h"

enum {
    EXECUTE_WAIT_MS = 2000, /* for answers to -x: what wscat waits */
    HASTY_MS = 500,         /* for the peer's goodbye, when nothing depends on it any more */
    RECHECK_MS = 100        /* how soon a queue that emptied without a word is noticed */
};

typedef struct session {
    const ln_connect_settings *set;
    ln_loop *loop;
    ln_client *client;
    ln_conn *conn; /* NULL while there is none */
    ln_screen screen;
    ln_input input;
    ln_line line;
    uint64_t sent;     /* messages, for naming one that could not be */
    uint64_t received;
    bool is_over;
    bool is_leaving;
    bool is_full; /* the send queue is above high water */
    bool is_readable;
    bool is_time_up;
    bool is_noticed; /* this turn has been asked not to wait */
    bool has_failed; /* exit code 1 */
} session;

static bool is_done(const session *s)
{
    return s->is_over || s->is_leaving;
}

static void fail(session *s, const char *sentence)
{
    s->has_failed = true;
    ln_screen_say(&s->screen, LN_TONE_ERROR, sentence);
}

/* Something that somebody waits for has changed: a turn whose timers or closings did it must not go on to wait. */
static void notice(session *s)
{
    if (!s->is_noticed)
        ln_loop_stop(s->loop);
    s->is_noticed = true;
}

static void end(session *s)
{
    s->is_over = true;
    notice(s);
    ln_line_drop(s->screen.line);
}

static void leave(session *s)
{
    s->is_leaving = true;
    notice(s);
    ln_line_drop(s->screen.line);
    if (s->conn == NULL)
        s->is_over = true;
    else
        ln_client_stop(s->client);
}

/* Nobody reads our output any more: `linnet connect ... | head -1` ends quietly, a full disk does not. */
static void give_up_output(session *s)
{
    if (s->screen.failure != LN_ERR_CLOSED)
        fail(s, "cannot write to standard output");
    leave(s);
}

/* Lets the rest of the program work, for at most `timeout_ms`; -1 = until something happened. */
static void turn(session *s, int timeout_ms)
{
    const bool had_failed = s->screen.failure != 0;
    const int rc = ln_loop_turn(s->loop, timeout_ms);
    s->is_noticed = false;
    if (rc < 0) {
        fail(s, ln_strerror(rc));
        end(s);
    }
    if (ln_screen_flush(&s->screen) < 0 && !had_failed && !is_done(s))
        give_up_output(s);
}

/* ------------------------------------------------------------------------------------------------ handlers */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    session *s = user;
    (void)request;
    s->conn = c;
    s->is_full = false;
    notice(s);
    ln_screen_say(&s->screen, LN_TONE_EVENT, "Connected (press CTRL+C to quit)");
    const ln_span subprotocol = ln_conn_subprotocol(c);
    FILE *out = subprotocol.size > 0 ? ln_screen_begin(&s->screen, LN_TONE_DETAIL) : NULL;
    if (out == NULL)
        return;
    fputs("Subprotocol: ", out);
    ln_screen_quote(out, subprotocol);
    ln_screen_end(&s->screen);
}

static void on_message(ln_conn *c, const ln_message *message, void *user)
{
    session *s = user;
    (void)c;
    if (s->set->wants_one && s->received > 0)
        return;
    s->received++;
    ln_screen_message(&s->screen, message->kind, message->data);
    if (s->set->wants_one)
        leave(s);
}

static void show_control(session *s, const char *name, ln_span data)
{
    if (!s->set->shows_pings)
        return;
    FILE *out = ln_screen_begin(&s->screen, LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "received %s (data: \"", name);
    ln_screen_quote(out, data);
    fputs("\")", out);
    ln_screen_end(&s->screen);
}

static void on_ping(ln_conn *c, ln_span data, void *user)
{
    (void)c;
    show_control(user, "ping", data);
}

static void on_pong(ln_conn *c, ln_span data, void *user)
{
    (void)c;
    show_control(user, "pong", data);
}

static void on_drain(ln_conn *c, void *user)
{
    session *s = user;
    (void)c;
    s->is_full = false;
    notice(s);
}

/* Did it end as it should? What we ended did if the peer agreed; what the peer ended, if it has nothing to complain of. */
static bool is_good_end(const session *s, const ln_close_info *info)
{
    if (!info->is_clean)
        return false;
    return s->is_leaving || info->code == 1000 || info->code == 1001 || info->code == 1005;
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    session *s = user;
    (void)c;
    s->conn = NULL;
    notice(s);
    const bool is_last = s->is_leaving || !s->set->reconnects;
    const bool is_good = is_good_end(s, info);
    const bool is_wanted = s->is_over || s->screen.failure != 0 || (s->set->wants_one && s->received > 0);
    if (is_last)
        end(s);
    if (is_last && !is_good && !is_wanted)
        s->has_failed = true;

    FILE *out = ln_screen_begin(&s->screen, is_good || is_wanted ? LN_TONE_EVENT : LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "Disconnected (code: %u, reason: \"", info->code);
    ln_screen_quote(out, info->reason);
    fputs("\")", out);
    if (info->error != 0)
        fprintf(out, ": %s", ln_strerror(info->error));
    ln_screen_end(&s->screen);
}

static void on_failure(ln_client *client, int err, unsigned status, const char *what, int64_t retry_ms, void *user)
{
    session *s = user;
    (void)client;
    if (retry_ms < 0) {
        end(s);
        s->has_failed = true;
    }
    FILE *out = ln_screen_begin(&s->screen, LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "%s", ln_strerror(err));
    if (status != 0)
        fprintf(out, " with status %u", status);
    if (what != NULL && strcmp(what, ln_strerror(err)) != 0) {
        fputs(": ", out);
        ln_screen_quote(out, ln_text(what));
    }
    if (retry_ms >= 0)
        fprintf(out, " (next try in %" PRId64 ".%" PRId64 " s)", retry_ms / 1000, retry_ms % 1000 / 100);
    ln_screen_end(&s->screen);
}

static void on_signal(void *arg, int number)
{
    session *s = arg;
    if (number == SIGWINCH || number == SIGCONT) {
        ln_line_redraw(s->screen.line);
        return;
    }
    if (s->conn == NULL || s->is_leaving) {
        s->has_failed = true; /* never connected, or the goodbye was not awaited */
        end(s);
        return;
    }
    leave(s);
}

static void on_log(void *user, enum ln_log_level level, ln_span line)
{
    session *s = user;
    FILE *out = ln_screen_begin(&s->screen, level == LN_LOG_ERROR ? LN_TONE_ERROR : LN_TONE_DETAIL);
    if (out == NULL)
        return;
    fwrite(line.data, 1, line.size, out);
    ln_screen_end(&s->screen);
}

/* ------------------------------------------------------------------------------------------------ waiting */

static void note_readable(void *arg)
{
    session *s = arg;
    s->is_readable = true;
    notice(s);
}

static bool wait_for_input(void *arg)
{
    session *s = arg;
    ln_loop_watch *watch;
    s->is_readable = false;
    const int rc = ln_loop_watch_fd(s->loop, STDIN_FILENO, note_readable, s, &watch);
    if (rc < 0) {
        fail(s, "cannot watch standard input");
        leave(s);
        return false;
    }
    while (!s->is_readable && !is_done(s))
        turn(s, -1);
    ln_loop_unwatch(watch);
    return !is_done(s);
}

static void note_time(void *arg)
{
    session *s = arg;
    s->is_time_up = true;
    notice(s);
}

static bool is_over(const session *s)
{
    return s->is_over;
}

/* Listens for so long, or until `is_reached`. LN_OFF = as long as it takes. */
static void rest(session *s, uint32_t ms, bool (*is_reached)(const session *s))
{
    ln_loop_timer *timer = NULL;
    s->is_time_up = ms == 0;
    if (ms != 0 && ms != LN_OFF && ln_loop_after(s->loop, ms, note_time, s, &timer) < 0) {
        fail(s, ln_strerror(LN_ERR_NOMEM));
        return;
    }
    while (!s->is_time_up && !is_reached(s))
        turn(s, -1);
    if (!s->is_time_up)
        ln_loop_cancel(timer);
}

/* Waits until all that was sent is on its way: a close has a deadline, a slow reader may need longer. */
static void drain(session *s)
{
    turn(s, 0);
    while (s->conn != NULL && !is_done(s) && ln_conn_queued_bytes(s->conn) > 0)
        turn(s, RECHECK_MS);
}

/* Waits for a connection with room in its queue. */
static bool wait_for_room(session *s)
{
    while (!is_done(s) && (s->conn == NULL || s->is_full)) {
        turn(s, s->conn == NULL ? -1 : RECHECK_MS);
        if (s->conn != NULL && ln_conn_queued_bytes(s->conn) == 0)
            s->is_full = false;
    }
    return !is_done(s);
}

/* ------------------------------------------------------------------------------------------------ sending */

static void refuse_message(session *s, int rc)
{
    s->has_failed = true;
    FILE *out = ln_screen_begin(&s->screen, LN_TONE_ERROR);
    if (out == NULL)
        return;
    fprintf(out, "message %" PRIu64 " was not sent: %s", s->sent + 1,
            rc == LN_ERR_INVALID ? "it is not UTF-8 (see --binary)" : ln_strerror(rc));
    ln_screen_end(&s->screen);
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
            turn(s, -1);
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
        ln_screen_say(&s->screen, LN_TONE_ERROR, "commands are /ping [DATA] and /close [CODE [REASON]]");
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
        s->is_leaving = s->is_leaving || rc == 0;
        break;
    }
    if (rc < 0)
        ln_screen_say(&s->screen, LN_TONE_ERROR, ln_strerror(rc));
}

static void send_typed(session *s, ln_span line)
{
    if (s->set->has_slash && ln_slash_is(line))
        run_slash(s, line);
    else if (line.size > 0 || !s->screen.is_interactive) /* a lone Return is no message, an empty line of a file is one */
        send_message(s, line);
}

/* Input to its end, or ours. */
static void send_input(session *s)
{
    while (!is_done(s)) {
        ln_span text;
        int rc;
        if (s->screen.line != NULL)
            rc = ln_line_read(s->screen.line, &text);
        else if (s->set->is_binary)
            rc = ln_input_chunk(&s->input, &text);
        else
            rc = ln_input_line(&s->input, &text);
        if (rc == LN_ERR_TOO_BIG)
            fail(s, "a line of input is longer than --max-message");
        else if (rc < 0)
            fail(s, "cannot read standard input");
        if (rc < 0)
            leave(s);
        if (rc <= 0)
            return;
        send_typed(s, text);
    }
}

/* ------------------------------------------------------------------------------------------------ life */

/* How long to listen when everything is said. */
static uint32_t patience_ms(const ln_connect_settings *set)
{
    if (set->wait_ms != LN_OPTION_UNSET)
        return set->wait_ms;
    if (set->wants_one || set->keeps_open)
        return LN_OFF;
    return set->execute.count > 0 ? EXECUTE_WAIT_MS : 0;
}

/* How long to wait for the peer's goodbye: as long as --close-wait says, unless it changes nothing any more. */
static uint32_t parting_ms(const session *s)
{
    if (s->set->exits_on_eof)
        return 0;
    return s->screen.failure != 0 || (s->set->wants_one && s->received > 0) ? HASTY_MS : LN_OFF;
}

static void converse(session *s)
{
    while (s->conn == NULL && !is_done(s))
        turn(s, -1);
    for (unsigned i = 0; i < s->set->execute.count && !is_done(s); i++)
        send_message(s, ln_text(s->set->execute.items[i]));
    if (s->set->execute.count == 0)
        send_input(s);
    drain(s);
    if (!s->set->exits_on_eof)
        rest(s, patience_ms(s->set), is_done);
    if (!is_done(s))
        leave(s);
    turn(s, 0); /* the close frame is on its way, whatever comes now */
    rest(s, parting_ms(s), is_over);
    end(s);
    if (s->set->wants_one && s->received == 0 && !s->has_failed)
        fail(s, "no message came");
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
    return ln_client_new(s->loop, offer->url, &handlers, &offer->options, &s->client);
}

static int open_loop(session *s)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGWINCH, SIGCONT, 0};
    const ln_loop_options options = {
        .log = on_log,
        .log_user = s,
        .log_level = s->set->is_verbose ? LN_LOG_DEBUG : LN_LOG_ERROR,
    };
    const int rc = ln_loop_new(&options, &s->loop);
    return rc < 0 ? rc : ln_loop_watch_signals(s->loop, signals, on_signal, s);
}

static void open_screen(session *s)
{
    ln_screen_init(&s->screen, s->set->has_colour);
    s->screen.is_verbose = s->set->is_verbose;
    s->screen.is_quiet = s->set->is_quiet;
    s->screen.is_exact = s->set->is_binary;
    s->screen.is_base64 = s->set->is_base64;
    ln_input_init(&s->input, NULL, STDIN_FILENO, s->set->message_max_bytes, wait_for_input, s);
    if (!s->screen.is_interactive)
        return;
    ln_line_init(&s->line, "> ", &s->input);
    s->screen.line = &s->line;
}

int ln_session_run(const ln_connect_settings *set, ln_offer *offer)
{
    session s = {.set = set};
    open_screen(&s);
    int rc = open_loop(&s);
    if (rc < 0) {
        fail(&s, ln_strerror(rc));
        goto out;
    }
    rc = open_client(&s, offer);
    if (rc == LN_ERR_INVALID)
        fail(&s, "not a URL like ws://host:port/path, or a header that the handshake writes itself");
    else if (rc < 0)
        fail(&s, ln_strerror(rc));
    else
        converse(&s);
out:
    ln_client_free(s.client);
    ln_loop_free(s.loop);
    (void)ln_screen_flush(&s.screen);
    if (s.screen.line != NULL)
        ln_line_fini(&s.line);
    ln_input_fini(&s.input);
    if (rc == LN_ERR_INVALID)
        return LN_EXIT_USAGE;
    return s.has_failed ? LN_EXIT_FAILED : LN_EXIT_DONE;
}
