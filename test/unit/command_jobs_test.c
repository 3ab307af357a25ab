/* SPDX-License-Identifier: MIT */
/* Methods that may block (ln_command_method_blocking), as the peers of a command endpoint see them,
 * with one worker and with three; commands that may block are in command_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/command.h>
#include <linnet/linnet.h>
#include <stdatomic.h>
#include <time.h>

#include "dialect/commandinner.h"
#include "raw_client.h"
#include "server_kit.h"

enum { ECHO = 1, SLOW = 80 };

typedef struct world {
    ln_server *server;
    ln_command *game;
    int port;
    atomic_int begun, ended, is_free; /* of what blocks */
    atomic_int closed;                /* answers that found nobody */
    atomic_int disconnects;
    _Atomic uint64_t kept_serial;
    ln_rpc_ticket kept;
} world;

/* ---- handlers ---- */

static void block(world *w)
{
    atomic_fetch_add(&w->begun, 1);
    for (int i = 0; i < 60000 && atomic_load(&w->is_free) == 0; i++)
        kit_rest_ms(1);
    atomic_fetch_add(&w->ended, 1);
}

/* Its params, when it is let. */
static int on_wait(const ln_rpc_call *call, void *user)
{
    world *const w = user;

    assert_null(call->conn);
    block(w);
    if (ln_rpc_result(&call->ticket, call->params) == LN_ERR_CLOSED)
        atomic_fetch_add(&w->closed, 1);
    return 0;
}

/* Fails with the number that is its parameter, or returns it. */
static int on_return(const ln_rpc_call *call, void *user)
{
    ln_span v;
    double d = 0;
    (void)user;
    assert_int_equal(ln_json_find(call->params, NULL, 0, &v), 0);
    assert_int_equal(ln_json_number(v, &d), 0);
    return (int)d;
}

/* An answer, then what would be another. */
static int on_answer(const ln_rpc_call *call, void *user)
{
    (void)user;
    assert_int_equal(ln_rpc_error(&call->ticket, 7, call->method, LN_SPAN("[]")), 0);
    return LN_ERR_INVALID;
}

static int on_keep(const ln_rpc_call *call, void *user)
{
    world *const w = user;
    w->kept = call->ticket;
    atomic_store(&w->kept_serial, call->ticket.serial);
    return LN_ERR_AGAIN;
}

static void on_slow(ln_command *game, ln_conn_id conn, uint32_t id, ln_span payload, void *user)
{
    block(user);
    (void)ln_command_send(game, conn, id, payload);
}

static void on_echo(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    (void)ln_command_send(w->game, ln_conn_get_id(c), id, payload);
}

/* Not to be read, whatever else becomes of it. */
static int on_halt(const ln_rpc_call *call, void *user)
{
    (void)user;
    ln_conn_pause(call->conn);
    return 0;
}

static void on_disconnect(ln_conn *c, bool is_voluntary, const ln_close_info *info, void *user)
{
    world *const w = user;
    (void)c;
    (void)is_voluntary;
    (void)info;
    atomic_fetch_add(&w->disconnects, 1);
}

/* ---- worlds ---- */

static int set_up(void **state, unsigned workers)
{
    world *const w = calloc(1, sizeof *w);
    const ln_server_options options = {.workers = workers, .log = kit_quiet};
    const ln_command_options game = {.on_disconnect = on_disconnect, .user = w};
    const ln_command_range slow = {.first = SLOW, .last = SLOW, .blocking = on_slow, .user = w};

    w->server = ln_server_new(&options);
    assert_int_equal(ln_command_mount(w->server, "/ws", &game, &w->game), 0);
    assert_int_equal(ln_command_on(w->game, ECHO, on_echo, w), 0);
    assert_int_equal(ln_command_on_range(w->game, &slow), 0);
    assert_int_equal(ln_command_method_blocking(w->game, "wait", on_wait, w), 0);
    assert_int_equal(ln_command_method_blocking(w->game, "return", on_return, w), 0);
    assert_int_equal(ln_command_method_blocking(w->game, "answer", on_answer, w), 0);
    assert_int_equal(ln_command_method_blocking(w->game, "keep", on_keep, w), 0);
    w->port = kit_serve(w->server);
    *state = w;
    return 0;
}

