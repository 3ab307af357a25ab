/* SPDX-License-Identifier: MIT */
#include "benchfleet.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/alloc.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KEPT_DESCRIPTORS = 128, /* for loops, timers, files and libraries */
    ROOM_LEAST = 64,
    LOOK_MS = 50 /* a child, after its parent and its threads */
};

uint32_t ln_benchfleet_room(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return ROOM_LEAST;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* what it is afterwards counts */
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > UINT32_MAX / 2)
        return UINT32_MAX / 2;
    return limit.rlim_cur > KEPT_DESCRIPTORS + ROOM_LEAST
               ? (uint32_t)limit.rlim_cur - KEPT_DESCRIPTORS
               : ROOM_LEAST;
}

/* ------------------------------------------------------------------------------------------------
 * threads */

static void *work(void *arg)
{
    ln_benchseat *const s = arg;
    ln_benchworker_run(&s->worker);
    atomic_fetch_sub(&s->fleet->working, 1);
    return NULL;
}

/* The workers `first`, `first` + processes, ... */
static int start_threads(ln_benchfleet *f, uint32_t first)
{
    const uint32_t step = f->plan->processes;
    const uint32_t count = (f->plan->workers - first + step - 1) / step;
    f->seats = ln_alloc_zero(NULL, count * sizeof *f->seats);
    if (f->seats == NULL)
        return LN_ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        ln_benchseat *const s = &f->seats[i];
        const uint32_t index = first + i * step;
        s->fleet = f;
        s->worker = (ln_benchworker){.plan = f->plan,
                                     .board = f->board,
                                     .tally = ln_benchboard_tally(f->board, index),
                                     .index = index,
                                     .timer_fd = -1};
        atomic_fetch_add(&f->working, 1);
        if (pthread_create(&s->thread, NULL, work, s) != 0) {
            atomic_fetch_sub(&f->working, 1);
            return LN_ERR_LIMIT;
        }
        f->seat_count++;
    }
    return 0;
}

static void join_threads(ln_benchfleet *f)
{
    for (uint32_t i = 0; i < f->seat_count; i++)
        pthread_join(f->seats[i].thread, NULL);
    ln_free(NULL, f->seats);
    f->seats = NULL;
    f->seat_count = 0;
}

/* ------------------------------------------------------------------------------------------------
 * processes */

static _Noreturn void be_a_child(ln_benchfleet *f, uint32_t index, pid_t parent)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    const int rc = start_threads(f, index);
    if (rc < 0)
        ln_benchtally_fault(ln_benchboard_tally(f->board, index), LN_BENCHFAULT_OURS, 1,
                            "process %u: %s", (unsigned)index, ln_strerror(rc));
    while (atomic_load(&f->working) > 0) {
        nanosleep(&pause, NULL);
        if (getppid() != parent || rc < 0)
            atomic_store(&f->board->phase, LN_BENCHPHASE_ABORT);
    }
    join_threads(f);
    _exit(rc < 0 ? 1 : 0);
}

static int start_children(ln_benchfleet *f)
{
    const pid_t parent = getpid();
    f->children = ln_alloc_zero(NULL, f->plan->processes * sizeof *f->children);
    if (f->children == NULL)
        return LN_ERR_NOMEM;
    for (uint32_t i = 0; i < f->plan->processes; i++) {
        const pid_t pid = fork();
        if (pid < 0)
            return LN_ERR_LIMIT;
        if (pid == 0)
            be_a_child(f, i, parent);
        f->children[f->child_count++] = pid;
    }
    return 0;
}

/* Takes note of children that have ended; with `options` 0 waits until all have. */
static bool reap(ln_benchfleet *f, int options)
{
    bool is_any_left = false;
    for (uint32_t i = 0; i < f->child_count; i++) {
        int status;
        if (f->children[i] == 0)
            continue;
        const pid_t pid = waitpid(f->children[i], &status, options);
        if (pid == 0 || (pid < 0 && errno == EINTR)) {
            is_any_left = true;
            continue;
        }
        f->children[i] = 0;
        if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            f->lost_count++;
    }
    return is_any_left;
}

void ln_benchfleet_kill(ln_benchfleet *f)
{
    for (uint32_t i = 0; i < f->child_count; i++)
        if (f->children[i] > 0)
            kill(f->children[i], SIGKILL);
}

/* ------------------------------------------------------------------------------------------------
 * both */

int ln_benchfleet_start(ln_benchfleet *f, const ln_benchplan *plan, ln_benchboard *board)
{
    *f = (ln_benchfleet){.plan = plan, .board = board};
    return plan->processes > 1 ? start_children(f) : start_threads(f, 0);
}

bool ln_benchfleet_is_working(ln_benchfleet *f)
{
    return f->child_count > 0 ? reap(f, WNOHANG) : atomic_load(&f->working) > 0;
}

void ln_benchfleet_join(ln_benchfleet *f)
{
    while (reap(f, 0)) {
    }
    ln_free(NULL, f->children);
    f->children = NULL;
    f->child_count = 0;
    join_threads(f);
}
