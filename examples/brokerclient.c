/* SPDX-License-Identifier: MIT */
/*
 * brokerclient.c - a thermometer on a broker: publishes what it measures, hears what others do,
 * answers "thermometer.read", and asks the server for what it is told to. The three ways to run a
 * client are three functions here.
 *
 *     brokerclient loop URL [TOPIC]       on a loop of its own thread
 *     brokerclient thread URL [TOPIC]     on a thread of the client's, with calls that block
 *     brokerclient foreign URL [TOPIC]    inside somebody else's loop: here poll()
 *
 * Each ends when the request for TOPIC, "system:list_clients" if none is given, has been answered
 * and its own measurement has come back.
 */
#include <linnet/brokerclient.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static bool is_answered, is_heard;

/* ---- what all three have in common ---- */

static void on_state(ln_broker_client *client, enum ln_broker_client_state state, int64_t wait_ms,
                     void *user)
{
    static const char *const names[] = {"", "connecting", "open", "waiting", "stopped"};

    fprintf(stderr, "%s\n", names[state]);
}

static void on_error(ln_broker_client *client, int err, const char *what, void *user)
{
    fprintf(stderr, "%s\n", what);
}

static void on_measured(ln_broker_client *client, ln_span topic, ln_span payload, void *user)
{
    printf("%.*s %.*s\n", (int)topic.size, (const char *)topic.data, (int)payload.size,
           (const char *)payload.data);
    fflush(stdout);
    is_heard = true;
}

/* Whoever asks gets the temperature at once; ln_broker_client_result() may be called later, too,
 * from any thread, if this returns LN_ERR_AGAIN. */
static int on_read(const ln_broker_client_call *call, void *user)
{
    return ln_broker_client_result(&call->ticket, LN_SPAN("{\"celsius\":21.5}"));
}

static void on_reply(const ln_broker_client_reply *reply, void *user)
{
    if (reply->error == 0)
        printf("answer: %.*s\n", (int)reply->payload.size, (const char *)reply->payload.data);
    else if (reply->error == LN_ERR_REFUSED)
        printf("error %lld: %.*s\n", (long long)reply->code, (int)reply->message.size,
               (const char *)reply->message.data);
    else
        printf("no answer: %s\n", ln_strerror(reply->error));
    fflush(stdout);
    is_answered = true;
}

static const ln_broker_client_options options = {
    .name = "thermometer", .type = "sensor", .on_state = on_state, .on_error = on_error};

/* Before it is connected: what is called now waits for that. */
static int furnish(ln_broker_client *client)
{
    int rc = ln_broker_client_serve(client, LN_SPAN("thermometer.read"), on_read, NULL);
    if (rc == 0)
        rc = ln_broker_client_subscribe(client, LN_SPAN("measured.*"), on_measured, NULL, NULL);
    if (rc == 0)
        rc = ln_broker_client_publish(client, LN_SPAN("measured.celsius"), LN_SPAN("21.5"));
    return rc;
}

static ln_broker_client_order order_for(const char *topic)
{
    return (ln_broker_client_order){.topic = {topic, strlen(topic)}, .on_reply = on_reply};
}

/* ---- on a loop ---- */

static void end_when_done(void *arg)
{
    ln_loop *loop = arg;

    if (is_answered && is_heard)
        ln_loop_stop(loop);
    else
        ln_loop_after(loop, 20, end_when_done, loop, NULL);
}

static int run_on_loop(const char *url, const char *topic)
{
    const ln_broker_client_order order = order_for(topic);
    ln_broker_client *client = NULL;
    ln_loop *loop;

    int rc = ln_loop_new(NULL, &loop);
    if (rc < 0)
        return rc;
    rc = ln_broker_client_new(loop, url, &options, &client);
    if (rc == 0)
        rc = furnish(client);
    if (rc == 0)
        rc = ln_broker_client_request(client, &order, NULL);
    if (rc == 0) {
        end_when_done(loop);
        rc = ln_loop_run(loop);
    }
    ln_broker_client_free(client);
    ln_loop_free(loop);
    return rc;
}

/* ---- on a thread of its own ---- */

static int run_on_thread(const char *url, const char *topic)
{
    const ln_broker_client_order order = order_for(topic);
    ln_broker_client *client;

    int rc = ln_broker_client_new(NULL, url, &options, &client);
    if (rc < 0)
        return rc;
    rc = furnish(client);
    if (rc == 0)
        rc = ln_broker_client_wait_open(client, 5000);
    /* on_reply runs here, all other handlers on the client's thread. */
    if (rc == 0)
        (void)ln_broker_client_request_wait(client, &order);
    ln_broker_client_free(client); /* says goodbye, and waits for it */
    return rc;
}

/* ---- inside a foreign loop ---- */

static int run_in_poll(const char *url, const char *topic)
{
    const ln_broker_client_order order = order_for(topic);
    ln_broker_client *client = NULL;
    ln_loop *loop;

    int rc = ln_loop_new(NULL, &loop);
    if (rc < 0)
        return rc;
    rc = ln_broker_client_new(loop, url, &options, &client);
    if (rc == 0)
        rc = furnish(client);
    if (rc == 0)
        rc = ln_broker_client_request(client, &order, NULL);
    while (rc == 0 && !(is_answered && is_heard)) {
        /* The application's own descriptors stand here beside linnet's. */
        struct pollfd fds[] = {{.fd = ln_loop_fd(loop), .events = POLLIN}};
        poll(fds, 1, ln_loop_timeout_ms(loop));
        rc = ln_loop_turn(loop, 0);
    }
    ln_broker_client_free(client);
    ln_loop_free(loop);
    return rc;
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "loop";
    const char *url = argc > 2 ? argv[2] : "ws://127.0.0.1:8080/wsmq";
    const char *topic = argc > 3 ? argv[3] : "system:list_clients";

    const int rc = strcmp(way, "thread") == 0    ? run_on_thread(url, topic)
                   : strcmp(way, "foreign") == 0 ? run_in_poll(url, topic)
                                                 : run_on_loop(url, topic);
    if (rc < 0)
        fprintf(stderr, "brokerclient: %s\n", ln_strerror(rc));
    return rc < 0;
}
