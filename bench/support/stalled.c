/* SPDX-License-Identifier: MIT */
#include "stalled.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rawws.h"

enum {
    HEAD = 4,
    FRAME = HEAD + STALLED_PAYLOAD,
    EVENTS = 512,
    REST_US = 2000, /* of a reader that has read everything */
    QUIET_MS = 3000 /* nothing more comes */
};

const char *const stalled_paths[POLICIES] = {"/refuse", "/newest", "/oldest", "/latest", "/close"};

struct stalled_shared *stalled_shared;

struct reader {
    int fd;
    int policy;
    uint32_t next; /* the sequence number that comes, or is missing */
    uint32_t at;   /* bytes of the frame that have come */
    uint8_t head[HEAD + 16];
    int is_over;
};

/* A socket with a small window: see serve(). */
static int connect_small(int source)
{
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr =
                                         htonl(INADDR_LOOPBACK + 1 + (uint32_t)source % 16)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port =
                                       htons((uint16_t)atomic_load(&stalled_shared->small_port)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int small = 4096, on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
        rawws_fail("connect");
    return fd;
}

/* `now`: of the receipt; 0 = latencies are not asked for. */
static void take_message(struct reader *r, struct stalled_tally *t, double now)
{
    uint32_t sequence;
    double sent;

    memcpy(&sequence, r->head + HEAD, sizeof sequence);
    memcpy(&sent, r->head + HEAD + STALLED_DUE_AT, sizeof sent);
    if (sequence < r->next)
        rawws_fail("a message was repeated or out of order");
    if (sequence > r->next)
        atomic_fetch_add(&t->missing[r->policy], sequence - r->next);
    r->next = sequence + 1;
    if (now > 0) {
        const double passed = (now - sent) * 1e5;
        const int slot = passed >= STALLED_LATENCIES ? STALLED_LATENCIES - 1 : (int)passed;
        atomic_store_explicit(&t->latencies[slot], t->latencies[slot] + 1, memory_order_relaxed);
        atomic_store_explicit(&t->delivered, t->delivered + 1, memory_order_relaxed);
    }
}

/* A close frame: by the policy or by the budget. */
static void take_close(struct reader *r, struct stalled_tally *t)
{
    const int code = r->head[2] << 8 | r->head[3];

    atomic_fetch_add(code == 1008 ? &t->closed : &t->shed, 1);
    r->is_over = 1;
}

static void take(struct reader *r, struct stalled_tally *t, const uint8_t *bytes, size_t n,
                 double now)
{
    while (n > 0 && !r->is_over) {
        const size_t want = FRAME - r->at, some = n < want ? n : want;
        if (r->at < sizeof r->head) {
            const size_t room = sizeof r->head - r->at;
            memcpy(r->head + r->at, bytes, some < room ? some : room);
        }
        r->at += (uint32_t)some;
        bytes += some;
        n -= some;
        if (r->at >= 4 && r->head[0] == 0x88)
            take_close(r, t);
        else if (r->at >= 4 &&
                 (r->head[0] != 0x82 || (r->head[2] << 8 | r->head[3]) != STALLED_PAYLOAD))
            rawws_fail("a frame that nobody sent");
        if (r->at == FRAME) {
            take_message(r, t, now);
            r->at = 0;
        }
    }
}

static void read_some(int ep, struct reader *r, struct stalled_tally *t, int is_healthy)
{
    static uint8_t bytes[262144];
    const ssize_t n = recv(r->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n > 0) {
        const int is_measured = is_healthy && atomic_load(&stalled_shared->is_measuring);
        take(r, t, bytes, (size_t)n, is_measured ? rawws_now() : 0);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (is_healthy)
        rawws_fail("a healthy reader was disconnected");
    /* Without a close frame: the server waited for it to read, but not for so long; or what had begun
     * was too much to send a close frame behind it. */
    if (!r->is_over)
        atomic_fetch_add(r->policy == CLOSE ? &t->closed : &t->shed, 1);
    r->is_over = 1;
    epoll_ctl(ep, EPOLL_CTL_DEL, r->fd, NULL);
}

/* Most have a policy that looks at the newest message only; keeping others up to date while nobody
 * reads them is work. */
static int policy_of(int number)
{
    switch (number % 100) {
    case 0:
        return OLDEST;
    case 1:
        return LATEST;
    case 2:
    case 22:
    case 42:
    case 62:
    case 82:
        return CLOSE;
    default:
        return number % 2 == 0 ? REFUSE : NEWEST;
    }
}

static struct reader *connect_all(int count, int first, int is_healthy, int ep)
{
    struct reader *const readers = calloc((size_t)count, sizeof *readers);
    char path[64];

    for (int i = 0; i < count; i++) {
        struct reader *const r = &readers[i];
        r->policy = policy_of(first + i);
        r->next = atomic_load(&stalled_shared->published);
        r->fd =
            is_healthy ? rawws_connect(atomic_load(&stalled_shared->port), i) : connect_small(i);
        snprintf(path, sizeof path, "%s?listen=1",
                 is_healthy ? "/healthy" : stalled_paths[r->policy]);
        rawws_shake(r->fd, path);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = r};
        epoll_ctl(ep, EPOLL_CTL_ADD, r->fd, &e);
    }
    return readers;
}

/* Who is not over: how far the last of them is; what all miss at the end. */
static uint32_t slowest(const struct reader *readers, int count)
{
    uint32_t least = UINT32_MAX;

    for (int i = 0; i < count; i++)
        least = !readers[i].is_over && readers[i].next < least ? readers[i].next : least;
    return least;
}

static void count_the_end(const struct reader *readers, int count, struct stalled_tally *t)
{
    const uint32_t published = atomic_load(&stalled_shared->published);

    for (int i = 0; i < count; i++) {
        if (!readers[i].is_over)
            atomic_fetch_add(&t->missing[readers[i].policy], published - readers[i].next);
    }
}

_Noreturn void stalled_read_all(struct stalled_tally *t, int count, int first, int is_healthy)
{
    struct epoll_event events[EVENTS];
    const int ep = epoll_create1(0);
    struct reader *const readers = connect_all(count, first, is_healthy, ep);
    double heard = 0;

    atomic_store(&t->is_ready, 1);
    while (!is_healthy && !atomic_load(&stalled_shared->must_read))
        usleep(20000);
    heard = rawws_now();
    while (is_healthy ? !atomic_load(&stalled_shared->must_end)
                      : atomic_load(&stalled_shared->must_read) < 2 ||
                            rawws_now() - heard < QUIET_MS / 1000.0) {
        const int n = epoll_wait(ep, events, EVENTS, 20);
        for (int i = 0; i < n; i++)
            read_some(ep, events[i].data.ptr, t, is_healthy);
        if (n > 0)
            heard = rawws_now();
        atomic_store(&t->slowest, slowest(readers, count));
        if (is_healthy && n < count / 2)
            usleep(REST_US);
    }
    count_the_end(readers, count, t);
    atomic_store(&t->is_ready, 2);
    exit(0);
}
