/* SPDX-License-Identifier: MIT */
/*
 * linnet/endpoint.h: a client's and a server's end talking to each other in memory, with time as a
 * number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/endpoint.h>

#include "failing_alloc.h"

enum { BYTES_MAX = 1 << 18, TRACE_MAX = 64 };

static const char request_text[] =
    "GET /chat HTTP/1.1\r\nHost: h.example\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n";

/* One end, what it has told so far, and the last of it. */
typedef struct side {
    ln_endpoint *end;
    /* r request, o open, m message, p piece, i ping, a pong, c closed, f failed */
    char trace[TRACE_MAX];
    char text[1 << 16]; /* of the last message, or of all pieces since the first */
    size_t size;
    int error;
    unsigned status;
    ln_close_info close;
    uint64_t now_ms;
} side;

static void take(side *s, const ln_event *e)
{
    static const char letters[] = "?rompiacf";
    const size_t n = strlen(s->trace);

    assert_true(n < TRACE_MAX - 1);
    s->trace[n] = letters[e->type];
    s->trace[n + 1] = '\0';
    switch (e->type) {
    case LN_EVENT_REQUEST:
        s->size = 0;
        break;
    case LN_EVENT_OPEN:
        break;
    case LN_EVENT_MESSAGE:
    case LN_EVENT_PIECE:
        if (e->message.is_first)
            s->size = 0;
        assert_true(s->size + e->message.data.size <= sizeof s->text);
        if (e->message.data.size > 0)
            memcpy(s->text + s->size, e->message.data.data, e->message.data.size);
        s->size += e->message.data.size;
        break;
    case LN_EVENT_PING:
    case LN_EVENT_PONG:
        break;
    case LN_EVENT_CLOSED:
        s->close = e->close;
        s->close.reason = (ln_span){NULL, 0};
        break;
    case LN_EVENT_FAILED:
        assert_true(e->data.size > 0);
        s->error = e->error;
        s->status = e->status;
        break;
    }
}

/* Everything it has to tell; a request is accepted. */
static void drain(side *s)
{
    ln_event e;
    while (ln_endpoint_next(s->end, &e)) {
        take(s, &e);
        if (e.type == LN_EVENT_REQUEST)
            (void)ln_endpoint_accept(s->end, s->now_ms);
    }
}

static void feed(side *s, const void *bytes, size_t n)
{
    uint8_t *const copy = malloc(n == 0 ? 1 : n);
    size_t used = 0;

    memcpy(copy, bytes, n);
    drain(s);
    for (int i = 0; used < n; i++) {
        assert_true(i < 100000);
        used += ln_endpoint_feed(s->end, copy + used, n - used, s->now_ms);
        drain(s);
    }
    free(copy);
}

static size_t pull(side *s, uint8_t *bytes, size_t max)
{
    ln_span spans[3];
    size_t n = 0;

    for (int k = ln_endpoint_pull(s->end, spans, 3); k > 0;
         k = ln_endpoint_pull(s->end, spans, 3)) {
        size_t some = 0;
        for (int i = 0; i < k; i++) {
            assert_true(n + spans[i].size <= max);
            memcpy(bytes + n, spans[i].data, spans[i].size);
            n += spans[i].size;
            some += spans[i].size;
        }
        ln_endpoint_sent(s->end, some);
    }
    assert_int_equal(ln_endpoint_queued(s->end), 0);
    return n;
}

/* Moves what one end has to send to the other, first `first` bytes and then the rest. True if there
 * was anything. */
static bool carry(side *from, side *to, size_t first)
{
    static uint8_t bytes[BYTES_MAX];
    const size_t n = pull(from, bytes, sizeof bytes);
    const size_t cut = first < n ? first : n;

    feed(to, bytes, cut);
    feed(to, bytes + cut, n - cut);
    return n > 0;
}

static void converse(side *a, side *b)
{
    drain(a);
    drain(b);
    for (bool has_more = true; has_more;) {
        has_more = carry(a, b, SIZE_MAX);
        has_more = carry(b, a, SIZE_MAX) || has_more;
    }
}

