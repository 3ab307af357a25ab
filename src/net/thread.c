/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <errno.h>
#include <time.h>

int ln_thread_start(ln_thread *t, void *(*run)(void *arg), void *arg)
{
    t->is_started = pthread_create(&t->id, NULL, run, arg) == 0;
    return t->is_started ? 0 : LN_ERR_NOMEM;
}

void ln_thread_join(ln_thread *t)
{
    if (!t->is_started)
        return;
    pthread_join(t->id, NULL);
    t->is_started = false;
}

void ln_lock_init(ln_lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
}

void ln_lock_fini(ln_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void ln_lock_take(ln_lock *lock)
{
    const int rc = pthread_mutex_lock(&lock->mutex);
    LN_ASSERT(rc == 0);
}

void ln_lock_give(ln_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

void ln_latch_init(ln_latch *latch)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&latch->mutex, NULL);
    pthread_cond_init(&latch->opened, &monotonic);
    pthread_condattr_destroy(&monotonic);
    latch->is_open = false;
}

void ln_latch_fini(ln_latch *latch)
{
    pthread_cond_destroy(&latch->opened);
    pthread_mutex_destroy(&latch->mutex);
}

void ln_latch_open(ln_latch *latch)
{
    pthread_mutex_lock(&latch->mutex);
    latch->is_open = true;
    /* inside: who waits may be gone, and the latch with him, as soon as the mutex is free */
    pthread_cond_broadcast(&latch->opened);
    pthread_mutex_unlock(&latch->mutex);
}

void ln_latch_wait(ln_latch *latch)
{
    pthread_mutex_lock(&latch->mutex);
    while (!latch->is_open)
        pthread_cond_wait(&latch->opened, &latch->mutex);
    pthread_mutex_unlock(&latch->mutex);
}

bool ln_latch_wait_ms(ln_latch *latch, uint32_t ms)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&latch->mutex);
    while (!latch->is_open && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&latch->opened, &latch->mutex, &until);
    const bool is_open = latch->is_open;
    pthread_mutex_unlock(&latch->mutex);
    return is_open;
}
