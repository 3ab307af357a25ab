/* SPDX-License-Identifier: MIT */
/*
 * roundtrip.c - checks an echo server: messages of every size class, text and binary, whole and in
 * pieces with pings between, and a thousand pings among messages. Says what differs, or "all came
 * back"; exit status 1 or 0.
 *
 *     roundtrip ws://127.0.0.1:8080/echo
 *     roundtrip --deflate --ca ca.pem wss://localhost:8443/echo
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnet/linnet.h>

enum { LARGEST = 16 << 20, PINGS = 1000, PIECES = 7 };

static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 1 << 20, LARGEST};
enum { STEPS = 4 * (int)(sizeof sizes / sizeof sizes[0]) }; /* text, binary; whole, in pieces */

static ln_loop *loop;
static char *payload;     /* LARGEST bytes of UTF-8 that is binary just as well */
static int step;          /* the message under way */
static int echoes, pongs; /* of the last part */
static int result = 1;

static size_t step_size(void)
{
    return sizes[step / 4];
}

static enum ln_kind step_kind(void)
{
    return step % 2 ? LN_BINARY : LN_TEXT;
}

static void give_up(const char *what)
{
    fprintf(stderr, "roundtrip: step %d: %s\n", step, what);
    ln_loop_stop(loop);
}

static void send_pieces(ln_conn *c, size_t size)
{
    for (int i = 0; i < PIECES; i++) {
        const size_t from = size * (size_t)i / PIECES, to = size * (size_t)(i + 1) / PIECES;
        ln_conn_send_piece(c, step_kind(), (ln_span){payload + from, to - from}, i == PIECES - 1);
        ln_conn_ping(c, LN_SPAN("between"));
    }
}

/* A thousand pings, and a message after every tenth. */
static void send_pings(ln_conn *c)
{
    char text[16];

    echoes = pongs = 0;
    for (int i = 0; i < PINGS; i++) {
        const int n = snprintf(text, sizeof text, "ping %d", i);
        ln_conn_ping(c, (ln_span){text, (size_t)n});
        if (i % 10 == 9)
            ln_conn_send(c, LN_TEXT, (ln_span){text, (size_t)n});
    }
}

static void next(ln_conn *c)
{
    if (step == STEPS)
        send_pings(c);
    else if (step / 2 % 2)
        send_pieces(c, step_size());
    else
        ln_conn_send(c, step_kind(), (ln_span){payload, step_size()});
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)request;
    (void)user;
    next(c);
}

static void finish(ln_conn *c)
{
    printf("all came back, %d pongs to %d pings\n", pongs, PINGS);
    result = 0;
    ln_conn_close(c, 1000, LN_SPAN("done"));
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    if (step < STEPS) {
        if (m->kind != step_kind() || m->data.size != step_size() ||
            memcmp(m->data.data, payload, m->data.size) != 0)
            give_up("what came back is not what was sent");
        step++;
        next(c);
    } else if (++echoes == PINGS / 10 && pongs > 0) {
        finish(c);
    }
}

/* The answer to the last ping counts for all before it (RFC 6455 5.5.3). */
static void on_pong(ln_conn *c, ln_span data, void *user)
{
    (void)user;
    if (step < STEPS || data.size < 5 || memcmp(data.data, "ping ", 5) != 0)
        return;
    pongs++;
    if (data.size == 8 && memcmp(data.data, "ping 999", 8) == 0 && echoes == PINGS / 10)
        finish(c);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    (void)c;
    (void)user;
    if (info->code != 1000 || !info->is_clean) {
        fprintf(stderr, "roundtrip: closed with %u %.*s (%s)\n", info->code, (int)info->reason.size,
                (const char *)info->reason.data,
                info->error < 0 ? ln_strerror(info->error) : "no error");
        result = 1;
    }
    ln_loop_stop(loop);
}

static void on_failure(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user)
{
    (void)client;
    (void)err;
    (void)retry_ms;
    (void)user;
    fprintf(stderr, "roundtrip: no connection: %s (status %u)\n", what, status);
    ln_loop_stop(loop);
}

static void fill_payload(void)
{
    /* two, three and four bytes */
    static const char pattern[] = "linnet \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6 ";

    payload = malloc(LARGEST);
    for (size_t i = 0; i < LARGEST; i++)
        payload[i] = pattern[i % (sizeof pattern - 1)];
    /* No size may cut a code point: where one would, plain letters end the text. */
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = sizes[i] < 4 ? 0 : sizes[i] - 4; k < sizes[i]; k++)
            payload[k] = 'x';
    }
}

/* Letters overwritten in the middle of a code point leave its rest behind: make those plain,
 * too. */
static void mend_payload(void)
{
    for (size_t i = 0; i < LARGEST;) {
        const unsigned char c = (unsigned char)payload[i];
        const size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        size_t k = 1;
        while (c >= 0xc0 && k < size && i + k < LARGEST &&
               ((unsigned char)payload[i + k] & 0xc0) == 0x80)
            k++;
        if (c >= 0x80 && (c < 0xc0 || k < size))
            payload[i] = 'x';
        else
            i += size;
    }
}

int main(int argc, char **argv)
{
    const ln_ws_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_pong = on_pong, .on_close = on_close};
    ln_tls_options tls = {.ca_file = NULL};
    ln_client_options options = {.tls = &tls,
                                 .on_failure = on_failure,
                                 .ws = {.message_max_bytes = LARGEST + 1,
                                        .fragments_max = 100000,
                                        .queue_max_bytes = 4 * LARGEST,
                                        .control_per_second = LN_OFF}};
    ln_client *client;
    int i = 1;

    for (; i < argc - 1; i++) {
        if (strcmp(argv[i], "--deflate") == 0)
            options.ws.deflate = true;
        else if (strcmp(argv[i], "--takeover") == 0)
            options.ws.deflate_context_takeover = true;
        else if (strcmp(argv[i], "--ca") == 0)
            tls.ca_file = argv[++i];
    }
    fill_payload();
    mend_payload();
    if (argc < 2 || ln_loop_new(NULL, &loop) < 0)
        return 1;
    const int rc = ln_client_new(loop, argv[argc - 1], &handlers, &options, &client);
    if (rc < 0)
        fprintf(stderr, "roundtrip: %s\n", ln_strerror(rc));
    else
        ln_loop_run(loop);
    if (rc == 0)
        ln_client_free(client);
    ln_loop_free(loop);
    free(payload);
    return result;
}
