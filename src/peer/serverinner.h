/* SPDX-License-Identifier: MIT */
/*
 * serverinner - the server as its own files and the floor above see it: listeners, workers,
 * services.
 *
 * Threads: `doors` and `routes` are fixed before the workers start. A worker's members belong to
 * its thread, except the slots' atomic parts, the counters, and the letters.
 */
#ifndef LN_SERVERINNER_H
#define LN_SERVERINNER_H

#include "net/fd.h"
#include "net/jobs.h"
#include "net/listener.h"
#include "net/thread.h"
#include "route.h"
#include "wsconn.h"

typedef struct ln_worker ln_worker;

enum { LN_DOORS_MAX = 16, LN_WORKERS_MAX = 64, LN_SERVER_JOBS_THREADS = 16 };

/* What the floor above adds to a server: one state for all, and something for each worker in
 * home->service. */
typedef struct ln_service {
    const ln_conn_hooks *hooks;
    /* Before the workers' threads run. */
    int (*start)(void *state, ln_home *home);
    /* After the worker's last turn, all its connections gone. */
    void (*stop)(void *state, ln_home *home);
    void (*free)(void *state);
} ln_service;

/* A listening address. */
typedef struct ln_door {
    ln_address address;
    ln_tls_options tls_options; /* its strings are owned copies */
    ln_tls_identity *identities;
    ln_tls_context *tls; /* NULL = plain; new workers take it from here */
    int fds[LN_WORKERS_MAX];
    char text[LN_ADDRESS_TEXT_MAX];
} ln_door;

/* The same on one worker. */
typedef struct ln_worker_door {
    ln_listener listener;
    ln_worker *worker;
    ln_tls_context *tls;
    bool is_open;
} ln_worker_door;

struct ln_worker {
    ln_home home;
    ln_server *server;
    ln_slots slots;
    ln_thread thread;
    ln_worker_door doors[LN_DOORS_MAX];
    unsigned open_doors;
    ln_timer drain_timer;
    ln_letter drain_letter;
    ln_letter abort_letter;
    _Atomic bool is_drain_posted;
    _Atomic bool is_abort_posted;
    int result; /* of its loop */
    bool has_service;
    bool is_made;
};

/* See ln_server_own(). */
typedef struct ln_owned {
    void *what;
    void (*free)(void *what);
} ln_owned;

enum { LN_OWNED_MAX = 64 };

/* RUNNING: the workers have their loops, which other threads may send letters to. */
enum { LN_SERVER_NEW, LN_SERVER_STARTING, LN_SERVER_RUNNING, LN_SERVER_STOPPED };

struct ln_server {
    ln_server_options options; /* defaults filled in */
    const ln_allocator *alloc;
    ln_routes routes;
    ln_door doors[LN_DOORS_MAX];
    unsigned door_count;
    ln_worker *workers;
    unsigned worker_count;
    _Atomic int state;
    ln_budget budget;
    _Atomic unsigned stops; /* how often ln_server_stop() was called */
    ln_lock reload_lock;
    ln_lock jobs_lock; /* of jobs, while it is made */
    ln_jobs *jobs;     /* NULL until somebody needs it */
    ln_log log;        /* for what happens outside of the workers */
    const ln_service *service;
    void *service_state;
    ln_owned owned[LN_OWNED_MAX];
    unsigned owned_count;
};

/* ln_server_new() without what the floor above adds. Takes over `state` on success. */
ln_server *ln_server_create(const ln_server_options *options, const ln_service *service,
                            void *state);

/* Something that lives as long as the server: freed with it, after all connections.
 * LN_ERR_LIMIT. */
LN_NODISCARD int ln_server_own(ln_server *server, void *what, void (*free)(void *what));

/* ln_server_ws() and that for what the handlers are made of, or neither: on an error `what` is still
 * the caller's. */
LN_NODISCARD int ln_server_ws_own(ln_server *server, const char *path,
                                  const ln_ws_handlers *handlers, const ln_ws_options *options,
                                  void *what, void (*free)(void *what));

/* ln_server_http() with an answer to whom it does not want before it has read what he sends: see
 * ln_route.admit. Who brings no body is not asked about. */
LN_NODISCARD int ln_server_http_guarded(ln_server *server, const char *path,
                                        ln_http_handler *handler,
                                        bool (*admit)(ln_request *request, void *user), void *user);

/*
 * The threads for what blocks, made on first need; NULL when out of memory. What runs there has ended,
 * and everything has been sent to its loop, before the loops are freed. Any thread.
 */
ln_jobs *ln_server_jobs(ln_server *server);

/* The worker that owns `id`, or NULL. Any thread. */
ln_worker *ln_server_worker_of(ln_server *server, ln_conn_id id);

/* worker.c: everything but the thread; errors leave nothing behind. */
LN_NODISCARD int ln_worker_make(ln_worker *w, ln_server *server, unsigned index);
/* Runs it to its end on the calling thread. */
void ln_worker_run(ln_worker *w);
/* Ends what connections a loop that failed, or never ran, still has. */
void ln_worker_sweep(ln_worker *w);
void ln_worker_unmake(ln_worker *w);
/* From any thread, also from a signal handler: drain, or abort. */
void ln_worker_drain(ln_worker *w);
void ln_worker_abort(ln_worker *w);

/* door.c */
LN_NODISCARD int ln_door_open(ln_server *server, const char *address, const ln_tls_options *tls);
void ln_door_close(ln_door *door, const ln_allocator *alloc);

#endif
