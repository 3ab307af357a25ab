/* SPDX-License-Identifier: MIT */
/* What the limits of src/limits.def do to a client: its waits, its attempts, and what a server may
 * answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linnet/linnet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_kit.h"

enum { FAILURES_MAX = 64, TURNS_MAX = 5000, HEAD_MAX = 1 << 20 };

typedef struct attempts {
    int64_t waits[FAILURES_MAX];
    int count;
    int err;
    bool is_over;
} attempts;

static void on_failure(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user)
{
    attempts *a = user;
    (void)client;
    (void)status;
    assert_true(what[0] != '\0');
    assert_true(a->count < FAILURES_MAX);
    a->waits[a->count++] = retry_ms;
    a->err = err;
    a->is_over = retry_ms < 0;
}

static ln_loop *make_loop(void)
{
    ln_loop *loop = NULL;
    assert_int_equal(ln_loop_new(&(ln_loop_options){.log = kit_quiet}, &loop), 0);
    return loop;
}

/* Runs a client until it gives up. */
static void exhaust(const char *url, ln_client_options options, attempts *a)
{
    ln_loop *loop = make_loop();
    ln_client *client = NULL;
    *a = (attempts){0};
    options.on_failure = on_failure;
    options.user = a;
    assert_int_equal(ln_client_new(loop, url, NULL, &options, &client), 0);
    for (int i = 0; i < TURNS_MAX && !a->is_over; i++)
        assert_int_equal(ln_loop_turn(loop, 100), 0);
    assert_true(a->is_over);
    ln_client_free(client);
    (void)ln_loop_turn(loop, 0);
    ln_loop_free(loop);
}

/* A listening socket and its URL; closed, nobody answers there. */
static int listen_somewhere(char url[64])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    snprintf(url, 64, "ws://127.0.0.1:%d/", ntohs(at.sin_port));
    return fd;
}

static void waits_grow_from_the_base_to_the_longest(void **state)
{
    (void)state;
    char url[64];
    attempts a;
    int64_t longest = 0;
    close(listen_somewhere(url));
    exhaust(url,
            (ln_client_options){.reconnect = true,
                                .reconnect_base_ms = 4,
                                .reconnect_max_ms = 20,
                                .reconnect_attempts = 50},
            &a);
    for (int i = 0; i < a.count - 1; i++) {
        const int64_t step = i < 3 ? 4 << i : 20;
        assert_in_range(a.waits[i], 0, step);
        if (a.waits[i] > longest)
            longest = a.waits[i];
    }
    /* of 47 waits between 0 and 20, all below 9 by chance: once in 10^16 */
    assert_true(longest > 8);
}

static void attempts_are_counted(void **state)
{
    (void)state;
    char url[64];
    attempts a;
    close(listen_somewhere(url));
    exhaust(url,
            (ln_client_options){.reconnect = true,
                                .reconnect_base_ms = 1,
                                .reconnect_max_ms = 1,
                                .reconnect_attempts = 3},
            &a);
    assert_int_equal(a.count, 4); /* the first one and three more */
    assert_int_equal(a.err, LN_ERR_CONNECT);
    exhaust(url, (ln_client_options){.reconnect = false}, &a);
    assert_int_equal(a.count, 1);
}

static void waits_outside_of_their_range_are_refused(void **state)
{
    (void)state;
    ln_loop *loop = make_loop();
    ln_client *client = NULL;
    assert_int_equal(ln_client_new(loop, "ws://h/", NULL,
                                   &(ln_client_options){.reconnect_base_ms = 3600001}, &client),
                     LN_ERR_INVALID);
    assert_int_equal(ln_client_new(loop, "ws://h/", NULL,
                                   &(ln_client_options){.reconnect_max_ms = 86400001}, &client),
                     LN_ERR_INVALID);
    assert_null(client);
    ln_loop_free(loop);
}

/* The largest header value with which a client can be made. */
static size_t largest_header(ln_loop *loop)
{
    char *value = malloc(HEAD_MAX);
    size_t fits = 0, beyond = HEAD_MAX - 1;
    while (beyond - fits > 1) {
        const size_t size = fits + (beyond - fits) / 2;
        memset(value, 'x', size);
        value[size] = '\0';
        ln_client *client = NULL;
        const ln_client_header header = {"X-Long", value};
        const int rc =
            ln_client_new(loop, "ws://127.0.0.1:1/", NULL,
                          &(ln_client_options){.headers = &header, .header_count = 1}, &client);
        if (rc == 0)
            fits = size;
        else
            beyond = size;
        ln_client_free(client);
    }
    free(value);
    return fits;
}

static void a_request_of_ours_is_bounded(void **state)
{
    (void)state;
    ln_loop *loop = make_loop();
    /* The rest of the request is about 200 bytes. */
    assert_in_range(largest_header(loop), 65536 - 400, 65536 - 100);
    ln_loop_free(loop);
}

/* A server whose head is `size` bytes long. */
typedef struct talker {
    int fd;
    size_t size;
} talker;

static void *talk(void *arg)
{
    const talker *t = arg;
    const int fd = accept(t->fd, NULL, NULL);
    char *head = malloc(t->size + 1);
    const int n = snprintf(head, t->size + 1, "HTTP/1.1 403 No\r\nContent-Length: 0\r\nX: ");
    memset(head + n, 'x', t->size - (size_t)n);
    memcpy(head + t->size - 4, "\r\n\r\n", 4);
    (void)send(fd, head, t->size, MSG_NOSIGNAL);
    free(head);
    close(fd);
    return NULL;
}

static int answer_of(size_t size)
{
    char url[64];
    attempts a;
    pthread_t thread;
    talker t = {.fd = listen_somewhere(url), .size = size};
    assert_int_equal(pthread_create(&thread, NULL, talk, &t), 0);
    exhaust(url, (ln_client_options){.reconnect = false}, &a);
    pthread_join(thread, NULL);
    close(t.fd);
    return a.err;
}

static void an_answer_to_the_handshake_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(answer_of(16384), LN_ERR_REFUSED);
    assert_int_equal(answer_of(16385), LN_ERR_HANDSHAKE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_from_the_base_to_the_longest),
        cmocka_unit_test(attempts_are_counted),
        cmocka_unit_test(waits_outside_of_their_range_are_refused),
        cmocka_unit_test(a_request_of_ours_is_bounded),
        cmocka_unit_test(an_answer_to_the_handshake_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