static int set_up_one(void **state)
{
    return set_up(state, 1);
}

static int set_up_three(void **state)
{
    return set_up(state, 3);
}

static int tear_down(void **state)
{
    world *const w = *state;
    atomic_store(&w->is_free, 1);
    kit_end(w->server);
    free(w);
    return 0;
}

/* ---- peers ---- */

static int enter(const world *w)
{
    return raw_enter(w->port, "/ws", "");
}

static void say(int fd, uint32_t id, const void *payload, size_t n)
{
    uint8_t *const bytes = malloc(n + 4);
    ln_store_be32(bytes, id);
    if (n > 0)
        memcpy(bytes + 4, payload, n);
    raw_send_frame(fd, 0x82, bytes, n + 4);
    free(bytes);
}

static void hear(int fd, uint32_t id, const char *text)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x82);
    assert_int_equal(ln_load_be32(f.payload), id);
    assert_string_equal((const char *)f.payload + 4, text);
}

static void call(int fd, const char *text)
{
    say(fd, LN_COMMAND_RPC, text, strlen(text));
}

static void answer(int fd, const char *text)
{
    hear(fd, LN_COMMAND_RPC, text);
}

static void expect_echo(int fd)
{
    say(fd, ECHO, "x", 1);
    hear(fd, ECHO, "x");
}

/* ---- tests ---- */

static void a_method_that_blocks_holds_up_nobody_else(void **state)
{
    world *const w = *state;
    const int a = enter(w), b = enter(w);

    call(a, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":1}");
    say(a, SLOW, "between", 7);
    call(a, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[2],\"id\":\"two\"}");
    kit_wait_for(&w->begun, 1);
    expect_echo(a);
    call(b, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":{\"b\":1},\"id\":1}");
    kit_wait_for(&w->begun, 2);
    expect_echo(b);
    kit_rest_ms(20);
    assert_int_equal(atomic_load(&w->begun), 2); /* one at a time of each client */
    atomic_store(&w->is_free, 1);
    answer(a, "{\"jsonrpc\":\"2.0\",\"result\":[1],\"id\":1}");
    hear(a, SLOW, "between");
    answer(a, "{\"jsonrpc\":\"2.0\",\"result\":[2],\"id\":\"two\"}");
    answer(b, "{\"jsonrpc\":\"2.0\",\"result\":{\"b\":1},\"id\":1}");
    raw_close(a);
    raw_close(b);
}

static void what_it_returns_counts_as_ever(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"return\",\"params\":[0],\"id\":1}");
    answer(fd, "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":1}");
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"return\",\"params\":[-20],\"id\":2}");
    answer(fd, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32602,\"message\":\"Invalid "
               "params\"},\"id\":2}");
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"return\",\"params\":[-60],\"id\":3}");
    answer(
        fd,
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32603,\"message\":\"out of memory\"},\"id\":3}");
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"answer\",\"id\":4}");
    answer(fd, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":7,\"message\":\"answer\",\"data\":[]},"
               "\"id\":4}");
    /* later, from here */
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"keep\",\"id\":5}");
    for (int i = 0; i < 5000 && atomic_load(&w->kept_serial) == 0; i++)
        kit_rest_ms(1);
    expect_echo(fd);
    assert_int_equal(ln_rpc_result(&w->kept, LN_SPAN("\"late\"")), 0);
    answer(fd, "{\"jsonrpc\":\"2.0\",\"result\":\"late\",\"id\":5}");
    raw_close(fd);
}

static void a_notification_is_made_and_not_answered(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    atomic_store(&w->is_free, 1);
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1]}");
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"answer\"}");
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"return\",\"params\":[-20]}");
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"return\",\"params\":[0],\"id\":9}");
    answer(fd, "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":9}");
    assert_int_equal(atomic_load(&w->ended), 1);
    raw_close(fd);
}

