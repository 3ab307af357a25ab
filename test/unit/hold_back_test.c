/* SPDX-License-Identifier: MIT */
/*
 * A peer that sends much and is held back by ln_conn_pause(), again and again: what is kept of it is
 * bounded, and costs no more than its length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/server.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "raw_client.h"

enum {
    MESSAGE = 1000,     /* bytes: a head of 4 and a mask of 4 with it when it comes */
    COUNT = 24000,      /* more than two sockets hold */
    KEPT_MAX = 6 << 20, /* of 24 MB that are sent; some 2 MiB are usual */
    HELD_MS = 100
};

/* What the server has of the heap, in all and at most. */
typedef struct heap {
    atomic_size_t bytes;
    atomic_size_t most;
} heap;

static void grow(heap *h, size_t n)
{
    const size_t now = atomic_fetch_add(&h->bytes, n) + n;
    size_t most = atomic_load(&h->most);
    while (now > most && !atomic_compare_exchange_weak(&h->most, &most, now))
        continue;
}

/* Each block has its size in front. */
static void *resize(void *user, void *old, size_t size)
{
    heap *const h = user;
    max_align_t *const before = old == NULL ? NULL : (max_align_t *)old - 1;

    if (before != NULL) {
        size_t had;
        memcpy(&had, before, sizeof had);
        atomic_fetch_sub(&h->bytes, had);
    }
    if (size == 0) {
        free(before);
        return NULL;
    }
    max_align_t *const block = realloc(before, sizeof *block + size);
    assert_non_null(block);
    memcpy(block, &size, sizeof size);
    grow(h, size);
    return block + 1;
}

/* An echo that does not read who does not read. */
static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    if (ln_conn_send(c, m->kind, m->data) == 1)
        ln_conn_pause(c);
}

static void on_drain(ln_conn *c, void *user)
{
    (void)user;
    ln_conn_resume(c);
}

static void *send_all(void *arg)
{
    static uint8_t frame[8 + MESSAGE] = {0x82, 0x80 | 126, MESSAGE >> 8, MESSAGE & 0xff};
    const int fd = *(const int *)arg;

    for (int i = 0; i < COUNT; i++)
        for (size_t at = 0; at < sizeof frame;) {
            const ssize_t n = send(fd, frame + at, sizeof frame - at, MSG_NOSIGNAL);
            if (n <= 0)
                return NULL;
            at += (size_t)n;
        }
    return NULL;
}

/* Bytes that come, until there are `n`. */
static size_t receive(int fd, size_t n)
{
    static uint8_t bytes[1 << 16];
    size_t got = 0;

    while (got < n) {
        const ssize_t k = recv(fd, bytes, sizeof bytes, 0);
        if (k <= 0)
            break;
        got += (size_t)k;
    }
    return got;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void what_is_held_back_is_bounded_and_costs_its_length(void **state)
{
    static heap h;
    static const size_t answer = 4 + MESSAGE;
    const struct timespec held = {.tv_nsec = HELD_MS * 1000000L};
    const ln_allocator counting = {.resize = resize, .user = &h};
    const ln_ws_handlers handlers = {.on_message = on_message, .on_drain = on_drain};
    const ln_ws_options ws = {.queue_max_bytes = 1 << 20};
    pthread_t sender;
    (void)state;

    ln_server *const server = ln_server_new(
        &(ln_server_options){.allocator = &counting, .drain_ms = 100, .log_level = LN_LOG_ERROR});
    assert_non_null(server);
    assert_int_equal(ln_server_ws(server, "/x", &handlers, &ws), 0);
    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(ln_server_start(server), 0);
    int fd = raw_enter(ln_server_port(server, 0), "/x", "");
    const double began = cpu_seconds();
    assert_int_equal(pthread_create(&sender, NULL, send_all, &fd), 0);
    nanosleep(&held, NULL);
    assert_int_equal(receive(fd, COUNT * answer), COUNT * answer);
    pthread_join(sender, NULL);
    const double cost = cpu_seconds() - began;
    raw_close(fd);
    ln_server_stop(server);
    assert_int_equal(ln_server_join(server), 0);
    ln_server_free(server);
    /* 0.1 s; where all of it is moved for each message, 40 s */
    assert_true(cost < 8);
    assert_in_range(atomic_load(&h.most), 1, KEPT_MAX);
    assert_int_equal(atomic_load(&h.bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_back_is_bounded_and_costs_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
