/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>

#include "failing_alloc.h"

#include "loop_kit.h"
#include "net/jobs.h"

enum { THREADS = 3, WAITING = 16 };

typedef struct task {
    ln_job job;
    sem_t *gate; /* waited for while working; NULL = none */
    unsigned key, number;
    bool has_worked;
    bool is_cancelled;
    unsigned done; /* how often */
    pthread_t worker, teller;
    ln_loop *loop;
} task;

static sem_t gate;
static _Atomic int working, working_most;
static int done_count;
static unsigned order[256];

static task *task_of(ln_job *job)
{
    return LN_CONTAINER_OF(job, task, job);
}

static void work(ln_job *job)
{
    task *const t = task_of(job);
    const int now = atomic_fetch_add(&working, 1) + 1;
    int most = atomic_load(&working_most);
    while (now > most && !atomic_compare_exchange_weak(&working_most, &most, now))
        continue;
    if (t->gate != NULL)
        while (sem_wait(t->gate) < 0)
            assert_int_equal(errno, EINTR);
    t->has_worked = true;
    t->worker = pthread_self();
    atomic_fetch_sub(&working, 1);
}

static void done(ln_job *job, ln_loop *loop)
{
    task *const t = task_of(job);
    t->done++;
    t->teller = pthread_self();
    t->loop = loop;
    t->is_cancelled = job->is_cancelled;
    order[done_count++ % 256] = t->number;
}

static ln_jobs *new_jobs(unsigned threads, unsigned waiting)
{
    ln_jobs *jobs;
    assert_int_equal(ln_jobs_new(NULL, threads, waiting, &jobs), 0);
    return jobs;
}

/* Everything as if nothing had happened, and a loop. */
static ln_loop *begin(void **state)
{
    atomic_store(&working, 0);
    atomic_store(&working_most, 0);
    done_count = 0;
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    return kit_loop(state);
}

static int submit(ln_jobs *jobs, ln_loop *loop, task *t, unsigned number, uint64_t key)
{
    *t = (task){.job = {.work = work, .done = done}, .number = number, .gate = t->gate};
    return ln_jobs_submit(jobs, loop, key, &t->job);
}

static void until_working(int count)
{
    const uint64_t begin_ms = kit_now_ms();
    while (atomic_load(&working) < count) {
        sched_yield();
        assert_true(kit_now_ms() - begin_ms < 10000);
    }
}

static void work_is_elsewhere_and_the_end_is_told_here(void **state)
{
    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(THREADS, WAITING);
    task t = {0};
    assert_int_equal(submit(jobs, loop, &t, 0, 0), 0);
    KIT_UNTIL(loop, done_count == 1);
    assert_true(t.has_worked && !t.is_cancelled);
    assert_false(pthread_equal(t.worker, pthread_self()));
    assert_true(pthread_equal(t.teller, pthread_self()));
    assert_ptr_equal(t.loop, loop);
    ln_jobs_free(jobs);
    kit_rest(loop);
    assert_int_equal(t.done, 1);
    ln_loop_free(loop);
}

static void jobs_of_one_key_run_one_by_one_in_order(void **state)
{
    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(THREADS, WAITING);
    task tasks[WAITING] = {0};
    for (unsigned i = 0; i < WAITING; i++)
        tasks[i].gate = &gate;
    for (unsigned i = 0; i < WAITING; i++)
        assert_int_equal(submit(jobs, loop, &tasks[i], i, 7), 0);
    for (unsigned i = 0; i < WAITING; i++) {
        until_working(1);
        assert_int_equal(done_count, i);
        sem_post(&gate);
        KIT_UNTIL(loop, done_count == (int)i + 1);
    }
    assert_int_equal(working_most, 1);
    for (unsigned i = 0; i < WAITING; i++)
        assert_int_equal(order[i], i);
    ln_jobs_free(jobs);
    ln_loop_free(loop);
}

/* One key has a job that hangs; the others go on. */
static void keys_do_not_wait_for_each_other(void **state)
{
    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(THREADS, WAITING);
    task hanging = {.gate = &gate}, behind = {0}, others[8] = {0};
    assert_int_equal(submit(jobs, loop, &hanging, 100, 1), 0);
    assert_int_equal(submit(jobs, loop, &behind, 101, 1), 0);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(submit(jobs, loop, &others[i], i, i % 4 * 256), 0); /* and key 0 */
    KIT_UNTIL(loop, done_count == 8);
    assert_int_equal(hanging.done + behind.done, 0);
    sem_post(&gate);
    KIT_UNTIL(loop, done_count == 10);
    assert_int_equal(order[8], 100);
    assert_int_equal(order[9], 101);
    ln_jobs_free(jobs);
    ln_loop_free(loop);
}

