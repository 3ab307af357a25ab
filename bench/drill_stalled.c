/* SPDX-License-Identifier: MIT */
/*
 * drill_stalled - most subscribers do not read: do the others notice, is memory bounded, and is every
 * message that is missing somewhere counted?
 *
 *     drill_stalled [STALLED [HEALTHY [RATE [SECONDS [BUDGET_MIB [QUEUE_KIB [WORKERS]]]]]]]
 *                                                      default 10000 1000 1000 60 1024 64 2
 *
 * A server of its own (an endpoint for each overflow policy, all subscribed to one topic; of the
 * stalled ones a hundredth each drops the oldest and keeps the latest, which is work for each message,
 * and a twentieth is closed),
 * a publisher of RATE messages of 1 KiB a second, in ticks of 20 ms, and readers in several
 * processes, which share the machine with the server and so rest for 2 ms when they have read
 * everything. First the healthy alone, for a third of SECONDS; then with the stalled ones beside them,
 * until they have stalled (at a twentieth of the rate: until then each message is a send to each of
 * them), and for SECONDS. Then the stalled ones read what is left, and count what they miss.
 *
 * Checked: healthy readers miss nothing and keep their order; their p99 from the tick to the receipt
 * at most doubles; the server's memory stays below what it was before the stalled ones stalled plus
 * the budget; and for each policy the server has counted just what its subscribers miss. Exit 1 if
 * not. Subscribers that the budget sheds, if it is set below what the queues can hold, miss the rest
 * and are counted apart.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linnet/linnet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer/serverinner.h"
#include "support/rawws.h"

enum {
    PAYLOAD = 1024,
    HEAD = 4,
    FRAME = HEAD + PAYLOAD,
    TICK_MS = 20,
    BURST_MAX = 100, /* messages of a tick */
    STALLED_PER_PROCESS = 2500,
    HEALTHY_PER_PROCESS = 500,
    PROCESSES_MAX = 64,
    LATENCIES = 1 << 18, /* of 10 us */
    EVENTS = 512,
    REST_US = 2000,       /* of a reader that has read everything */
    STALLING_SECONDS = 8, /* the system's buffers fill, and who is to be closed is */
    QUIET_MS = 3000,      /* nothing more comes */
    PATIENCE_MS = 180000
};

enum { REFUSE, NEWEST, OLDEST, LATEST, CLOSE, POLICIES };

static const struct {
    const char *name, *path;
    enum ln_overflow overflow;
} policies[POLICIES] = {
    {"refuse", "/refuse", LN_OVERFLOW_REFUSE},
    {"drop newest", "/newest", LN_OVERFLOW_DROP_NEWEST},
    {"drop oldest", "/oldest", LN_OVERFLOW_DROP_OLDEST},
    {"keep latest", "/latest", LN_OVERFLOW_KEEP_LATEST},
    {"close", "/close", LN_OVERFLOW_CLOSE},
};

/* What a process of readers has seen; in memory that all share. */
struct tally {
    _Alignas(64) _Atomic int is_ready; /* all of it is written by its process alone */
    _Atomic uint64_t missing[POLICIES];
    _Atomic uint64_t closed, shed;
    _Atomic uint32_t slowest; /* healthy: the sequence number all of them have passed */
    _Atomic uint64_t delivered;
    _Atomic uint32_t latencies[LATENCIES];
};

static struct {
    _Atomic int port, small_port;
    _Atomic int must_read; /* 2: nothing waits in the server any more */
    _Atomic int must_end;
    _Atomic uint32_t published;
    _Atomic int is_measuring;
    ln_server_stats stats; /* at its end */
    struct tally tallies[PROCESSES_MAX];
} * shared;

static int stalled_count = 10000, healthy_count = 1000, rate = 1000;
static double seconds = 60;
static unsigned workers = 2;
static uint32_t budget_bytes = 1024u << 20, queue_bytes = 64u << 10;

static void rest_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

