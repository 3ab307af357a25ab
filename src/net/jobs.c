/* SPDX-License-Identifier: MIT */
#include "jobs.h"

#include <pthread.h>
#include <signal.h>

#include "thread.h"

enum { BUCKETS = 256 };

struct ln_jobs {
    const ln_allocator *alloc;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t work_or_end;
    ln_job *first;
    ln_job **end; /* where the next one is linked */
    unsigned queued;
    unsigned waiting; /* the queued ones, and those behind others of their key */
    unsigned waiting_max;
    unsigned idle; /* threads without work */
    bool is_ending;
    ln_job *last[BUCKETS]; /* of each key that has jobs: the one submitted last */
    unsigned thread_count, threads_max;
    ln_thread threads[];
};

/* ---- keys; all under the lock ---- */

/* Keys are often small numbers in a row: Fibonacci hashing spreads them. */
static ln_job **bucket_of(ln_jobs *jobs, uint64_t key)
{
    return &jobs->last[key * UINT64_C(0x9E3779B97F4A7C15) >> 56];
}

/* Where the last job of `key` is linked, or the bucket's end. */
static ln_job **find_last(ln_jobs *jobs, uint64_t key)
{
    ln_job **at = bucket_of(jobs, key);
    while (*at != NULL && (*at)->key != key)
        at = &(*at)->neighbour;
    return at;
}

static void push(ln_jobs *jobs, ln_job *job)
{
    job->next = NULL;
    *jobs->end = job;
    jobs->end = &job->next;
    jobs->queued++;
}

static ln_job *pop(ln_jobs *jobs)
{
    ln_job *const job = jobs->first;
    if (job == NULL)
        return NULL;
    jobs->first = job->next;
    if (jobs->first == NULL)
        jobs->end = &jobs->first;
    jobs->queued--;
    jobs->waiting--;
    return job;
}

/* Into the queue, or behind the last of its key. */
static void enter(ln_jobs *jobs, ln_job *job)
{
    jobs->waiting++;
    if (job->key == 0) {
        push(jobs, job);
        return;
    }
    ln_job **const at = find_last(jobs, job->key);
    ln_job *const before = *at;
    job->neighbour = before != NULL ? before->neighbour : NULL;
    *at = job;
    if (before != NULL)
        before->follower = job;
    else
        push(jobs, job);
}

/* It has run, or never will: back to its loop, and the next of its key may run. */
static void leave(ln_jobs *jobs, ln_job *job)
{
    ln_job *const follower = job->follower;
    if (job->key != 0 && follower == NULL) {
        ln_job **const at = find_last(jobs, job->key);
        LN_ASSERT(*at == job);
        *at = job->neighbour;
    }
    ln_loop_send_letter(job->loop, &job->letter); /* from here on it may be gone */
    if (follower != NULL)
        push(jobs, follower);
}

/* ---- threads ---- */

static void *run(void *arg)
{
    ln_jobs *const jobs = arg;
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->is_ending) {
        ln_job *const job = pop(jobs);
        if (job == NULL) {
            jobs->idle++;
            pthread_cond_wait(&jobs->work_or_end, &jobs->lock);
            jobs->idle--;
            continue;
        }
        pthread_mutex_unlock(&jobs->lock);
        job->work(job);
        pthread_mutex_lock(&jobs->lock);
        leave(jobs, job); /* a follower needs no wake-up: this thread takes the next one */
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

/* One thread more, deaf to signals, which are the loops'. */
static void start_thread(ln_jobs *jobs)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (ln_thread_start(&jobs->threads[jobs->thread_count], run, jobs) == 0)
        jobs->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_letter(ln_letter *letter, ln_loop *loop)
{
    ln_job *const job = LN_CONTAINER_OF(letter, ln_job, letter);
    job->done(job, loop);
}

/* Under the lock. */
static int submit(ln_jobs *jobs, ln_job *job)
{
    LN_ASSERT(!jobs->is_ending);
    if (jobs->waiting == jobs->waiting_max)
        return LN_ERR_WOULD_EXCEED;
    if (jobs->queued >= jobs->idle && jobs->thread_count < jobs->threads_max)
        start_thread(jobs);
    if (jobs->thread_count == 0)
        return LN_ERR_NOMEM;
    enter(jobs, job);
    pthread_cond_signal(&jobs->work_or_end);
    return 0;
}

int ln_jobs_submit(ln_jobs *jobs, ln_loop *loop, uint64_t key, ln_job *job)
{
    job->is_cancelled = false;
    job->letter.handle = on_letter;
    job->loop = loop;
    job->key = key;
    job->follower = NULL;
    pthread_mutex_lock(&jobs->lock);
    const int rc = submit(jobs, job);
    pthread_mutex_unlock(&jobs->lock);
    return rc;
}

/* ---- life ---- */

int ln_jobs_new(const ln_allocator *alloc, unsigned threads, unsigned waiting, ln_jobs **jobs)
{
    if (threads == 0 || threads > LN_JOBS_THREADS_MAX || waiting == 0 ||
        waiting > LN_JOBS_WAITING_MAX)
        return LN_ERR_INVALID;
    ln_jobs *const j = ln_alloc_zero(alloc, sizeof *j + threads * sizeof j->threads[0]);
    if (j == NULL)
        return LN_ERR_NOMEM;
    j->alloc = alloc;
    j->end = &j->first;
    j->threads_max = threads;
    j->waiting_max = waiting;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->work_or_end, NULL);
    *jobs = j;
    return 0;
}

void ln_jobs_free(ln_jobs *jobs)
{
    if (jobs == NULL)
        return;
    pthread_mutex_lock(&jobs->lock);
    jobs->is_ending = true;
    pthread_cond_broadcast(&jobs->work_or_end);
    pthread_mutex_unlock(&jobs->lock);
    for (unsigned i = 0; i < jobs->thread_count; i++)
        ln_thread_join(&jobs->threads[i]);
    for (ln_job *job = pop(jobs); job != NULL; job = pop(jobs)) {
        job->is_cancelled = true;
        leave(jobs, job);
    }
    LN_ASSERT(jobs->waiting == 0);
    pthread_cond_destroy(&jobs->work_or_end);
    pthread_mutex_destroy(&jobs->lock);
    ln_free(jobs->alloc, jobs);
}
