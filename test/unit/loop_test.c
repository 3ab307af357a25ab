/* SPDX-License-Identifier: MIT */
/* The loop itself: time, mail, foreign loops, watched descriptors, signals, randomness, its
 * beginning and its end. */
#include "loop_kit.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "failing_alloc.h"
#include "net/loop.h"
#include "net/sock.h"

static unsigned calls;
static char order[64];

static void count_call(void *arg)
{
    (void)arg;
    calls++;
}

static void append_letter(void *arg)
{
    strcat(order, arg);
}

static void stop_loop(void *arg)
{
    ln_loop_stop(arg);
}

/* Time */

static void timers_fire_in_their_order_and_not_early(void **state)
{
    const uint64_t begin_ms = kit_now_ms();
    ln_loop *const loop = kit_loop(state);
    ln_loop_timer *cancelled;
    order[0] = 0;
    assert_int_equal(ln_loop_after(loop, 30, append_letter, "c", NULL), 0);
    assert_int_equal(ln_loop_after(loop, 10, append_letter, "a", NULL), 0);
    assert_int_equal(ln_loop_after(loop, 20, append_letter, "x", &cancelled), 0);
    assert_int_equal(ln_loop_after(loop, 20, append_letter, "b", NULL), 0);
    assert_int_equal(ln_loop_after(loop, 40, stop_loop, loop, NULL), 0);
    ln_loop_cancel(cancelled);
    ln_loop_cancel(NULL);
    assert_int_equal(ln_loop_run(loop), 0);
    assert_string_equal(order, "abc");
    assert_true(ln_loop_now_ms(loop) >= begin_ms + 40);
    assert_true(kit_now_ms() >= ln_loop_now_ms(loop));
    ln_loop_free(loop);
}

static void a_timer_that_was_not_due_is_freed_with_the_loop(void **state)
{
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_loop *const loop = kit_loop_with(state, &fa.hook);
    calls = 0;
    assert_int_equal(ln_loop_after(loop, 1000000, count_call, NULL, NULL), 0);
    ln_loop_free(loop);
    assert_int_equal(calls, 0);
    failing_alloc_assert_empty(&fa);
}

static void a_turn_that_did_something_does_not_sleep(void **state)
{
    ln_loop *const loop = kit_loop(state);
    calls = 0;
    assert_int_equal(ln_loop_after(loop, 0, count_call, NULL, NULL), 0);
    while (calls == 0)
        assert_int_equal(ln_loop_turn(loop, -1), 0); /* for ever, if it slept after the call */
    ln_loop_free(loop);
}

static void a_turn_waits_as_long_as_it_may(void **state)
{
    ln_loop *const loop = kit_loop(state);
    const uint64_t begin_ms = kit_now_ms();
    unsigned turns = 0;
    kit_rest(loop);
    for (; kit_now_ms() - begin_ms < 200; turns++)
        assert_int_equal(ln_loop_turn(loop, 20), 0);
    assert_in_range(turns, 1,
                    50); /* a few are cut short: a ring that is taken down interrupts its thread */
    const uint64_t middle_ms = kit_now_ms();
    for (int i = 0; i < 100; i++)
        assert_int_equal(ln_loop_turn(loop, 0), 0);
    assert_true(kit_now_ms() - middle_ms < 1000);
    ln_loop_free(loop);
}

/* Mail */

static void the_loop_knows_itself_while_it_runs_only(void **state)
{
    ln_loop *const loop = kit_loop(state);
    assert_null(ln_loop_current());
    kit_rest(loop);
    assert_null(ln_loop_current());
    ln_loop_free(loop);
}

static ln_loop *seen;

static void note_current(void *arg)
{
    (void)arg;
    seen = ln_loop_current();
}

