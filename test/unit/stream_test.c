/* SPDX-License-Identifier: MIT */
/* The promises of stream.h, each kept by a plain stream and by one with TLS. */
#include "test_streams.h"

#include "failing_alloc.h"
#include "net/tls.h"
#include "test_certs.h"

enum { KIB = 1024, MIB = 1024 * KIB };

static struct {
    test_cert ca, leaf;
    ln_tls_context *server;
    ln_tls_context *client;
} tls;

/* The same test over both kinds. */
typedef struct kind {
    bool is_tls;
} kind;
static kind plain_kind = {false}, tls_kind = {true};

static void open_link_fds(test_link *l, ln_loop *loop, void **state, const int fds[2])
{
    const kind *k = *state;
    test_link_open_fds(l, loop, fds, k->is_tls ? tls.server : NULL, k->is_tls ? tls.client : NULL,
                       "a.test");
    test_until(loop, l->server.opens == 1 && l->client.opens == 1);
}

static void open_link(test_link *l, ln_loop *loop, void **state)
{
    int fds[2];
    test_pair(fds);
    open_link_fds(l, loop, state, fds);
}

static void bytes_arrive_in_order_and_nothing_comes_after_on_closed(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    open_link(&l, loop, state);
    test_end_queue(&l.client, 20);
    test_until(loop, l.server.got == 20);
    test_end_queue(&l.server, 70000);
    test_until(loop, l.client.got == 70000);
    assert_int_equal(l.client.flushes, 1);
    assert_int_equal(ln_stream_queued(&l.server.stream), 0);
    assert_string_equal(ln_stream_tls_error(&l.server.stream), "");
    test_link_close(&l);
    test_rest(loop);
    assert_int_equal(l.client.opens + l.server.opens + l.client.closes + l.server.closes, 4);
    ln_loop_free(loop);
}

/* Reads one buffer, then nothing until the test lets it go on. */
static void pause_after_recv(test_end *e)
{
    ln_stream_pause(&e->stream);
    e->user = e;
}