static void make_pair(side *client, side *server, const ln_endpoint_options *c,
                      const ln_endpoint_options *s)
{
    *client = (side){.now_ms = 1000};
    *server = (side){.now_ms = 1000};
    assert_int_equal(ln_endpoint_new_client("ws://h.example/chat?x=1", c, 1000, &client->end), 0);
    assert_int_equal(ln_endpoint_new_server(s, 1000, &server->end), 0);
}

static void free_pair(side *client, side *server)
{
    ln_endpoint_free(client->end);
    ln_endpoint_free(server->end);
}

static side lone_server(const ln_endpoint_options *o)
{
    side s = {.now_ms = 1000};
    assert_int_equal(ln_endpoint_new_server(o, 1000, &s.end), 0);
    return s;
}

static side lone_client(const ln_endpoint_options *o)
{
    side s = {.now_ms = 1000};
    assert_int_equal(ln_endpoint_new_client("ws://h.example/", o, 1000, &s.end), 0);
    return s;
}

/* ---- the handshake ---- */

static void a_conversation_goes_from_open_to_closed(void **state)
{
    (void)state;
    side c, s;
    const ln_endpoint_options o = {.ws = {.subprotocols = "v1,v2"}},
                              p = {.ws = {.subprotocols = "v2"}};

    make_pair(&c, &s, &o, &p);
    assert_int_equal(ln_endpoint_send(c.end, LN_TEXT, LN_SPAN("early")), LN_ERR_STATE);
    converse(&c, &s);
    assert_string_equal(c.trace, "o");
    assert_string_equal(s.trace, "ro");
    assert_int_equal(ln_endpoint_subprotocol(c.end).size, 2);
    assert_memory_equal(ln_endpoint_subprotocol(c.end).data, "v2", 2);
    assert_memory_equal(ln_endpoint_subprotocol(s.end).data, "v2", 2);
    assert_int_equal(ln_endpoint_send(c.end, LN_TEXT, LN_SPAN("hello")), 0);
    assert_int_equal(ln_endpoint_ping(s.end, LN_SPAN("p")), 0);
    assert_true(ln_endpoint_queued(c.end) > 5);
    converse(&c, &s);
    assert_string_equal(s.trace, "roma");
    assert_memory_equal(s.text, "hello", 5);
    assert_string_equal(c.trace, "oi");
    assert_int_equal(ln_endpoint_close(s.end, 4000, LN_SPAN("bye"), s.now_ms), 0);
    assert_int_equal(ln_endpoint_send(s.end, LN_TEXT, LN_SPAN("late")), LN_ERR_CLOSED);
    converse(&c, &s);
    assert_string_equal(c.trace, "oic");
    assert_string_equal(s.trace, "romac");
    assert_int_equal(c.close.code, 4000);
    assert_int_equal(c.close.by, LN_CLOSED_BY_PEER);
    assert_int_equal(s.close.by, LN_CLOSED_BY_US);
    assert_true(c.close.is_clean && s.close.is_clean);
    free_pair(&c, &s);
}

static void the_handshake_may_be_split_anywhere(void **state)
{
    (void)state;
    size_t request = 1, response = 1;

    for (size_t cut = 0; cut <= request || cut <= response; cut++) {
        side c, s;
        uint8_t bytes[4096];
        make_pair(&c, &s, NULL, NULL);
        request = pull(&c, bytes, sizeof bytes);
        feed(&s, bytes, cut < request ? cut : request);
        assert_string_equal(s.trace, cut < request ? "" : "ro");
        if (cut < request)
            feed(&s, bytes + cut, request - cut);
        assert_string_equal(s.trace, "ro");
        response = pull(&s, bytes, sizeof bytes);
        feed(&c, bytes, cut < response ? cut : response);
        assert_string_equal(c.trace, cut < response ? "" : "o");
        if (cut < response)
            feed(&c, bytes + cut, response - cut);
        assert_string_equal(c.trace, "o");
        free_pair(&c, &s);
    }
    assert_true(request > 100 && response > 100);
}

