/* SPDX-License-Identifier: MIT */
/* commandtable.c - which handler is for which id: ranges in order, none overlapping, looked up by
 * halving; each change makes a new table. */
#include "commandinner.h"

typedef struct ranges {
    size_t count;
    ln_command_range list[];
} ranges;

void ln_command_free_ranges(void *version, const ln_allocator *alloc)
{
    ln_free(alloc, version);
}

const ln_command_range *ln_command_find(const ln_command *game, uint32_t id)
{
    const ranges *const t = ln_shelf_get(&game->ranges);
    size_t low = 0, high = t == NULL ? 0 : t->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (t->list[middle].last < id)
            low = middle + 1;
        else
            high = middle;
    }
    return t == NULL || low == t->count || t->list[low].first > id ? NULL : &t->list[low];
}

/* Copies `old` with `change` laid over it: what it covers of others is gone. `to` has room for two
 * more. */
static void overlay(const ranges *old, const ln_command_range *change, ranges *to)
{
    const size_t count = old == NULL ? 0 : old->count;
    bool is_laid = change->handler == NULL && change->blocking == NULL;

    to->count = 0;
    for (size_t i = 0; i < count; i++) {
        const ln_command_range *const r = &old->list[i];
        if (r->first < change->first) {
            ln_command_range *const left = &to->list[to->count++];
            *left = *r;
            if (r->last >= change->first)
                left->last = change->first - 1;
        }
        if (r->last > change->last) {
            if (!is_laid)
                to->list[to->count++] = *change;
            is_laid = true;
            ln_command_range *const right = &to->list[to->count++];
            *right = *r;
            if (r->first <= change->last)
                right->first = change->last + 1;
        }
    }
    if (!is_laid)
        to->list[to->count++] = *change;
}

static int lay(ln_command *game, const ln_command_range *change)
{
    const ranges *const old = ln_shelf_take(&game->ranges);
    const size_t count = old == NULL ? 0 : old->count;
    int rc = LN_ERR_NOMEM;

    ranges *const fresh =
        ln_alloc(game->alloc, sizeof *fresh + (count + 2) * sizeof fresh->list[0]);
    if (fresh != NULL) {
        overlay(old, change, fresh);
        rc = fresh->count > LN_COMMAND_RANGES_MAX ? LN_ERR_LIMIT
                                                  : ln_shelf_put(&game->ranges, fresh);
    }
    if (rc < 0)
        ln_free(game->alloc, fresh);
    ln_shelf_give(&game->ranges);
    return rc;
}

int ln_command_on_range(ln_command *game, const ln_command_range *range)
{
    if (range->first > range->last || range->last >= LN_COMMAND_RPC_ERROR ||
        (range->handler != NULL && range->blocking != NULL))
        return LN_ERR_INVALID;
    if (range->blocking != NULL && ln_server_jobs(game->server) == NULL)
        return LN_ERR_NOMEM;
    return lay(game, range);
}

int ln_command_on(ln_command *game, uint32_t id, ln_command_handler *handler, void *user)
{
    const ln_command_range range = {.first = id, .last = id, .handler = handler, .user = user};
    return ln_command_on_range(game, &range);
}