/* A process that ends with this one. */
static pid_t fork_child(void)
{
    const pid_t pid = fork();
    if (pid < 0)
        rawws_fail("fork");
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

/* ---- the server ---- */

static ln_server *server;

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)user;
    if (ln_request_param(request, "listen", (char[4]){0}, 4) >= 0)
        ln_conn_subscribe(c, LN_SPAN("room"));
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    ln_conn_publish(c, LN_SPAN("room"), m->kind, m->data, NULL);
}

static void on_term(int number)
{
    (void)number;
    ln_server_stop(server);
}

static _Noreturn void serve(void)
{
    const ln_ws_handlers handlers = {.on_open = on_open, .on_message = on_message};
    const ln_server_options options = {
        .workers = workers, .queue_budget_bytes = budget_bytes, .drain_ms = 1000};
    ln_ws_options ws = {.ping_interval_ms = LN_OFF};
    const int small = 8192;

    server = ln_server_new(&options);
    ln_server_ws(server, "/healthy", &handlers, &ws);
    ws.queue_max_bytes = queue_bytes;
    ws.low_water_bytes = queue_bytes / 4;
    for (int i = 0; i < POLICIES; i++) {
        ws.overflow = policies[i].overflow;
        ln_server_ws(server, policies[i].path, &handlers, &ws);
    }
    if (ln_server_listen(server, "127.0.0.1:0") < 0 || ln_server_listen(server, "127.0.0.1:0") < 0)
        rawws_fail("listen");
    /* The stalled ones have a door of their own, with small send buffers: ten thousand of the usual
     * ones would be more than the system has for all of TCP, and it is not the system that is tried. */
    for (unsigned i = 0; i < workers; i++) {
        if (setsockopt(server->doors[1].fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) < 0)
            rawws_fail("setsockopt");
    }
    signal(SIGTERM, on_term);
    if (ln_server_start(server) < 0)
        rawws_fail("start");
    atomic_store(&shared->small_port, ln_server_port(server, 1));
    atomic_store(&shared->port, ln_server_port(server, 0));
    while (!ln_server_is_stopping(server)) {
        ln_server_stats_get(server, &shared->stats);
        rest_ms(50);
    }
    ln_server_join(server);
    ln_server_free(server);
    exit(0);
}

/* ---- readers ---- */

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
                                   .sin_port = htons((uint16_t)atomic_load(&shared->small_port)),
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
static void take_message(struct reader *r, struct tally *t, double now)
{
    uint32_t sequence;
    double sent;

    memcpy(&sequence, r->head + HEAD, sizeof sequence);
    memcpy(&sent, r->head + HEAD + 8, sizeof sent);
    if (sequence < r->next)
        rawws_fail("a message was repeated or out of order");
    if (sequence > r->next)
        atomic_fetch_add(&t->missing[r->policy], sequence - r->next);
    r->next = sequence + 1;
    if (now > 0) {
        const double passed = (now - sent) * 1e5;
        const int slot = passed >= LATENCIES ? LATENCIES - 1 : (int)passed;
        atomic_store_explicit(&t->latencies[slot], t->latencies[slot] + 1, memory_order_relaxed);
        atomic_store_explicit(&t->delivered, t->delivered + 1, memory_order_relaxed);
    }
}

/* A close frame: by the policy or by the budget. */
static void take_close(struct reader *r, struct tally *t)
{
    const int code = r->head[2] << 8 | r->head[3];

    atomic_fetch_add(code == 1008 ? &t->closed : &t->shed, 1);
    r->is_over = 1;
}

static void take(struct reader *r, struct tally *t, const uint8_t *bytes, size_t n, double now)
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
        else if (r->at >= 4 && (r->head[0] != 0x82 || (r->head[2] << 8 | r->head[3]) != PAYLOAD))
            rawws_fail("a frame that nobody sent");
        if (r->at == FRAME) {
            take_message(r, t, now);
            r->at = 0;
        }
    }
}

