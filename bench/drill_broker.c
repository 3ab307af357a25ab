/* SPDX-License-Identifier: MIT */
/*
 * drill_broker - the broker and its C client under restarts of both: every request ends exactly once, and none is executed
 * twice.
 *
 *     drill_broker [SECONDS [CLIENTS [IN_FLIGHT]]]      default: 20 s, 200 clients, 1,000 requests each
 *
 * Each client keeps its requests in flight and publishes beside them, to a topic that it is subscribed to. The server is
 * killed without a goodbye every two seconds or so and comes back half a second later; a few clients are freed and made anew
 * every tenth of a second. Requests have numbers; the server's process counts executions by number in memory that it shares
 * with the clients' process, which counts ends.
 *
 * It prints what came of them, and exits with 1 if one ended never or twice, if one was executed twice, or if one was
 * answered without having been executed.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linnet/brokerclient.h>

#include "support/brokerside.h"

enum { NUMBERS = 64 << 20, UP_MS = 2000, DOWN_MS = 500, CHURN_MS = 100, CHURN = 3 };

/* ---- what both processes see ---- */

static _Atomic uint8_t *executed, *ended, *answered;

static void *share(size_t size)
{
    void *const p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* ---- the clients ---- */

typedef struct member {
    ln_broker_client *client;
    unsigned in_flight;
} member;

static ln_loop *loop;
static member *members;
static unsigned member_count, in_flight_max;
static char url[64];
static uint64_t asked, refused, published, heard, opened;
static uint64_t ends[8]; /* by error: ok, refused, timeout, lost, closed, others */
static bool is_over;

static void fill(member *m);

static unsigned column(int error)
{
    switch (error) {
    case 0:
        return 0;
    case LN_ERR_REFUSED:
        return 1;
    case LN_ERR_TIMEOUT:
        return 2;
    case LN_ERR_RESET:
        return 3;
    case LN_ERR_CLOSED:
        return 4;
    default:
        return 5;
    }
}

/* A request's number and its member, in one word. */
static void *word(const member *m, uint64_t number)
{
    return (void *)(uintptr_t)((uint64_t)(m - members) << 32 | number);
}

static void on_reply(const ln_broker_client_reply *reply, void *user)
{
    const uint64_t number = (uintptr_t)user & UINT32_MAX;
    member *const m = &members[(uintptr_t)user >> 32];

    ended[number]++;
    answered[number] = reply->error == 0;
    ends[column(reply->error)]++;
    m->in_flight--;
    fill(m);
}

static void on_heard(ln_broker_client *client, ln_span topic, ln_span payload, void *user)
{
    (void)client;
    (void)topic;
    (void)payload;
    (void)user;
    heard++;
}

static void on_state(ln_broker_client *client, enum ln_broker_client_state state, int64_t wait_ms,
                     void *user)
{
    (void)client;
    (void)wait_ms;
    opened += state == LN_BROKER_CLIENT_OPEN;
    if (state == LN_BROKER_CLIENT_OPEN)
        fill(user);
}

/* Only while it is open, so that each loss finds as many in flight as may be. */
static void fill(member *m)
{
    char payload[24];

    while (!is_over && m->client != NULL && m->in_flight < in_flight_max && asked < NUMBERS &&
           ln_broker_client_state_get(m->client) == LN_BROKER_CLIENT_OPEN) {
        const int n = snprintf(payload, sizeof payload, "%" PRIu64, asked);
        const ln_broker_client_order order = {.topic = LN_SPAN("count"),
                                              .payload = {payload, (size_t)n},
                                              .on_reply = on_reply,
                                              .user = word(m, asked)};
        if (ln_broker_client_request(m->client, &order, NULL) < 0) {
            refused++;
            return; /* the next reply tries again */
        }
        m->in_flight++;
        if (asked++ % 100 == 0)
            published += ln_broker_client_publish(m->client, LN_SPAN("news"), order.payload) == 0;
    }
}

static void make(member *m)
{
    const ln_broker_client_options options = {.reconnect_base_ms = 100,
                                              .reconnect_max_ms = 500,
                                              .requests_max = in_flight_max,
                                              .queue_max_messages = 2 * in_flight_max,
                                              .on_state = on_state,
                                              .user = m};

    if (ln_broker_client_new(loop, url, &options, &m->client) < 0)
        exit(1);
    if (m - members < 4) /* all of them would be a test of fan-out */
        (void)ln_broker_client_subscribe(m->client, LN_SPAN("news"), on_heard, NULL, NULL);
}

static void unmake(member *m)
{
    ln_broker_client *const client = m->client;

    m->client = NULL;
    ln_broker_client_free(client);
}

static void churn(void *arg)
{
    (void)arg;
    for (int i = 0; i < CHURN; i++) {
        member *const m = &members[(unsigned)rand() % member_count];
        unmake(m);
        make(m);
    }
    ln_loop_after(loop, CHURN_MS, churn, NULL, NULL);
}

static void finish(void *arg)
{
    (void)arg;
    is_over = true;
    for (unsigned i = 0; i < member_count; i++)
        unmake(&members[i]);
    ln_loop_stop(loop);
}

static int judge(void)
{
    uint64_t never = 0, twice = 0, repeated = 0, invented = 0, done = 0;

    for (uint64_t n = 0; n < asked; n++) {
        never += ended[n] == 0;
        twice += ended[n] > 1;
        repeated += executed[n] > 1;
        invented += answered[n] && executed[n] == 0;
        done += executed[n];
    }
    printf(
        "%" PRIu64 " requests of %u clients, %u in flight each: %" PRIu64 " answered, %" PRIu64
        " answered with an error, %" PRIu64 " timed out, %" PRIu64
        " lost with their connection, %" PRIu64 " ended with their client, %" PRIu64 " otherwise\n",
        asked, member_count, in_flight_max, ends[0], ends[1], ends[2], ends[3], ends[4], ends[5]);
    printf("%" PRIu64 " executed, %" PRIu64 " published, %" PRIu64 " heard, %" PRIu64
           " registrations, %" PRIu64 " calls refused\n",
           done, published, heard, opened, refused);
    printf("ended never: %" PRIu64 ", ended twice: %" PRIu64 ", executed twice: %" PRIu64
           ", answered and not executed: %" PRIu64 "\n",
           never, twice, repeated, invented);
    return never + twice + repeated + invented > 0 || ends[0] == 0 || ends[3] == 0;
}

static int run_clients(int port, unsigned seconds)
{
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/wsmq", port);
    members = calloc(member_count, sizeof *members);
    if (members == NULL || ln_loop_new(NULL, &loop) < 0)
        return 1;
    for (unsigned i = 0; i < member_count; i++)
        make(&members[i]);
    ln_loop_after(loop, CHURN_MS, churn, NULL, NULL);
    ln_loop_after(loop, seconds * 1000, finish, NULL, NULL);
    if (ln_loop_run(loop) < 0)
        return 1;
    ln_loop_free(loop);
    free(members);
    return judge();
}

/* ---- the one that starts and kills ---- */

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (const struct sockaddr *)&at, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        exit(1);
    close(fd);
    return ntohs(at.sin_port);
}

static pid_t start_server(int port)
{
    const pid_t pid = fork();
    if (pid == 0)
        brokerside_run(port, executed, NUMBERS);
    return pid;
}

int main(int argc, char **argv)
{
    const unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
    const int port = free_port();
    int status;

    member_count = argc > 2 ? (unsigned)atoi(argv[2]) : 200;
    in_flight_max = argc > 3 ? (unsigned)atoi(argv[3]) : 1000;
    executed = share(NUMBERS);
    ended = share(NUMBERS);
    answered = share(NUMBERS);
    if (executed == NULL || ended == NULL || answered == NULL)
        return 1;
    pid_t server = start_server(port);
    const pid_t clients = fork();
    if (clients == 0)
        exit(run_clients(port, seconds));
    unsigned kills = 0;
    for (int ms = 0; waitpid(clients, &status, WNOHANG) == 0; ms += 100) {
        sleep_ms(100);
        if (ms % UP_MS != UP_MS - 100)
            continue;
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        kills++;
        sleep_ms(DOWN_MS);
        server = start_server(port);
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    printf("the server was killed %u times\n", kills);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