static void a_batch_waits_for_those_that_block(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    call(fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":1},"
             "{\"jsonrpc\":\"2.0\",\"method\":\"none\",\"id\":2},"
             "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[3]},"
             "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[4],\"id\":4}]");
    kit_wait_for(&w->begun, 1);
    expect_echo(fd);
    atomic_store(&w->is_free, 1);
    answer(fd, "[{\"jsonrpc\":\"2.0\",\"result\":[1],\"id\":1},{\"jsonrpc\":\"2.0\",\"error\":"
               "{\"code\":-32601,\"message\":\"Method not found\"},\"id\":2},"
               "{\"jsonrpc\":\"2.0\",\"result\":[4],\"id\":4}]");
    assert_int_equal(atomic_load(&w->ended), 3);
    raw_close(fd);
}

static void who_calls_too_much_is_not_read(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    for (int i = 0; i < LN_COMMAND_JOBS_MAX + 10; i++)
        call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":1}");
    kit_assert_read(w->server, LN_COMMAND_JOBS_MAX);
    atomic_store(&w->is_free, 1);
    for (int i = 0; i < LN_COMMAND_JOBS_MAX + 10; i++)
        answer(fd, "{\"jsonrpc\":\"2.0\",\"result\":[1],\"id\":1}");
    raw_close(fd);
}

static void an_answer_to_who_has_left_finds_nobody(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":1}");
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[2],\"id\":2}");
    kit_wait_for(&w->begun, 1);
    raw_close(fd);
    kit_wait_for(&w->disconnects, 1);
    assert_true(atomic_load(&w->game->job_bytes) > 0); /* it still counts */
    atomic_store(&w->is_free, 1);
    kit_wait_for(&w->closed, 2);
    for (int i = 0; i < 5000 && atomic_load(&w->game->job_bytes) > 0; i++)
        kit_rest_ms(1);
    assert_int_equal(atomic_load(&w->game->job_bytes), 0);
    assert_int_equal(atomic_load(&w->disconnects), 1);
}

/* As say(), with a mask of zeros: megabytes go as they are. */
static void say_much(int fd, uint32_t id, const void *payload, size_t n)
{
    uint8_t head[18] = {0x82, 0xff};

    ln_store_be64(head + 2, n + 4);
    ln_store_be32(head + 14, id);
    raw_send(fd, head, sizeof head);
    raw_send(fd, payload, n);
}

static void what_all_have_with_the_pool_is_bounded(void **state)
{
    enum { LARGE = 10 << 20, FIT = LN_COMMAND_JOBS_ALL_MAX_BYTES / LARGE };
    world *const w = *state;
    char *const bytes = calloc(1, LARGE);
    int fds[FIT + 1];

    for (int i = 0; i < FIT; i++) {
        fds[i] = enter(w);
        say_much(fds[i], SLOW, bytes, LARGE);
    }
    kit_wait_for(&w->begun, FIT);
    fds[FIT] = enter(w);
    say_much(fds[FIT], SLOW, bytes, LARGE);
    raw_frame f = raw_read_frame(fds[FIT]);
    assert_int_equal(raw_close_code(f), 1013);
    assert_string_equal((const char *)f.payload + 2, "too much to do");
    raw_close(fds[FIT]);

    /* a call is answered, and what fits is done */
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"wait\",\"params\":[\"";
    char *const text = malloc(LARGE);
    memset(text, 'x', LARGE);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + LARGE - 3, "\"]}", 3);
    fds[FIT] = enter(w);
    say_much(fds[FIT], LN_COMMAND_RPC, text, LARGE);
    answer(fds[FIT], "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"Too many "
                     "calls\"},\"id\":1}");

    /* one that is not to be answered is counted as lost */
    static const char quiet_head[] =
        "{\"jsonrpc\":\"2.0\",       \"method\":\"wait\",\"params\":[\"";
    ln_server_stats stats;
    memcpy(text, quiet_head, sizeof quiet_head - 1);
    say_much(fds[FIT], LN_COMMAND_RPC, text, LARGE);
    expect_echo(fds[FIT]);
    ln_server_stats_get(w->server, &stats);
    assert_int_equal(stats.dropped_total, 1);

    say(fds[FIT], SLOW, "small", 5);
    kit_wait_for(&w->begun, FIT + 1);
    assert_int_equal(atomic_load(&w->game->job_bytes), (size_t)FIT * LARGE + 5);
    atomic_store(&w->is_free, 1);
    hear(fds[FIT], SLOW, "small");
    for (int i = 0; i <= FIT; i++)
        raw_close(fds[i]);
    for (int i = 0; i < 5000 && atomic_load(&w->game->job_bytes) > 0; i++)
        kit_rest_ms(1);
    assert_int_equal(atomic_load(&w->game->job_bytes), 0);
    free(text);
    free(bytes);
}

