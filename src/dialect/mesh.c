/* SPDX-License-Identifier: MIT */
#include "mesh.h"

#include <string.h>

#include "hub/sieve.h"
#include "net/thread.h"

typedef struct member {
    ln_hub *hub;
    ln_loop *loop;
    void (*deliver)(void *arg, ln_msg *m);
    void *arg;
    _Atomic uint32_t pending; /* parcels on their way to it */
} member;

/* A topic, or a filter, that some worker wants; its name follows. */
typedef struct want {
    uint64_t workers; /* one bit each */
    size_t size;
    char name[];
} want;

struct ln_mesh {
    ln_backplane backplane;
    const ln_allocator *alloc;
    ln_lock lock; /* of `wants` and `sieve` */
    ln_map wants;
    ln_sieve sieve; /* the filters among them */
    member members[LN_MESH_WORKERS_MAX];
    unsigned count;
};

/* A publication on its way to one worker. */
typedef struct parcel {
    ln_letter letter;
    member *to;
    ln_msg *msg;
    const ln_allocator *alloc;
} parcel;

static ln_mesh *mesh_of(ln_backplane *b)
{
    return LN_CONTAINER_OF(b, ln_mesh, backplane);
}

static unsigned index_of(const ln_mesh *mesh, const ln_hub *hub)
{
    unsigned i = 0;
    while (i < mesh->count && mesh->members[i].hub != hub)
        i++;
    return i;
}

/* ---- interest ---- */

static int enter_want(ln_mesh *mesh, want *w)
{
    const ln_span name = {w->name, w->size};
    int rc = ln_map_add(&mesh->wants, name, w);
    if (rc < 0 || !ln_filter_is(name))
        return rc;
    rc = ln_sieve_add(&mesh->sieve, name, w);
    if (rc < 0)
        ln_map_remove(&mesh->wants, name);
    return rc;
}

static int add_want(ln_mesh *mesh, ln_span topic, uint64_t bit)
{
    want *w = ln_map_find(&mesh->wants, topic);
    if (w != NULL) {
        w->workers |= bit;
        return 0;
    }
    w = ln_alloc(mesh->alloc, sizeof *w + topic.size);
    if (w == NULL)
        return LN_ERR_NOMEM;
    *w = (want){.workers = bit, .size = topic.size};
    memcpy(w->name, topic.data, topic.size);
    const int rc = enter_want(mesh, w);
    if (rc < 0)
        ln_free(mesh->alloc, w);
    return rc;
}

static void remove_want(ln_mesh *mesh, ln_span topic, uint64_t bit)
{
    want *const w = ln_map_find(&mesh->wants, topic);

    LN_ASSERT(w != NULL && (w->workers & bit));
    w->workers &= ~bit;
    if (w->workers != 0)
        return;
    if (ln_filter_is(topic))
        ln_sieve_remove(&mesh->sieve, topic);
    ln_map_remove(&mesh->wants, topic);
    ln_free(mesh->alloc, w);
}

static int interest(ln_backplane *b, ln_hub *hub, ln_span topic, bool wanted)
{
    ln_mesh *const mesh = mesh_of(b);
    const uint64_t bit = UINT64_C(1) << index_of(mesh, hub);
    int rc = 0;

    ln_lock_take(&mesh->lock);
    if (wanted)
        rc = add_want(mesh, topic, bit);
    else
        remove_want(mesh, topic, bit);
    ln_lock_give(&mesh->lock);
    return rc;
}

/* ---- publications ---- */

static void on_parcel(ln_letter *letter, ln_loop *loop)
{
    parcel *const p = LN_CONTAINER_OF(letter, parcel, letter);

    atomic_fetch_sub_explicit(&p->to->pending, 1, memory_order_relaxed);
    if (loop != NULL)
        p->to->deliver(p->to->arg, p->msg);
    ln_msg_unref(p->msg);
    ln_free(p->alloc, p);
}