static void headers_can_be_read_while_it_is_asked(void **state)
{
    (void)state;
    side s = lone_server(NULL);
    ln_event e;
    char copy[sizeof request_text];

    memcpy(copy, request_text, sizeof copy);
    assert_int_equal(ln_endpoint_feed(s.end, copy, sizeof copy - 1, 1000), sizeof copy - 1);
    assert_int_equal(ln_endpoint_feed(s.end, copy, 1, 1000), 0); /* an event waits */
    assert_true(ln_endpoint_next(s.end, &e));
    assert_int_equal(e.type, LN_EVENT_REQUEST);
    assert_int_equal(e.data.size, 5);
    assert_memory_equal(e.data.data, "/chat", 5);
    assert_memory_equal(ln_endpoint_header(s.end, "host").data, "h.example", 9);
    assert_null(ln_endpoint_header(s.end, "Origin").data);
    assert_false(ln_endpoint_next(s.end, &e));
    assert_int_equal(ln_endpoint_feed(s.end, copy, 1, 1000), 0); /* an answer is awaited */
    assert_int_equal(ln_endpoint_refuse(s.end, 399), LN_ERR_INVALID);
    assert_int_equal(ln_endpoint_refuse(s.end, 600), LN_ERR_INVALID);
    assert_int_equal(ln_endpoint_accept(s.end, 1000), 0);
    assert_int_equal(ln_endpoint_accept(s.end, 1000), LN_ERR_STATE);
    assert_int_equal(ln_endpoint_refuse(s.end, 400), LN_ERR_STATE);
    assert_true(ln_endpoint_next(s.end, &e));
    assert_int_equal(e.type, LN_EVENT_OPEN);
    ln_endpoint_free(s.end);
}

static void a_refusal_reaches_the_client(void **state)
{
    (void)state;
    side c, s;
    ln_event e;
    uint8_t bytes[4096];

    make_pair(&c, &s, NULL, NULL);
    size_t n = pull(&c, bytes, sizeof bytes);
    assert_int_equal(ln_endpoint_feed(s.end, bytes, n, 1000), n);
    assert_true(ln_endpoint_next(s.end, &e));
    assert_int_equal(ln_endpoint_refuse(s.end, 403), 0);
    drain(&s);
    assert_string_equal(s.trace, "f");
    assert_int_equal(s.status, 403);
    n = pull(&s, bytes, sizeof bytes);
    assert_memory_equal(bytes, "HTTP/1.1 403 ", 13);
    feed(&c, bytes, n);
    assert_string_equal(c.trace, "f");
    assert_int_equal(c.error, LN_ERR_REFUSED);
    assert_int_equal(c.status, 403);
    feed(&c, "forgotten", 9);
    feed(&s, "forgotten", 9);
    assert_string_equal(c.trace, "f");
    assert_true(ln_endpoint_deadline(c.end) == UINT64_MAX);
    free_pair(&c, &s);
}

/* What a server answers by itself. */
static void bad_requests_are_refused_with_their_status(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426},
        {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 12\r\n\r\n",
         426},
        {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
         400},
        {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: http://evil.example\r\nUpgrade: "
         "websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         403},
        {"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", 400},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char begin[32];
        uint8_t bytes[4096];
        side s = lone_server(NULL);
        feed(&s, cases[i].text, strlen(cases[i].text));
        assert_string_equal(s.trace, "f");
        assert_int_equal(s.error, LN_ERR_HANDSHAKE);
        assert_int_equal(s.status, cases[i].status);
        const size_t n = pull(&s, bytes, sizeof bytes - 1);
        bytes[n] = '\0';
        const int size = snprintf(begin, sizeof begin, "HTTP/1.1 %u ", cases[i].status);
        assert_memory_equal(bytes, begin, (size_t)size);
        assert_int_equal(strstr((char *)bytes, "\r\nSec-WebSocket-Version: 13\r\n") != NULL,
                         cases[i].status == 426);
        ln_endpoint_free(s.end);
    }
}