static void megabytes_pass_both_ways_while_both_read_slowly(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    open_link(&l, loop, state);
    l.client.after_recv = l.server.after_recv = pause_after_recv;
    l.server.piece = 777;
    test_end_queue(&l.client, 8 * MIB);
    test_end_queue(&l.server, 8 * MIB);
    unsigned turns = 0;
    while ((l.client.got < 8 * MIB || l.server.got < 8 * MIB) && turns++ < TEST_TURNS_MAX) {
        const size_t before[] = {l.client.got, l.server.got};
        assert_int_equal(ln_loop_turn(loop, 0), 0);
        test_end *ends[] = {&l.client, &l.server};
        for (int i = 0; i < 2; i++) {
            assert_true(ends[i]->got <=
                        before[i] + 64 * KIB); /* at most one buffer between pause and resume */
            assert_true(ln_stream_queued(&ends[i]->stream) < LN_TLS_QUEUE_MAX_BYTES + 17 * KIB);
            if (ends[i]->user && turns % 3 == 0) {
                ends[i]->user = NULL;
                ln_stream_resume(&ends[i]->stream);
            }
        }
    }
    assert_int_equal(l.client.got, 8 * MIB);
    assert_int_equal(l.server.got, 8 * MIB);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void nothing_is_received_while_paused_and_nothing_is_lost(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    open_link(&l, loop, state);
    l.server.after_recv = pause_after_recv;
    test_end_queue(&l.client, 3 * MIB);
    test_until(loop, l.server.got > 0);
    test_rest(loop);
    const size_t got = l.server.got;
    test_rest(loop);
    assert_int_equal(l.server.got, got);
    assert_true(l.client.sent < 3 * MIB); /* the system's buffers are full, and ours are bounded */
    assert_true(ln_stream_is_sending(&l.client.stream));

    l.server.after_recv = NULL;
    ln_stream_resume(&l.server.stream);
    assert_int_equal(l.server.got, got); /* not from inside */
    test_until(loop, l.server.got == 3 * MIB);
    assert_false(ln_stream_is_sending(&l.client.stream));
    test_link_close(&l);
    ln_loop_free(loop);
}

static void pausing_and_resuming_at_once_changes_nothing(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    open_link(&l, loop, state);
    ln_stream_pause(&l.server.stream);
    ln_stream_pause(&l.server.stream);
    ln_stream_resume(&l.server.stream);
    ln_stream_resume(&l.server.stream);
    test_end_queue(&l.client, 100000);
    test_until(loop, l.server.got == 100000);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void shutting_down_ends_one_direction_and_leaves_the_other(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    open_link(&l, loop, state);
    test_end_queue(&l.client, 300000);
    test_until(loop, l.client.sent == 300000 && !ln_stream_is_sending(&l.client.stream));
    ln_stream_shutdown(&l.client.stream);
    ln_stream_shutdown(&l.client.stream);
    test_until(loop, l.server.ends == 1);
    assert_int_equal(l.server.end_err, 0);
    assert_int_equal(l.server.got, 300000);
    assert_int_equal(l.client.ends, 0);

    test_end_queue(&l.server, 500000);
    test_until(loop, l.client.got == 500000);
    ln_stream_shutdown(&l.server.stream);
    test_until(loop, l.client.ends == 1);
    assert_int_equal(l.client.end_err, 0);
    test_rest(loop);
    assert_int_equal(l.server.ends, 1);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void an_end_that_comes_while_paused_comes_behind_the_data(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    open_link(&l, loop, state);
    l.server.after_recv = pause_after_recv;
    test_end_queue(&l.client, 200000);
    test_until(loop, l.server.got > 0);
    for (int i = 0; i < 100 && l.server.ends == 0; i++) {
        if (l.client.sent == 200000 && !ln_stream_is_sending(&l.client.stream))
            ln_stream_shutdown(&l.client.stream);
        test_rest(loop);
        ln_stream_resume(&l.server.stream);
    }
    assert_int_equal(l.server.ends, 1);
    assert_int_equal(l.server.end_err, 0);
    assert_int_equal(l.server.got, 200000);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void a_reset_is_told_as_one(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    int fds[2];
    test_tcp_pair(fds);
    open_link_fds(&l, loop, state, fds);
    ln_stream_reset(&l.server.stream);
    test_until(loop, l.client.ends >= 1 && l.client.end_err == LN_ERR_RESET);
    ln_stream_close(&l.client.stream);
    test_until(loop, l.client.closes == 1 && l.server.closes == 1);
    ln_loop_free(loop);
}

/* Closing is allowed in every callback, and silences all but on_closed. */
static void closing_inside_of_a_callback_is_the_last_word(void **state)
{
    for (int where = 0; where < 3; where++) {
        ln_loop *loop = test_loop(NULL);
        test_link l;
        const bool is_tls = ((const kind *)*state)->is_tls;
        test_link_open(&l, loop, is_tls ? tls.server : NULL, is_tls ? tls.client : NULL, "a.test");
        *(where == 0   ? &l.server.after_open
          : where == 1 ? &l.server.after_recv
                       : &l.server.after_end) = test_end_close_after;
        if (where == 0 && !is_tls)
            test_end_close_after(&l.server); /* a plain stream is open before the test can say so */
        test_until(loop, l.client.opens == 1);
        test_end_queue(&l.client, 50000);
        test_until(loop, where < 2 || l.client.sent == 50000);
        if (where == 2)
            ln_stream_shutdown(&l.client.stream);
        test_until(loop, l.server.closes == 1);
        assert_int_equal(l.server.ends, where == 2);
        test_rest(loop);
        test_link_close(&l);
        ln_loop_free(loop);
    }
}

static unsigned other_recvs;
static void other_on_recv(ln_stream *s, uint8_t *bytes, size_t n)
{
    other_recvs++;
    test_end_on_recv(s, bytes, n);
}

static uint8_t lent[128];
static uint8_t *lend(ln_stream *s, size_t *n)
{
    (void)s;
    *n = sizeof lent;
    return lent;
}

static void other_callbacks_can_take_over(void **state)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    open_link(&l, loop, state);
    test_end_queue(&l.client, 10);
    test_until(loop, l.server.got == 10);
    ln_stream_ops other = test_end_ops;
    other.on_recv = other_on_recv;
    other.lend = lend;
    other_recvs = 0;
    ln_stream_set_ops(&l.server.stream, &other);
    test_end_queue(&l.client, 1000);
    test_until(loop, l.server.got == 1010);
    assert_true(other_recvs > 0);
    ln_stream_set_ops(&l.server.stream, &test_end_ops);
    const unsigned before = other_recvs;
    test_end_queue(&l.client, 1000);
    test_until(loop, l.server.got == 2010);
    assert_int_equal(other_recvs, before);
    test_link_close(&l);
    ln_loop_free(loop);
}

/* One life of a link, with every allocation of ours failing in turn. */
static int one_life(const ln_allocator *alloc, void *user)
{
    const kind *k = user;
    ln_loop *loop;
    int fds[2];
    int rc = ln_loop_new(&(ln_loop_options){.allocator = alloc}, &loop);
    if (rc < 0)
        return rc;
    test_pair(fds);
    test_end ends[2];
    test_end_init(&ends[0]);
    test_end_init(&ends[1]);
    const int server = ln_stream_open_server(&ends[0].stream, loop, fds[0],
                                             k->is_tls ? tls.server : NULL, &test_end_ops);
    const int client = ln_stream_open_client(
        &ends[1].stream, loop, fds[1], k->is_tls ? tls.client : NULL, "a.test", &test_end_ops);
    if (server == 0 && client == 0) {
        ends[0].after_recv = pause_after_recv;
        bool is_queued = false;
        for (int i = 0;
             i < 3000 && ends[0].got < 90000 && !ends[0].ends && !ends[1].ends && rc == 0; i++) {
            rc = ln_loop_turn(loop, 0);
            if (ends[1].opens && !is_queued)
                test_end_queue(&ends[1], 90000);
            is_queued = ends[1].opens;
            if (ends[0].user)
                ln_stream_resume(&ends[0].stream);
            ends[0].user = NULL;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (ends[i].ends && (ends[i].end_err == LN_ERR_NOMEM || ends[i].end_err == LN_ERR_IO))
            rc = LN_ERR_NOMEM;            /* LN_ERR_IO: it was the back end that ran out */
        else if (ends[i].ends && rc == 0) /* the other one's failure, seen from here */
            assert_true(ends[i].end_err == 0 || ends[i].end_err == LN_ERR_RESET ||
                        ends[i].end_err == LN_ERR_TLS);
        if ((i == 0 ? server : client) == 0)
            ln_stream_close(&ends[i].stream);
    }
    for (int i = 0; i < 100 && ln_loop_turn(loop, 0) == 0; i++)
        continue;
    const bool is_whole = ends[0].got == 90000;
    ln_loop_free(loop);
    if (rc == 0)
        rc = server < 0 ? server : client;
    assert_true(rc != 0 || is_whole);
    return rc;
}

static void running_out_of_memory_ends_a_connection_and_leaks_nothing(void **state)
{
    assert_true(failing_alloc_sweep(one_life, *state) > 3);
}

static int make_contexts(void **state)
{
    (void)state;
    test_cert_make(&(test_cert_spec){.subject = "test root", .is_authority = true}, &tls.ca);
    test_cert_make(&(test_cert_spec){.subject = "a", .names = "DNS:a.test", .issuer = &tls.ca},
                   &tls.leaf);
    const ln_tls_identity identity = {.cert_file = test_cert_write_chain(&tls.leaf, "a.pem"),
                                      .key_file = test_cert_write_key(&tls.leaf, "a.key", NULL)};
    char error[LN_TLS_ERROR_MAX];
    const ln_tls_options server = {.identities = &identity, .identity_count = 1};
    const ln_tls_options client = {.ca_file = test_cert_write(&tls.ca, "ca.pem")};
    assert_int_equal(ln_tls_context_new_server(&server, NULL, &tls.server, error), 0);
    assert_int_equal(ln_tls_context_new_client(&client, NULL, &tls.client, error), 0);
    return 0;
}

static int free_contexts(void **state)
{
    (void)state;
    ln_tls_context_unref(tls.server);
    ln_tls_context_unref(tls.client);
    test_cert_fini(&tls.leaf);
    test_cert_fini(&tls.ca);
    test_certs_remove();
    return 0;
}

#define over_both(test)                                                                            \
    {"plain: " #test, test, NULL, NULL, &plain_kind},                                              \
    {                                                                                              \
        "tls: " #test, test, NULL, NULL, &tls_kind                                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        over_both(bytes_arrive_in_order_and_nothing_comes_after_on_closed),
        over_both(megabytes_pass_both_ways_while_both_read_slowly),
        over_both(nothing_is_received_while_paused_and_nothing_is_lost),
        over_both(pausing_and_resuming_at_once_changes_nothing),
        over_both(shutting_down_ends_one_direction_and_leaves_the_other),
        over_both(an_end_that_comes_while_paused_comes_behind_the_data),
        over_both(a_reset_is_told_as_one),
        over_both(closing_inside_of_a_callback_is_the_last_word),
        over_both(other_callbacks_can_take_over),
        over_both(running_out_of_memory_ends_a_connection_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
