/* SPDX-License-Identifier: MIT */
/* The promises of sock.h, each kept by both back ends. */
#include "loop_kit.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "failing_alloc.h"
#include "net/sock.h"

enum { KIB = 1024, MIB = 1024 * KIB };

/* Where a test wants something done from inside. */
enum place { NOWHERE, IN_RECV, IN_SENT, IN_END, IN_FLUSH };

/* A sock and everything that was called for it: a log of words, the bytes, the queue. */
struct end {
    ln_sock sock; /* first */
    ln_loop *loop;
    ln_chain out;
    size_t got; /* bytes received */
    size_t got_lent;
    bool is_wrong; /* they were not kit_byte(0), kit_byte(1), ... */
    unsigned recvs, sents, ends, flushes, closes;
    int last_end;
    char log[512];
    enum place close_in, reset_in;
    bool echoes, pauses, is_quiet, answers_twice;
    uint8_t *lend_memory; /* lent from position lend_at to the end of lend_size */
    size_t lend_at, lend_size;
    size_t cork_more; /* on_flush corks again so many times */
    long left_at_timer;
    struct end *other; /* closed from inside on_recv */
};

static void note(struct end *e, const char *word, long long number)
{
    assert_int_equal(e->closes, 0);
    const size_t used = strlen(e->log);
    snprintf(e->log + used, sizeof e->log - used, "%s %lld;", word, number);
}

static void act(struct end *e, enum place here)
{
    if (e->close_in == here)
        ln_sock_close(&e->sock);
    if (e->reset_in == here)
        ln_sock_reset(&e->sock);
}

/* Sends what is queued, as far as it goes. */
static void push(struct end *e)
{
    while (e->out.bytes > 0 && !ln_sock_is_sending(&e->sock)) {
        ln_span spans[LN_SOCK_SPANS_MAX];
        const int k = ln_chain_peek(&e->out, spans, LN_SOCK_SPANS_MAX);
        const size_t n =
            e->is_quiet ? ln_sock_send_quiet(&e->sock, spans, k) : ln_sock_send(&e->sock, spans, k);
        ln_chain_drop(&e->out, &e->loop->pool, n);
    }
}

static void queue(struct end *e, const void *bytes, size_t n)
{
    assert_int_equal(ln_chain_append(&e->out, &e->loop->pool, bytes, n), 0);
    ln_sock_cork(&e->sock);
}

static void queue_stream(struct end *e, size_t from, size_t n)
{
    uint8_t *const bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = kit_byte(from + i);
    queue(e, bytes, n);
    free(bytes);
}

static void on_recv(ln_sock *s, uint8_t *bytes, size_t n)
{
    struct end *const e = (struct end *)s;
    assert_ptr_equal(ln_loop_current(), e->loop);
    assert_false(ln_sock_is_paused(s));
    assert_int_equal(e->ends, 0);
    assert_false(ln_sock_is_closing(s));
    assert_true(n > 0);
    const bool is_lent =
        e->got >= e->lend_at && e->lend_memory && bytes == e->lend_memory + (e->got - e->lend_at);
    e->got_lent += is_lent ? n : 0;
    for (size_t i = 0; i < n; i++)
        e->is_wrong |= bytes[i] != kit_byte(e->got + i);
    e->got += n;
    e->recvs++;
    note(e, "recv", (long long)n);
    if (e->echoes)
        queue(e, bytes, n);
    if (e->answers_twice) {
        queue_stream(e, 0, 100);
        push(e);
        queue_stream(e, 100, 100);
    }
    if (e->pauses)
        ln_sock_pause(s);
    if (e->other)
        ln_sock_close(&e->other->sock);
    memset(bytes, 0xee, n); /* it is ours to scribble in */
    act(e, IN_RECV);
}

static void on_sent(ln_sock *s, size_t n)
{
    struct end *const e = (struct end *)s;
    assert_false(ln_sock_is_closing(s));
    assert_false(ln_sock_is_sending(s));
    assert_true(n <= e->out.bytes);
    e->sents++;
    note(e, "sent", (long long)n);
    ln_chain_drop(&e->out, &e->loop->pool, n);
    act(e, IN_SENT);
    if (!ln_sock_is_closing(s))
        push(e);
}

static void on_end(ln_sock *s, int err)
{
    struct end *const e = (struct end *)s;
    assert_false(ln_sock_is_closing(s));
    e->ends++;
    e->last_end = err;
    note(e, "end", err);
    act(e, IN_END);
}

static void on_flush(ln_sock *s)
{
    struct end *const e = (struct end *)s;
    assert_false(ln_sock_is_closing(s));
    e->flushes++;
    note(e, "flush", 0);
    act(e, IN_FLUSH);
    if (ln_sock_is_closing(s))
        return;
    push(e);
    if (e->cork_more > 0) {
        e->cork_more--;
        ln_sock_cork(s);
    }
}

static void on_closed(ln_sock *s)
{
    struct end *const e = (struct end *)s;
    note(e, "closed", 0);
    e->closes++;
    ln_chain_fini(&e->out, &e->loop->pool);
}

