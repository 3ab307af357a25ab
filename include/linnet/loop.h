/* SPDX-License-Identifier: MIT */
/*
 * linnet/loop.h - the event loop, for programs that need one of their own or already have one.
 *
 * A server makes its loops itself. A client (linnet/client.h) lives on a loop: one that you run,
 * one that a private thread runs, or one that you drive from somebody else's loop with ln_loop_fd()
 * and ln_loop_turn(). Every function is for the loop's own thread unless it says "any thread".
 */
#ifndef LINNET_LOOP_H
#define LINNET_LOOP_H

#include <linnet/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_loop ln_loop;

enum ln_io {
    LN_IO_AUTO = 0, /* $LINNET_IO if set (epoll|uring), else io_uring where it works, else epoll */
    LN_IO_EPOLL = 1,
    LN_IO_URING = 2
};

typedef struct ln_loop_options {
    enum ln_io io;
    const ln_allocator *allocator; /* NULL = the C library's; must outlive the loop */
    ln_log_hook *log;              /* NULL = standard error */
    void *log_user;
    enum ln_log_level log_level; /* 0 = LN_LOG_INFO */
} ln_loop_options;

/* A new loop in *loop, owned by the caller. LN_ERR_NOMEM, LN_ERR_DESCRIPTORS, LN_ERR_UNSUPPORTED
 * (that back end). */
LN_API int ln_loop_new(const ln_loop_options *options, ln_loop **loop);

/* Frees a loop that is not running and has no connection left. Accepts NULL. */
LN_API void ln_loop_free(ln_loop *loop);

/* Runs until ln_loop_stop(). 0, or LN_ERR_IO when the back end fails. */
LN_API int ln_loop_run(ln_loop *loop);

/* Asks a running loop to return after this turn. Any thread. */
LN_API void ln_loop_stop(ln_loop *loop);

/*
 * One turn: handles what is ready, waiting at most `timeout_ms` for it (0 = do not wait, -1 = as
 * long as it takes). For foreign loops: call it when ln_loop_fd() is readable, and when
 * ln_loop_timeout_ms() has passed.
 */
LN_API int ln_loop_turn(ln_loop *loop, int timeout_ms);

/* A descriptor that is readable when a turn has something to do; the loop's, until it is freed. */
LN_API int ln_loop_fd(const ln_loop *loop);

/* How long a turn may be put off, in milliseconds; -1 = until ln_loop_fd() is readable. */
LN_API int ln_loop_timeout_ms(const ln_loop *loop);

/* Runs `fn(arg)` on the loop's thread, in the order posted. LN_ERR_NOMEM, LN_ERR_LIMIT. Any
 * thread. */
LN_API int ln_loop_post(ln_loop *loop, void (*fn)(void *arg), void *arg);

/*
 * Calls `fn(arg)` once, `ms` milliseconds from now. The handle in *timer is gone when fn is called;
 * until then ln_loop_cancel() takes it back. LN_ERR_NOMEM.
 */
typedef struct ln_loop_timer ln_loop_timer;
LN_API int ln_loop_after(ln_loop *loop, uint32_t ms, void (*fn)(void *arg), void *arg,
                         ln_loop_timer **timer);
LN_API void ln_loop_cancel(ln_loop_timer *timer); /* accepts NULL */

/*
 * Calls `fn(arg)` in each turn in which `fd` is readable or at its end; the descriptor stays yours.
 * Files that poll() always calls readable are called in every turn. LN_ERR_NOMEM, LN_ERR_INVALID.
 */
typedef struct ln_loop_watch ln_loop_watch;
LN_API int ln_loop_watch_fd(ln_loop *loop, int fd, void (*fn)(void *arg), void *arg,
                            ln_loop_watch **watch);
LN_API void ln_loop_unwatch(ln_loop_watch *watch); /* accepts NULL; also from inside fn */

/*
 * Signals as ordinary calls on the loop's thread: blocks those in `numbers` (0-terminated) for the
 * calling thread and the threads it starts from now on. Until the loop is freed. LN_ERR_NOMEM,
 * LN_ERR_DESCRIPTORS.
 */
LN_API int ln_loop_watch_signals(ln_loop *loop, const int *numbers,
                                 void (*fn)(void *arg, int number), void *arg);

/* "epoll" or "uring"; static. */
LN_API const char *ln_loop_backend(const ln_loop *loop);

/* Monotonic milliseconds as of the current turn. */
LN_API uint64_t ln_loop_now_ms(const ln_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
