/* SPDX-License-Identifier: MIT */
#include "desk.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <linnet/conn.h>

void ln_desk_notice(ln_desk *d)
{
    /* A turn whose timers or closings changed something would go on to wait for more. */
    if (!d->is_noticed)
        ln_loop_stop(d->loop);
    d->is_noticed = true;
}

bool ln_desk_is_done(const ln_desk *d)
{
    return d->is_over || d->is_leaving;
}

void ln_desk_end(ln_desk *d)
{
    d->is_over = true;
    ln_desk_notice(d);
    ln_line_drop(d->screen.line);
}

void ln_desk_leave(ln_desk *d)
{
    if (ln_desk_is_done(d))
        return;
    d->is_leaving = true;
    ln_desk_notice(d);
    ln_line_drop(d->screen.line);
    d->say_goodbye(d->arg);
}

void ln_desk_fail(ln_desk *d, const char *sentence)
{
    d->has_failed = true;
    ln_screen_say(&d->screen, LN_TONE_ERROR, sentence);
}

/* ------------------------------------------------------------------------------------------------
 * waiting */

/* Nobody reads our output any more: `linnet connect ... | head -1` ends quietly, a full disk does
 * not. */
static void give_up_output(ln_desk *d)
{
    if (d->screen.failure != LN_ERR_CLOSED)
        ln_desk_fail(d, "cannot write to standard output");
    ln_desk_leave(d);
}

static void stop_watching(ln_desk *d)
{
    ln_loop_unwatch(d->watch);
    d->watch = NULL;
}

void ln_desk_turn(ln_desk *d, int timeout_ms)
{
    if (!d->wants_input)
        stop_watching(d);
    const int rc = ln_loop_turn(d->loop, timeout_ms);
    d->is_noticed = false;
    if (rc < 0) {
        ln_desk_fail(d, ln_strerror(rc));
        ln_desk_end(d);
    }
    if (ln_screen_flush(&d->screen) < 0 && !ln_desk_is_done(d))
        give_up_output(d);
}

static void note_time(void *arg)
{
    ln_desk *d = arg;
    d->is_time_up = true;
    ln_desk_notice(d);
}

static bool is_over(const ln_desk *d)
{
    return d->is_over;
}

static void rest_until(ln_desk *d, uint32_t ms, bool (*is_reached)(const ln_desk *d))
{
    ln_loop_timer *timer = NULL;
    d->is_time_up = ms == 0;
    if (ms != 0 && ms != LN_OFF && ln_loop_after(d->loop, ms, note_time, d, &timer) < 0) {
        ln_desk_fail(d, ln_strerror(LN_ERR_NOMEM));
        return;
    }
    while (!d->is_time_up && !is_reached(d))
        ln_desk_turn(d, -1);
    if (!d->is_time_up)
        ln_loop_cancel(timer);
}

void ln_desk_rest(ln_desk *d, uint32_t ms)
{
    rest_until(d, ms, ln_desk_is_done);
}

void ln_desk_rest_until_over(ln_desk *d, uint32_t ms)
{
    rest_until(d, ms, is_over);
}

/* ------------------------------------------------------------------------------------------------
 * input */

static void note_readable(void *arg)
{
    ln_desk *d = arg;
    d->is_readable = true;
    ln_desk_notice(d);
}

static bool wait_for_input(void *arg)
{
    ln_desk *d = arg;
    d->is_readable = false;
    if (d->watch == NULL &&
        ln_loop_watch_fd(d->loop, d->input.fd, note_readable, d, &d->watch) < 0) {
        ln_desk_fail(d, "cannot watch standard input");
        ln_desk_leave(d);
        return false;
    }
    d->wants_input = true;
    while (!d->is_readable && !ln_desk_is_done(d))
        ln_desk_turn(d, -1);
    d->wants_input = false;
    return !ln_desk_is_done(d);
}

bool ln_desk_read(ln_desk *d, ln_span *text)
{
    int rc;
    if (d->screen.line != NULL)
        rc = ln_line_read(d->screen.line, text);
    else if (d->is_binary)
        rc = ln_input_chunk(&d->input, text);
    else
        rc = ln_input_line(&d->input, text);
    if (rc < 0) {
        ln_desk_fail(d, rc == LN_ERR_TOO_BIG ? "a line of input is longer than --max-message"
                                             : "cannot read standard input");
        ln_desk_leave(d);
    }
    return rc > 0;
}

/* ------------------------------------------------------------------------------------------------
 * life */

static void on_signal(void *arg, int number)
{
    ln_desk *d = arg;
    if (number == SIGWINCH || number == SIGCONT) {
        ln_line_redraw(d->screen.line);
    } else if (d->is_leaving) {
        d->has_failed = true; /* the goodbye was not awaited */
        ln_desk_end(d);
    } else {
        ln_desk_leave(d);
    }
}

static void on_log(void *user, enum ln_log_level level, ln_span line)
{
    ln_desk *d = user;
    FILE *out = ln_screen_begin(&d->screen, level == LN_LOG_ERROR ? LN_TONE_ERROR : LN_TONE_DETAIL);
    if (out == NULL)
        return;
    fwrite(line.data, 1, line.size, out);
    ln_screen_end(&d->screen);
}

static int open_loop(ln_desk *d, const ln_dial_settings *set)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGWINCH, SIGCONT, 0};
    const ln_loop_options options = {
        .log = on_log,
        .log_user = d,
        .log_level = set->is_verbose ? LN_LOG_DEBUG : LN_LOG_ERROR,
    };
    const int rc = ln_loop_new(&options, &d->loop);
    return rc < 0 ? rc : ln_loop_watch_signals(d->loop, signals, on_signal, d);
}

/* A terminal throws away at ^C what was there to read, and read() would wait for the next key. It is
 * opened once more, as the mode of our standard input is that of the shell's, too; standard input
 * itself where that is not allowed. */
static int open_input(void)
{
    const int fd = isatty(STDIN_FILENO)
                       ? open("/dev/stdin", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
                       : -1;
    return fd < 0 ? STDIN_FILENO : fd;
}

static void open_screen(ln_desk *d, const ln_dial_settings *set)
{
    ln_screen_init(&d->screen, set->has_colour);
    d->screen.verb = set->verb;
    if (set->is_scripted)
        d->screen.is_interactive = false;
    d->screen.is_verbose = set->is_verbose;
    d->screen.is_quiet = set->is_quiet;
    d->screen.is_exact = set->is_binary;
    d->screen.is_base64 = set->is_base64;
    ln_input_init(&d->input, NULL, open_input(), set->message_max_bytes, wait_for_input, d);
    if (!d->screen.is_interactive)
        return;
    ln_line_init(&d->line, "> ", &d->input);
    d->screen.line = &d->line;
}

int ln_desk_init(ln_desk *d, const ln_dial_settings *set, void (*say_goodbye)(void *arg), void *arg)
{
    *d = (ln_desk){.is_binary = set->is_binary, .say_goodbye = say_goodbye, .arg = arg};
    open_screen(d, set);
    const int rc = open_loop(d, set);
    if (rc < 0)
        ln_desk_fail(d, ln_strerror(rc));
    return rc;
}

void ln_desk_fini(ln_desk *d)
{
    stop_watching(d);
    ln_loop_free(d->loop);
    (void)ln_screen_flush(&d->screen);
    if (d->screen.line != NULL)
        ln_line_fini(&d->line);
    if (d->input.fd != STDIN_FILENO)
        close(d->input.fd);
    ln_input_fini(&d->input);
}
