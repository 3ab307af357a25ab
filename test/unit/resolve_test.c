/* SPDX-License-Identifier: MIT */
/*
 * The system's look-up is replaced by the one below: names say how they are answered.
 *
 *     slow.test   waits for the gate      many.test   twenty addresses      none.test   no such
 *                                                                                       name
 *     unix.test   nothing we can use      other names ending in .test: 192.0.2.1
 */
/* back end: any */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/loop.h"
#include "net/resolve.h"

static sem_t gate;
static _Atomic unsigned asked, working, working_most;
static _Atomic bool is_deaf; /* the last asking thread had every signal blocked */

static struct addrinfo *make_info(int family, uint32_t host, uint16_t port)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *const both = calloc(1, sizeof *both);
    both->address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(host)}};
    both->info = (struct addrinfo){.ai_family = family,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_addr = (struct sockaddr *)&both->address,
                                   .ai_addrlen = sizeof both->address};
    return &both->info;
}

/* Literals, as the real one does with AI_NUMERICHOST. */
static struct addrinfo *parse_literal(const char *host, uint16_t port)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return make_info(AF_INET, ntohl(v4.s_addr), port);
    if (inet_pton(AF_INET6, host, &v6) != 1)
        return NULL;
    struct {
        struct addrinfo info;
        struct sockaddr_in6 address;
    } *const both = calloc(1, sizeof *both);
    both->address =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = v6};
    both->info = (struct addrinfo){.ai_family = AF_INET6,
                                   .ai_addr = (struct sockaddr *)&both->address,
                                   .ai_addrlen = sizeof both->address};
    return &both->info;
}

static struct addrinfo *answer_name(const char *host, uint16_t port)
{
    if (strcmp(host, "none.test") == 0)
        return NULL;
    if (strcmp(host, "unix.test") == 0)
        return make_info(AF_UNIX, 0, port);
    struct addrinfo *list = NULL;
    const uint32_t n = strcmp(host, "many.test") == 0 ? 20 : 1;
    for (uint32_t i = n; i > 0; i--) {
        struct addrinfo *const info = make_info(AF_INET, 0xC0000200 + i, port);
        info->ai_next = list;
        list = info;
    }
    return list;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
    const uint16_t port = (uint16_t)atoi(service);
    if (hints->ai_flags & AI_NUMERICHOST) {
        *list = parse_literal(host, port);
        return *list ? 0 : EAI_NONAME;
    }
    asked++;
    const unsigned now = ++working;
    for (unsigned most = working_most;
         now > most && !atomic_compare_exchange_weak(&working_most, &most, now);)
        continue;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    is_deaf = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP);
    if (strcmp(host, "slow.test") == 0)
        sem_wait(&gate);
    *list = answer_name(host, port);
    working--;
    return *list ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    for (struct addrinfo *next; list; list = next) {
        next = list->ai_next;
        free(list);
    }
}

/* What `done` was told. */
typedef struct outcome {
    unsigned calls;
    int err;
    unsigned count;
    char text[LN_RESOLVE_ADDRESSES_MAX][LN_ADDRESS_TEXT_MAX];
    ln_resolve **to_cancel;
} outcome;

static void remember(void *arg, int err, const ln_address *addresses, unsigned count)
{
    outcome *const o = arg;
    assert_true(err == 0 ? count > 0 : count == 0);
    o->calls++;
    o->err = err;
    o->count = count;
    for (unsigned i = 0; i < count; i++)
        ln_address_write(&addresses[i], o->text[i]);
    if (o->to_cancel)
        ln_resolve_cancel(*o->to_cancel);
}

static ln_loop *new_loop(void)
{
    ln_loop *loop = NULL;
    assert_int_equal(ln_loop_new(NULL, &loop), 0);
    return loop;
}

static void turn_until(ln_loop *loop, const unsigned *calls, unsigned n)
{
    for (int i = 0; i < 5000 && *calls < n; i++)
        assert_int_equal(ln_loop_turn(loop, 1), 0);
    assert_int_equal(*calls, n);
}

static outcome look_up(const char *host, uint16_t port)
{
    ln_loop *loop = new_loop();
    outcome o = {0};
    ln_resolve *handle;
    assert_int_equal(ln_resolve_start(loop, host, port, remember, &o, &handle), 0);
    assert_int_equal(o.calls, 0); /* never from inside */
    turn_until(loop, &o.calls, 1);
    ln_loop_free(loop);
    assert_int_equal(o.calls, 1);
    return o;
}