static void wrong_arguments_are_errors(void **state)
{
    (void)state;
    const ln_client_header host = {"Host", "x"};
    const ln_endpoint_options header = {.headers = &host, .header_count = 1},
                              range = {.ws = {.handshake_ms = 9}};
    ln_endpoint *e = NULL;

    assert_int_equal(ln_endpoint_new_client("gopher://h/", NULL, 0, &e), LN_ERR_INVALID);
    assert_int_equal(ln_endpoint_new_client("ws://h/", &header, 0, &e), LN_ERR_INVALID);
    assert_int_equal(ln_endpoint_new_client("ws://h/", &range, 0, &e), LN_ERR_INVALID);
    assert_int_equal(ln_endpoint_new_server(&range, 0, &e), LN_ERR_INVALID);
    assert_null(e);
    ln_endpoint_free(NULL);
}

/* ---- time ---- */

static void the_handshake_has_a_deadline(void **state)
{
    (void)state;
    const ln_endpoint_options o = {.ws = {.handshake_ms = 100}};
    side ends[] = {lone_server(&o), lone_client(&o), lone_server(&o)};
    ln_event e;

    char copy[sizeof request_text];
    memcpy(copy, request_text, sizeof copy);
    ln_endpoint_feed(ends[2].end, copy, sizeof copy - 1, 1000); /* asked, and not answered */
    assert_true(ln_endpoint_next(ends[2].end, &e));
    for (int i = 0; i < 3; i++) {
        assert_true(ln_endpoint_deadline(ends[i].end) == 1100);
        ln_endpoint_tick(ends[i].end, 1099);
        assert_false(ln_endpoint_next(ends[i].end, &e));
        ln_endpoint_tick(ends[i].end, 1100);
        drain(&ends[i]);
        assert_string_equal(ends[i].trace, "f");
        assert_int_equal(ends[i].error, LN_ERR_TIMEOUT);
        ln_endpoint_tick(ends[i].end, 9999);
        assert_false(ln_endpoint_next(ends[i].end, &e));
        ln_endpoint_free(ends[i].end);
    }
}

static void a_silent_peer_is_pinged_and_given_up(void **state)
{
    (void)state;
    side c, s;
    uint8_t bytes[4096];
    const ln_endpoint_options o = {
        .ws = {.ping_interval_ms = 1000, .pong_wait_ms = 500, .close_wait_ms = 300}};
    uint64_t last = 0;

    make_pair(&c, &s, NULL, &o);
    converse(&c, &s);
    for (int i = 0; i < 10 && strchr(s.trace, 'c') == NULL; i++) {
        const uint64_t due = ln_endpoint_deadline(s.end);
        assert_true(due != UINT64_MAX && due > last);
        last = s.now_ms = due;
        ln_endpoint_tick(s.end, due);
        drain(&s);
        (void)pull(&s, bytes, sizeof bytes);
        if (i == 0)
            assert_int_equal(bytes[0], 0x89);
    }
    assert_string_equal(s.trace, "roc");
    assert_int_equal(s.close.error, LN_ERR_TIMEOUT);
    assert_false(s.close.is_clean);
    assert_in_range(last, 2500, 2800);
    free_pair(&c, &s);
}

/* ---- messages ---- */

static void pieces_come_as_they_arrive(void **state)
{
    (void)state;
    side c, s;
    const ln_endpoint_options o = {.streams = true};

    make_pair(&c, &s, NULL, &o);
    converse(&c, &s);
    assert_int_equal(ln_endpoint_send_piece(c.end, LN_TEXT, LN_SPAN("one "), false), 0);
    assert_int_equal(ln_endpoint_send(c.end, LN_TEXT, LN_SPAN("x")), LN_ERR_BUSY);
    converse(&c, &s);
    assert_true(strlen(s.trace) >= 3 && s.trace[2] == 'p');
    assert_int_equal(ln_endpoint_send_piece(c.end, LN_TEXT, LN_SPAN("two"), true), 0);
    converse(&c, &s);
    assert_int_equal(s.size, 7);
    assert_memory_equal(s.text, "one two", 7);
    assert_null(strchr(s.trace, 'm'));
    free_pair(&c, &s);
}

