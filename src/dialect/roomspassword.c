/* SPDX-License-Identifier: MIT */
/*
 * roomspassword.c - passwords are hashed on the server's pool, in few lanes, whatever else works
 * there: hashing is made to be slow, and the loops need the processors.
 */
#include <stdatomic.h>
#include <string.h>

#include "password.h"
#include "peer/exchange.h"
#include "roomsinner.h"

typedef struct ln_rooms_check {
    ln_job job;
    ln_rooms *rooms;
    ln_rooms_guest *guest; /* NULL: gone, and the request with it */
    ln_request *request;
    unsigned worker;
    _Atomic bool is_gone; /* nobody waits for it any more: not worth the work */
    int verdict;
    size_t hash_size, password_size;
    char text[]; /* the hash, then the password, which is wiped */
} check;

static void work(ln_job *job)
{
    check *const k = LN_CONTAINER_OF(job, check, job);

    if (atomic_load_explicit(&k->is_gone, memory_order_relaxed))
        return;
    k->verdict = ln_password_verify((ln_span){k->text, k->hash_size},
                                    (ln_span){k->text + k->hash_size, k->password_size});
}

static void free_check(check *k)
{
    const ln_allocator *const alloc = k->rooms->alloc;

    atomic_fetch_sub_explicit(&k->rooms->hashing, 1, memory_order_relaxed);
    explicit_bzero(k->text + k->hash_size, k->password_size);
    ln_free(alloc, k);
}

static void on_done(ln_job *job, ln_loop *loop)
{
    check *const k = LN_CONTAINER_OF(job, check, job);
    ln_rooms_guest *const g = k->guest;
    ln_request *const r = k->request;
    const int verdict = job->is_cancelled ? LN_ERR_NOMEM : k->verdict;

    if (loop != NULL && g != NULL)
        ln_count(&k->rooms->sides[k->worker].counts.password_checks, 1);
    free_check(k);
    if (g == NULL)
        return;
    g->check = NULL;
    if (loop != NULL)
        ln_rooms_go_on(g, r, verdict);
}

static void on_gone(ln_request *r, void *user)
{
    const ln_rooms_guest *const g = user;
    (void)r;
    if (g->check == NULL)
        return;
    g->check->guest = NULL;
    atomic_store_explicit(&g->check->is_gone, true, memory_order_relaxed);
}

/*
 * One of the lanes, a lane for every two workers, which leaves the loops half of the processors:
 * jobs of one key run one after the other. No connection has such an id.
 */
static uint64_t choose_lane(ln_rooms *rm)
{
    const size_t wanted = ln_max_size(rm->server->worker_count / 2, 1);
    const uint32_t lanes = (uint32_t)ln_min_size(wanted, LN_ROOMS_HASHES_AT_ONCE);

    return UINT64_MAX - atomic_fetch_add_explicit(&rm->lane, 1, memory_order_relaxed) % lanes;
}

static check *make(ln_rooms_guest *g, ln_request *r, ln_span hash, ln_span password)
{
    check *const k = ln_alloc(g->rooms->alloc, sizeof *k + hash.size + password.size);

    if (k == NULL)
        return NULL;
    *k = (check){.job = {.work = work, .done = on_done},
                 .rooms = g->rooms,
                 .guest = g,
                 .request = r,
                 .worker = ln_conn_home(r->exchange->conn)->worker,
                 .hash_size = hash.size,
                 .password_size = password.size};
    memcpy(k->text, hash.data, hash.size);
    if (password.size > 0)
        memcpy(k->text + hash.size, password.data, password.size);
    return k;
}

static int submit(check *k)
{
    ln_rooms *const rm = k->rooms;
    ln_jobs *const jobs = ln_server_jobs(rm->server);

    if (jobs == NULL)
        return LN_ERR_NOMEM;
    return ln_jobs_submit(jobs, rm->server->workers[k->worker].home.loop, choose_lane(rm), &k->job);
}

int ln_rooms_check_password(ln_rooms_guest *g, ln_request *r, ln_span hash, ln_span password)
{
    ln_rooms *const rm = g->rooms;

    if (atomic_fetch_add_explicit(&rm->hashing, 1, memory_order_relaxed) >= LN_ROOMS_HASHES_MAX) {
        atomic_fetch_sub_explicit(&rm->hashing, 1, memory_order_relaxed);
        return LN_ERR_WOULD_EXCEED;
    }
    check *const k = make(g, r, hash, password);
    if (k == NULL) {
        atomic_fetch_sub_explicit(&rm->hashing, 1, memory_order_relaxed);
        return LN_ERR_NOMEM;
    }
    const int rc = submit(k);
    if (rc < 0) {
        free_check(k);
        return rc;
    }
    g->check = k;
    return ln_request_defer(r, on_gone, g); /* for the first time: it cannot fail */
}
