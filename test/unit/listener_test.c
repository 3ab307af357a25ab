/* SPDX-License-Identifier: MIT */
/* Addresses, listening, accepting, connecting; and what happens when descriptors run out. */
#include "loop_kit.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/text.h"
#include "failing_alloc.h"
#include "net/listener.h"

/* Addresses */

static ln_address parsed(const char *text)
{
    ln_address a;
    if (ln_address_parse(ln_text(text), &a) != 0)
        fail_msg("refused: %s", text);
    return a;
}

static void assert_written(const ln_address *a, const char *text)
{
    char buffer[LN_ADDRESS_TEXT_MAX];
    assert_int_equal(ln_address_write(a, buffer), strlen(text));
    assert_string_equal(buffer, text);
}

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
        unsigned port;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1:80", 80},        {"0.0.0.0:65535", "0.0.0.0:65535", 65535},
        {"localhost:8080", "127.0.0.1:8080", 8080},  {"LocalHost:0", "127.0.0.1:0", 0},
        {"[::1]:9000", "[::1]:9000", 9000},          {"[2001:DB8::5]:1", "[2001:db8::5]:1", 1},
        {"[::ffff:192.0.2.7]:5", "192.0.2.7:5", 5},  {":8080", "[::]:8080", 8080},
        {"unix:/run/x.sock", "unix:/run/x.sock", 0}, {"unix:relative", "unix:relative", 0},
        {"unix:@abstract", "unix:@abstract", 0},     {"unix:/a:b:1", "unix:/a:b:1", 0},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        const ln_address a = parsed(rows[i].text);
        assert_written(&a, rows[i].written);
        assert_int_equal(ln_address_port(&a), rows[i].port);
    }
}

static void malformed_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        ":",
                                        "80",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "1.2.3:80",
                                        "1.2.3.4:-1",
                                        "1.2.3.4:65536",
                                        "1.2.3.4:8x",
                                        "1.2.3.4: 80",
                                        "::1:80",
                                        "[::1]",
                                        "[::1]80",
                                        "[]:80",
                                        "[1.2.3.4]:80",
                                        "[::1:80",
                                        "::1]:80",
                                        "host:80",
                                        "localhost",
                                        "[localhost]:80",
                                        "unix:",
                                        "unix",
                                        " 1.2.3.4:80",
                                        "1.2.3.4:80 ",
                                        "[::1%lo]:80",
                                        "01.2.3.4.5:1",
                                        "[1111:2222:3333:4444:5555:6666:7777:8888:9999]:1"};
    ln_address a = {.length = 77};
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        if (ln_address_parse(ln_text(texts[i]), &a) != LN_ERR_ADDRESS)
            fail_msg("accepted: %s", texts[i]);
        assert_int_equal(a.length, 77);
    }
    assert_int_equal(ln_address_parse(LN_SPAN("127.0.0.1\0:80"), &a), LN_ERR_ADDRESS);
    assert_int_equal(ln_address_parse(LN_SPAN("unix:a\0b"), &a), LN_ERR_ADDRESS);
    assert_int_equal(ln_address_parse((ln_span){NULL, 0}, &a), LN_ERR_ADDRESS);
}

static void a_unix_path_has_its_length(void **state)
{
    (void)state;
    char text[128] = "unix:";
    const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    ln_address a;
    memset(text + 5, 'p', most + 1);
    assert_int_equal(ln_address_parse((ln_span){text, 5 + most + 1}, &a), LN_ERR_ADDRESS);
    assert_int_equal(ln_address_parse((ln_span){text, 5 + most}, &a), 0);
    text[5 + most] = 0;
    assert_written(&a, text);
}

/* A server that counts */

struct door {
    ln_listener listener;
    ln_loop *loop;
    int fds[256];
    unsigned accepted;
    bool closes_at_once, is_closed;
};

static void on_accept(ln_listener *l, int fd)
{
    struct door *const d = (struct door *)l;
    if (d->closes_at_once)
        close(fd);
    else
        d->fds[d->accepted] = fd;
    d->accepted++;
}

static void on_closed(ln_listener *l)
{
    ((struct door *)l)->is_closed = true;
}

static int try_listen(const char *text, bool is_shared)
{
    const ln_address a = parsed(text);
    int fd = -1;
    const int rc = ln_listen(&a, is_shared, &fd);
    return rc < 0 ? rc : fd;
}

