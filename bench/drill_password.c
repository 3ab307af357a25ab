/* SPDX-License-Identifier: MIT */
/*
 * drill_password - a flood of wrong passwords: does anybody who is inside notice?
 *
 *     drill_password [PER_SECOND [ROUNDS [ADDRESSES]]]        default 1000 3 200
 *
 * A server of its own (one worker, two rooms with passwords), MEMBERS members of open rooms, each of
 * which sends a message every 10 ms and gets it back. In rounds of a second each, which take turns,
 * so that what else the machine does hits all of them: alone; with guests who do no harm (they ask
 * for a room that cannot be); with a flood of wrong passwords from ADDRESSES addresses, at the same
 * rate. Latencies count from when a message was due. Checked: each message came back, and the
 * median of the flood's p99 is at most twice that of members alone, or 2 ms. Printed besides: what
 * became of the attempts, and the server's processor time. Exit 1 if a check fails.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linnet/linnet.h>
#include <linnet/rooms.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/rawws.h"

enum { MEMBERS = 50, PERIOD_MS = 10, PAYLOAD = 32, SAMPLES_MAX = 1 << 20 };

static int failures;

static void check(int is_good, const char *what)
{
    printf("  %-70s %s\n", what, is_good ? "good" : "NOT GOOD");
    fflush(stdout);
    failures += !is_good;
}

/* ---- the server ---- */

static ln_server *server;

static void on_term(int number)
{
    (void)number;
    ln_server_stop(server);
    ln_server_stop(server);
}

static _Noreturn void serve(int to_parent)
{
    char hash[LN_PASSWORD_HASH_SIZE];
    const ln_server_options options = {.log_level = LN_LOG_ERROR};

    if (ln_password_hash((ln_span){"secret", 6}, hash) < 0)
        rawws_fail("hash");
    const ln_rooms_password passwords[] = {{"a", hash}, {"b", hash}};
    const ln_ws_options ws = {.ping_interval_ms = LN_OFF}; /* members are silent between rounds */
    const ln_rooms_options rooms = {.ws = &ws,
                                    .policy = {.passwords = passwords, .password_count = 2}};
    server = ln_server_new(&options);
    if (ln_rooms_mount(server, "/rooms", &rooms) < 0 || ln_server_listen(server, "127.0.0.1:0") < 0)
        rawws_fail("listen");
    const int port = ln_server_port(server, 0);
    if (write(to_parent, &port, sizeof port) != sizeof port)
        rawws_fail("pipe");
    signal(SIGTERM, on_term);
    const int rc = ln_server_run(server);
    ln_server_free(server);
    exit(rc == 0 ? 0 : 1);
}

static pid_t start_server(int *port)
{
    int fds[2];

    if (pipe(fds) < 0)
        rawws_fail("pipe");
    const pid_t pid = fork();
    if (pid == 0)
        serve(fds[1]);
    if (read(fds[0], port, sizeof *port) != sizeof *port)
        rawws_fail("the server did not start");
    close(fds[0]);
    close(fds[1]);
    return pid;
}

/* ---- members ---- */

typedef struct member {
    int fd;
    double due;  /* of the message under way, or of the next one */
    int waiting; /* bytes of its echo that have not come */
} member;

static member members[MEMBERS];
static double samples[SAMPLES_MAX];
static size_t sample_count;

static void enter_all(int port)
{
    char path[64];

    for (int i = 0; i < MEMBERS; i++) {
        snprintf(path, sizeof path, "/rooms?room=m%d", i);
        members[i].fd = rawws_connect(port, i);
        rawws_shake(members[i].fd, path);
    }
}

static void say(member *m, int size)
{
    uint8_t payload[PAYLOAD] = {0}, frame[PAYLOAD + 14];

    if (send(m->fd, frame, rawws_frame(frame, 0x82, payload, sizeof payload), MSG_NOSIGNAL) < 0)
        rawws_fail("a member was cut off");
    m->waiting = size;
}