static void threads_are_bounded(void **state)
{
    ln_jobs *none = NULL;
    assert_int_equal(ln_jobs_new(NULL, 0, 1, &none), LN_ERR_INVALID);
    assert_int_equal(ln_jobs_new(NULL, LN_JOBS_THREADS_MAX + 1, 1, &none), LN_ERR_INVALID);
    assert_null(none);
    ln_jobs_free(new_jobs(LN_JOBS_THREADS_MAX, 1));
    ln_jobs_free(NULL);

    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(THREADS, WAITING);
    task tasks[THREADS + WAITING] = {0};
    for (unsigned i = 0; i < THREADS + WAITING; i++) {
        tasks[i].gate = &gate;
        assert_int_equal(submit(jobs, loop, &tasks[i], i, 0), 0);
        if (i < THREADS)
            until_working((int)i + 1); /* each finds a thread of its own */
    }
    for (unsigned i = 0; i < THREADS + WAITING; i++)
        sem_post(&gate);
    KIT_UNTIL(loop, done_count == THREADS + WAITING);
    assert_int_equal(working_most, THREADS);
    ln_jobs_free(jobs);
    ln_loop_free(loop);
}

static void waiting_jobs_are_bounded(void **state)
{
    ln_jobs *none = NULL;
    assert_int_equal(ln_jobs_new(NULL, 1, 0, &none), LN_ERR_INVALID);
    assert_int_equal(ln_jobs_new(NULL, 1, LN_JOBS_WAITING_MAX + 1, &none), LN_ERR_INVALID);
    ln_jobs_free(new_jobs(1, LN_JOBS_WAITING_MAX));

    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(1, WAITING);
    task tasks[1 + WAITING] = {0}, one_more = {0};
    for (unsigned i = 0; i < 1 + WAITING; i++) {
        tasks[i].gate = &gate;
        assert_int_equal(submit(jobs, loop, &tasks[i], i, i % 2), 0); /* in the queue or behind */
        until_working(1);
    }
    assert_int_equal(submit(jobs, loop, &one_more, 99, 0), LN_ERR_WOULD_EXCEED);
    assert_int_equal(submit(jobs, loop, &one_more, 99, 1), LN_ERR_WOULD_EXCEED);
    sem_post(&gate);
    KIT_UNTIL(loop, done_count == 1);
    until_working(1);
    assert_int_equal(submit(jobs, loop, &one_more, 99, 1), 0);
    for (unsigned i = 0; i < WAITING; i++)
        sem_post(&gate);
    KIT_UNTIL(loop, done_count == 2 + WAITING);
    assert_int_equal(one_more.done, 1);
    ln_jobs_free(jobs);
    ln_loop_free(loop);
}

static void *free_jobs(void *arg)
{
    ln_jobs_free(arg);
    return NULL;
}

/* Freed while one job runs, others wait in the queue and behind it. */
static void freeing_ends_what_runs_and_cancels_what_waits(void **state)
{
    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(1, WAITING);
    task tasks[6] = {{.gate = &gate}};
    pthread_t other;
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(submit(jobs, loop, &tasks[i], i, i % 2 + 1), 0);
    until_working(1);
    assert_int_equal(pthread_create(&other, NULL, free_jobs, jobs), 0);
    kit_rest(loop);
    assert_int_equal(done_count, 0);
    sem_post(&gate);
    pthread_join(other, NULL);
    KIT_UNTIL(loop, done_count == 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(tasks[i].done, 1);
        assert_true(tasks[i].has_worked == (i == 0) && tasks[i].is_cancelled == (i != 0));
        assert_ptr_equal(tasks[i].loop, loop);
    }
    ln_loop_free(loop);
}

static void after_the_loop_everybody_is_told_still(void **state)
{
    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(1, WAITING);
    task tasks[4] = {{.gate = &gate}};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(submit(jobs, loop, &tasks[i], i, 1), 0);
    until_working(1);
    sem_post(&gate);
    ln_jobs_free(jobs);
    assert_int_equal(done_count, 0); /* nobody has turned the loop */
    ln_loop_free(loop);
    assert_int_equal(done_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(order[i], i);
        assert_null(tasks[i].loop);
    }
}

static ln_jobs *relay_jobs;
static int relays;

/* Frees itself and begins the next: nothing of the old one is touched afterwards. */
static void pass_on(ln_job *job, ln_loop *loop)
{
    free(task_of(job));
    if (++relays == 50)
        return;
    task *const t = calloc(1, sizeof *t);
    t->job = (ln_job){.work = work, .done = pass_on};
    assert_int_equal(ln_jobs_submit(relay_jobs, loop, 3, &t->job), 0);
}

