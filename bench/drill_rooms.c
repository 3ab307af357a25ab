/* SPDX-License-Identifier: MIT */
/*
 * drill_rooms - rooms under random life: does everybody get what is theirs, and nothing else?
 *
 *     drill_rooms PROGRAM [SECONDS [ROOMS [MEMBERS]]]        default 5 200 2000; in full: 60
 *
 * Starts `PROGRAM serve` with two workers, and four processes of members, who join rooms of
 * /rooms, publish, say goodbye and leave, or break off, at random.
 *
 * Each publication is a row in memory that the processes share: when it was about to be sent, and
 * when its publisher had it back. A member is *surely in* from when its first message, a greeting,
 * has come back to it, until it sends its last one, a goodbye; it closes when that has come back.
 *
 * Checked by the members
 *   1. What comes was published in this room, and in the order of each publisher's calls; so
 *      nothing comes twice.
 *   2. Nothing comes behind the answer to a close.
 *   3. What was sent after a member was surely in, and was back at its publisher before that member
 *      sent its goodbye, has come to it. This holds to the message: a goodbye is handled after what
 *      another worker had posted before, or a turn before it at most, and the close one turn later.
 *
 * Excused from 3: publications that overlap with one's greeting or goodbye, and the rest of a
 * member's stay that breaks off; both are counted. The server's memory is looked at before, with
 * everybody in, and when all have left; a sanitizer's own is among it, and too much for the bound.
 * Exit 1 if a promise is broken.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/rawws.h"

enum {
    CLIENTS = 4,        /* processes of members */
    RATE = 4000,        /* joins, publications and leaves a second, of all of them */
    LEAVES_ONE_IN = 16, /* of what a member does */
    BREAKS_ONE_IN = 64,
    BUFFER_BYTES = 4096,
    GROWTH_BYTES = 8 << 20, /* of the server's memory, by which it may end above its start */
    PATIENCE_S = 30
};

/* What a message carries: the row of its publication. */
typedef struct cargo {
    uint32_t row, publisher, room;
    char padding[8];
} cargo;

typedef struct publication {
    double sent, seen; /* seen: 0 = has not come back */
    uint32_t publisher, room;
} publication;

/* What a process of members has found out. */
typedef struct report {
    uint64_t publications, deliveries, stays, broken, owed, edges;
} report;

/* Shared by all processes. */
typedef struct board {
    atomic_uint arrived; /* processes whose first members are in */
    atomic_uint left;    /* processes whose members have all left */
    report reports[CLIENTS];
    publication rows[]; /* `rows_each` of each process */
} board;

typedef struct stay {
    double in, bye; /* surely in between; bye: 0 = broke off */
    uint32_t room;
} stay;

typedef struct delivery {
    uint32_t stay, row;
} delivery;

typedef enum state { AWAY, COMING, IN, GOING, CLOSING, CLOSED } state;

typedef struct member {
    int fd;
    state state;
    uint32_t id, room, stay;
    size_t have;
    uint32_t *last; /* of each publisher the row that came last in this stay, and 1 */
    uint8_t buffer[BUFFER_BYTES];
} member;

static board *shared;
static uint32_t rows_each, rooms = 200, members = 2000;
static double seconds = 5;

/* Of one process. */
static struct {
    unsigned number;
    int port, ep;
    unsigned seed;
    member *members;
    uint32_t count, present;
    uint32_t rows;
    stay *stays;
    delivery *deliveries;
    size_t stay_count, stay_room, delivery_count, delivery_room;
} me;

static void *grown(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room == 0 ? 4096 : *room * 2;
    array = realloc(array, *room * size);
    if (array == NULL)
        rawws_fail("memory");
    return array;
}

static unsigned pick(unsigned n)
{
    return (unsigned)rand_r(&me.seed) % n;
}

static void rest_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000};
    nanosleep(&t, NULL);
}

/* ---- what members do ---- */

static void send_frame(const member *m, uint8_t first, const void *payload, size_t n)
{
    uint8_t frame[256];
    const size_t size = rawws_frame(frame, first, payload, n);

    if (send(m->fd, frame, size, MSG_NOSIGNAL) != (ssize_t)size)
        rawws_fail("a member cannot send");
}

static void publish(member *m)
{
    if (me.rows == rows_each)
        rawws_fail("no row is left for a publication");
    const uint32_t row = me.number * rows_each + me.rows++;
    const cargo c = {.row = row, .publisher = m->id, .room = m->room};

    shared->rows[row] = (publication){.sent = rawws_now(), .publisher = m->id, .room = m->room};
    send_frame(m, 0x82, &c, sizeof c);
}

