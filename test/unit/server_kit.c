/* SPDX-License-Identifier: MIT */
#include "server_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <time.h>

void kit_quiet(void *user, enum ln_log_level level, ln_span line)
{
    (void)user;
    (void)level;
    (void)line;
}

int kit_serve(ln_server *server)
{
    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    const int port = ln_server_port(server, 0);
    assert_int_equal(ln_server_start(server), 0);
    return port;
}

int kit_halt(ln_server *server)
{
    ln_server_stop(server);
    ln_server_stop(server);
    return ln_server_join(server);
}

void kit_end(ln_server *server)
{
    (void)kit_halt(server);
    ln_server_free(server);
}

void kit_assert_read(const ln_server *server, uint64_t messages)
{
    ln_server_stats stats = {.messages_in_total = 0};

    for (int i = 0; i < 5000 && stats.messages_in_total < messages; i++) {
        kit_rest_ms(1);
        ln_server_stats_get(server, &stats);
    }
    kit_rest_ms(50);
    ln_server_stats_get(server, &stats);
    assert_int_equal(stats.messages_in_total, messages);
}

void kit_wait_for(const atomic_int *value, int at_least)
{
    for (int i = 0; i < 5000 && atomic_load(value) < at_least; i++)
        kit_rest_ms(1);
    assert_true(atomic_load(value) >= at_least);
}

void kit_rest_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

int64_t kit_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