static void read_some(int ep, struct reader *r, struct tally *t, int is_healthy)
{
    static uint8_t bytes[262144];
    const ssize_t n = recv(r->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n > 0) {
        const int is_measured = is_healthy && atomic_load(&shared->is_measuring);
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
        r->next = atomic_load(&shared->published);
        r->fd = is_healthy ? rawws_connect(atomic_load(&shared->port), i) : connect_small(i);
        snprintf(path, sizeof path, "%s?listen=1",
                 is_healthy ? "/healthy" : policies[r->policy].path);
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

static void count_the_end(const struct reader *readers, int count, struct tally *t)
{
    const uint32_t published = atomic_load(&shared->published);

    for (int i = 0; i < count; i++) {
        if (!readers[i].is_over)
            atomic_fetch_add(&t->missing[readers[i].policy], published - readers[i].next);
    }
}

static _Noreturn void read_all(struct tally *t, int count, int first, int is_healthy)
{
    struct epoll_event events[EVENTS];
    const int ep = epoll_create1(0);
    struct reader *const readers = connect_all(count, first, is_healthy, ep);
    double heard = 0;

    atomic_store(&t->is_ready, 1);
    while (!is_healthy && !atomic_load(&shared->must_read))
        rest_ms(20);
    heard = rawws_now();
    while (is_healthy
               ? !atomic_load(&shared->must_end)
               : atomic_load(&shared->must_read) < 2 || rawws_now() - heard < QUIET_MS / 1000.0) {
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

/* ---- the drill ---- */

static int process_count;
static pid_t processes[PROCESSES_MAX];

/* Processes of up to `most` readers each; the number of the first. */
static int start_readers(int count, int most, int is_healthy)
{
    const int first = process_count;

    for (int done = 0; done < count; done += most) {
        const int share = count - done < most ? count - done : most;
        struct tally *const t = &shared->tallies[process_count];
        if (process_count == PROCESSES_MAX)
            rawws_fail("too many processes");
        processes[process_count] = fork_child();
        if (processes[process_count] == 0)
            read_all(t, share, done, is_healthy);
        process_count++;
    }
    for (int i = first; i < process_count; i++) {
        while (atomic_load(&shared->tallies[i].is_ready) == 0) {
            if (waitpid(processes[i], NULL, WNOHANG) != 0)
                rawws_fail("a process of readers has ended");
            rest_ms(10);
        }
    }
    return first;
}

/* `count` messages in one piece, as a publisher that has them all at the tick sends them. */
static void publish(int fd, double tick, uint64_t count)
{
    static uint8_t payload[PAYLOAD], frames[BURST_MAX * (PAYLOAD + 14)];
    size_t n = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint32_t sequence = atomic_fetch_add(&shared->published, 1);
        memcpy(payload, &sequence, sizeof sequence);
        memcpy(payload + 8, &tick, sizeof tick);
        n += rawws_frame(frames + n, 0x82, payload, sizeof payload);
    }
    if (count > 0 && send(fd, frames, n, MSG_NOSIGNAL) != (ssize_t)n)
        rawws_fail("publish");
}

struct outcome {
    double p50, p99, deliveries, cpu;
    long memory;
};

/* Of what the first `count` processes saw, in ms. */
static double percentile(int count, double share)
{
    static uint64_t slots[LATENCIES];
    uint64_t total = 0, sum = 0;
    int slot = 0;

    memset(slots, 0, sizeof slots);
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < LATENCIES; i++)
            slots[i] += atomic_load(&shared->tallies[k].latencies[i]);
        total += atomic_load(&shared->tallies[k].delivered);
    }
    while (slot < LATENCIES - 1 && (sum += slots[slot]) < (uint64_t)((double)total * share))
        slot++;
    return slot / 100.0;
}

static void forget(int count)
{
    for (int k = 0; k < count; k++) {
        memset(shared->tallies[k].latencies, 0, sizeof shared->tallies[k].latencies);
        atomic_store(&shared->tallies[k].delivered, 0);
    }
}

static void wait_for_healthy(int count)
{
    const uint32_t all = atomic_load(&shared->published);

    for (int i = 0; i < count; i++) {
        for (int ms = 0; atomic_load(&shared->tallies[i].slowest) < all; ms++) {
            if (ms > 30000)
                rawws_fail("a healthy reader misses messages");
            rest_ms(1);
        }
    }
}

/* Everything has left the server. The system may have given up on a reader for a while: it tries again
 * after as long as it has waited. */
static void wait_for_the_queues(void)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += 100) {
        rest_ms(100);
        if (shared->stats.queued_bytes == 0)
            return;
    }
    rawws_fail("something stays in the server");
}