static void join(member *m)
{
    char path[64];

    m->room = pick(rooms);
    snprintf(path, sizeof path, "/rooms?room=r%u", m->room);
    m->fd = rawws_connect(me.port, (int)m->id);
    rawws_shake(m->fd, path);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = m};
    if (epoll_ctl(me.ep, EPOLL_CTL_ADD, m->fd, &e) < 0)
        rawws_fail("epoll");
    me.stays = grown(me.stays, me.stay_count, &me.stay_room, sizeof *me.stays);
    me.stays[me.stay_count] = (stay){.room = m->room};
    m->stay = (uint32_t)me.stay_count++;
    m->have = 0;
    memset(m->last, 0, members * sizeof *m->last);
    m->state = COMING;
    me.present++;
    publish(m);
}

static void go(member *m)
{
    me.stays[m->stay].bye = rawws_now();
    m->state = GOING;
    publish(m);
}

static void end(member *m)
{
    close(m->fd);
    m->state = AWAY;
    me.present--;
}

static void act(member *m)
{
    if (m->state == AWAY)
        join(m);
    else if (m->state != IN)
        return; /* waits for an answer */
    else if (pick(LEAVES_ONE_IN) == 0)
        go(m);
    else if (pick(BREAKS_ONE_IN) == 0)
        end(m);
    else
        publish(m);
}

/* ---- what comes to them ---- */

/* A message of one's own has come back. */
static void come_back(member *m, uint32_t row)
{
    static const uint8_t normal[2] = {1000 >> 8, 1000 & 0xff};
    const double now = rawws_now();

    shared->rows[row].seen = now;
    if (m->state == COMING) {
        me.stays[m->stay].in = now;
        m->state = IN;
    } else if (m->state == GOING && shared->rows[row].sent >= me.stays[m->stay].bye) {
        send_frame(m, 0x88, normal, sizeof normal);
        m->state = CLOSING;
    }
}

static void take_message(member *m, const uint8_t *payload, size_t n)
{
    cargo c;

    if (n != sizeof c)
        rawws_fail("a message that nobody sent");
    memcpy(&c, payload, sizeof c);
    if (c.row >= CLIENTS * rows_each || c.publisher >= members)
        rawws_fail("a message that nobody sent");
    const publication *const p = &shared->rows[c.row];
    if (p->publisher != c.publisher || p->room != c.room)
        rawws_fail("a message that nobody sent");
    if (c.room != m->room)
        rawws_fail("a message of another room");
    if (m->last[c.publisher] > c.row)
        rawws_fail(m->last[c.publisher] == c.row + 1 ? "a message twice" : "messages out of order");
    m->last[c.publisher] = c.row + 1;
    me.deliveries =
        grown(me.deliveries, me.delivery_count, &me.delivery_room, sizeof *me.deliveries);
    me.deliveries[me.delivery_count++] = (delivery){.stay = m->stay, .row = c.row};
    if (c.publisher == m->id)
        come_back(m, c.row);
}

/* One frame at the front of the buffer; its size, 0 = it is not whole. */
static size_t take_frame(member *m, const uint8_t *at, size_t have)
{
    if (have < 2 || have < 2u + at[1])
        return 0;
    const uint8_t first = at[0];
    const size_t n = at[1];
    if (n > 125)
        rawws_fail("a frame that nobody sent");
    if (m->state == CLOSED)
        rawws_fail("something came behind the answer to a close");
    if (first == 0x82)
        take_message(m, at + 2, n);
    else if (first == 0x89)
        send_frame(m, 0x8a, at + 2, n);
    else if (first == 0x88 && m->state == CLOSING && n >= 2 && (at[2] << 8 | at[3]) == 1000)
        m->state = CLOSED;
    else
        rawws_fail("a frame that nobody asked for");
    return 2 + n;
}

static void read_some(member *m)
{
    const ssize_t n = recv(m->fd, m->buffer + m->have, BUFFER_BYTES - m->have, MSG_DONTWAIT);
    size_t used = 0;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 && m->state != CLOSED)
        rawws_fail("the server ended a connection");
    if (n <= 0) {
        end(m);
        return;
    }
    m->have += (size_t)n;
    for (size_t size = 1; size > 0; used += size)
        size = take_frame(m, m->buffer + used, m->have - used);
    m->have -= used;
    memmove(m->buffer, m->buffer + used, m->have);
}

static void read_all(int wait_ms)
{
    struct epoll_event events[256];
    const int n = epoll_wait(me.ep, events, 256, wait_ms);

    for (int i = 0; i < n; i++)
        read_some(events[i].data.ptr);
}