static void open_door(struct door *d, ln_loop *loop, int fd)
{
    *d = (struct door){.loop = loop};
    assert_true(fd >= 0);
    assert_int_equal(ln_listener_open(&d->listener, loop, fd, on_accept), 0);
}

static void close_door(struct door *d)
{
    ln_listener_close(&d->listener, on_closed);
    KIT_UNTIL(d->loop, d->is_closed);
    for (unsigned i = 0; i < d->accepted && !d->closes_at_once; i++)
        close(d->fds[i]);
}

static ln_address address_of(const struct door *d)
{
    ln_address a;
    assert_int_equal(ln_address_of_self(d->listener.sock.fd, &a), 0);
    return a;
}

/* A blocking connection to where `a` is, over the loopback interface. */
static int connect_to(const ln_address *a)
{
    const struct sockaddr *const any = (const struct sockaddr *)a->bytes;
    const int fd = socket(any->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    return connect(fd, any, a->length) == 0 ? fd : (close(fd), -1);
}

/* Accepting */

static void check_one_connection(void **state, const char *listen_text, const char *peer_prefix)
{
    ln_loop *const loop = kit_loop(state);
    struct door d;
    char text[LN_ADDRESS_TEXT_MAX];
    const int fd = try_listen(listen_text, false);
    if (fd == LN_ERR_ADDRESS && strchr(listen_text, '[')) {
        ln_loop_free(loop);
        skip(); /* a machine without IPv6 */
    }
    open_door(&d, loop, fd);
    const ln_address self = address_of(&d);
    const int client = connect_to(&self);
    assert_true(client >= 0);
    KIT_UNTIL(loop, d.accepted == 1);
    assert_true(fcntl(d.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(d.fds[0], F_GETFD) & FD_CLOEXEC);
    ln_address peer;
    assert_int_equal(ln_address_of_peer(d.fds[0], &peer), 0);
    ln_address_write(&peer, text);
    if (strncmp(text, peer_prefix, strlen(peer_prefix)) != 0)
        fail_msg("%s is not %s...", text, peer_prefix);
    if (strncmp(listen_text, "unix", 4) != 0) {
        int is_on = 0;
        socklen_t length = sizeof is_on;
        assert_int_equal(getsockopt(d.fds[0], IPPROTO_TCP, TCP_NODELAY, &is_on, &length), 0);
        assert_true(is_on);
        assert_true(ln_address_port(&self) > 0);
    }
    close(client);
    close_door(&d);
    ln_loop_free(loop);
}

static void it_listens_on_ipv4(void **state)
{
    check_one_connection(state, "127.0.0.1:0", "127.0.0.1:");
}

static void it_listens_on_ipv6(void **state)
{
    check_one_connection(state, "[::1]:0", "[::1]:");
}

static void it_listens_on_unix_paths(void **state)
{
    unlink("/tmp/ln-listener-test.sock");
    check_one_connection(state, "unix:/tmp/ln-listener-test.sock", "unix");
    unlink("/tmp/ln-listener-test.sock");
}

static void it_listens_on_abstract_names(void **state)
{
    check_one_connection(state, "unix:@ln-listener-test", "unix");
}

static void every_address_means_both_families(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct door d;
    open_door(&d, loop, try_listen(":0", false));
    const ln_address self = address_of(&d);
    char text[LN_ADDRESS_TEXT_MAX];
    snprintf(text, sizeof text, "127.0.0.1:%u", ln_address_port(&self));
    const ln_address v4 = parsed(text);
    snprintf(text, sizeof text, "[::1]:%u", ln_address_port(&self));
    const ln_address v6 = parsed(text);
    const int a = connect_to(&v4);
    assert_true(a >= 0);
    KIT_UNTIL(loop, d.accepted == 1);
    ln_address peer;
    assert_int_equal(ln_address_of_peer(d.fds[0], &peer), 0);
    ln_address_write(&peer, text);
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0); /* not ::ffff:127.0.0.1 */
    const int b =
        ((const struct sockaddr *)self.bytes)->sa_family == AF_INET6 ? connect_to(&v6) : -1;
    if (b >= 0)
        KIT_UNTIL(loop, d.accepted == 2);
    close(a);
    if (b >= 0)
        close(b);
    close_door(&d);
    ln_loop_free(loop);
}

static void many_connections_are_accepted(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct door d;
    int clients[200];
    open_door(&d, loop, try_listen("127.0.0.1:0", false));
    const ln_address self = address_of(&d);
    for (int i = 0; i < 200; i++)
        clients[i] = connect_to(&self);
    KIT_UNTIL(loop, d.accepted == 200);
    for (int i = 0; i < 200; i++)
        close(clients[i]);
    close_door(&d);
    ln_loop_free(loop);
}

static void a_paused_listener_accepts_again_after_resume(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct door d;
    open_door(&d, loop, try_listen("127.0.0.1:0", false));
    kit_rest(loop);
    ln_sock_pause(&d.listener.sock);
    kit_rest(loop);
    const ln_address self = address_of(&d);
    const int client = connect_to(&self);
    kit_rest(loop);
    assert_int_equal(d.accepted, 0);
    ln_sock_resume(&d.listener.sock);
    KIT_UNTIL(loop, d.accepted == 1);
    close(client);
    close_door(&d);
    ln_loop_free(loop);
}

static void a_closed_port_can_be_bound_at_once(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct door d;
    char text[LN_ADDRESS_TEXT_MAX];
    open_door(&d, loop, try_listen("127.0.0.1:0", false));
    const ln_address self = address_of(&d);
    ln_address_write(&self, text);
    assert_int_equal(try_listen(text, false), LN_ERR_ADDRESS); /* in use */
    close_door(&d);
    open_door(&d, loop, try_listen(text, false));
    close_door(&d);
    ln_loop_free(loop);
}

static void shared_listeners_bind_the_same_port(void **state)
{
    (void)state;
    char text[LN_ADDRESS_TEXT_MAX];
    ln_address self;
    const int a = try_listen("127.0.0.1:0", true);
    assert_int_equal(ln_address_of_self(a, &self), 0);
    ln_address_write(&self, text);
    const int b = try_listen(text, true);
    assert_true(b >= 0);
    assert_int_equal(try_listen(text, false), LN_ERR_ADDRESS);
    close(a);
    close(b);
}

/* Each worker has a duplicate of one Unix socket: closing one must not disturb the others. */
static void a_duplicate_goes_on_when_the_other_is_closed(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct door a, b;
    const int fd = try_listen("unix:@ln-listener-dup", false);
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    open_door(&a, loop, fd);
    open_door(&b, loop, copy);
    const ln_address self = address_of(&a);
    kit_rest(loop);
    close_door(&a);
    memset(&a, 0xee, sizeof a);
    for (unsigned i = 1; i <= 5; i++) {
        const int client = connect_to(&self);
        KIT_UNTIL(loop, b.accepted == i);
        close(client);
    }
    close_door(&b);
    ln_loop_free(loop);
}

static void a_stale_unix_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    (void)state;
    const char *const path = "/tmp/ln-listener-stale.sock";
    const char *const text = "unix:/tmp/ln-listener-stale.sock";
    struct stat file;
    unlink(path);
    const int first = try_listen(text, false);
    assert_true(first >= 0);
    assert_int_equal(try_listen(text, false), LN_ERR_ADDRESS); /* somebody answers */
    close(first);
    assert_int_equal(stat(path, &file), 0);
    const int second = try_listen(text, false); /* the file is still there, nobody answers */
    assert_true(second >= 0);
    close(second);
    unlink(path);

    const int plain = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(plain);
    assert_int_equal(try_listen(text, false), LN_ERR_ADDRESS); /* no socket: not ours to remove */
    assert_int_equal(stat(path, &file), 0);
    unlink(path);
    assert_int_equal(try_listen("unix:/nonexistent/x.sock", false), LN_ERR_ADDRESS);
}

