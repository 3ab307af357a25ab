/* SPDX-License-Identifier: MIT */
#include "budget.h"

#include "serverinner.h"

/* ---- the books ---- */

void ln_budget_init(ln_budget *b, uint64_t max_bytes, unsigned workers)
{
    b->max_bytes = max_bytes;
    b->step_bytes = max_bytes / 64 / workers + 1;
    atomic_init(&b->queued_bytes, 0);
}

/* Of queues of that size; four classes for each power of two. */
static unsigned class_of(uint32_t bytes)
{
    if (bytes < 4)
        return bytes;
    const unsigned top = 31u - (unsigned)__builtin_clz(bytes);
    return top << 2 | (bytes >> (top - 2) & 3);
}

static uint64_t sum_of(const ln_home *home)
{
    return atomic_load_explicit(&home->counters.queued_bytes, memory_order_relaxed);
}

/* The server's sum, with all that this home knows. */
static uint64_t tell(ln_home *home)
{
    ln_budget_share *const share = &home->share;
    const uint64_t own = sum_of(home), change = own - share->told_bytes; /* may be below 0 */

    share->told_bytes = own;
    return atomic_fetch_add_explicit(&home->server->budget.queued_bytes, change,
                                     memory_order_relaxed) +
           change;
}

static uint64_t target_of(const ln_budget *b)
{
    return b->max_bytes - b->max_bytes / 8;
}

/* ---- too much ---- */

/* From which class on everything has to go for `bytes` to be gone. */
static unsigned class_to_shed(const ln_server *s, uint64_t bytes)
{
    unsigned class = LN_BUDGET_CLASSES;
    uint64_t sum = 0;

    while (class > 1 && sum < bytes) {
        class --;
        for (unsigned i = 0; i < s->worker_count; i++)
            sum += atomic_load_explicit(&s->workers[i].home.share.classes[class],
                                        memory_order_relaxed);
    }
    return class;
}

static void write_letters(ln_server *s, uint64_t total)
{
    const unsigned class = class_to_shed(s, total - target_of(&s->budget));

    for (unsigned i = 0; i < s->worker_count; i++) {
        ln_home *const home = &s->workers[i].home;
        atomic_store_explicit(&home->share.shed_from, class, memory_order_relaxed);
        if (!atomic_exchange(&home->share.is_posted, true))
            ln_loop_send_letter(home->loop, &home->share.letter);
    }
}

/* Those of a class between `least` and `most`, until enough is gone. */
static void shed(ln_home *home, unsigned least, unsigned most)
{
    const uint64_t target = target_of(&home->server->budget);

    for (uint32_t i = 1; i < home->laggards.capacity && tell(home) > target; i++) {
        const ln_laggard *const l = ln_laggards_at(&home->laggards, i);
        if (l->conn != NULL && class_of(l->bytes) >= least && class_of(l->bytes) <= most)
            ln_conn_shed(l->conn);
    }
}

static void on_letter(ln_letter *letter, ln_loop *loop)
{
    ln_home *const home = LN_CONTAINER_OF(letter, ln_home, share.letter);
    ln_budget_share *const share = &home->share;

    atomic_store(&share->is_posted, false);
    if (loop == NULL)
        return;
    const unsigned least = atomic_load_explicit(&share->shed_from, memory_order_relaxed);
    shed(home, least + 1, LN_BUDGET_CLASSES);
    shed(home, least, least);
}

void ln_budget_init_share(ln_budget_share *share)
{
    share->letter.handle = on_letter;
}

void ln_budget_count(ln_home *home, uint32_t before, uint32_t now)
{
    ln_server *const s = home->server;
    ln_budget_share *const share = &home->share;

    if (s == NULL || s->budget.max_bytes == 0)
        return;
    ln_uncount(&share->classes[class_of(before)], before);
    ln_count(&share->classes[class_of(now)], now);
    const uint64_t own = sum_of(home);
    const uint64_t moved =
        own > share->told_bytes ? own - share->told_bytes : share->told_bytes - own;
    if (LN_LIKELY(moved < s->budget.step_bytes))
        return;
    const uint64_t total = tell(home);
    /* Letters are for loops that run; one that is on its way will do. */
    if (LN_UNLIKELY(total > s->budget.max_bytes) && !atomic_load(&share->is_posted) &&
        atomic_load(&s->state) == LN_SERVER_RUNNING)
        write_letters(s, total);
}