static void wait_for(const _Atomic unsigned *counter, unsigned n)
{
    for (int i = 0; i < 5000 && *counter != n; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(*counter, n);
}

static void names_are_asked_on_a_thread_that_hears_no_signals(void **state)
{
    (void)state;
    const unsigned before = asked;
    const outcome o = look_up("www.test", 8080);
    assert_int_equal(o.err, 0);
    assert_int_equal(o.count, 1);
    assert_string_equal(o.text[0], "192.0.2.1:8080");
    assert_int_equal(asked, before + 1);
    assert_true(is_deaf);
}

static void literals_need_no_thread(void **state)
{
    (void)state;
    const unsigned before = asked;
    assert_string_equal(look_up("198.51.100.7", 80).text[0], "198.51.100.7:80");
    assert_string_equal(look_up("2001:db8::7", 443).text[0], "[2001:db8::7]:443");
    assert_string_equal(look_up("::1", 0).text[0], "[::1]:0");
    assert_int_equal(asked, before);
}

static void localhost_never_leaves_the_machine(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost", "LOCALHOST", "localhost.", "a.b.localhost",
                                        "x.LocalHost."};
    const unsigned before = asked;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const outcome o = look_up(names[i], 81);
        assert_int_equal(o.count, 2);
        assert_string_equal(o.text[0], "127.0.0.1:81");
        assert_string_equal(o.text[1], "[::1]:81");
    }
    assert_int_equal(asked, before);
    assert_string_equal(look_up("notlocalhost", 81).text[0], "192.0.2.1:81");
    assert_string_equal(look_up("localhost.test", 81).text[0], "192.0.2.1:81");
    assert_string_equal(look_up(".localhost", 81).text[0], "192.0.2.1:81");
    assert_int_equal(asked, before + 3);
}

static void at_most_eight_addresses_in_the_systems_order(void **state)
{
    (void)state;
    const outcome o = look_up("many.test", 1);
    assert_int_equal(o.count, LN_RESOLVE_ADDRESSES_MAX);
    assert_string_equal(o.text[0], "192.0.2.1:1");
    assert_string_equal(o.text[7], "192.0.2.8:1");
}

static void a_name_without_an_address_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(look_up("none.test", 1).err, LN_ERR_RESOLVE);
    assert_int_equal(look_up("unix.test", 1).err, LN_ERR_RESOLVE);
}

static void names_no_host_can_have_are_refused(void **state)
{
    (void)state;
    ln_loop *loop = new_loop();
    char name[LN_RESOLVE_HOST_MAX + 2];
    ln_resolve *handle = NULL;
    outcome o = {0};
    memset(name, 'a', sizeof name);
    name[LN_RESOLVE_HOST_MAX + 1] = '\0';
    assert_int_equal(ln_resolve_start(loop, name, 1, remember, &o, &handle), LN_ERR_INVALID);
    assert_int_equal(ln_resolve_start(loop, "", 1, remember, &o, &handle), LN_ERR_INVALID);
    assert_null(handle);
    name[LN_RESOLVE_HOST_MAX] = '\0';
    assert_int_equal(ln_resolve_start(loop, name, 1, remember, &o, &handle), 0);
    turn_until(loop, &o.calls, 1);
    ln_loop_free(loop);
}

static void a_cancelled_look_up_is_never_answered(void **state)
{
    (void)state;
    ln_loop *loop = new_loop();
    outcome o = {0};
    ln_resolve *handle;
    ln_resolve_cancel(NULL);

    /* while the thread works; the loop goes before it has ended */
    assert_int_equal(ln_resolve_start(loop, "slow.test", 1, remember, &o, &handle), 0);
    wait_for(&working, 1);
    ln_resolve_cancel(handle);
    ln_loop_free(loop);
    sem_post(&gate);
    wait_for(&working, 0);

    /* when the answer is on its way */
    loop = new_loop();
    assert_int_equal(ln_resolve_start(loop, "127.0.0.1", 1, remember, &o, &handle), 0);
    ln_resolve_cancel(handle);
    for (int i = 0; i < 5; i++)
        ln_loop_turn(loop, 1);

    /* at once */
    assert_int_equal(ln_resolve_start(loop, "www.test", 1, remember, &o, &handle), 0);
    ln_resolve_cancel(handle);
    for (int i = 0; i < 20; i++)
        ln_loop_turn(loop, 1);

    /* when the loop goes with the answer in its mailbox */
    assert_int_equal(ln_resolve_start(loop, "127.0.0.1", 1, remember, &o, &handle), 0);
    ln_resolve_cancel(handle);
    ln_loop_free(loop);
    assert_int_equal(o.calls, 0);
}