static void addresses_that_are_not_ours_are_errors(void **state)
{
    (void)state;
    assert_int_equal(try_listen("192.0.2.1:0", false), LN_ERR_ADDRESS);
    if (geteuid() != 0)
        assert_int_equal(try_listen("127.0.0.1:1", false), LN_ERR_ACCESS);
}

/* Connecting */

struct outcome {
    unsigned calls;
    int err, fd;
};

static void on_connected(void *arg, int err, int fd)
{
    struct outcome *const o = arg;
    o->calls++;
    o->err = err;
    o->fd = fd;
}

static int start_connect(ln_loop *loop, const ln_address *a, struct outcome *o, ln_connect **handle)
{
    return ln_connect_start(loop, a, NULL, on_connected, o, handle);
}

static void check_connect(void **state, const char *text)
{
    ln_loop *const loop = kit_loop(state);
    struct door d;
    struct outcome o = {.fd = -1};
    ln_connect *handle;
    open_door(&d, loop, try_listen(text, false));
    const ln_address self = address_of(&d);
    assert_int_equal(start_connect(loop, &self, &o, &handle), 0);
    assert_int_equal(o.calls, 0); /* never from inside */
    KIT_UNTIL(loop, o.calls == 1 && d.accepted == 1);
    assert_int_equal(o.err, 0);
    assert_int_equal(send(o.fd, "hello", 5, 0), 5);
    assert_true(fcntl(o.fd, F_GETFL) & O_NONBLOCK);
    kit_rest(loop);
    assert_int_equal(o.calls, 1);
    assert_int_equal(loop->sockets, 1); /* the listener */
    close(o.fd);
    close_door(&d);
    ln_loop_free(loop);
}

