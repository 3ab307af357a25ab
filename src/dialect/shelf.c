/* SPDX-License-Identifier: MIT */
#include "shelf.h"

/* An old version, and the letters that will have told when nobody reads it. */
typedef struct farewell farewell;

typedef struct notice {
    ln_letter letter;
    farewell *of;
} notice;

struct farewell {
    const ln_allocator *alloc;
    void (*free)(void *version, const ln_allocator *alloc);
    void *version;
    _Atomic unsigned left;
    notice notices[];
};

void ln_shelf_init(ln_shelf *s, ln_server *server,
                   void (*free)(void *version, const ln_allocator *alloc))
{
    atomic_init(&s->version, NULL);
    s->server = server;
    s->free = free;
    ln_lock_init(&s->lock);
}

static void free_version(const ln_shelf *s, void *version)
{
    if (version != NULL)
        s->free(version, s->server->alloc);
}

void ln_shelf_fini(ln_shelf *s)
{
    free_version(s, atomic_load(&s->version));
    ln_lock_fini(&s->lock);
}

const void *ln_shelf_get(const ln_shelf *s)
{
    return atomic_load_explicit(&s->version, memory_order_acquire);
}

/* On a worker's thread, or, if its loop has ended, on the one that ends it. */
static void on_notice(ln_letter *letter, ln_loop *loop)
{
    farewell *const f = LN_CONTAINER_OF(letter, notice, letter)->of;
    const ln_allocator *const alloc = f->alloc;
    (void)loop;

    if (atomic_fetch_sub(&f->left, 1) > 1)
        return;
    f->free(f->version, alloc);
    ln_free(alloc, f);
}

static bool has_readers(const ln_shelf *s)
{
    return atomic_load(&s->server->state) == LN_SERVER_RUNNING;
}

const void *ln_shelf_take(ln_shelf *s)
{
    ln_lock_take(&s->lock);
    return atomic_load(&s->version);
}

void ln_shelf_give(ln_shelf *s)
{
    ln_lock_give(&s->lock);
}

int ln_shelf_put(ln_shelf *s, void *fresh)
{
    ln_server *const server = s->server;
    void *const old = atomic_load(&s->version);

    if (old == NULL) {
        atomic_store(&s->version, fresh);
        return 0;
    }
    farewell *const f =
        ln_alloc_zero(server->alloc, sizeof *f + server->worker_count * sizeof f->notices[0]);
    if (f == NULL)
        return LN_ERR_NOMEM;
    f->alloc = server->alloc;
    f->free = s->free;
    f->version = old;
    atomic_init(&f->left, server->worker_count);
    /* In this order: workers that begin to run after the question find the new one. */
    atomic_store(&s->version, fresh);
    if (!has_readers(s)) {
        free_version(s, old);
        ln_free(server->alloc, f);
        return 0;
    }
    /* The last letter may free f before the loop looks at its condition again. */
    const unsigned count = server->worker_count;
    for (unsigned i = 0; i < count; i++) {
        f->notices[i] = (notice){.letter = {.handle = on_notice}, .of = f};
        ln_loop_send_letter(server->workers[i].home.loop, &f->notices[i].letter);
    }
    return 0;
}
