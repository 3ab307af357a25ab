/* SPDX-License-Identifier: MIT */
#include "benchboard.h"

#include <sys/mman.h>

enum { LINE_BYTES = 64 }; /* workers must not share a cache line */

static size_t aligned(size_t n)
{
    return (n + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

int ln_benchboard_new(const ln_benchplan *plan, ln_benchboard **board)
{
    const size_t tally_size = aligned(ln_benchtally_size(ln_bench_slices(plan)));
    const size_t size = aligned(sizeof **board) + tally_size * plan->workers;
    void *const memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return LN_ERR_NOMEM;
    ln_benchboard *const b = memory;
    b->size = size;
    b->tally_size = tally_size;
    b->workers = plan->workers;
    for (uint32_t i = 0; i < plan->workers; i++)
        ln_benchboard_tally(b, i)->slice_count = ln_bench_slices(plan);
    *board = b;
    return 0;
}

void ln_benchboard_free(ln_benchboard *board)
{
    if (board != NULL)
        munmap(board, board->size);
}

ln_benchtally *ln_benchboard_tally(ln_benchboard *board, uint32_t worker)
{
    uint8_t *const first = (uint8_t *)board + aligned(sizeof *board);
    LN_ASSERT(worker < board->workers);
    return (ln_benchtally *)(void *)(first + worker * board->tally_size);
}

ln_benchboard_sum ln_benchboard_look(ln_benchboard *board)
{
    ln_benchboard_sum sum = {.is_settled = true};
    for (uint32_t i = 0; i < board->workers; i++) {
        ln_benchtally *const t = ln_benchboard_tally(board, i);
        sum.opened += atomic_load_explicit(&t->opened, memory_order_relaxed);
        sum.failed += atomic_load_explicit(&t->failed, memory_order_relaxed);
        sum.closed += atomic_load_explicit(&t->closed, memory_order_relaxed);
        sum.events += atomic_load_explicit(&t->events, memory_order_relaxed);
        sum.trouble += atomic_load_explicit(&t->trouble, memory_order_relaxed);
        if (!atomic_load_explicit(&t->is_settled, memory_order_acquire))
            sum.is_settled = false;
    }
    return sum;
}
