/* SPDX-License-Identifier: MIT */
#include "thread.h"

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