static void compression_is_agreed_and_undone(void **state)
{
    (void)state;
    static char text[40000];
    static uint8_t bytes[BYTES_MAX];

    memset(text, 'z', sizeof text);
    for (int takeover = 0; takeover < 2; takeover++) {
        side c, s;
        const ln_endpoint_options o = {
            .ws = {.deflate = true, .deflate_context_takeover = takeover != 0}};
        make_pair(&c, &s, &o, &o);
        converse(&c, &s);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(ln_endpoint_send(c.end, LN_TEXT, (ln_span){text, sizeof text}), 0);
            const size_t n = pull(&c, bytes, sizeof bytes);
            assert_true(n < 1000);
            assert_int_equal(bytes[0], 0xc1);
            feed(&s, bytes, n);
            assert_int_equal(s.size, sizeof text);
            assert_memory_equal(s.text, text, sizeof text);
        }
        assert_string_equal(s.trace, "rommm");
        free_pair(&c, &s);
    }
}

static void three(void *user, void *bytes, size_t n)
{
    (*(int *)user)++;
    memset(bytes, 3, n);
}

static void random_bytes_are_the_callers(void **state)
{
    (void)state;
    int calls = 0;
    uint8_t bytes[4096];
    side c, s;
    const ln_endpoint_options o = {.random = three, .random_user = &calls};

    make_pair(&c, &s, &o, NULL);
    assert_int_equal(calls, 1);
    converse(&c, &s);
    assert_int_equal(ln_endpoint_send(c.end, LN_TEXT, LN_SPAN("a")), 0);
    assert_int_equal(pull(&c, bytes, sizeof bytes), 7);
    assert_memory_equal(bytes,
                        "\x81\x81\x03\x03\x03\x03"
                        "b",
                        7);
    free_pair(&c, &s);
}

/* ---- the end ---- */

static void the_end_of_the_transport_is_the_last_event(void **state)
{
    (void)state;
    for (int client = 0; client < 2; client++) {
        side c, s, *const e = client ? &c : &s;
        make_pair(&c, &s, NULL, NULL); /* shaking */
        ln_endpoint_eof(e->end);
        ln_endpoint_eof(e->end);
        drain(e);
        assert_string_equal(e->trace, "f");
        assert_int_equal(e->error, LN_ERR_HANDSHAKE);
        free_pair(&c, &s);

        make_pair(&c, &s, NULL, NULL); /* open */
        converse(&c, &s);
        ln_endpoint_eof(e->end);
        drain(e);
        ln_endpoint_eof(e->end);
        drain(e);
        assert_string_equal(e->trace, client ? "oc" : "roc");
        assert_int_equal(e->close.code, 1006);
        assert_false(e->close.is_clean);
        free_pair(&c, &s);

        make_pair(&c, &s, NULL, NULL); /* closing */
        converse(&c, &s);
        assert_int_equal(ln_endpoint_close(e->end, 1000, LN_SPAN(""), 1000), 0);
        ln_endpoint_eof(e->end);
        drain(e);
        assert_string_equal(e->trace, client ? "oc" : "roc");
        assert_false(e->close.is_clean);
        free_pair(&c, &s);

        make_pair(&c, &s, NULL, NULL); /* closed */
        converse(&c, &s);
        assert_int_equal(ln_endpoint_close(e->end, 1000, LN_SPAN(""), 1000), 0);
        converse(&c, &s);
        ln_endpoint_eof(e->end);
        drain(e);
        assert_string_equal(e->trace, client ? "oc" : "roc");
        assert_true(e->close.is_clean);
        free_pair(&c, &s);
    }
}