/* What has come of its echo; with the last of it, it is counted. */
static void hear(member *m, double period)
{
    uint8_t bytes[256];
    const ssize_t got = recv(m->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN))
        rawws_fail("a member was cut off");
    if (got < 0 || m->waiting == 0)
        return;
    m->waiting -= (int)got;
    if (m->waiting > 0)
        return;
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = (rawws_now() - m->due) * 1e3;
    m->due += period;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* p50 and p99 in milliseconds, and how many came back. */
static void talk(double seconds, double result[3])
{
    const double period = PERIOD_MS * 1e-3, begin = rawws_now();
    struct epoll_event events[MEMBERS];
    const int poller = epoll_create1(0);

    sample_count = 0;
    for (int i = 0; i < MEMBERS; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &members[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, members[i].fd, &e);
        members[i].due = begin + period * i / MEMBERS;
    }
    while (rawws_now() - begin < seconds) {
        for (int i = 0; i < MEMBERS; i++)
            if (members[i].waiting == 0 && members[i].due <= rawws_now())
                say(&members[i], PAYLOAD + 2);
        const int n = epoll_wait(poller, events, MEMBERS, 1);
        for (int i = 0; i < n; i++)
            hear(events[i].data.ptr, period);
    }
    for (int i = 0; i < MEMBERS; i++) /* the last ones */
        for (const double end = rawws_now() + 5; members[i].waiting > 0 && rawws_now() < end;)
            hear(&members[i], period);
    close(poller);
    qsort(samples, sample_count, sizeof *samples, compare);
    result[0] = samples[sample_count / 2];
    result[1] = samples[sample_count * 99 / 100];
    result[2] = (double)sample_count;
}

/* ---- guests at the door ---- */

typedef struct answers {
    long asked, forbidden, limited, busy, other;
} answers;

static int knock(int port, long number, int addresses, const char *target)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const uint32_t host = (uint32_t)(number % addresses);
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr =
                                         htonl(0x7f010001 + (host / 250 << 8) + host % 250)};
    const struct linger at_once = {.l_onoff = 1}; /* no ports that wait */
    char text[512];
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
        rawws_fail("a guest cannot connect");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    const int n =
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 target);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) < 0)
        rawws_fail("a guest cannot ask");
    return fd;
}

static void count(answers *a, int fd)
{
    char head[64] = "";
    const ssize_t n = recv(fd, head, sizeof head - 1, MSG_DONTWAIT);
    const int status = n > 12 ? atoi(head + 9) : 0;

    a->forbidden += status == 403;
    a->limited += status == 429;
    a->busy += status == 503;
    a->other += status != 403 && status != 429 && status != 503;
    close(fd);
}

static void take_answers(answers *a, int poller, int patience_ms)
{
    struct epoll_event events[256];
    const int n = epoll_wait(poller, events, 256, patience_ms);

    for (int i = 0; i < n; i++)
        count(a, events[i].data.fd);
}

/* In a process of its own; its answers go to `to`. */
static _Noreturn void crowd(int port, double seconds, int per_second, int addresses,
                            const char *const targets[2], int to)
{
    answers a = {.asked = 0};
    const double begin = rawws_now();
    const int poller = epoll_create1(0);

    for (double now = begin; now - begin < seconds; now = rawws_now()) {
        if ((double)a.asked < (now - begin) * per_second) {
            struct epoll_event e = {.events = EPOLLIN};
            e.data.fd = knock(port, a.asked, addresses, targets[a.asked % 2]);
            epoll_ctl(poller, EPOLL_CTL_ADD, e.data.fd, &e);
            a.asked++;
            take_answers(&a, poller, 0);
        } else {
            take_answers(&a, poller, 1);
        }
    }
    if (write(to, &a, sizeof a) != sizeof a)
        rawws_fail("pipe");
    _exit(0);
}

/* ---- the rounds ---- */

enum { ROUNDS_MAX = 100 };

/* One way to spend a second, and what came of it in each round. */
typedef struct act {
    const char *name;
    const char *targets[2]; /* of guests; NULL: there are none */
    double p50[ROUNDS_MAX], p99[ROUNDS_MAX];
    double echoes, cpu; /* sums; of a processor, in seconds */
    answers guests;     /* sums */
} act;