static int post(ln_mesh *mesh, unsigned to, ln_msg *m)
{
    member *const there = &mesh->members[to];
    const uint32_t before = atomic_fetch_add_explicit(&there->pending, 1, memory_order_relaxed);
    parcel *const p = before >= LN_MESH_PENDING_MAX ? NULL : ln_alloc(mesh->alloc, sizeof *p);

    if (p == NULL) {
        atomic_fetch_sub_explicit(&there->pending, 1, memory_order_relaxed);
        return before >= LN_MESH_PENDING_MAX ? LN_ERR_WOULD_EXCEED : LN_ERR_NOMEM;
    }
    *p = (parcel){
        .letter = {.handle = on_parcel}, .to = there, .msg = ln_msg_ref(m), .alloc = mesh->alloc};
    ln_loop_send_letter(there->loop, &p->letter);
    return 0;
}

/* The workers that want `topic`, by its name or by a filter; the lock is held. */
static uint64_t workers_for(ln_mesh *mesh, ln_span topic)
{
    const want *const w = ln_map_find(&mesh->wants, topic);
    uint64_t workers = w == NULL ? 0 : w->workers;

    if (LN_UNLIKELY(!ln_sieve_is_empty(&mesh->sieve))) {
        const size_t count = ln_sieve_match(&mesh->sieve, topic);
        for (size_t i = 0; i < count; i++)
            workers |= ((const want *)mesh->sieve.found[i])->workers;
    }
    return workers;
}

static uint64_t everybody(const ln_mesh *mesh)
{
    return mesh->count == LN_MESH_WORKERS_MAX ? UINT64_MAX : (UINT64_C(1) << mesh->count) - 1;
}

static int post_to_others(ln_mesh *mesh, unsigned from, ln_msg *m)
{
    int result = 0;

    ln_lock_take(&mesh->lock);
    uint64_t workers = m->topic.size == 0 ? everybody(mesh) : workers_for(mesh, m->topic);
    ln_lock_give(&mesh->lock);
    if (from < LN_MESH_WORKERS_MAX)
        workers &= ~(UINT64_C(1) << from);
    for (; workers != 0; workers &= workers - 1) {
        const int rc = post(mesh, (unsigned)__builtin_ctzll(workers), m);
        if (rc < 0)
            result = rc;
    }
    return result;
}

static int publish(ln_backplane *b, ln_hub *from, ln_msg *m)
{
    ln_mesh *const mesh = mesh_of(b);
    return mesh->count < 2 ? 0 : post_to_others(mesh, index_of(mesh, from), m);
}

int ln_mesh_publish(ln_mesh *mesh, ln_msg *m)
{
    return post_to_others(mesh, LN_MESH_WORKERS_MAX, m);
}

/* ---- life ---- */

ln_mesh *ln_mesh_new(const ln_allocator *alloc, const uint64_t seed[2])
{
    ln_mesh *const mesh = ln_alloc_zero(alloc, sizeof *mesh);
    if (mesh == NULL)
        return NULL;
    mesh->backplane = (ln_backplane){.interest = interest, .publish = publish};
    mesh->alloc = alloc;
    ln_lock_init(&mesh->lock);
    ln_map_init(&mesh->wants, alloc, seed);
    ln_sieve_init(&mesh->sieve, alloc, seed);
    return mesh;
}

void ln_mesh_free(ln_mesh *mesh)
{
    if (mesh == NULL)
        return;
    LN_ASSERT(mesh->wants.count == 0);
    ln_sieve_fini(&mesh->sieve);
    ln_map_fini(&mesh->wants);
    ln_lock_fini(&mesh->lock);
    ln_free(mesh->alloc, mesh);
}

ln_backplane *ln_mesh_backplane(ln_mesh *mesh)
{
    return &mesh->backplane;
}

void ln_mesh_join(ln_mesh *mesh, ln_hub *hub, unsigned worker, ln_loop *loop,
                  void (*deliver)(void *arg, ln_msg *m), void *arg)
{
    LN_ASSERT(worker < LN_MESH_WORKERS_MAX);
    member *const m = &mesh->members[worker];
    m->hub = hub;
    m->loop = loop;
    m->deliver = deliver;
    m->arg = arg;
    if (worker >= mesh->count)
        mesh->count = worker + 1;
}