static uint8_t *lend(ln_sock *s, size_t *n)
{
    const struct end *const e = (struct end *)s;
    if (!e->lend_memory || e->got < e->lend_at || e->got >= e->lend_at + e->lend_size)
        return NULL;
    *n = e->lend_at + e->lend_size - e->got;
    return e->lend_memory + (e->got - e->lend_at);
}

static const ln_sock_ops ops = {.on_recv = on_recv,
                                .on_sent = on_sent,
                                .on_end = on_end,
                                .on_flush = on_flush,
                                .on_closed = on_closed};
static const ln_sock_ops lending_ops = {.on_recv = on_recv,
                                        .on_sent = on_sent,
                                        .on_end = on_end,
                                        .on_flush = on_flush,
                                        .on_closed = on_closed,
                                        .lend = lend};

static void open_end(struct end *e, ln_loop *loop, int fd)
{
    *e = (struct end){.loop = loop};
    assert_int_equal(ln_sock_open(&e->sock, loop, fd, &ops), 0);
}

static void close_end(struct end *e)
{
    ln_sock_close(&e->sock);
    KIT_UNTIL(e->loop, e->closes == 1);
}

/* The peer is a bare descriptor: what it does is exactly what the test says. */

static void peer_writes(ln_loop *loop, int fd, size_t from, size_t n)
{
    uint8_t chunk[4096];
    for (size_t done = 0; done < n;) {
        const size_t part = ln_min_size(sizeof chunk, n - done);
        for (size_t i = 0; i < part; i++)
            chunk[i] = kit_byte(from + done + i);
        const ssize_t written = send(fd, chunk, part, MSG_NOSIGNAL);
        if (written > 0)
            done += (size_t)written;
        else
            assert_int_equal(ln_loop_turn(loop, 1), 0);
    }
}

/* Reads n bytes, turning the loop while there are none; checks them. */
static void peer_reads(ln_loop *loop, int fd, size_t from, size_t n)
{
    static uint8_t chunk[64 * KIB];
    const uint64_t begin_ms = kit_now_ms();
    for (size_t done = 0; done < n;) {
        const ssize_t got = recv(fd, chunk, ln_min_size(sizeof chunk, n - done), 0);
        if (got < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_int_equal(ln_loop_turn(loop, 1), 0);
            assert_true(kit_now_ms() - begin_ms < 20000);
            continue;
        }
        assert_true(got > 0);
        for (ssize_t i = 0; i < got; i++) {
            if (chunk[i] != kit_byte(from + done + (size_t)i))
                fail_msg("wrong byte at %zu", from + done + (size_t)i);
        }
        done += (size_t)got;
    }
}

/* Bytes both ways */

static void echo_over(void **state, void make_pair(int fds[2]))
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    make_pair(fds);
    open_end(&e, loop, fds[0]);
    e.echoes = true;
    size_t at = 0;
    const size_t sizes[] = {1, 20, 125, 4096, 16384, 16385, 65536, 65537, 200000, 1};
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
        peer_writes(loop, fds[1], at, sizes[i]);
        peer_reads(loop, fds[1], at, sizes[i]);
        at += sizes[i];
    }
    assert_int_equal(e.got, at);
    assert_false(e.is_wrong);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void what_is_echoed_over_tcp_comes_back(void **state)
{
    echo_over(state, kit_tcp_pair);
}

static void what_is_echoed_over_unix_sockets_comes_back(void **state)
{
    echo_over(state, kit_pair);
}

static void eight_mebibytes_reach_a_slow_reader(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    queue_stream(&e, 0, 8 * MIB);
    kit_rest(loop);
    assert_true(ln_sock_is_sending(&e.sock)); /* no socket holds that much */
    assert_true(e.out.bytes > 0);
    peer_reads(loop, fds[1], 0, 8 * MIB);
    KIT_UNTIL(loop, !ln_sock_is_sending(&e.sock));
    assert_int_equal(e.out.bytes, 0);
    assert_int_equal(e.ends, 0);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void eight_mebibytes_arrive_from_a_fast_writer(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    peer_writes(loop, fds[1], 0, 8 * MIB);
    KIT_UNTIL(loop, e.got == 8 * MIB);
    assert_false(e.is_wrong);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void sixty_four_spans_leave_as_one_message(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    uint8_t bytes[LN_SOCK_SPANS_MAX * 3];
    ln_span spans[LN_SOCK_SPANS_MAX];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = kit_byte(i);
    for (size_t i = 0; i < LN_SOCK_SPANS_MAX; i++)
        spans[i] = (ln_span){bytes + i * 3, 3};
    /* Not through the queue: on_sent is told about bytes that it does not hold. */
    assert_int_equal(ln_chain_append(&e.out, &loop->pool, bytes, sizeof bytes), 0);
    ln_chain_drop(&e.out, &loop->pool, ln_sock_send(&e.sock, spans, LN_SOCK_SPANS_MAX));
    KIT_UNTIL(loop, e.out.bytes == 0);
    peer_reads(loop, fds[1], 0, sizeof bytes);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

enum { CROWD = 1500 };

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * CROWD + 64)
        skip();
}

/* CROWD ends of one loop, each with a bare peer: more than any queue of a back end holds. */
struct crowd {
    ln_loop *loop;
    struct end *ends;
    int (*peers)[2];
};

static struct crowd open_crowd(void **state)
{
    struct crowd c = {.loop = kit_loop(state)};
    c.ends = calloc(CROWD, sizeof *c.ends);
    c.peers = calloc(CROWD, sizeof *c.peers);
    for (int i = 0; i < CROWD; i++) {
        kit_pair(c.peers[i]);
        open_end(&c.ends[i], c.loop, c.peers[i][0]);
    }
    return c;
}

static void close_crowd(struct crowd *c)
{
    for (int i = 0; i < CROWD; i++)
        ln_sock_close(&c->ends[i].sock);
    KIT_UNTIL(c->loop, c->loop->sockets == 0);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(c->ends[i].closes, 1);
        close(c->peers[i][1]);
    }
    kit_rest(c->loop);
    free(c->ends);
    free(c->peers);
    ln_loop_free(c->loop);
}