static void posts_run_in_order_on_the_loop(void **state)
{
    ln_loop *const loop = kit_loop(state);
    order[0] = 0;
    seen = NULL;
    assert_int_equal(ln_loop_post(loop, append_letter, "1"), 0);
    assert_int_equal(ln_loop_post(loop, append_letter, "2"), 0);
    assert_int_equal(ln_loop_post(loop, note_current, NULL), 0);
    assert_int_equal(ln_loop_post(loop, append_letter, "3"), 0);
    assert_int_equal(ln_loop_turn(loop, -1), 0);
    assert_string_equal(order, "123");
    assert_ptr_equal(seen, loop);
    ln_loop_free(loop);
}

static void post_again(void *arg)
{
    if (calls++ < 3)
        assert_int_equal(ln_loop_post(arg, post_again, arg), 0);
    else
        ln_loop_stop(arg);
}

static void a_post_from_inside_wakes_the_loop_too(void **state)
{
    ln_loop *const loop = kit_loop(state);
    calls = 0;
    assert_int_equal(ln_loop_post(loop, post_again, loop), 0);
    assert_int_equal(ln_loop_run(loop), 0);
    assert_int_equal(calls, 4);
    ln_loop_free(loop);
}

static void posts_are_limited(void **state)
{
    ln_loop *const loop = kit_loop(state);
    calls = 0;
    for (int i = 0; i < LN_LOOP_POSTS_MAX; i++)
        assert_int_equal(ln_loop_post(loop, count_call, NULL), 0);
    assert_int_equal(ln_loop_post(loop, count_call, NULL), LN_ERR_LIMIT);
    assert_int_equal(ln_loop_turn(loop, 0), 0);
    assert_int_equal(calls, LN_LOOP_LETTERS_PER_TURN); /* descriptors get their turn in between */
    assert_int_equal(ln_loop_timeout_ms(loop), 0);
    KIT_UNTIL(loop, calls == LN_LOOP_POSTS_MAX);
    assert_int_equal(ln_loop_post(loop, count_call, NULL), 0);
    KIT_UNTIL(loop, calls == LN_LOOP_POSTS_MAX + 1);
    ln_loop_free(loop);
}

static void what_was_posted_and_not_run_is_freed_with_the_loop(void **state)
{
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_loop *const loop = kit_loop_with(state, &fa.hook);
    calls = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(ln_loop_post(loop, count_call, NULL), 0);
    ln_loop_free(loop);
    assert_int_equal(calls, 0);
    failing_alloc_assert_empty(&fa);
}

enum { POSTERS = 4, POSTS = 5000 };

static struct poster {
    ln_loop *loop;
    pthread_t thread;
    unsigned next; /* what the loop has to see next */
    struct parcel {
        struct poster *from;
        unsigned number;
    } parcels[POSTS];
} posters[POSTERS];

static unsigned parcels_seen;

static void open_parcel(void *arg)
{
    struct parcel *const p = arg;
    assert_int_equal(p->number, p->from->next++);
    if (++parcels_seen == POSTERS * POSTS)
        ln_loop_stop(p->from->loop);
}

static void *post_parcels(void *arg)
{
    struct poster *const from = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        from->parcels[i] = (struct parcel){.from = from, .number = i};
        while (ln_loop_post(from->loop, open_parcel, &from->parcels[i]) == LN_ERR_LIMIT)
            ;
    }
    return NULL;
}

static void four_threads_post_and_each_keeps_its_order(void **state)
{
    ln_loop *const loop = kit_loop(state);
    parcels_seen = 0;
    for (int i = 0; i < POSTERS; i++) {
        posters[i].loop = loop;
        posters[i].next = 0;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_parcels, &posters[i]), 0);
    }
    assert_int_equal(ln_loop_run(loop), 0); /* sleeps in between: a lost wake-up would never end */
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    assert_int_equal(parcels_seen, POSTERS * POSTS);
    ln_loop_free(loop);
}

static void *stop_later(void *arg)
{
    usleep(30000);
    ln_loop_stop(arg);
    return NULL;
}

