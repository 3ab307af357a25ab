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
 * and a twentieth is closed), a publisher of RATE messages of 1 KiB a second, in ticks of 20 ms, and
 * readers in several processes, which share the machine with the server and so rest for 2 ms when
 * they have read everything. First the healthy alone, for a third of SECONDS; then with the stalled
 * ones beside them, until they have stalled (at a twentieth of the rate: until then each message is a
 * send to each of them), and for SECONDS. Then the stalled ones read what is left, and count what
 * they miss.
 *
 * Checked: healthy readers miss nothing and keep their order; their p99 from the tick to the receipt
 * at most doubles; the server's memory stays below what it was before the stalled ones stalled plus
 * the budget; and for each policy the server has counted just what its subscribers miss. Exit 1 if
 * not. Subscribers that the budget sheds, if it is set below what the queues can hold, miss the rest
 * and are counted apart.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnet/linnet.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer/serverinner.h"
#include "support/rawws.h"
#include "support/stalled.h"

enum {
    TICK_MS = 20,
    BURST_MAX = 100, /* messages of a tick */
    STALLED_PER_PROCESS = 2500,
    HEALTHY_PER_PROCESS = 500,
    STALLING_SECONDS = 8, /* the system's buffers fill, and who is to be closed is */
    PATIENCE_MS = 180000
};

static const struct {
    const char *name;
    enum ln_overflow overflow;
} policies[POLICIES] = {
    {"refuse", LN_OVERFLOW_REFUSE},
    {"drop newest", LN_OVERFLOW_DROP_NEWEST},
    {"drop oldest", LN_OVERFLOW_DROP_OLDEST},
    {"keep latest", LN_OVERFLOW_KEEP_LATEST},
    {"close", LN_OVERFLOW_CLOSE},
};

/* `stats`: the server's, at its end. In memory that all processes share. */
static struct {
    struct stalled_shared readers;
    ln_server_stats stats;
} * common;

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
        ln_server_ws(server, stalled_paths[i], &handlers, &ws);
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
    atomic_store(&stalled_shared->small_port, ln_server_port(server, 1));
    atomic_store(&stalled_shared->port, ln_server_port(server, 0));
    while (!ln_server_is_stopping(server)) {
        ln_server_stats_get(server, &common->stats);
        rest_ms(50);
    }
    ln_server_join(server);
    ln_server_free(server);
    exit(0);
}

/* ---- the drill ---- */

static int process_count;
static pid_t processes[STALLED_PROCESSES_MAX];

/* Processes of up to `most` readers each; the number of the first. */
static int start_readers(int count, int most, int is_healthy)
{
    const int first = process_count;

    for (int done = 0; done < count; done += most) {
        const int share = count - done < most ? count - done : most;
        struct stalled_tally *const t = &stalled_shared->tallies[process_count];
        if (process_count == STALLED_PROCESSES_MAX)
            rawws_fail("too many processes");
        processes[process_count] = fork_child();
        if (processes[process_count] == 0)
            stalled_read_all(t, share, done, is_healthy);
        process_count++;
    }
    for (int i = first; i < process_count; i++) {
        while (atomic_load(&stalled_shared->tallies[i].is_ready) == 0) {
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
    static uint8_t payload[STALLED_PAYLOAD], frames[BURST_MAX * (STALLED_PAYLOAD + 14)];
    size_t n = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint32_t sequence = atomic_fetch_add(&stalled_shared->published, 1);
        memcpy(payload, &sequence, sizeof sequence);
        memcpy(payload + STALLED_DUE_AT, &tick, sizeof tick);
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
    static uint64_t slots[STALLED_LATENCIES];
    uint64_t total = 0, sum = 0;
    int slot = 0;

    memset(slots, 0, sizeof slots);
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < STALLED_LATENCIES; i++)
            slots[i] += atomic_load(&stalled_shared->tallies[k].latencies[i]);
        total += atomic_load(&stalled_shared->tallies[k].delivered);
    }
    while (slot < STALLED_LATENCIES - 1 && (sum += slots[slot]) < (uint64_t)((double)total * share))
        slot++;
    return slot / 100.0;
}

static void forget(int count)
{
    for (int k = 0; k < count; k++) {
        memset(stalled_shared->tallies[k].latencies, 0,
               sizeof stalled_shared->tallies[k].latencies);
        atomic_store(&stalled_shared->tallies[k].delivered, 0);
    }
}

static void wait_for_healthy(int count)
{
    const uint32_t all = atomic_load(&stalled_shared->published);

    for (int i = 0; i < count; i++) {
        for (int ms = 0; atomic_load(&stalled_shared->tallies[i].slowest) < all; ms++) {
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
        if (common->stats.queued_bytes == 0)
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
    atomic_store(&stalled_shared->is_measuring, 1);
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
    atomic_store(&stalled_shared->is_measuring, 0);
    const double passed = rawws_now() - begin;
    o.p50 = percentile(healthy_processes, 0.5);
    o.p99 = percentile(healthy_processes, 0.99);
    for (int i = 0; i < healthy_processes; i++)
        o.deliveries += (double)atomic_load(&stalled_shared->tallies[i].delivered) / passed;
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
        const struct stalled_tally *const t = &stalled_shared->tallies[i];
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
    const ln_server_stats s = common->stats;
    const long allowed = before.memory + (long)budget_bytes;
    int good = check_books(first_stalled, &s);
    uint64_t lost = 0;

    for (int i = 0; i < first_stalled; i++) {
        for (int k = 0; k < POLICIES; k++)
            lost += atomic_load(&stalled_shared->tallies[i].missing[k]);
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
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED)
        rawws_fail("mmap");
    stalled_shared = &common->readers;
    const pid_t pid = fork_child();
    if (pid == 0)
        serve();
    while (atomic_load(&stalled_shared->port) == 0)
        rest_ms(1);
    start_readers(healthy_count, HEALTHY_PER_PROCESS, 1);
    const int first_stalled = process_count;
    const int publisher = rawws_connect(atomic_load(&stalled_shared->port), 0);
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
           (double)common->stats.queued_bytes / 1048576,
           (unsigned long long)common->stats.queued_connections,
           (double)common->stats.queue_age_ms / 1000);

    atomic_store(&stalled_shared->must_read, 1);
    wait_for_the_queues();
    atomic_store(&stalled_shared->must_read, 2);
    for (int i = first_stalled; i < process_count; i++)
        waitpid(processes[i], NULL, 0);
    atomic_store(&stalled_shared->must_end, 1);
    for (int i = 0; i < first_stalled; i++)
        waitpid(processes[i], NULL, 0);
    rest_ms(200);
    const int good = judge(before, with, first_stalled);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return good ? 0 : 1;
}