static void connecting_over_tcp_gives_a_connected_descriptor(void **state)
{
    check_connect(state, "127.0.0.1:0");
}

static void connecting_to_a_unix_socket_gives_one_too(void **state)
{
    check_connect(state, "unix:@ln-listener-connect");
}

static void a_refused_connect_is_told_later_and_once(void **state)
{
    ln_loop *const loop = kit_loop(state);
    static const char *const texts[] = {"127.0.0.1:1", "unix:@ln-nobody-there",
                                        "unix:/nonexistent/x"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        struct outcome o = {.fd = 77};
        ln_connect *handle;
        const ln_address a = parsed(texts[i]);
        assert_int_equal(start_connect(loop, &a, &o, &handle), 0);
        assert_int_equal(o.calls, 0);
        KIT_UNTIL(loop, o.calls == 1);
        assert_int_equal(o.err, LN_ERR_CONNECT);
        assert_int_equal(o.fd, -1);
    }
    kit_rest(loop);
    assert_int_equal(loop->sockets, 0);
    ln_loop_free(loop);
}

static void a_cancelled_connect_is_silent(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct door d;
    open_door(&d, loop, try_listen("127.0.0.1:0", false));
    const ln_address there = address_of(&d);
    const ln_address nobody = parsed("unix:@ln-nobody-there");
    const ln_address silent = parsed("192.0.2.1:9"); /* TEST-NET: no answer, or no route */
    const ln_address *const all[] = {&there, &nobody, &silent};
    for (size_t i = 0; i < LN_ARRAY_SIZE(all); i++) {
        struct outcome o = {.fd = -1};
        ln_connect *handle;
        assert_int_equal(start_connect(loop, all[i], &o, &handle), 0);
        ln_connect_cancel(handle);
        kit_rest(loop);
        assert_int_equal(o.calls, 0);
    }
    assert_int_equal(loop->sockets, 1);
    close_door(&d);
    ln_loop_free(loop);
}

static void only_known_families_connect(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct outcome o = {.fd = -1};
    ln_connect *handle;
    ln_address a = parsed("127.0.0.1:1");
    a.length = 1;
    assert_int_equal(start_connect(loop, &a, &o, &handle), LN_ERR_ADDRESS);
    a = parsed("127.0.0.1:1");
    ((struct sockaddr *)a.bytes)->sa_family = AF_UNSPEC;
    assert_int_equal(start_connect(loop, &a, &o, &handle), LN_ERR_ADDRESS);
    ln_loop_free(loop);
}

/* Out of descriptors. Each drill is a child process, as the limit cannot be raised again. */

enum { DRILL_LIMIT = 64, DRILL_CLIENTS = 200, DRILL_MS = 3000 };

static uint64_t cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* Serves until the parent closes the pipe. Before that it gives up one connection for each byte
 * read from it. */