/* Submissions, message headers, shared buffers: all of them are used up. */
static void a_crowd_sends_and_receives_in_the_same_turn(void **state)
{
    raise_descriptor_limit();
    struct crowd c = open_crowd(state);
    for (int i = 0; i < CROWD; i++) {
        c.ends[i].is_quiet = i % 2;
        peer_writes(c.loop, c.peers[i][1], 0, 20000);
        /* Chunks of 2 and of 16 KiB: several spans, so several message headers. */
        queue_stream(&c.ends[i], 0, 1500);
        queue_stream(&c.ends[i], 1500, 20000);
    }
    for (int i = 0; i < CROWD; i++) {
        KIT_UNTIL(c.loop, c.ends[i].got == 20000);
        assert_false(c.ends[i].is_wrong);
        peer_reads(c.loop, c.peers[i][1], 0, 21500);
    }
    close_crowd(&c);
}

/*
 * Messages of one span and of two in turns, each of its own bytes, beginning with either: wherever the
 * submissions of a turn are full, nobody gets another's bytes.
 */
static void in_a_crowd_everybody_gets_its_own(void **state)
{
    enum { ONE = 100, TWO = 2048 + ONE };
    static uint8_t bytes[TWO], there[TWO + 1];

    raise_descriptor_limit();
    for (int parity = 0; parity < 2; parity++) {
        struct crowd c = open_crowd(state);
        for (int i = 0; i < CROWD; i++) {
            memset(bytes, 1 + i % 251, sizeof bytes);
            if ((i + parity) % 2 == 0)
                queue(&c.ends[i], bytes, TWO - ONE);
            queue(&c.ends[i], bytes, ONE);
        }
        for (int i = 0; i < CROWD; i++)
            KIT_UNTIL(c.loop, c.ends[i].out.bytes == 0);
        for (int i = 0; i < CROWD; i++) {
            const int size = (i + parity) % 2 == 0 ? TWO : ONE;
            memset(bytes, 1 + i % 251, sizeof bytes);
            assert_int_equal(read(c.peers[i][1], there, sizeof there), size);
            assert_memory_equal(there, bytes, (size_t)size);
        }
        close_crowd(&c);
    }
}

/* Corking */