/* Publishes for that long; what the healthy ones saw. */
static struct outcome run(int fd, pid_t pid, double length, int per_second, int healthy_processes)
{
    struct outcome o = {.memory = 0};
    const double begin = rawws_now(), cpu = rawws_cpu(pid);
    double checked = begin;
    uint64_t sent = 0;

    forget(healthy_processes);
    atomic_store(&shared->is_measuring, 1);
    for (uint64_t tick = 1; (double)tick * TICK_MS / 1000 <= length; tick++) {
        const double due = begin + (double)tick * TICK_MS / 1000;
        if (due > rawws_now())
            usleep((useconds_t)((due - rawws_now()) * 1e6));
        const uint64_t count = tick * (uint64_t)per_second * TICK_MS / 1000 - sent;
        publish(fd, due, count);
        sent += count;
        if (rawws_now() - checked >= 0.5) {
            const long memory = rawws_memory(pid);
            o.memory = memory > o.memory ? memory : o.memory;
            checked = rawws_now();
        }
    }
    wait_for_healthy(healthy_processes);
    atomic_store(&shared->is_measuring, 0);
    const double passed = rawws_now() - begin;
    o.p50 = percentile(healthy_processes, 0.5);
    o.p99 = percentile(healthy_processes, 0.99);
    for (int i = 0; i < healthy_processes; i++)
        o.deliveries += (double)atomic_load(&shared->tallies[i].delivered) / passed;
    o.cpu = (rawws_cpu(pid) - cpu) / passed;
    return o;
}

static void print(const char *what, struct outcome o)
{
    printf("%-18s %9.0f deliveries/s   p50 %6.2f ms   p99 %6.2f ms   server %3.0f %% of a core, "
           "%6.1f MiB\n",
           what, o.deliveries, o.p50, o.p99, o.cpu * 100, (double)o.memory / 1048576);
    fflush(stdout);
}

static int check(const char *what, uint64_t seen, uint64_t counted)
{
    printf("  %-12s %12llu missing, %12llu counted%s\n", what, (unsigned long long)seen,
           (unsigned long long)counted, seen == counted ? "" : "   NOT THE SAME");
    return seen == counted;
}

/* Compares what the readers from process `first` on miss with what the server has counted. */
static int check_books(int first, const ln_server_stats *s)
{
    uint64_t missing[POLICIES] = {0}, closed = 0, shed = 0;

    for (int i = first; i < process_count; i++) {
        const struct tally *const t = &shared->tallies[i];
        for (int k = 0; k < POLICIES; k++)
            missing[k] += atomic_load(&t->missing[k]);
        closed += atomic_load(&t->closed);
        shed += atomic_load(&t->shed);
    }
    int good = check(policies[REFUSE].name, missing[REFUSE], s->queue_refused_total);
    good &= check(policies[NEWEST].name, missing[NEWEST], s->dropped_newest_total);
    good &= check(policies[OLDEST].name, missing[OLDEST], s->dropped_oldest_total);
    good &= check(policies[LATEST].name, missing[LATEST], s->replaced_total);
    good &=
        check("all dropped", missing[REFUSE] + missing[NEWEST] + missing[OLDEST], s->dropped_total);
    printf("  closed for being slow: %llu seen, %llu counted; shed by the budget: %llu seen, %llu "
           "counted\n",
           (unsigned long long)closed, (unsigned long long)s->overflow_closes_total,
           (unsigned long long)shed, (unsigned long long)s->shed_slow_total);
    return good && closed + shed == s->overflow_closes_total + s->shed_slow_total;
}