static void the_end_before_an_answer_is_a_failure(void **state)
{
    (void)state;
    side s = lone_server(NULL);
    char copy[sizeof request_text];
    ln_event e;

    memcpy(copy, request_text, sizeof copy);
    ln_endpoint_feed(s.end, copy, sizeof copy - 1, 1000);
    assert_true(ln_endpoint_next(s.end, &e));
    ln_endpoint_eof(s.end);
    drain(&s);
    assert_string_equal(s.trace, "f");
    assert_int_equal(ln_endpoint_accept(s.end, 1000), LN_ERR_STATE);
    ln_endpoint_free(s.end);
}

/* The transport ends right behind the last bytes. */
static void what_came_before_the_end_is_told_first(void **state)
{
    (void)state;
    side c, s;
    uint8_t bytes[4096];

    make_pair(&c, &s, NULL, NULL);
    converse(&c, &s);
    assert_int_equal(ln_endpoint_send(s.end, LN_TEXT, LN_SPAN("last")), 0);
    const size_t n = pull(&s, bytes, sizeof bytes);
    feed(&c, bytes, n);
    ln_endpoint_eof(c.end);
    drain(&c);
    assert_string_equal(c.trace, "omc");
    assert_memory_equal(c.text, "last", 4);
    free_pair(&c, &s);
}

/* ---- memory ---- */

/* A conversation that ends somewhere when memory does. */
static int one_life(const ln_allocator *alloc, void *user)
{
    static char text[3000];
    const ln_client_header header = {"X-Token", "abc"};
    const ln_endpoint_options o = {.ws = {.deflate = user != NULL, .subprotocols = "v1"},
                                   .headers = &header,
                                   .header_count = 1,
                                   .origin = "http://h.example",
                                   .allocator = alloc};
    side *const c = calloc(2, sizeof *c), *const s = c + 1;
    c->now_ms = s->now_ms = 1000;
    memset(text, 't', sizeof text);

    int rc = ln_endpoint_new_client("ws://h.example/", &o, 1000, &c->end);
    if (rc == 0)
        rc = ln_endpoint_new_server(&o, 1000, &s->end);
    if (rc == 0) {
        converse(c, s);
        if (strcmp(c->trace, "o") != 0)
            rc = LN_ERR_NOMEM;
    }
    if (rc == 0)
        rc = ln_endpoint_send(c->end, LN_TEXT, (ln_span){text, sizeof text});
    if (rc == 0)
        rc = ln_endpoint_send(s->end, LN_TEXT, (ln_span){text, sizeof text});
    if (rc == 0) {
        converse(c, s);
        if (strcmp(c->trace, "om") != 0 || strcmp(s->trace, "rom") != 0)
            rc = LN_ERR_NOMEM;
        else
            assert_memory_equal(s->text, text, sizeof text);
    }
    ln_endpoint_free(c->end);
    ln_endpoint_free(s->end);
    free(c);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    int yes = 1;
    assert_true(failing_alloc_sweep(one_life, NULL) > 10);
    assert_true(failing_alloc_sweep(one_life, &yes) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_goes_from_open_to_closed),
        cmocka_unit_test(the_handshake_may_be_split_anywhere),
        cmocka_unit_test(headers_can_be_read_while_it_is_asked),
        cmocka_unit_test(a_refusal_reaches_the_client),
        cmocka_unit_test(bad_requests_are_refused_with_their_status),
        cmocka_unit_test(wrong_arguments_are_errors),
        cmocka_unit_test(the_handshake_has_a_deadline),
        cmocka_unit_test(a_silent_peer_is_pinged_and_given_up),
        cmocka_unit_test(pieces_come_as_they_arrive),
        cmocka_unit_test(compression_is_agreed_and_undone),
        cmocka_unit_test(random_bytes_are_the_callers),
        cmocka_unit_test(the_end_of_the_transport_is_the_last_event),
        cmocka_unit_test(the_end_before_an_answer_is_a_failure),
        cmocka_unit_test(what_came_before_the_end_is_told_first),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
