/* SPDX-License-Identifier: MIT */
/*
 * drill_threads - threads that send, publish and close by id against connections that come and go;
 * meant for a build with the thread sanitizer.
 *
 *     drill_threads [SECONDS [CONNS [THREADS]]]        default 30 1000 8
 *
 * The peers live in a process of their own: each connects, reads for a while, breaks off or is
 * closed, and comes again. Checked: every connection that opened has had on_close exactly once,
 * stale ids are errors, and the server stops cleanly. Prints the counts; exit 1 if they do not
 * agree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnet/linnet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/rawws.h"

enum { IDS = 4096 };

static ln_server *server;
/* some of the connections that are open, or were a moment ago */
static _Atomic ln_conn_id ids[IDS];
static atomic_ulong opened, closed, twice, sent, published, closes, stale, refused;
static atomic_bool is_over;

/* ---- the server ---- */

/* One of sixteen. */
static ln_span topic_of(unsigned number)
{
    static const char names[] = "abcdefghijklmnop";
    return (ln_span){names + number % 16, 1};
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)request;
    (void)user;
    const ln_conn_id id = ln_conn_get_id(c);
    ln_conn_set_user(c, malloc(1)); /* freed by on_close: a second one is a double free */
    ln_conn_subscribe(c, topic_of((unsigned)id));
    atomic_store(&ids[id % IDS], id);
    atomic_fetch_add(&opened, 1);
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    ln_conn_publish(c, topic_of((unsigned)ln_conn_get_id(c)), m->kind, m->data, NULL);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    (void)info;
    (void)user;
    if (ln_conn_user(c) == NULL)
        atomic_fetch_add(&twice, 1);
    free(ln_conn_user(c));
    ln_conn_set_user(c, NULL);
    atomic_fetch_add(&closed, 1);
}

/* ---- the threads ---- */

static void count(int rc, atomic_ulong *done)
{
    if (rc >= 0)
        atomic_fetch_add(done, 1);
    else if (rc == LN_ERR_CLOSED)
        atomic_fetch_add(&stale, 1);
    else
        atomic_fetch_add(&refused, 1);
}

static void *trouble(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    const struct timespec moment = {.tv_nsec = 2000000};

    while (!atomic_load(&is_over)) {
        const ln_conn_id id = atomic_load(&ids[rand_r(&seed) % IDS]);
        switch (rand_r(&seed) % 16) {
        case 0:
            count(ln_close(server, id, 4000, LN_SPAN("enough")), &closes);
            nanosleep(&moment, NULL);
            break;
        case 1:
            count(ln_publish(server, topic_of((unsigned)rand_r(&seed)), LN_TEXT, LN_SPAN("news")),
                  &published);
            nanosleep(&moment, NULL);
            break;
        case 2:
            ln_topic_count(server, topic_of((unsigned)rand_r(&seed)));
            break;
        default:
            count(ln_send(server, id, LN_BINARY, LN_SPAN("for you")), &sent);
            break;
        }
    }
    return NULL;
}

/* ---- the peers ---- */

static int reconnect(int port, int ep, int number)
{
    static const char hello[] = "x";
    uint8_t frame[32];
    const int fd = rawws_connect(port, number);

    rawws_shake(fd, "/");
    if (send(fd, frame, rawws_frame(frame, 0x82, hello, 1), MSG_NOSIGNAL) < 0 && errno != EPIPE &&
        errno != ECONNRESET)
        rawws_fail("send");
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)number};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    return fd;
}

/* Runs until the parent's end of the pipe is closed. */
static _Noreturn void be_peers(int port, int conns, int stop_fd)
{
    struct epoll_event events[256];
    static uint8_t bytes[65536];
    int *const fds = calloc((size_t)conns, sizeof *fds);
    const int ep = epoll_create1(0);
    unsigned seed = 1;
    char end;

    fcntl(stop_fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < conns; i++)
        fds[i] = reconnect(port, ep, i);
    while (read(stop_fd, &end, 1) != 0) {
        const int n = epoll_wait(ep, events, 256, 100);
        for (int i = 0; i < n; i++) {
            const int k = (int)events[i].data.u32;
            const ssize_t got = recv(fds[k], bytes, sizeof bytes, MSG_DONTWAIT);
            if (got > 0 && rand_r(&seed) % 200 != 0)
                continue;
            /* breaks off, or has been closed: a frame of close is as good as none here */
            close(fds[k]);
            fds[k] = reconnect(port, ep, k);
        }
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 30;
    const int conns = argc > 2 ? atoi(argv[2]) : 1000;
    const int threads = argc > 3 ? atoi(argv[3]) : 8;
    const ln_server_options options = {.workers = 2, .drain_ms = 2000};
    const ln_ws_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    const struct timespec moment = {.tv_nsec = 50000000};
    pthread_t list[64];
    int stop[2], port_pipe[2], port, status;

    if (pipe(stop) < 0 || pipe(port_pipe) < 0)
        rawws_fail("pipe");
    const pid_t pid = fork();
    if (pid == 0) {
        close(stop[1]);
        if (read(port_pipe[0], &port, sizeof port) != sizeof port)
            _exit(1);
        be_peers(port, conns, stop[0]);
    }
    server = ln_server_new(&options);
    ln_server_ws(server, "/", &handlers, NULL);
    if (ln_server_listen(server, "127.0.0.1:0") < 0 || ln_server_start(server) < 0)
        rawws_fail("server");
    port = ln_server_port(server, 0);
    if (write(port_pipe[1], &port, sizeof port) != sizeof port)
        rawws_fail("pipe");
    for (int i = 0; i < threads && i < 64; i++)
        pthread_create(&list[i], NULL, trouble, (void *)(uintptr_t)(i + 1));
    for (const double until = rawws_now() + seconds; rawws_now() < until;)
        nanosleep(&moment, NULL);
    atomic_store(&is_over, true);
    for (int i = 0; i < threads && i < 64; i++)
        pthread_join(list[i], NULL);
    close(stop[1]);
    waitpid(pid, &status, 0);
    ln_server_stop(server);
    ln_server_join(server);
    ln_server_free(server);
    printf("opened %lu, closed %lu, twice %lu; sent %lu, published %lu, closes %lu, stale ids %lu, "
           "refused %lu\n",
           opened, closed, twice, sent, published, closes, stale, refused);
    return opened == closed && twice == 0 && opened > (unsigned long)conns && WIFEXITED(status) &&
                   WEXITSTATUS(status) == 0
               ? 0
               : 1;
}
