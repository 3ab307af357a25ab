/* SPDX-License-Identifier: MIT */
#include "home.h"

void ln_home_init(ln_home *home, ln_loop *loop, const ln_allocator *alloc)
{
    *home = (ln_home){.loop = loop, .alloc = alloc};
    ln_buf_init(&home->scratch, alloc);
    ln_budget_init_share(&home->share);
    if (loop != NULL)
        ln_loop_random(loop, home->seed, sizeof home->seed);
}

void ln_home_fini(ln_home *home)
{
    LN_ASSERT(home->conn_count == 0);
    ln_connpages_fini(&home->pages, home->alloc);
    ln_laggards_fini(&home->laggards, home->alloc);
    ln_zpool_free(home->zpool);
    ln_buf_fini(&home->scratch);
    ln_spare_fini(&home->spare);
}

ln_zpool *ln_home_zpool(ln_home *home)
{
    if (home->zpool == NULL)
        home->zpool = ln_zpool_new(home->alloc);
    return home->zpool;
}

uint32_t ln_home_mask_key(void *home)
{
    uint32_t key;
    ln_loop_random(((ln_home *)home)->loop, &key, sizeof key);
    return key;
}
