/* SPDX-License-Identifier: MIT */
/* thread - a thread with a function to run, and locks for what is not worth a letter. */
#ifndef LN_THREAD_H
#define LN_THREAD_H

#include <pthread.h>

#include "base/base.h"

typedef struct ln_thread {
    pthread_t id;
    bool is_started;
} ln_thread;

/* LN_ERR_NOMEM when the system has no room for another. */
LN_NODISCARD int ln_thread_start(ln_thread *t, void *(*run)(void *arg), void *arg);

/* Waits for its end; harmless if it was never started or is joined already. */
void ln_thread_join(ln_thread *t);

/* A mutex that is held for a few instructions, never across a callback. */
typedef struct ln_lock {
    pthread_mutex_t mutex;
} ln_lock;

void ln_lock_init(ln_lock *lock);
void ln_lock_fini(ln_lock *lock);
void ln_lock_take(ln_lock *lock);
void ln_lock_give(ln_lock *lock);

/* Given once, by one thread to another that waits for it. Who was told may fini it at once. */
typedef struct ln_signal {
    ln_lock lock;
    pthread_cond_t given;
    bool is_given;
} ln_signal;

void ln_signal_init(ln_signal *s);
void ln_signal_fini(ln_signal *s);
void ln_signal_give(ln_signal *s);
/* False if it was not given in time. */
bool ln_signal_wait(ln_signal *s, uint32_t timeout_ms);
void ln_signal_wait_for_ever(ln_signal *s);

#endif