/* ---- what was owed to them ---- */

static int by_stay_and_row(const void *a, const void *b)
{
    const delivery *const x = a, *const y = b;
    if (x->stay != y->stay)
        return x->stay < y->stay ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* The rows of each room, ascending; those of `room` begin at begins[room]. */
static uint32_t *rows_by_room(uint32_t *begins)
{
    const uint32_t all = CLIENTS * rows_each;
    uint32_t *const sorted = malloc(all * sizeof *sorted);
    uint32_t *const next = calloc(rooms, sizeof *next);

    if (sorted == NULL || next == NULL)
        rawws_fail("memory");
    memset(begins, 0, (rooms + 1) * sizeof *begins);
    for (uint32_t row = 0; row < all; row++)
        if (shared->rows[row].sent > 0)
            begins[shared->rows[row].room + 1]++;
    for (uint32_t room = 0; room < rooms; room++)
        begins[room + 1] += begins[room];
    for (uint32_t row = 0; row < all; row++) {
        const publication *const p = &shared->rows[row];
        if (p->sent > 0)
            sorted[begins[p->room] + next[p->room]++] = row;
    }
    free(next);
    return sorted;
}

static bool is_owed(const stay *s, const publication *p)
{
    return s->in > 0 && p->sent > s->in && p->seen > 0 && p->seen < s->bye;
}

/* Goes through what was published in the room of stay number `i` and what came, side by side. */
static void audit(size_t i, const uint32_t *rows, const uint32_t *rows_end, const delivery **at,
                  const delivery *end_of_all, report *r)
{
    for (; rows < rows_end; rows++) {
        const bool has_come = *at < end_of_all && (*at)->stay == i && (*at)->row == *rows;
        const bool was_owed = is_owed(&me.stays[i], &shared->rows[*rows]);
        if (was_owed && !has_come)
            rawws_fail("a message did not come to a member who was surely in");
        r->owed += was_owed;
        r->edges += has_come && !was_owed;
        *at += has_come;
    }
    if (*at < end_of_all && (*at)->stay == i)
        rawws_fail("a message came that was not published here");
}

static void audit_all(void)
{
    report *const r = &shared->reports[me.number];
    uint32_t *const begins = malloc((rooms + 1) * sizeof *begins);
    const delivery *at = me.deliveries;

    qsort(me.deliveries, me.delivery_count, sizeof *me.deliveries, by_stay_and_row);
    uint32_t *const rows = rows_by_room(begins);
    for (size_t i = 0; i < me.stay_count; i++) {
        const uint32_t room = me.stays[i].room;
        audit(i, rows + begins[room], rows + begins[room + 1], &at,
              me.deliveries + me.delivery_count, r);
        r->broken += me.stays[i].bye <= 0;
    }
    r->publications = me.rows;
    r->deliveries = me.delivery_count;
    r->stays = me.stay_count;
    free(rows);
    free(begins);
}

/* ---- a process of members ---- */

static void wait_for_all(atomic_uint *counter)
{
    const double until = rawws_now() + PATIENCE_S;

    atomic_fetch_add(counter, 1);
    while (atomic_load(counter) < CLIENTS) {
        if (rawws_now() > until)
            rawws_fail("another process did not come so far");
        rest_ms(1);
    }
}

static void make_members(void)
{
    me.count = members / CLIENTS;
    me.members = calloc(me.count, sizeof *me.members);
    if (me.members == NULL)
        rawws_fail("memory");
    for (uint32_t i = 0; i < me.count; i++) {
        me.members[i].id = me.number * me.count + i;
        me.members[i].last = calloc(members, sizeof *me.members[i].last);
        if (me.members[i].last == NULL)
            rawws_fail("memory");
    }
    me.ep = epoll_create1(0);
    for (uint32_t i = 0; i < me.count; i++) {
        join(&me.members[i]);
        read_all(0);
    }
}

static void say_goodbye(void)
{
    const double until = rawws_now() + PATIENCE_S;

    while (me.present > 0) {
        for (uint32_t i = 0; i < me.count; i++)
            if (me.members[i].state == IN)
                go(&me.members[i]);
        read_all(10);
        if (rawws_now() > until)
            rawws_fail("somebody could not leave");
    }
}

static _Noreturn void live(unsigned number, int port)
{
    uint64_t acts = 0;

    me.number = number;
    me.port = port;
    me.seed = number + 1;
    make_members();
    wait_for_all(&shared->arrived);
    const double begin = rawws_now();
    while (rawws_now() - begin < seconds) {
        for (; (double)acts < (rawws_now() - begin) * RATE / CLIENTS; acts++)
            act(&me.members[pick(me.count)]);
        read_all(1);
    }
    say_goodbye();
    wait_for_all(&shared->left);
    audit_all();
    _exit(0);
}

/* ---- the server, and the verdict ---- */

static pid_t start_server(const char *program, int *port)
{
    char said[512] = "";
    int from_server[2];
    size_t n = 0;

    if (pipe(from_server) < 0)
        rawws_fail("pipe");
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(from_server[1], STDERR_FILENO);
        execl(program, program, "serve", "--listen", "127.0.0.1:0", "--workers", "2",
              "--max-connections", "100000", (char *)NULL);
        _exit(127);
    }
    close(from_server[1]);
    while (strchr(said, '\n') == NULL && n < sizeof said - 1) {
        const ssize_t got = read(from_server[0], said + n, sizeof said - 1 - n);
        if (got <= 0)
            rawws_fail("the server did not start");
        said[n += (size_t)got] = '\0';
    }
    const char *const address = strstr(said, "127.0.0.1:");
    if (address == NULL || sscanf(address, "127.0.0.1:%d", port) != 1)
        rawws_fail("the server does not say where it listens");
    printf("%s", said);
    fflush(stdout); /* before it is forked */
    return pid;
}

