/* SPDX-License-Identifier: MIT */
#include "resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

/* Glibc's resolver and name service modules keep their buffers on the stack: up to 64 KiB an
 * answer. */
enum { THREAD_STACK_BYTES = 256 * 1024 };

struct ln_resolve {
    ln_letter letter;
    ln_resolve *next; /* waiting for a thread */
    ln_loop *loop;
    void (*done)(void *arg, int err, const ln_address *addresses, unsigned count);
    void *arg;
    bool is_cancelled; /* written by the loop's thread under desk.lock */
    uint16_t port;
    unsigned count;
    ln_address addresses[LN_RESOLVE_ADDRESSES_MAX];
    char host[LN_RESOLVE_HOST_MAX + 1];
};

/*
 * Threads are the process's and so is their bound. A look-up belongs to the desk while it waits, to
 * a thread while that works, to the loop once it is posted; posting happens under the lock, so that
 * a cancel comes before it or after it.
 */
static struct {
    pthread_mutex_t lock;
    ln_resolve *first;
    ln_resolve **end; /* where the next one is linked; NULL before the first use */
    unsigned waiting;
    unsigned threads;
} desk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void desk_push(ln_resolve *r)
{
    if (!desk.first)
        desk.end = &desk.first;
    *desk.end = r;
    desk.end = &r->next;
    desk.waiting++;
}

static ln_resolve *desk_pop(void)
{
    ln_resolve *const r = desk.first;
    if (r) {
        desk.first = r->next;
        desk.waiting--;
    }
    return r;
}

static void add_address(ln_resolve *r, const struct sockaddr *address, size_t length)
{
    ln_address *const a = &r->addresses[r->count];
    if (r->count == LN_RESOLVE_ADDRESSES_MAX || length > sizeof a->bytes)
        return;
    memcpy(a->bytes, address, length);
    a->length = (unsigned)length;
    r->count++;
}

/* Asks the system; with AI_NUMERICHOST in `flags` that is only parsing. */
static void look_up(ln_resolve *r, int flags)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list;
    char port[6];
    snprintf(port, sizeof port, "%u", (unsigned)r->port);
    if (getaddrinfo(r->host, port, &hints, &list) != 0)
        return;
    for (const struct addrinfo *i = list; i; i = i->ai_next)
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
            add_address(r, i->ai_addr, i->ai_addrlen);
    freeaddrinfo(list);
}

/* RFC 6761 6.3: the name and those below it never leave the machine. v4 first: fewer servers listen
 * on ::1 alone. */
static bool is_localhost(ln_span host)
{
    static const char suffix[] = ".localhost";
    const char *const text = host.data;
    if (host.size > 0 && text[host.size - 1] == '.')
        host.size--;
    if (ln_text_equal_nocase(host, LN_SPAN("localhost")))
        return true;
    const size_t n = sizeof suffix - 1;
    return host.size > n &&
           ln_text_equal_nocase((ln_span){text + host.size - n, n}, (ln_span){suffix, n});
}

static void add_loopback(ln_resolve *r)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(r->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(r->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    add_address(r, (const struct sockaddr *)&v4, sizeof v4);
    add_address(r, (const struct sockaddr *)&v6, sizeof v6);
}

/* The answer has reached the loop; `loop` NULL when that has ended first. */
static void answer(ln_letter *letter, ln_loop *loop)
{
    ln_resolve *const r = LN_CONTAINER_OF(letter, ln_resolve, letter);
    /* The thread may still be waking the loop, which may be freed after this: wait until it has
     * left deliver(). */
    pthread_mutex_lock(&desk.lock);
    pthread_mutex_unlock(&desk.lock);
    if (loop && !r->is_cancelled)
        r->done(r->arg, r->count ? 0 : LN_ERR_RESOLVE, r->addresses, r->count);
    ln_free(NULL, r);
}

/* Gives the look-up back: to its loop or, once that has lost interest, to the allocator. Under the
 * lock. */
static void deliver(ln_resolve *r)
{
    if (r->is_cancelled)
        ln_free(NULL, r);
    else
        ln_loop_send_letter(r->loop, &r->letter);
}

/* A thread: works until nothing waits. */
static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&desk.lock);
    for (ln_resolve *r = desk_pop(); r; r = desk_pop()) {
        if (!r->is_cancelled) {
            pthread_mutex_unlock(&desk.lock);
            look_up(r, AI_ADDRCONFIG | AI_NUMERICSERV);
            pthread_mutex_lock(&desk.lock);
        }
        deliver(r);
    }
    desk.threads--;
    pthread_mutex_unlock(&desk.lock);
    return NULL;
}

/* One thread more, detached and deaf to signals, which are the loops'. */
static bool start_thread(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = pthread_create(&thread, &attr, work, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

/* Queues for a thread. Under the lock. Without a new thread the others do, as long as there are
 * any. */
static int enqueue(ln_resolve *r)
{
    if (desk.waiting == LN_RESOLVE_WAITING_MAX)
        return LN_ERR_LIMIT;
    if (desk.threads < LN_RESOLVE_THREADS_MAX && start_thread())
        desk.threads++;
    if (desk.threads == 0)
        return LN_ERR_NOMEM;
    desk_push(r);
    return 0;
}

int ln_resolve_start(ln_loop *loop, const char *host, uint16_t port,
                     void (*done)(void *arg, int err, const ln_address *addresses, unsigned count),
                     void *arg, ln_resolve **handle)
{
    const ln_span name = ln_text(host);
    if (name.size == 0 || name.size > LN_RESOLVE_HOST_MAX)
        return LN_ERR_INVALID;
    ln_resolve *const r = ln_alloc_zero(NULL, sizeof *r);
    if (!r)
        return LN_ERR_NOMEM;
    r->letter.handle = answer;
    r->loop = loop;
    r->done = done;
    r->arg = arg;
    r->port = port;
    memcpy(r->host, name.data, name.size);

    int rc = 0;
    look_up(r, AI_NUMERICHOST | AI_NUMERICSERV);
    if (r->count == 0 && is_localhost(name))
        add_loopback(r);
    if (r->count > 0) {
        ln_loop_send_letter(loop, &r->letter);
    } else {
        pthread_mutex_lock(&desk.lock);
        rc = enqueue(r);
        pthread_mutex_unlock(&desk.lock);
    }
    if (rc == 0)
        *handle = r;
    else
        ln_free(NULL, r);
    return rc;
}

void ln_resolve_cancel(ln_resolve *handle)
{
    if (!handle)
        return;
    pthread_mutex_lock(&desk.lock);
    handle->is_cancelled = true;
    pthread_mutex_unlock(&desk.lock);
}