static void another_thread_stops_a_loop_that_sleeps(void **state)
{
    ln_loop *const loop = kit_loop(state);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_later, loop), 0);
    assert_int_equal(ln_loop_run(loop), 0);
    pthread_join(thread, NULL);
    ln_loop_stop(loop); /* before it runs: as good */
    assert_int_equal(ln_loop_run(loop), 0);
    ln_loop_free(loop);
}

static void *run_loop(void *arg)
{
    return (void *)(intptr_t)ln_loop_run(arg);
}

static void a_loop_may_be_made_here_and_run_there(void **state)
{
    ln_loop *const loop = kit_loop(state);
    pthread_t thread;
    void *rc;
    calls = 0;
    assert_int_equal(ln_loop_after(loop, 5, count_call, NULL, NULL), 0);
    assert_int_equal(ln_loop_after(loop, 20, stop_loop, loop, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
    pthread_join(thread, &rc);
    assert_int_equal((intptr_t)rc, 0);
    assert_int_equal(calls, 1);
    ln_loop_free(loop); /* and freed here again */
}

/* Foreign loops */

static int pipe_fds[2];

static void read_pipe(void *arg)
{
    char byte;
    (void)arg;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    calls++;
}

static void open_pipe(void)
{
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    calls = 0;
}

static void close_pipe(void)
{
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* What a foreign loop does: waits for the descriptor or the time, then lets the loop have a turn.
 * False: waited in vain. */
static bool foreign_turn(ln_loop *loop, int patience_ms)
{
    struct pollfd poller = {.fd = ln_loop_fd(loop), .events = POLLIN};
    const int timeout_ms = ln_loop_timeout_ms(loop);
    const bool is_timer = timeout_ms >= 0 && timeout_ms <= patience_ms;
    const int n = poll(&poller, 1, is_timer ? timeout_ms : patience_ms);
    assert_true(n >= 0);
    assert_int_equal(ln_loop_turn(loop, 0), 0);
    return n > 0 || is_timer;
}

static void *write_later(void *arg)
{
    usleep(30000);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    return arg;
}

static void a_foreign_loop_can_drive_it(void **state)
{
    ln_loop *const loop = kit_loop(state);
    ln_loop_watch *watch;
    pthread_t thread;
    open_pipe();
    assert_int_equal(ln_loop_watch_fd(loop, pipe_fds[0], read_pipe, NULL, &watch), 0);
    while (ln_loop_timeout_ms(loop) == 0)
        foreign_turn(loop, 0);

    const time_t began = time(NULL);
    assert_int_equal(pthread_create(&thread, NULL, write_later, NULL), 0);
    while (calls == 0)
        assert_true(foreign_turn(loop, 20000)); /* a descriptor */
    assert_true(time(NULL) - began < 10); /* poll() was woken, and did not find it at its end */
    pthread_join(thread, NULL);

    assert_int_equal(ln_loop_after(loop, 20, count_call, NULL, NULL), 0);
    while (calls == 1)
        assert_true(foreign_turn(loop, 5000)); /* a timer */

    assert_int_equal(ln_loop_post(loop, count_call, NULL), 0);
    while (calls == 2)
        assert_true(foreign_turn(loop, 5000)); /* mail */

    while (ln_loop_timeout_ms(loop) == 0)
        foreign_turn(loop, 0);
    assert_int_equal(ln_loop_timeout_ms(loop), -1); /* nothing to do */
    /* what was handled may be told again, and late, but not for ever */
    for (int turns = 0; foreign_turn(loop, 30); turns++)
        assert_true(turns < 5);
    ln_loop_unwatch(watch);
    ln_loop_free(loop);
    close_pipe();
}

/* Watched descriptors */

static void a_watched_pipe_is_told_in_each_turn_while_readable(void **state)
{
    ln_loop *const loop = kit_loop(state);
    ln_loop_watch *watch;
    open_pipe();
    assert_int_equal(ln_loop_watch_fd(loop, pipe_fds[0], count_call, NULL, &watch), 0);
    kit_rest(loop);
    assert_int_equal(calls, 0);
    assert_int_equal(write(pipe_fds[1], "xyz", 3), 3);
    KIT_UNTIL(loop, calls >= 3); /* nobody reads */
    char bytes[3];
    assert_int_equal(read(pipe_fds[0], bytes, 3), 3);
    kit_rest(loop);
    calls = 0;
    kit_rest(loop);
    assert_int_equal(calls, 0);
    close(pipe_fds[1]);
    KIT_UNTIL(loop, calls >= 1); /* at its end */
    ln_loop_unwatch(watch);
    kit_rest(loop);
    calls = 0;
    kit_rest(loop);
    assert_int_equal(calls, 0);
    assert_int_equal(close(pipe_fds[0]), 0); /* it stayed ours */
    ln_loop_free(loop);
}

static ln_loop_watch *self;

static void unwatch_self(void *arg)
{
    (void)arg;
    calls++;
    ln_loop_unwatch(self);
}

static void unwatching_from_inside_is_the_last_call(void **state)
{
    ln_loop *const loop = kit_loop(state);
    open_pipe();
    assert_int_equal(ln_loop_watch_fd(loop, pipe_fds[0], unwatch_self, NULL, &self), 0);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    KIT_UNTIL(loop, calls == 1);
    kit_rest(loop);
    assert_int_equal(calls, 1);
    assert_int_equal(loop->sockets, 0);
    ln_loop_unwatch(NULL);
    close_pipe();
    ln_loop_free(loop);
}

static void a_regular_file_is_ready_in_every_turn(void **state)
{
    ln_loop *const loop = kit_loop(state);
    ln_loop_watch *watch;
    char name[] = "/tmp/ln-loop-test-XXXXXX";
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    calls = 0;
    assert_int_equal(ln_loop_watch_fd(loop, fd, count_call, NULL, &watch), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ln_loop_turn(loop, 1000), 0); /* without waiting */
    assert_true(calls >= 4);
    ln_loop_unwatch(watch);
    kit_rest(loop);
    calls = 0;
    kit_rest(loop);
    assert_int_equal(calls, 0);
    close(fd);
    ln_loop_free(loop);
}

static void a_watch_left_behind_is_freed_with_the_loop(void **state)
{
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_loop *const loop = kit_loop_with(state, &fa.hook);
    open_pipe();
    assert_int_equal(ln_loop_watch_fd(loop, pipe_fds[0], count_call, NULL, NULL), 0);
    kit_rest(loop);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    ln_loop_free(loop);
    failing_alloc_assert_empty(&fa);
    close_pipe();
}

static void only_open_descriptors_can_be_watched(void **state)
{
    ln_loop *const loop = kit_loop(state);
    assert_int_equal(ln_loop_watch_fd(loop, -1, count_call, NULL, NULL), LN_ERR_INVALID);
    assert_int_equal(ln_loop_watch_fd(loop, 999999, count_call, NULL, NULL), LN_ERR_INVALID);
    assert_int_equal(loop->sockets, 0);
    ln_loop_free(loop);
}

/* Signals */

static int last_signal;

static void note_signal(void *arg, int number)
{
    (void)arg;
    last_signal = number;
    calls++;
}

static bool is_blocked(int number)
{
    sigset_t now;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    return sigismember(&now, number);
}

static void signals_are_calls_until_the_loop_is_freed(void **state)
{
    ln_loop *const loop = kit_loop(state);
    const int numbers[] = {SIGUSR1, SIGHUP, 0};
    calls = 0;
    assert_int_equal(ln_loop_watch_signals(loop, numbers, note_signal, NULL), 0);
    assert_true(is_blocked(SIGUSR1));
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    KIT_UNTIL(loop, calls == 1);
    assert_int_equal(last_signal, SIGUSR1);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    KIT_UNTIL(loop, calls == 2);
    assert_int_equal(last_signal, SIGHUP);
    assert_int_equal(kill(getpid(), SIGUSR1),
                     0); /* meant for the loop, and must not kill the program after it */
    ln_loop_free(loop);
    assert_false(is_blocked(SIGUSR1));
    assert_false(is_blocked(SIGHUP));
}

static void a_signal_that_was_blocked_before_stays_blocked(void **state)
{
    ln_loop *const loop = kit_loop(state);
    const int numbers[] = {SIGUSR2, 0}, bad[] = {9999, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert_int_equal(ln_loop_watch_signals(loop, numbers, note_signal, NULL), 0);
    assert_int_equal(ln_loop_watch_signals(loop, bad, note_signal, NULL), LN_ERR_INVALID);
    ln_loop_free(loop);
    assert_true(is_blocked(SIGUSR2));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Randomness */

static void random_bytes_differ_and_a_child_gets_others(void **state)
{
    ln_loop *const loop = kit_loop(state);
    uint8_t a[5000], b[5000], here[32], there[32];
    int fds[2];
    ln_loop_random(loop, a, sizeof a); /* more than the pool */
    ln_loop_random(loop, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    unsigned ones = 0;
    for (size_t i = 0; i < sizeof a; i++)
        ones += (unsigned)__builtin_popcount(a[i]);
    assert_in_range(ones, sizeof a * 4 - 1000, sizeof a * 4 + 1000); /* ten standard deviations */

    assert_int_equal(pipe(fds), 0);
    const pid_t child = fork();
    if (child == 0) {
        ln_loop_random(loop, here, sizeof here);
        _exit(write(fds[1], here, sizeof here) == (ssize_t)sizeof here ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    ln_loop_random(loop, here, sizeof here);
    assert_int_equal(read(fds[0], there, sizeof there), sizeof there);
    assert_memory_not_equal(here, there, sizeof here);
    close(fds[0]);
    close(fds[1]);
    ln_loop_free(loop);
}

/* Beginning and end */

static unsigned log_lines;

static void count_lines(void *user, enum ln_log_level level, ln_span line)
{
    (void)user;
    (void)level;
    assert_non_null(memmem(line.data, line.size, "LINNET_IO", 9));
    log_lines++;
}

static const char *backend_for(const char *environment, enum ln_io io, int *rc)
{
    static char name[16];
    const ln_loop_options options = {.io = io, .log = count_lines};
    ln_loop *loop = NULL;
    if (environment)
        setenv("LINNET_IO", environment, 1);
    else
        unsetenv("LINNET_IO");
    *rc = ln_loop_new(&options, &loop);
    unsetenv("LINNET_IO");
    snprintf(name, sizeof name, "%s", *rc == 0 ? ln_loop_backend(loop) : "none");
    ln_loop_free(loop);
    return name;
}

static void the_environment_chooses_where_the_program_does_not(void **state)
{
    (void)state;
    char before[16] = "";
    const char *const given = getenv("LINNET_IO");
    int rc;
    if (given)
        snprintf(before, sizeof before, "%s", given);
    log_lines = 0;
    assert_string_equal(backend_for("epoll", LN_IO_AUTO, &rc), "epoll");
    assert_string_equal(backend_for("uring", LN_IO_EPOLL, &rc),
                        "epoll"); /* the program's word counts */
    assert_string_equal(backend_for("", LN_IO_AUTO, &rc), backend_for(NULL, LN_IO_AUTO, &rc));
    assert_int_equal(rc, 0); /* whatever the machine has, something works */
    assert_int_equal(log_lines, 0);
    assert_string_equal(backend_for("kqueue", LN_IO_AUTO, &rc), "none");
    assert_int_equal(rc, LN_ERR_INVALID);
    assert_int_equal(log_lines, 1);
    assert_string_equal(backend_for(NULL, (enum ln_io)77, &rc), "none");
    assert_int_equal(rc, LN_ERR_INVALID);
    const char *const forced = backend_for("uring", LN_IO_AUTO, &rc);
    assert_true(rc == 0 ? strcmp(forced, "uring") == 0
                        : rc == LN_ERR_UNSUPPORTED); /* no silent fallback */
    ln_loop_free(NULL);
    if (given)
        setenv("LINNET_IO", before, 1);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    const kit_state *const s = user;
    const ln_loop_options options = {.io = s->io, .allocator = alloc};
    const int numbers[] = {SIGUSR1, 0};
    ln_loop *loop;
    ln_loop_watch *watch = NULL;
    int fds[2];
    int rc = ln_loop_new(&options, &loop);
    if (rc < 0)
        return rc;
    assert_int_equal(pipe(fds), 0);
    rc = ln_loop_after(loop, 1000, count_call, NULL, NULL);
    if (rc == 0)
        rc = ln_loop_post(loop, count_call, NULL);
    if (rc == 0)
        rc = ln_loop_watch_fd(loop, fds[0], count_call, NULL, &watch);
    if (rc == 0)
        rc = ln_loop_watch_signals(loop, numbers, note_signal, NULL);
    kit_rest(loop);
    ln_loop_unwatch(watch);
    ln_loop_free(loop);
    close(fds[0]);
    close(fds[1]);
    assert_false(is_blocked(SIGUSR1));
    return rc;
}

static void a_failing_allocation_leaves_nothing_behind(void **state)
{
    ln_loop_free(kit_loop(state));
    assert_true(failing_alloc_sweep(one_life, *state) > 5);
}

/* Automatic choice takes the other back end where memory for the first is missing: any answer, but
 * no leak. */
static int one_automatic_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    const ln_loop_options options = {.allocator = alloc};
    ln_loop *loop;
    const int rc = ln_loop_new(&options, &loop);
    if (rc == 0)
        ln_loop_free(loop);
    return rc;
}

static void choosing_with_failing_allocations_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_automatic_life, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_BOTH(timers_fire_in_their_order_and_not_early),
        KIT_BOTH(a_timer_that_was_not_due_is_freed_with_the_loop),
        KIT_BOTH(a_turn_that_did_something_does_not_sleep),
        KIT_BOTH(a_turn_waits_as_long_as_it_may),
        KIT_BOTH(the_loop_knows_itself_while_it_runs_only),
        KIT_BOTH(posts_run_in_order_on_the_loop),
        KIT_BOTH(a_post_from_inside_wakes_the_loop_too),
        KIT_BOTH(posts_are_limited),
        KIT_BOTH(what_was_posted_and_not_run_is_freed_with_the_loop),
        KIT_BOTH(four_threads_post_and_each_keeps_its_order),
        KIT_BOTH(another_thread_stops_a_loop_that_sleeps),
        KIT_BOTH(a_loop_may_be_made_here_and_run_there),
        KIT_BOTH(a_foreign_loop_can_drive_it),
        KIT_BOTH(a_watched_pipe_is_told_in_each_turn_while_readable),
        KIT_BOTH(unwatching_from_inside_is_the_last_call),
        KIT_BOTH(a_regular_file_is_ready_in_every_turn),
        KIT_BOTH(a_watch_left_behind_is_freed_with_the_loop),
        KIT_BOTH(only_open_descriptors_can_be_watched),
        KIT_BOTH(signals_are_calls_until_the_loop_is_freed),
        KIT_BOTH(a_signal_that_was_blocked_before_stays_blocked),
        KIT_BOTH(random_bytes_differ_and_a_child_gets_others),
        KIT_BOTH(a_failing_allocation_leaves_nothing_behind),
        KIT_ONE("both", the_environment_chooses_where_the_program_does_not, NULL),
        KIT_ONE("both", choosing_with_failing_allocations_leaves_nothing_behind, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
