/* SPDX-License-Identifier: MIT */
/* thread - a thread with a function to run, locks for what is not worth a letter, and latches for
 * who has to wait for another thread. */
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

/* A door that is closed at first, and open for good once somebody has opened it. */
typedef struct ln_latch {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool is_open;
} ln_latch;

void ln_latch_init(ln_latch *latch);
/* Who has come through it may, at once. */
void ln_latch_fini(ln_latch *latch);
void ln_latch_open(ln_latch *latch);
/* Returns when it is open. */
void ln_latch_wait(ln_latch *latch);
/* The same, or false after `ms` milliseconds. */
bool ln_latch_wait_ms(ln_latch *latch, uint32_t ms);

#endif