static void the_end_of_one_may_begin_another(void **state)
{
    ln_loop *const loop = begin(state);
    relay_jobs = new_jobs(THREADS, 1);
    relays = 0;
    task *const t = calloc(1, sizeof *t);
    t->job = (ln_job){.work = work, .done = pass_on};
    assert_int_equal(ln_jobs_submit(relay_jobs, loop, 3, &t->job), 0);
    KIT_UNTIL(loop, relays == 50);
    ln_jobs_free(relay_jobs);
    ln_loop_free(loop);
}

static bool hears_signals;

static void look_at_mask(ln_job *job)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    hears_signals = sigismember(&mask, SIGTERM) != 1 || sigismember(&mask, SIGINT) != 1;
    work(job);
}

static void threads_hear_no_signals(void **state)
{
    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(1, 1);
    task t = {.job = {.work = look_at_mask, .done = done}};
    sigset_t before, after;
    hears_signals = true;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(ln_jobs_submit(jobs, loop, 0, &t.job), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    KIT_UNTIL(loop, done_count == 1);
    assert_false(hears_signals);
    ln_jobs_free(jobs);
    ln_loop_free(loop);
}

/* ---- many at once ---- */

enum { SUBMITTERS = 3, PER_SUBMITTER = 2000, KEYS = 5 };

typedef struct submitter {
    ln_jobs *jobs;
    ln_loop *loop;
    unsigned index;
    task tasks[PER_SUBMITTER];
} submitter;

static submitter submitters[SUBMITTERS];
static unsigned next_of[SUBMITTERS * KEYS];   /* by key: what must come next at the loop */
static unsigned worked_of[SUBMITTERS * KEYS]; /* and what must run next: no two at a time */

static _Atomic bool is_disordered;

static void work_in_order(ln_job *job)
{
    task *const t = task_of(job);
    if (worked_of[t->key]++ != t->number) /* a plain variable: a race would be seen */
        atomic_store(&is_disordered, true);
}

static void tell_in_order(ln_job *job, ln_loop *loop)
{
    task *const t = task_of(job);
    assert_non_null(loop);
    assert_int_equal(next_of[t->key]++, t->number);
    done_count++;
}

static void *submit_many(void *arg)
{
    submitter *const s = arg;
    unsigned numbers[KEYS] = {0};
    for (unsigned i = 0; i < PER_SUBMITTER; i++) {
        const unsigned k = i * 7 % KEYS;
        task *const t = &s->tasks[i];
        *t = (task){.job = {.work = work_in_order, .done = tell_in_order},
                    .key = s->index * KEYS + k,
                    .number = numbers[k]++};
        while (ln_jobs_submit(s->jobs, s->loop, t->key + 1, &t->job) == LN_ERR_WOULD_EXCEED)
            sched_yield();
    }
    return NULL;
}

static void many_threads_submit_and_each_keys_order_is_kept(void **state)
{
    ln_loop *const loop = begin(state);
    ln_jobs *const jobs = new_jobs(THREADS, 64);
    pthread_t threads[SUBMITTERS];
    memset(next_of, 0, sizeof next_of);
    memset(worked_of, 0, sizeof worked_of);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i].jobs = jobs;
        submitters[i].loop = loop;
        submitters[i].index = i;
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &submitters[i]), 0);
    }
    KIT_UNTIL(loop, done_count == SUBMITTERS * PER_SUBMITTER);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    ln_jobs_free(jobs);
    kit_rest(loop);
    assert_int_equal(done_count, SUBMITTERS * PER_SUBMITTER);
    assert_false(is_disordered);
    ln_loop_free(loop);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    ln_jobs *jobs = NULL;
    const int rc = ln_jobs_new(alloc, 1, 1, &jobs);
    ln_jobs_free(jobs);
    return rc;
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(one_life, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_BOTH(work_is_elsewhere_and_the_end_is_told_here),
        KIT_BOTH(jobs_of_one_key_run_one_by_one_in_order),
        KIT_BOTH(keys_do_not_wait_for_each_other),
        KIT_BOTH(threads_are_bounded),
        KIT_BOTH(waiting_jobs_are_bounded),
        KIT_BOTH(freeing_ends_what_runs_and_cancels_what_waits),
        KIT_BOTH(after_the_loop_everybody_is_told_still),
        KIT_BOTH(the_end_of_one_may_begin_another),
        KIT_BOTH(threads_hear_no_signals),
        KIT_BOTH(many_threads_submit_and_each_keys_order_is_kept),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