static void cancelling_from_inside_is_harmless(void **state)
{
    (void)state;
    ln_loop *loop = new_loop();
    ln_resolve *handle;
    outcome o = {.to_cancel = &handle};
    assert_int_equal(ln_resolve_start(loop, "www.test", 1, remember, &o, &handle), 0);
    turn_until(loop, &o.calls, 1);
    ln_loop_free(loop);
    assert_int_equal(o.calls, 1);
}

/* Every order of answer, cancel and the loop's end that chance brings; the sanitizers judge. */
static void cancelling_at_any_moment_is_safe(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int i = 0; i < 300; i++) {
        ln_loop *loop = new_loop();
        outcome o[4] = {{0}};
        ln_resolve *handles[4];
        for (int k = 0; k < 4; k++)
            assert_int_equal(ln_resolve_start(loop, k == 3 ? "::1" : "www.test", 1, remember, &o[k],
                                              &handles[k]),
                             0);
        const unsigned turns = (unsigned)rand_r(&seed) % 4;
        for (unsigned t = 0; t < turns; t++)
            ln_loop_turn(loop, 0);
        for (int k = 0; k < 4; k++) {
            const unsigned calls = o[k].calls;
            if (calls == 0)
                ln_resolve_cancel(handles[k]);
            if (rand_r(&seed) % 2)
                ln_loop_turn(loop, 0);
            for (int j = 0; j <= k; j++)
                assert_true(o[j].calls <= 1);
            assert_int_equal(o[k].calls, calls);
        }
        ln_loop_free(loop);
    }
}

static void threads_and_queue_are_bounded(void **state)
{
    (void)state;
    enum { ALL = LN_RESOLVE_THREADS_MAX + LN_RESOLVE_WAITING_MAX };
    ln_loop *loop = new_loop();
    outcome o = {0};
    static ln_resolve *handles[ALL];
    ln_resolve *one_more;
    wait_for(&working, 0);
    working_most = 0;
    for (int i = 0; i < LN_RESOLVE_THREADS_MAX; i++)
        assert_int_equal(ln_resolve_start(loop, "slow.test", 1, remember, &o, &handles[i]), 0);
    wait_for(&working, LN_RESOLVE_THREADS_MAX);
    for (int i = LN_RESOLVE_THREADS_MAX; i < ALL; i++)
        assert_int_equal(ln_resolve_start(loop, "www.test", 1, remember, &o, &handles[i]), 0);
    assert_int_equal(ln_resolve_start(loop, "www.test", 1, remember, &o, &one_more), LN_ERR_LIMIT);
    assert_int_equal(ln_resolve_start(loop, "::1", 1, remember, &o, &one_more),
                     0); /* needs no thread */
    turn_until(loop, &o.calls, 1);
    for (int i = 0; i < 100; i++)
        ln_resolve_cancel(handles[LN_RESOLVE_THREADS_MAX + i]);
    for (int i = 0; i < LN_RESOLVE_THREADS_MAX; i++)
        sem_post(&gate);
    turn_until(loop, &o.calls, 1 + ALL - 100);
    assert_int_equal(working_most, LN_RESOLVE_THREADS_MAX);
    ln_loop_free(loop);
}

static int open_gate(void **state)
{
    (void)state;
    return sem_init(&gate, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_asked_on_a_thread_that_hears_no_signals),
        cmocka_unit_test(literals_need_no_thread),
        cmocka_unit_test(localhost_never_leaves_the_machine),
        cmocka_unit_test(at_most_eight_addresses_in_the_systems_order),
        cmocka_unit_test(a_name_without_an_address_is_an_error),
        cmocka_unit_test(names_no_host_can_have_are_refused),
        cmocka_unit_test(a_cancelled_look_up_is_never_answered),
        cmocka_unit_test(cancelling_from_inside_is_harmless),
        cmocka_unit_test(cancelling_at_any_moment_is_safe),
        cmocka_unit_test(threads_and_queue_are_bounded),
    };
    return cmocka_run_group_tests(tests, open_gate, NULL);
}