static void add_guests(answers *sum, const answers *a)
{
    sum->asked += a->asked;
    sum->forbidden += a->forbidden;
    sum->limited += a->limited;
    sum->busy += a->busy;
    sum->other += a->other;
}

static void play(act *a, int round, int port, pid_t pid, int per_second, int addresses)
{
    double result[3];
    answers guests;
    int fds[2];

    if (pipe(fds) < 0)
        rawws_fail("pipe");
    const pid_t crowd_pid = a->targets[0] == NULL ? 0 : fork();
    if (a->targets[0] != NULL && crowd_pid == 0)
        crowd(port, 1.1, per_second, addresses, a->targets, fds[1]);
    const double cpu = rawws_cpu(pid);
    talk(1, result);
    a->cpu += rawws_cpu(pid) - cpu;
    a->p50[round] = result[0];
    a->p99[round] = result[1];
    a->echoes += result[2];
    if (a->targets[0] != NULL) {
        if (read(fds[0], &guests, sizeof guests) != sizeof guests)
            rawws_fail("the guests failed");
        waitpid(crowd_pid, NULL, 0);
        add_guests(&a->guests, &guests);
    }
    close(fds[0]);
    close(fds[1]);
}

/* Until the server has nothing to do. */
static void rest(pid_t pid)
{
    double before;

    do {
        before = rawws_cpu(pid);
        usleep(200000);
    } while (rawws_cpu(pid) - before > 0.02);
}

static void tell(act *a, int rounds)
{
    qsort(a->p50, (size_t)rounds, sizeof *a->p50, compare);
    qsort(a->p99, (size_t)rounds, sizeof *a->p99, compare);
    printf("%-16s p50 %.2f ms, p99 %.2f ms (%.2f to %.2f), %.0f echoes; server %.0f %% of a "
           "processor\n",
           a->name, a->p50[rounds / 2], a->p99[rounds / 2], a->p99[0], a->p99[rounds - 1],
           a->echoes, a->cpu / rounds * 100);
    if (a->targets[0] != NULL)
        printf("%-16s %ld guests: %ld x 403, %ld x 429, %ld x 503, %ld otherwise\n", "",
               a->guests.asked, a->guests.forbidden, a->guests.limited, a->guests.busy,
               a->guests.other);
}

int main(int argc, char **argv)
{
    static act acts[] = {
        {.name = "members alone"},
        {.name = "harmless guests", .targets = {"/rooms?room=*", "/rooms?room=+"}},
        {.name = "wrong passwords",
         .targets = {"/rooms?room=a&room_password=guess", "/rooms?room=b&room_password=another"}},
    };
    const int per_second = argc > 1 ? atoi(argv[1]) : 1000;
    const int rounds = argc > 2 ? atoi(argv[2]) : 3;
    const int addresses = argc > 3 ? atoi(argv[3]) : 200;
    const act *const alone = &acts[0], *const flood = &acts[2];
    char text[128];
    int port, status;

    if (per_second < 1 || rounds < 1 || rounds > ROUNDS_MAX || addresses < 1 || addresses > 50000)
        rawws_fail("usage: drill_password [PER_SECOND [ROUNDS [ADDRESSES]]]");
    const pid_t pid = start_server(&port);
    enter_all(port);
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < 3; k++)
            play(&acts[k], i, port, pid, per_second, addresses);
        rest(pid); /* what is still being hashed shall not count for the next round */
    }
    for (int k = 0; k < 3; k++)
        tell(&acts[k], rounds);
    const double ratio = flood->p99[rounds / 2] / alone->p99[rounds / 2];
    snprintf(text, sizeof text, "p99 with wrong passwords is %.2f x that of members alone", ratio);
    check(ratio <= 2 || flood->p99[rounds / 2] <= 2, text);
    check(flood->echoes > 0.9 * alone->echoes, "members got as many echoes as alone");
    check(flood->guests.forbidden > 0 && flood->guests.busy + flood->guests.limited > 0 &&
              flood->guests.other == 0,
          "guesses were judged, or refused before that, and nobody came in");
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ends cleanly");
    return failures > 0;
}