/* Are all children that are waited for here well? */
static bool all_end_well(const pid_t *pids, unsigned count)
{
    bool is_good = true;

    for (unsigned i = 0; i < count; i++) {
        int status;
        is_good &= waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) &&
                   WEXITSTATUS(status) == 0;
    }
    return is_good;
}

/* The system is given memory back in large pieces, now and then. */
static long memory_at_rest(int pid, long wanted)
{
    long memory = rawws_memory(pid);

    for (int i = 0; i < 50 && memory > wanted; i++) {
        rest_ms(100);
        memory = rawws_memory(pid);
    }
    return memory;
}

static report sum_of_reports(void)
{
    report sum = {0};

    for (unsigned i = 0; i < CLIENTS; i++) {
        const report *const r = &shared->reports[i];
        sum.publications += r->publications;
        sum.deliveries += r->deliveries;
        sum.stays += r->stays;
        sum.broken += r->broken;
        sum.owed += r->owed;
        sum.edges += r->edges;
    }
    return sum;
}

static void make_board(void)
{
    rows_each = (uint32_t)(seconds * RATE * 2 / CLIENTS) + 8 * members;
    const size_t bytes = sizeof *shared + CLIENTS * (size_t)rows_each * sizeof *shared->rows;
    shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        rawws_fail("memory");
}

int main(int argc, char **argv)
{
    pid_t pids[CLIENTS];
    int port = 0;

    if (argc < 2) {
        fputs("usage: drill_rooms PROGRAM [SECONDS [ROOMS [MEMBERS]]]\n", stderr);
        return 2;
    }
    seconds = argc > 2 ? atof(argv[2]) : seconds;
    rooms = argc > 3 ? (uint32_t)atoi(argv[3]) : rooms;
    members = argc > 4 ? (uint32_t)atoi(argv[4]) / CLIENTS * CLIENTS : members;
    make_board();
    const pid_t server = start_server(argv[1], &port);
    const long before = rawws_memory(server);
    for (unsigned i = 0; i < CLIENTS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            live(i, port);
    }
    while (atomic_load(&shared->arrived) < CLIENTS && waitpid(-1, &(int){0}, WNOHANG) == 0)
        rest_ms(10);
    const long amid = rawws_memory(server);
    const bool is_kept = all_end_well(pids, CLIENTS);
    const long after = memory_at_rest(server, before + GROWTH_BYTES);
    kill(server, SIGTERM);
    const bool has_ended = all_end_well(&server, 1);

    const report sum = sum_of_reports();
    printf("%.0f s, %u rooms, %u members, %lu stays (%lu broke off): %lu publications, %lu "
           "deliveries: %lu owed%s; %lu at the edges\n",
           seconds, rooms, members, (unsigned long)sum.stays, (unsigned long)sum.broken,
           (unsigned long)sum.publications, (unsigned long)sum.deliveries, (unsigned long)sum.owed,
           is_kept ? ", all there" : "", (unsigned long)sum.edges);
    printf("memory of the server: %.1f MiB before, %.1f with everybody, %.1f after\n",
           (double)before / 1048576, (double)amid / 1048576, (double)after / 1048576);
    const bool is_good = is_kept && has_ended && sum.owed > 0 && after <= before + GROWTH_BYTES;
    printf("%s\n", is_good ? "good" : "NOT GOOD");
    return is_good ? 0 : 1;
}