/* A batch that comes behind the pause in one message fills the pool; its end resumes nothing. */
static void who_is_not_to_be_read_stays_so(void **state)
{
    static const char one[] = "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1]},";
    world *const w = *state;
    const int fd = enter(w);
    char text[64 * (LN_COMMAND_JOBS_MAX + 4)] = "[{\"jsonrpc\":\"2.0\",\"method\":\"halt\"},";

    assert_int_equal(ln_command_method(w->game, "halt", on_halt, w), 0);
    for (int i = 0; i < LN_COMMAND_JOBS_MAX + 2; i++)
        strcat(text, one);
    text[strlen(text) - 1] = ']';
    call(fd, text);
    kit_wait_for(&w->begun, 1);
    atomic_store(&w->is_free, 1);
    kit_wait_for(&w->ended, LN_COMMAND_JOBS_MAX + 2);
    say(fd, ECHO, "x", 1);
    kit_assert_read(w->server, 1);
    raw_close(fd);
}

static void methods_may_change_their_kind_at_any_time(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":1}");
    kit_wait_for(&w->begun, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ln_command_method(w->game, "wait", on_return, w), 0);
        assert_int_equal(ln_command_method_blocking(w->game, "wait", on_return, w), 0);
    }
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[-20],\"id\":2}");
    atomic_store(&w->is_free, 1);
    answer(fd, "{\"jsonrpc\":\"2.0\",\"result\":[1],\"id\":1}"); /* by the handler it had then */
    answer(fd, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32602,\"message\":\"Invalid "
               "params\"},\"id\":2}");
    assert_int_equal(ln_command_method_blocking(w->game, "wait", NULL, NULL), 0);
    call(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"id\":3}");
    answer(fd, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"Method not found\"},"
               "\"id\":3}");
    char name[LN_RPC_METHOD_MAX_BYTES + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(ln_command_method_blocking(w->game, name, on_wait, w), LN_ERR_INVALID);
    raw_close(fd);
}

static void they_end_before_the_server(void **state)
{
    void *made;
    (void)state;

    set_up(&made, 3);
    world *const w = made;
    const int a = enter(w), b = enter(w);
    for (int i = 0; i < 4; i++) {
        call(a, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":1}");
        call(b, "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":1}");
    }
    kit_wait_for(&w->begun, 2);
    raw_close(a);
    assert_int_equal(kit_halt(w->server), 0);
    atomic_store(&w->is_free, 1);
    ln_server_free(w->server);
    assert_int_equal(atomic_load(&w->begun), atomic_load(&w->ended));
    raw_close(b);
    free(w);
}

#define ONE(test)   cmocka_unit_test_setup_teardown(test, set_up_one, tear_down)
#define THREE(test) cmocka_unit_test_setup_teardown(test, set_up_three, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_method_that_blocks_holds_up_nobody_else),
        THREE(a_method_that_blocks_holds_up_nobody_else),
        ONE(what_it_returns_counts_as_ever),
        ONE(a_notification_is_made_and_not_answered),
        ONE(a_batch_waits_for_those_that_block),
        THREE(a_batch_waits_for_those_that_block),
        ONE(who_calls_too_much_is_not_read),
        ONE(who_is_not_to_be_read_stays_so),
        ONE(an_answer_to_who_has_left_finds_nobody),
        THREE(an_answer_to_who_has_left_finds_nobody),
        ONE(what_all_have_with_the_pool_is_bounded),
        ONE(methods_may_change_their_kind_at_any_time),
        cmocka_unit_test(they_end_before_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