static void a_corked_sock_is_flushed_once_a_turn(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    ln_sock_cork(&e.sock);
    ln_sock_cork(&e.sock);
    ln_sock_cork(&e.sock);
    assert_int_equal(ln_loop_turn(loop, 0), 0);
    assert_int_equal(e.flushes, 1);
    assert_int_equal(ln_loop_turn(loop, 0), 0);
    assert_int_equal(e.flushes, 1);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void what_a_turn_produced_leaves_in_one_piece(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2], waiting = 0;
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    for (unsigned i = 0; i < 10; i++)
        queue_stream(&e, i * 7, 7);
    assert_int_equal(ln_loop_turn(loop, 0), 0);
    assert_int_equal(ioctl(fds[1], FIONREAD, &waiting), 0);
    assert_int_equal(waiting, 70);
    assert_int_equal(e.flushes, 1);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void corking_from_inside_on_flush_comes_in_the_next_turn_without_sleep(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    e.cork_more = 5;
    ln_sock_cork(&e.sock);
    for (unsigned turns = 1; turns <= 6; turns++) {
        /* For ever, if the loop slept: the sixth turn has no more corked socks, and gets a
         * limit. */
        assert_int_equal(ln_loop_turn(loop, turns < 6 ? -1 : 1), 0);
        assert_int_equal(e.flushes, turns);
    }
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void socks_are_flushed_in_the_order_they_were_corked(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e[3];
    int fds[3][2];
    for (int i = 0; i < 3; i++) {
        kit_pair(fds[i]);
        open_end(&e[i], loop, fds[i][0]);
    }
    /* Each closes when flushed: on_closed tells whether it was there. The second is closed by the
     * first. */
    ln_sock_cork(&e[2].sock);
    ln_sock_cork(&e[0].sock);
    ln_sock_cork(&e[1].sock);
    e[2].close_in = IN_FLUSH;
    ln_sock_close(&e[0].sock); /* corked and closing: no on_flush */
    KIT_UNTIL(loop, e[2].closes == 1 && e[0].closes == 1);
    assert_string_equal(e[2].log, "flush 0;closed 0;");
    assert_string_equal(e[0].log, "closed 0;");
    assert_int_equal(e[1].flushes, 1);
    close_end(&e[1]);
    for (int i = 0; i < 3; i++)
        close(fds[i][1]);
    ln_loop_free(loop);
}

static void a_quiet_send_leaves_before_the_loop_sleeps(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    e.is_quiet = true;
    queue_stream(&e, 0, 100);
    assert_int_equal(ln_loop_turn(loop, 1), 0);
    peer_reads(loop, fds[1], 0, 100);
    KIT_UNTIL(loop, e.out.bytes == 0);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void note_queue(void *arg)
{
    struct end *const e = arg;
    e->left_at_timer = (long)e->out.bytes;
}

/* Nothing but a timer ends the loop's sleep: until then everything has to be sent, and told. */
static void expect_sent_while_the_loop_sleeps(struct end *e)
{
    e->left_at_timer = -1;
    assert_int_equal(ln_loop_after(e->loop, 100, note_queue, e, NULL), 0);
    while (e->left_at_timer < 0)
        assert_int_equal(ln_loop_turn(e->loop, -1), 0);
    assert_int_equal(e->left_at_timer, 0);
    assert_false(ln_sock_is_sending(&e->sock));
}

/* The first part is on its way, quietly, when the second is queued: the loop must not sleep on
 * that. */
static void a_corked_sock_is_not_quiet(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    e.is_quiet = e.answers_twice = true;
    peer_writes(loop, fds[1], 0, 1);
    KIT_UNTIL(loop, e.recvs == 1);
    expect_sent_while_the_loop_sleeps(&e);
    peer_reads(loop, fds[1], 0, 200);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void an_ordinary_send_is_told_without_any_other_event(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    queue_stream(&e, 0, 100);
    expect_sent_while_the_loop_sleeps(&e);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

/* Pausing */

static void a_paused_sock_receives_nothing_and_loses_nothing(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    kit_rest(loop);
    ln_sock_pause(&e.sock);
    ln_sock_pause(&e.sock);
    assert_true(ln_sock_is_paused(&e.sock));
    assert_int_equal(send(fds[1], "", 1, 0), 1); /* kit_byte(0) is 0 */
    kit_rest(loop);
    assert_int_equal(e.got, 0);
    ln_sock_resume(&e.sock);
    ln_sock_resume(&e.sock);
    KIT_UNTIL(loop, e.got == 1);
    peer_writes(loop, fds[1], 1, 1000);
    KIT_UNTIL(loop, e.got == 1001);
    assert_false(e.is_wrong);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

/* A burst of several buffers is in the system when the first of them makes the owner pause, each
 * time. */
static void pausing_in_the_middle_of_a_burst_keeps_the_order(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    e.pauses = true;
    size_t written = 0;
    for (int burst = 0; burst < 6; burst++) {
        uint8_t bytes[100000];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = kit_byte(written + i);
        assert_int_equal(send(fds[1], bytes, sizeof bytes, 0), sizeof bytes);
        written += sizeof bytes;
        while (e.got < written) {
            const unsigned recvs = e.recvs;
            ln_sock_resume(&e.sock);
            KIT_UNTIL(loop, e.recvs > recvs);
            kit_rest(loop);
            assert_int_equal(e.recvs, recvs + 1); /* one, then the pause held */
        }
    }
    assert_false(e.is_wrong);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void resuming_at_once_loses_nothing(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    for (size_t i = 0; i < 200; i++) {
        ln_sock_pause(&e.sock);
        ln_sock_resume(&e.sock);
        if (i % 3 == 0)
            ln_sock_pause(&e.sock);
        peer_writes(loop, fds[1], i * 10, 10);
        if (i % 7 == 0)
            assert_int_equal(ln_loop_turn(loop, 0), 0);
        ln_sock_resume(&e.sock);
    }
    KIT_UNTIL(loop, e.got == 2000);
    assert_false(e.is_wrong);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void the_end_waits_behind_what_was_kept_back(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    e.pauses = true;
    peer_writes(loop, fds[1], 0, 40000);
    close(fds[1]);
    KIT_UNTIL(loop, e.recvs == 1);
    kit_rest(loop);
    assert_int_equal(e.ends, 0);
    e.pauses = false;
    ln_sock_resume(&e.sock);
    KIT_UNTIL(loop, e.ends == 1);
    assert_int_equal(e.last_end, 0);
    assert_int_equal(e.got, 40000);
    assert_false(e.is_wrong);
    close_end(&e);
    ln_loop_free(loop);
}

static void a_paused_sock_may_close_with_bytes_kept_back(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    e.pauses = true;
    peer_writes(loop, fds[1], 0, 90000);
    KIT_UNTIL(loop, e.recvs == 1);
    kit_rest(loop);
    ln_sock_resume(&e.sock);
    close_end(&e);
    assert_int_equal(e.recvs, 1);
    kit_rest(loop);
    close(fds[1]);
    ln_loop_free(loop);
}

/* The end */

static void a_half_closed_connection_can_still_be_answered(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    peer_writes(loop, fds[1], 0, 5);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    KIT_UNTIL(loop, e.ends == 1);
    assert_int_equal(e.last_end, 0);
    assert_int_equal(e.got, 5);
    kit_rest(loop);
    queue_stream(&e, 0, 300000);
    peer_reads(loop, fds[1], 0, 300000);
    KIT_UNTIL(loop, !ln_sock_is_sending(&e.sock));
    ln_sock_shutdown(&e.sock);
    ln_sock_shutdown(&e.sock);
    kit_rest(loop);
    char rest;
    assert_int_equal(recv(fds[1], &rest, 1, 0), 0);
    assert_int_equal(e.ends, 1);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

static void an_ended_sock_lets_the_loop_sleep(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    close(fds[1]);
    KIT_UNTIL(loop, e.ends == 1);
    ln_sock_shutdown(
        &e.sock); /* now both directions are over: a level-triggered hang-up for ever */
    kit_rest(loop);
    const uint64_t begin_ms = kit_now_ms();
    unsigned turns = 0;
    for (; kit_now_ms() - begin_ms < 60; turns++)
        assert_int_equal(ln_loop_turn(loop, 20), 0);
    assert_true(turns < 10);
    close_end(&e);
    ln_loop_free(loop);
}

static void a_reset_is_told_once(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    kit_rest(loop);
    kit_close_by_reset(fds[1]);
    KIT_UNTIL(loop, e.ends == 1);
    assert_int_equal(e.last_end, LN_ERR_RESET);
    /* Sending afterwards is allowed, pointless, and told nobody about. */
    queue_stream(&e, 0, 10);
    kit_rest(loop);
    assert_string_equal(e.log, "end -63;flush 0;");
    assert_true(ln_sock_is_sending(&e.sock));
    close_end(&e);
    ln_loop_free(loop);
}

static void a_reset_during_a_send_is_told_once(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    queue_stream(&e, 0, 16 * MIB);
    kit_rest(loop);
    assert_true(ln_sock_is_sending(&e.sock));
    kit_close_by_reset(fds[1]);
    KIT_UNTIL(loop, e.ends == 1);
    const unsigned sents = e.sents;
    kit_rest(loop);
    assert_int_equal(e.ends, 1);
    assert_int_equal(e.last_end, LN_ERR_RESET);
    assert_int_equal(e.sents, sents);
    close_end(&e);
    ln_loop_free(loop);
}

/* Paused, and reset by its peer since. */
static void open_broken_end(struct end *e, ln_loop *loop)
{
    int fds[2];
    kit_tcp_pair(fds);
    open_end(e, loop, fds[0]);
    kit_rest(loop);
    ln_sock_pause(&e->sock);
    kit_rest(loop);
    kit_close_by_reset(fds[1]);
    kit_rest(loop);
}

static void a_reset_while_paused_is_found_by_the_send(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    open_broken_end(&e, loop);
    assert_int_equal(e.ends, 0);
    queue_stream(&e, 0, 10);
    KIT_UNTIL(loop, e.ends == 1);
    kit_rest(loop);
    assert_int_equal(e.ends, 1);
    assert_int_equal(e.last_end, LN_ERR_RESET);
    close_end(&e);
    ln_loop_free(loop);
}

static void a_paused_sock_is_flushed_also_after_its_end_was_told(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    open_broken_end(&e, loop);
    queue_stream(&e, 0, 10);
    KIT_UNTIL(loop, e.ends == 1);
    kit_rest(loop);
    const unsigned flushes = e.flushes;
    ln_sock_cork(&e.sock);
    kit_rest(loop);
    assert_int_equal(e.flushes, flushes + 1);
    assert_int_equal(e.ends, 1);
    close_end(&e);
    ln_loop_free(loop);
}

static void sending_to_nobody_is_a_reset_and_no_signal(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    kit_rest(loop);
    close(fds[1]);
    queue_stream(&e, 0, 10); /* before the loop has seen the end */
    KIT_UNTIL(loop, e.ends == 1);
    kit_rest(loop);
    assert_int_equal(e.ends, 1);
    assert_int_equal(e.last_end, LN_ERR_RESET);
    assert_int_equal(e.sents, 0);
    close_end(&e);
    ln_loop_free(loop);
}

static void last_words_are_heard_before_the_reset(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    kit_rest(loop);
    peer_writes(loop, fds[1], 0, 10);
    close(fds[1]);
    queue_stream(&e, 0, 10);
    KIT_UNTIL(loop, e.ends == 1);
    kit_rest(loop);
    assert_int_equal(e.got, 10);
    assert_int_equal(e.ends, 1);
    assert_int_equal(e.last_end, LN_ERR_RESET);
    assert_string_equal(e.log, "flush 0;recv 10;end -63;");
    close_end(&e);
    ln_loop_free(loop);
}

static void a_broken_answer_after_the_peers_end_is_told_as_well(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    close(fds[1]);
    KIT_UNTIL(loop, e.ends == 1);
    assert_int_equal(e.last_end, 0);
    queue_stream(&e, 0, 10);
    KIT_UNTIL(loop, e.ends == 2);
    assert_int_equal(e.last_end, LN_ERR_RESET);
    kit_rest(loop);
    assert_int_equal(e.ends, 2);
    close_end(&e);
    ln_loop_free(loop);
}

static void resetting_shows_as_a_reset_there(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    char byte;
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    kit_rest(loop);
    ln_sock_reset(&e.sock);
    KIT_UNTIL(loop, e.closes == 1);
    kit_rest(loop);
    assert_int_equal(recv(fds[1], &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fds[1]);
    ln_loop_free(loop);
}

/* Closing */

static void closing_with_bytes_queued_ends_in_on_closed_alone(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    queue_stream(&e, 0, 16 * MIB);
    kit_rest(loop);
    peer_writes(loop, fds[1], 0, 1000);
    const size_t used = strlen(e.log);
    ln_sock_close(&e.sock);
    ln_sock_close(&e.sock);
    ln_sock_cork(&e.sock);
    assert_true(ln_sock_is_closing(&e.sock));
    assert_int_equal(e.closes, 0); /* never from inside */
    KIT_UNTIL(loop, e.closes == 1);
    kit_rest(loop);
    assert_string_equal(e.log + used, "closed 0;");
    close(fds[1]);
    ln_loop_free(loop);
}

static void bytes_sent_before_closing_arrive(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    char byte;
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    queue_stream(&e, 0, 1000);
    KIT_UNTIL(loop, e.out.bytes == 0);
    ln_sock_close(&e.sock);
    KIT_UNTIL(loop, e.closes == 1);
    kit_rest(loop);
    peer_reads(loop, fds[1], 0, 1000);
    assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
    close(fds[1]);
    ln_loop_free(loop);
}

static void check_closing_in(void **state, enum place place, bool by_reset)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    if (by_reset)
        e.reset_in = place;
    else
        e.close_in = place;
    if (place == IN_SENT)
        queue_stream(&e, 0, 16 * MIB); /* stuck, until the peer reads */
    if (place == IN_FLUSH)
        ln_sock_cork(&e.sock);
    peer_writes(loop, fds[1], 0, 50000);
    if (place == IN_END)
        shutdown(fds[1], SHUT_WR);
    for (uint8_t sink[4096]; e.closes == 0;) {
        while (place == IN_SENT && recv(fds[1], sink, sizeof sink, 0) > 0)
            ;
        assert_int_equal(ln_loop_turn(loop, 20), 0);
    }
    kit_rest(loop);
    assert_int_equal(e.closes, 1);
    close(fds[1]);
    ln_loop_free(loop);
}

/* note() and the callbacks refuse anything between the close and on_closed. */
static void closing_from_inside_any_callback_is_the_last_of_them(void **state)
{
    for (enum place place = IN_RECV; place <= IN_FLUSH; place++) {
        check_closing_in(state, place, false);
        check_closing_in(state, place, true);
    }
}

static void closing_another_whose_event_is_due_silences_it(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end a, b;
    int fds[2][2];
    kit_pair(fds[0]);
    kit_pair(fds[1]);
    open_end(&a, loop, fds[0][0]);
    open_end(&b, loop, fds[1][0]);
    a.other = &b;
    b.other = &a;
    peer_writes(loop, fds[0][1], 0, 5);
    peer_writes(loop, fds[1][1], 0, 5);
    KIT_UNTIL(loop, a.closes + b.closes == 1);
    assert_int_equal(a.recvs + b.recvs, 1);
    close_end(a.closes ? &b : &a);
    close(fds[0][1]);
    close(fds[1][1]);
    ln_loop_free(loop);
}

static void a_loop_that_is_freed_finishes_what_was_closed(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    kit_rest(loop);
    queue_stream(&e, 0, 10);
    ln_sock_close(&e.sock);
    ln_loop_free(loop);
    assert_int_equal(e.closes, 1);
    assert_string_equal(e.log, "closed 0;");
    close(fds[1]);
}

static const ln_sock_ops other_ops;
static unsigned other_recvs;

static void other_on_recv(ln_sock *s, uint8_t *bytes, size_t n)
{
    (void)s;
    (void)bytes;
    (void)n;
    other_recvs++;
}

static const ln_sock_ops other_ops = {
    .on_recv = other_on_recv, .on_end = on_end, .on_closed = on_closed};

static void new_ops_are_called_from_then_on(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_pair(fds);
    open_end(&e, loop, fds[0]);
    ln_sock_set_ops(&e.sock, &other_ops);
    peer_writes(loop, fds[1], 0, 5);
    other_recvs = 0;
    KIT_UNTIL(loop, other_recvs == 1);
    assert_int_equal(e.recvs, 0);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
}

/* Lent memory */

/* Eight bytes of head, then what is lent for. */
static void large_message(struct end *e, int peer, size_t *at)
{
    e->lend_at = *at + 8;
    peer_writes(e->loop, peer, *at, 8 + MIB);
    *at += 8 + MIB;
    KIT_UNTIL(e->loop, e->got == *at);
}

static void large_messages_arrive_in_lent_memory(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e = {.loop = loop, .lend_memory = malloc(MIB), .lend_size = MIB};
    int fds[2];
    size_t at = 0;
    kit_tcp_pair(fds);
    assert_int_equal(ln_sock_open(&e.sock, loop, fds[0], &lending_ops), 0);
    for (int round = 0; round < 3; round++) {
        large_message(
            &e, fds[1],
            &at); /* the first may be in the loop's buffers already when its head is seen */
        for (int i = 0; i < 4; i++) {
            const size_t lent_before = e.got_lent;
            large_message(&e, fds[1], &at);
            assert_true(e.got_lent - lent_before >
                        MIB - 70 * KIB); /* all but what came with the head */
        }
        for (int i = 0; i < 20; i++) {
            peer_writes(loop, fds[1], at, 20);
            at += 20;
            KIT_UNTIL(loop, e.got == at);
        }
    }
    assert_false(e.is_wrong);
    close_end(&e);
    free(e.lend_memory);
    close(fds[1]);
    ln_loop_free(loop);
}

/* Brings a sock to where the system has its lent memory. */
static void begin_lending(struct end *e, ln_loop *loop, const int fds[2])
{
    *e = (struct end){.loop = loop, .lend_at = 8, .lend_size = MIB};
    e->lend_memory = malloc(MIB);
    assert_int_equal(ln_sock_open(&e->sock, loop, fds[0], &lending_ops), 0);
    peer_writes(loop, fds[1], 0, 1000);
    KIT_UNTIL(loop, e->got == 1000);
    peer_writes(loop, fds[1], 1000, 1000);
    KIT_UNTIL(loop, e->got == 2000);
    kit_rest(loop);
}

static void a_pause_in_the_middle_of_a_lent_message_loses_nothing(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    begin_lending(&e, loop, fds);
    ln_sock_pause(&e.sock);
    uint8_t bytes[3000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = kit_byte(2000 + i);
    assert_int_equal(send(fds[1], bytes, sizeof bytes, 0), sizeof bytes);
    kit_rest(loop);
    assert_int_equal(e.got, 2000);
    ln_sock_resume(&e.sock);
    KIT_UNTIL(loop, e.got == 5000);
    peer_writes(loop, fds[1], 5000, MIB + 8 - 5000 + 100);
    KIT_UNTIL(loop, e.got == MIB + 108);
    assert_false(e.is_wrong);
    close_end(&e);
    free(e.lend_memory);
    close(fds[1]);
    ln_loop_free(loop);
}

static void lent_memory_is_free_after_on_closed(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    begin_lending(&e, loop, fds);
    ln_sock_close(&e.sock);
    KIT_UNTIL(loop, e.closes == 1);
    free(e.lend_memory); /* a sanitizer finds whoever writes there now */
    assert_true(send(fds[1], "late", 4, MSG_NOSIGNAL) == 4 || errno == EPIPE ||
                errno == ECONNRESET);
    kit_rest(loop);
    close(fds[1]);
    ln_loop_free(loop);
}

static void the_end_in_the_middle_of_a_lent_message_is_told(void **state)
{
    ln_loop *const loop = kit_loop(state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    begin_lending(&e, loop, fds);
    close(fds[1]);
    KIT_UNTIL(loop, e.ends == 1);
    assert_int_equal(e.last_end, 0);
    assert_int_equal(e.got, 2000);
    close_end(&e);
    free(e.lend_memory);
    ln_loop_free(loop);
}

/* The same for both */

/* What happened, in an order and words that do not depend on how the bytes were cut or when sends
 * completed. */
static void scenario(enum ln_io io, int number, char *log, size_t size)
{
    kit_state s = {.io = io};
    void *state = &s;
    ln_loop *const loop = kit_loop(&state);
    struct end e;
    int fds[2];
    kit_tcp_pair(fds);
    open_end(&e, loop, fds[0]);
    kit_rest(loop);
    switch (number) {
    case 0: /* asks, and goes */
        peer_writes(loop, fds[1], 0, 100);
        close(fds[1]);
        break;
    case 1: /* asks, and breaks */
        e.echoes = true;
        peer_writes(loop, fds[1], 0, 100);
        KIT_UNTIL(loop, e.got == 100);
        kit_rest(loop);
        kit_close_by_reset(fds[1]);
        break;
    case 2: /* reads nothing, and breaks */
        queue_stream(&e, 0, 8 * MIB);
        kit_rest(loop);
        kit_close_by_reset(fds[1]);
        break;
    case 3: /* half-closes, reads the answer, goes */
        peer_writes(loop, fds[1], 0, 10);
        shutdown(fds[1], SHUT_WR);
        KIT_UNTIL(loop, e.ends == 1);
        queue_stream(&e, 0, 50);
        peer_reads(loop, fds[1], 0, 50);
        close(fds[1]);
        break;
    case 4: /* writes to one that does not listen, goes */
        ln_sock_pause(&e.sock);
        peer_writes(loop, fds[1], 0, 100);
        close(fds[1]);
        kit_rest(loop);
        ln_sock_resume(&e.sock);
        break;
    default: /* the same, but breaks */
        ln_sock_pause(&e.sock);
        kit_rest(loop);
        kit_close_by_reset(fds[1]);
        kit_rest(loop);
        ln_sock_resume(&e.sock);
        break;
    }
    kit_rest(loop);
    close_end(&e);
    ln_loop_free(loop);

    *log = 0;
    char *rest = e.log, *saved = NULL;
    for (char *word; (word = strtok_r(rest, ";", &saved)); rest = NULL) {
        if (strncmp(word, "sent", 4) != 0)
            snprintf(log + strlen(log), size - strlen(log), "%s;", word);
    }
}

static void both_back_ends_tell_the_same_story(void **state)
{
    (void)state;
    for (int number = 0; number < 6; number++) {
        char epoll[512], uring[512];
        scenario(LN_IO_EPOLL, number, epoll, sizeof epoll);
        scenario(LN_IO_URING, number, uring, sizeof uring);
        assert_string_equal(uring, epoll);
    }
}

/* Out of memory */

static int one_life(const ln_allocator *alloc, void *user)
{
    const kit_state *const s = user;
    const ln_loop_options options = {.io = s->io, .allocator = alloc};
    ln_loop *loop;
    int fds[2];
    const int rc = ln_loop_new(&options, &loop);
    if (rc < 0)
        return rc;
    struct end e = {.loop = loop, .pauses = true};
    kit_tcp_pair(fds);
    assert_int_equal(ln_sock_open(&e.sock, loop, fds[0], &ops), 0);
    peer_writes(loop, fds[1], 0,
                100000); /* what comes after the first buffer has to be kept somewhere */
    KIT_UNTIL(loop, e.recvs == 1);
    kit_rest(loop);
    e.pauses = false;
    ln_sock_resume(&e.sock);
    KIT_UNTIL(loop, e.got == 100000 || e.ends == 1);
    assert_false(e.is_wrong);
    if (e.ends == 1)
        assert_int_equal(e.last_end, LN_ERR_IO);
    close_end(&e);
    close(fds[1]);
    ln_loop_free(loop);
    return 0;
}

static void without_memory_a_connection_ends_but_never_has_a_hole(void **state)
{
    ln_loop_free(kit_loop(state));
    assert_true(failing_alloc_sweep(one_life, *state) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_BOTH(what_is_echoed_over_tcp_comes_back),
        KIT_BOTH(what_is_echoed_over_unix_sockets_comes_back),
        KIT_BOTH(eight_mebibytes_reach_a_slow_reader),
        KIT_BOTH(eight_mebibytes_arrive_from_a_fast_writer),
        KIT_BOTH(sixty_four_spans_leave_as_one_message),
        KIT_BOTH(a_crowd_sends_and_receives_in_the_same_turn),
        KIT_BOTH(in_a_crowd_everybody_gets_its_own),
        KIT_BOTH(a_corked_sock_is_flushed_once_a_turn),
        KIT_BOTH(what_a_turn_produced_leaves_in_one_piece),
        KIT_BOTH(corking_from_inside_on_flush_comes_in_the_next_turn_without_sleep),
        KIT_BOTH(socks_are_flushed_in_the_order_they_were_corked),
        KIT_BOTH(a_quiet_send_leaves_before_the_loop_sleeps),
        KIT_BOTH(a_corked_sock_is_not_quiet),
        KIT_BOTH(an_ordinary_send_is_told_without_any_other_event),
        KIT_BOTH(a_paused_sock_receives_nothing_and_loses_nothing),
        KIT_BOTH(pausing_in_the_middle_of_a_burst_keeps_the_order),
        KIT_BOTH(resuming_at_once_loses_nothing),
        KIT_BOTH(the_end_waits_behind_what_was_kept_back),
        KIT_BOTH(a_paused_sock_may_close_with_bytes_kept_back),
        KIT_BOTH(a_half_closed_connection_can_still_be_answered),
        KIT_BOTH(an_ended_sock_lets_the_loop_sleep),
        KIT_BOTH(a_reset_is_told_once),
        KIT_BOTH(a_reset_during_a_send_is_told_once),
        KIT_BOTH(a_reset_while_paused_is_found_by_the_send),
        KIT_BOTH(a_paused_sock_is_flushed_also_after_its_end_was_told),
        KIT_BOTH(sending_to_nobody_is_a_reset_and_no_signal),
        KIT_BOTH(last_words_are_heard_before_the_reset),
        KIT_BOTH(a_broken_answer_after_the_peers_end_is_told_as_well),
        KIT_BOTH(resetting_shows_as_a_reset_there),
        KIT_BOTH(closing_with_bytes_queued_ends_in_on_closed_alone),
        KIT_BOTH(bytes_sent_before_closing_arrive),
        KIT_BOTH(closing_from_inside_any_callback_is_the_last_of_them),
        KIT_BOTH(closing_another_whose_event_is_due_silences_it),
        KIT_BOTH(a_loop_that_is_freed_finishes_what_was_closed),
        KIT_BOTH(new_ops_are_called_from_then_on),
        KIT_BOTH(large_messages_arrive_in_lent_memory),
        KIT_BOTH(a_pause_in_the_middle_of_a_lent_message_loses_nothing),
        KIT_BOTH(lent_memory_is_free_after_on_closed),
        KIT_BOTH(the_end_in_the_middle_of_a_lent_message_is_told),
        KIT_ONE("both", both_back_ends_tell_the_same_story, NULL),
        KIT_BOTH(without_memory_a_connection_ends_but_never_has_a_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