static void read_arguments(int argc, char **argv)
{
    stalled_count = argc > 1 ? atoi(argv[1]) : stalled_count;
    healthy_count = argc > 2 ? atoi(argv[2]) : healthy_count;
    rate = argc > 3 ? atoi(argv[3]) : rate;
    seconds = argc > 4 ? atof(argv[4]) : seconds;
    budget_bytes = argc > 5 ? (uint32_t)atoi(argv[5]) << 20 : budget_bytes;
    queue_bytes = argc > 6 ? (uint32_t)atoi(argv[6]) << 10 : queue_bytes;
    workers = argc > 7 ? (unsigned)atoi(argv[7]) : workers;
    if (rate < 1 || rate > BURST_MAX * 1000 / TICK_MS)
        rawws_fail("a rate above what a tick holds");
}

static int judge(struct outcome before, struct outcome with, int first_stalled)
{
    const ln_server_stats s = shared->stats;
    const long allowed = before.memory + (long)budget_bytes;
    int good = check_books(first_stalled, &s);
    uint64_t lost = 0;

    for (int i = 0; i < first_stalled; i++) {
        for (int k = 0; k < POLICIES; k++)
            lost += atomic_load(&shared->tallies[i].missing[k]);
    }
    printf("healthy readers miss %llu; p99 is %.2f x that of before; memory %.1f of %.1f MiB "
           "allowed\n",
           (unsigned long long)lost, with.p99 / before.p99, (double)with.memory / 1048576,
           (double)allowed / 1048576);
    good = good && lost == 0 && with.p99 <= 2 * before.p99 && with.memory <= allowed;
    printf("%s\n", good ? "good" : "NOT GOOD");
    return good;
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        rawws_fail("mmap");
    const pid_t pid = fork_child();
    if (pid == 0)
        serve();
    while (atomic_load(&shared->port) == 0)
        rest_ms(1);
    start_readers(healthy_count, HEALTHY_PER_PROCESS, 1);
    const int first_stalled = process_count;
    const int publisher = rawws_connect(atomic_load(&shared->port), 0);
    rawws_shake(publisher, "/healthy");
    run(publisher, pid, 1, rate, first_stalled); /* warm */
    const struct outcome before = run(publisher, pid, seconds / 3, rate, first_stalled);
    print("all read", before);

    start_readers(stalled_count, STALLED_PER_PROCESS, 0);
    printf("with %d that do not read, idle: %.1f MiB\n", stalled_count,
           (double)rawws_memory(pid) / 1048576);
    const struct outcome stalling =
        run(publisher, pid, STALLING_SECONDS, (rate + 19) / 20, first_stalled);
    print("until they stall", stalling);
    const struct outcome with = run(publisher, pid, seconds, rate, first_stalled);
    print("most do not read", with);
    printf("waiting: %.1f MiB in %llu queues, the oldest for %.1f s\n",
           (double)shared->stats.queued_bytes / 1048576,
           (unsigned long long)shared->stats.queued_connections,
           (double)shared->stats.queue_age_ms / 1000);

    atomic_store(&shared->must_read, 1);
    wait_for_the_queues();
    atomic_store(&shared->must_read, 2);
    for (int i = first_stalled; i < process_count; i++)
        waitpid(processes[i], NULL, 0);
    atomic_store(&shared->must_end, 1);
    for (int i = 0; i < first_stalled; i++)
        waitpid(processes[i], NULL, 0);
    rest_ms(200);
    const int good = judge(before, with, first_stalled);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return good ? 0 : 1;
}