static int serve_without_descriptors(enum ln_io io, int fd, int control, int report)
{
    static struct door d;
    ln_loop *loop;
    const struct rlimit limit = {DRILL_LIMIT, DRILL_LIMIT};
    if (ln_loop_new(&(ln_loop_options){.io = io}, &loop) != 0 ||
        setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    open_door(&d, loop, fd);
    const uint64_t cpu_begin_ms = cpu_ms(), begin_ms = kit_now_ms();
    uint64_t facts[3] = {0};
    unsigned given_up = 0;
    for (bool is_reported = false;;) {
        char byte;
        if (ln_loop_turn(loop, 20) != 0)
            return 2;
        if (!is_reported && kit_now_ms() - begin_ms >= DRILL_MS) {
            is_reported = true;
            facts[0] = cpu_ms() - cpu_begin_ms;
            facts[1] = d.listener.shed_count;
            facts[2] = d.accepted;
            if (write(report, facts, sizeof facts) != (ssize_t)sizeof facts)
                return 3;
        }
        const ssize_t n = read(control, &byte, 1);
        if (n == 0)
            _exit(0);
        if (n == 1)
            close(d.fds[given_up++]);
    }
}

static unsigned count_reset(const int *clients)
{
    unsigned n = 0;
    char byte;
    for (int i = 0; i < DRILL_CLIENTS; i++)
        n += recv(clients[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET;
    return n;
}

static void a_full_process_sheds_rests_and_recovers(void **state)
{
    const kit_state *const s = *state;
    ln_loop_free(kit_loop(state));
    int clients[DRILL_CLIENTS], control[2], report[2], status;
    uint64_t facts[3];
    const int fd = try_listen("127.0.0.1:0", false);
    ln_address self;
    assert_int_equal(ln_address_of_self(fd, &self), 0);
    assert_int_equal(pipe2(control, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(control[1]);
        _exit(serve_without_descriptors(s->io, fd, control[0], report[1]));
    }
    close(fd);
    for (int i = 0; i < DRILL_CLIENTS; i++)
        clients[i] = connect_to(&self);

    assert_int_equal(read(report[0], facts, sizeof facts), sizeof facts);
    print_message("# %d ms: cpu %d ms, shed %d, accepted %d\n", DRILL_MS, (int)facts[0],
                  (int)facts[1], (int)facts[2]);
    assert_true(facts[0] < DRILL_MS / 20); /* a sanitizer's build as well; measured 0.2 % */
    assert_in_range(facts[1], DRILL_MS / 100 / 3, DRILL_MS / 100 + 2); /* one every 100 ms */
    assert_in_range(facts[2], 40, DRILL_LIMIT - 5);
    assert_in_range(count_reset(clients), facts[1] - 1, facts[1] + 5); /* they know */

    /* A descriptor is freed: the client that is next gets in. The first connections are the child's
     * first, too. */
    const uint64_t begin_ms = kit_now_ms();
    char byte;
    assert_int_equal(write(control[1], "x", 1), 1);
    assert_int_equal(recv(clients[0], &byte, 1, 0), 0);
    close(clients[0]);
    const uint64_t freed_ms = kit_now_ms();
    assert_true(freed_ms - begin_ms < 1000);
    close(control[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 1; i < DRILL_CLIENTS; i++)
        close(clients[i]);
    close(control[0]);
    close(report[0]);
    close(report[1]);
}

/* In one process: how long until somebody gets in after a descriptor was freed. */
static int time_recovery(enum ln_io io)
{
    static struct door d;
    ln_loop *loop;
    int clients[DRILL_LIMIT], count = 0, taken[DRILL_LIMIT], taken_count = 0;
    const struct rlimit limit = {DRILL_LIMIT, DRILL_LIMIT};
    if (ln_loop_new(&(ln_loop_options){.io = io}, &loop) != 0 ||
        setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    open_door(&d, loop, try_listen("127.0.0.1:0", false));
    const ln_address self = address_of(&d);
    /* Nobody is let in until there are clients, and every other descriptor is taken. */
    ln_sock_pause(&d.listener.sock);
    kit_rest(loop);
    while (count < 20)
        clients[count++] = connect_to(&self);
    for (int fd; (fd = dup(clients[0])) >= 0;)
        taken[taken_count++] = fd;
    ln_sock_resume(&d.listener.sock);
    const unsigned accepted = d.accepted;
    const uint64_t begin_ms = kit_now_ms();
    uint64_t shed_ms = 0;
    while (shed_ms < 250 || (d.listener.shed_count < 2 && shed_ms < 5000)) { /* a busy machine */
        if (ln_loop_turn(loop, 20) != 0)
            return 2;
        shed_ms = kit_now_ms() - begin_ms;
    }
    if (d.accepted != accepted || d.listener.shed_count < 2 ||
        d.listener.shed_count > shed_ms / 100 + 2)
        return 3;
    const uint64_t freed_ms = kit_now_ms();
    close(taken[--taken_count]);
    while (d.accepted == accepted) { /* after a rest of 100 ms at most */
        if (ln_loop_turn(loop, 20) != 0 || kit_now_ms() - freed_ms > 500)
            return 4;
    }
    return 0;
}

static void somebody_gets_in_soon_after_a_descriptor_is_freed(void **state)
{
    const kit_state *const s = *state;
    ln_loop_free(kit_loop(state));
    int status;
    const pid_t child = fork();
    if (child == 0)
        _exit(time_recovery(s->io));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int open_without_descriptors(enum ln_io io)
{
    const ln_address a = parsed("127.0.0.1:0");
    const struct rlimit none = {0, 0};
    struct outcome o = {.fd = -1};
    struct door d = {.closes_at_once = true};
    ln_connect *handle;
    ln_loop *loop, *second;
    int fd, other;
    if (ln_loop_new(&(ln_loop_options){.io = io}, &loop) != 0 || ln_listen(&a, false, &fd) != 0)
        return 1;
    if (setrlimit(RLIMIT_NOFILE, &none) != 0)
        return 2;
    if (ln_listen(&a, false, &other) != LN_ERR_DESCRIPTORS)
        return 3;
    if (start_connect(loop, &a, &o, &handle) != LN_ERR_DESCRIPTORS)
        return 4;
    if (ln_listener_open(&d.listener, loop, fd, on_accept) != LN_ERR_DESCRIPTORS ||
        fcntl(fd, F_GETFD) >= 0)
        return 5;
    if (ln_loop_new(&(ln_loop_options){.io = LN_IO_EPOLL}, &second) != LN_ERR_DESCRIPTORS)
        return 6;
    ln_loop_free(loop);
    return 0;
}

static void without_descriptors_opening_is_an_error(void **state)
{
    const kit_state *const s = *state;
    ln_loop_free(kit_loop(state));
    int status;
    const pid_t child = fork();
    if (child == 0)
        _exit(open_without_descriptors(s->io));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Out of memory */

static int one_life(const ln_allocator *alloc, void *user)
{
    const kit_state *const s = user;
    const ln_loop_options options = {.io = s->io, .allocator = alloc};
    struct outcome o = {.fd = -1};
    struct door d;
    ln_connect *handle;
    ln_loop *loop;
    int rc = ln_loop_new(&options, &loop);
    if (rc < 0)
        return rc;
    open_door(&d, loop, try_listen("127.0.0.1:0", false));
    const ln_address self = address_of(&d);
    rc = start_connect(loop, &self, &o, &handle);
    if (rc == 0) {
        KIT_UNTIL(loop, o.calls == 1 && d.accepted == 1);
        close(o.fd);
    }
    close_door(&d);
    ln_loop_free(loop);
    return rc;
}

static void a_failing_allocation_leaves_nothing_behind(void **state)
{
    ln_loop_free(kit_loop(state));
    assert_true(failing_alloc_sweep(one_life, *state) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_ONE("both", addresses_are_read_and_written, NULL),
        KIT_ONE("both", malformed_addresses_are_refused, NULL),
        KIT_ONE("both", a_unix_path_has_its_length, NULL),
        KIT_BOTH(it_listens_on_ipv4),
        KIT_BOTH(it_listens_on_ipv6),
        KIT_BOTH(it_listens_on_unix_paths),
        KIT_BOTH(it_listens_on_abstract_names),
        KIT_BOTH(every_address_means_both_families),
        KIT_BOTH(many_connections_are_accepted),
        KIT_BOTH(a_paused_listener_accepts_again_after_resume),
        KIT_BOTH(a_closed_port_can_be_bound_at_once),
        KIT_ONE("both", shared_listeners_bind_the_same_port, NULL),
        KIT_BOTH(a_duplicate_goes_on_when_the_other_is_closed),
        KIT_ONE("both", a_stale_unix_socket_is_replaced_and_a_live_one_is_not, NULL),
        KIT_ONE("both", addresses_that_are_not_ours_are_errors, NULL),
        KIT_BOTH(connecting_over_tcp_gives_a_connected_descriptor),
        KIT_BOTH(connecting_to_a_unix_socket_gives_one_too),
        KIT_BOTH(a_refused_connect_is_told_later_and_once),
        KIT_BOTH(a_cancelled_connect_is_silent),
        KIT_BOTH(only_known_families_connect),
        KIT_BOTH(a_full_process_sheds_rests_and_recovers),
        KIT_BOTH(somebody_gets_in_soon_after_a_descriptor_is_freed),
        KIT_BOTH(without_descriptors_opening_is_an_error),
        KIT_BOTH(a_failing_allocation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
