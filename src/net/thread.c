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

void ln_signal_init(ln_signal *s)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s->given, &attributes);
    pthread_condattr_destroy(&attributes);
    ln_lock_init(&s->lock);
    s->is_given = false;
}

void ln_signal_fini(ln_signal *s)
{
    pthread_cond_destroy(&s->given);
    ln_lock_fini(&s->lock);
}

void ln_signal_give(ln_signal *s)
{
    ln_lock_take(&s->lock);
    s->is_given = true;
    pthread_cond_signal(&s->given);
    ln_lock_give(&s->lock);
}

bool ln_signal_wait(ln_signal *s, uint32_t timeout_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    const uint64_t ns = (uint64_t)until.tv_nsec + (uint64_t)timeout_ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    ln_lock_take(&s->lock);
    int rc = 0;
    while (!s->is_given && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->given, &s->lock.mutex, &until);
    const bool is_given = s->is_given;
    ln_lock_give(&s->lock);
    return is_given;
}

void ln_signal_wait_for_ever(ln_signal *s)
{
    ln_lock_take(&s->lock);
    while (!s->is_given)
        pthread_cond_wait(&s->given, &s->lock.mutex);
    ln_lock_give(&s->lock);
}
