/* SPDX-License-Identifier: MIT */
/* command.c - the command dialect (linnet/command.h): clients, from coming to going, and their
 * messages. */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "commandinner.h"
#include "hub/filter.h"
#include "net/log.h"

/* Silence of a minute is the end: asked after 20 s, as long as routers remember, and given 40. */
enum { PING_INTERVAL_MS = 20000, PONG_WAIT_MS = 40000 };

/* The name of the topic of all clients, before the path. */
#define EVERYBODY LN_TOPICS_RESERVED "command"

ln_command_client *ln_command_client_of(const ln_conn *c)
{
    return ln_places_get(ln_command_of(c)->places, c);
}

/* ---- coming ---- */

/* RFC 9562 5.4: random but for the version and the variant. */
static void write_uuid(ln_loop *loop, char uuid[LN_COMMAND_UUID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[16];

    ln_loop_random(loop, bytes, sizeof bytes);
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (size_t i = 0, at = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            uuid[at++] = '-';
        uuid[at++] = digits[bytes[i] >> 4];
        uuid[at++] = digits[bytes[i] & 0x0f];
    }
}

static int admit(ln_command *game, ln_conn *c)
{
    ln_loop *const loop = ln_conn_home(c)->loop;

    ln_command_client *const client = ln_alloc_zero(game->alloc, sizeof *client);
    if (client == NULL)
        return LN_ERR_NOMEM;
    if (ln_places_set(game->places, c, client) < 0) {
        ln_free(game->alloc, client);
        return LN_ERR_NOMEM;
    }
    ln_rpc_peer_init(&client->rpc, &game->rpc, c);
    ln_bucket_init(&client->bucket, &game->rate, loop->now_ms);
    write_uuid(loop, client->uuid);
    ln_command_count(&game->counts.clients);
    return ln_command_enter(game, c);
}

static void dismiss(ln_command *game, ln_conn *c)
{
    ln_command_client *const client = ln_command_client_of(c);

    if (client == NULL)
        return;
    ln_places_clear(game->places, c);
    atomic_fetch_sub_explicit(&game->counts.clients, 1, memory_order_relaxed);
    ln_free(game->alloc, client);
}

static void on_request(ln_request *request, void *user)
{
    const ln_command *const game = user;
    if (game->options.on_request != NULL)
        game->options.on_request(request, game->options.user);
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    ln_command *const game = user;

    if (admit(game, c) < 0) {
        dismiss(game, c); /* on_disconnect is not owed */
        (void)ln_conn_close(c, 1013, LN_SPAN("no room"));
        return;
    }
    if (game->options.on_connect != NULL)
        game->options.on_connect(c, request, game->options.user);
}

/* ---- messages ---- */

static bool spend(ln_conn *c, uint32_t tokens)
{
    ln_command *const game = ln_command_of(c);
    ln_command_client *const client = ln_command_client_of(c);
    const ln_loop *const loop = ln_conn_home(c)->loop;

    if (ln_bucket_take(&client->bucket, &game->rate, tokens, loop->now_ms))
        return true;
    ln_command_count(&game->counts.rate_limited);
    ln_log_say(loop->log, LN_LOG_WARN, loop->now_ms, "Rate limit exceeded for client",
               ln_log_pair("client_id", ln_command_uuid(c)),
               ln_log_pair("remote_addr", ln_conn_remote(c)));
    (void)ln_conn_close(c, 1008, LN_SPAN("Rate limit exceeded"));
    return false;
}

static void take_command(ln_command *game, ln_conn *c, uint32_t id, ln_span payload)
{
    const ln_command_range *range;

    if (id == LN_COMMAND_RPC)
        ln_rpc_take(&ln_command_client_of(c)->rpc, payload);
    else if (id == LN_COMMAND_RPC_ERROR)
        ln_command_count(&game->counts.reserved);
    else if ((range = ln_command_find(game, id)) != NULL && range->handler != NULL)
        range->handler(c, id, payload, range->user);
    else if (range != NULL)
        ln_command_delegate(game, c, range, id, payload);
    else if (!ln_command_cross(game, c, id, payload))
        ln_command_count(&game->counts.unknown);
}

static void on_message(ln_conn *c, const ln_message *message, void *user)
{
    ln_command *const game = user;
    const uint8_t *const bytes = message->data.data;

    if (ln_command_client_of(c) == NULL || !spend(c, 1))
        return;
    if (message->data.size < LN_COMMAND_HEAD) {
        ln_command_count(&game->counts.malformed);
        (void)ln_conn_close(c, 1002, LN_SPAN("Invalid message format"));
        return;
    }
    const ln_span payload = {bytes + LN_COMMAND_HEAD, message->data.size - LN_COMMAND_HEAD};
    take_command(game, c, ln_load_be32(bytes), payload);
}

/* ---- going ---- */

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    ln_command *const game = user;
    ln_command_client *const client = ln_command_client_of(c);
    /* 1006: without a close frame */
    const bool is_voluntary = info->by == LN_CLOSED_BY_PEER && info->code != 1006;

    if (client == NULL)
        return;
    ln_rpc_peer_fini(&client->rpc);
    if (game->options.on_disconnect != NULL)
        game->options.on_disconnect(c, is_voluntary, info, game->options.user);
    dismiss(game, c);
}

static ln_rpc_peer *peer_of(ln_conn *c)
{
    if (c->ws.config == NULL || ln_conn_site(c)->plan->handlers.on_message != on_message)
        return NULL; /* none of this dialect's */
    ln_command_client *const client = ln_command_client_of(c);
    return client == NULL ? NULL : &client->rpc;
}

/* ---- for applications ---- */

int ln_command_send(ln_command *game, ln_conn_id conn, uint32_t id, ln_span payload)
{
    uint8_t small[1024];
    const size_t size = LN_COMMAND_HEAD + payload.size;

    if (payload.size > LN_COMMAND_PAYLOAD_MAX_BYTES)
        return LN_ERR_LIMIT;
    uint8_t *const bytes = size <= sizeof small ? small : ln_alloc(game->alloc, size);
    if (bytes == NULL)
        return LN_ERR_NOMEM;
    ln_store_be32(bytes, id);
    if (payload.size > 0)
        memcpy(bytes + LN_COMMAND_HEAD, payload.data, payload.size);
    const int rc = ln_send(game->server, conn, LN_BINARY, (ln_span){bytes, size});
    if (bytes != small)
        ln_free(game->alloc, bytes);
    return rc;
}

int ln_command_method(ln_command *game, const char *name, ln_rpc_handler *handler, void *user)
{
    const ln_rpc_service service = {.handler = handler, .user = user};
    return ln_rpc_set_method(&game->rpc, ln_text(name), &service);
}

int ln_command_call(ln_command *game, ln_conn_id conn, const char *method, ln_span params,
                    uint32_t timeout_ms, ln_rpc_reply_handler *on_reply, void *user)
{
    const ln_rpc_order order = {.conn = conn,
                                .method = ln_text(method),
                                .params = params,
                                .timeout_ms = timeout_ms,
                                .on_reply = on_reply,
                                .user = user};
    return ln_rpc_request(&game->rpc, &order, NULL);
}

ln_span ln_command_uuid(const ln_conn *c)
{
    const bool is_ours = ln_conn_site(c)->plan->handlers.on_message == on_message;
    const ln_command_client *const client = is_ours ? ln_command_client_of(c) : NULL;
    return client == NULL ? (ln_span){"", 0} : (ln_span){client->uuid, sizeof client->uuid};
}

bool ln_command_is_alive(const ln_command *game, ln_conn_id conn)
{
    ln_worker *const w = ln_server_worker_of(game->server, conn);

    if (w == NULL)
        return false;
    if (ln_loop_current() != w->home.loop)
        return ln_slots_peek(&w->slots, conn & LN_CONN_NAME_MASK) != NULL;
    ln_conn *const c = ln_slots_find(&w->slots, conn & LN_CONN_NAME_MASK);
    return c != NULL && peer_of(c) != NULL && ln_ws_is_open(&c->ws);
}

void ln_command_stats_get(const ln_command *game, ln_command_stats *stats)
{
    *stats = (ln_command_stats){
        .clients = atomic_load(&game->counts.clients),
        .malformed_total = atomic_load(&game->counts.malformed),
        .rate_limited_total = atomic_load(&game->counts.rate_limited),
        .unknown_total = atomic_load(&game->counts.unknown),
        .reserved_total = atomic_load(&game->counts.reserved),
        .unsuitable_total = atomic_load(&game->counts.unsuitable),
        .rpc_calls_total = ln_rpc_calls(&game->rpc),
        .rpc_errors_total = atomic_load(&game->rpc.stats.errors),
        .rpc_strays_total = atomic_load(&game->rpc.stats.stray_answers),
    };
}

/* ---- life ---- */

static void free_game(void *state)
{
    ln_command *const game = state;

    ln_places_free(game->places, game->server);
    ln_command_free_bridges(game);
    ln_free(game->alloc, game->everybody);
    ln_rpc_fini(&game->rpc);
    ln_shelf_fini(&game->ranges);
    ln_free(game->alloc, game);
}

static int read_rate(const ln_command_rate *asked, ln_bucket_rate *rate)
{
    int rc = ln_limit_get(ln_limit_find(LN_SPAN("COMMAND_PER_SECOND")), asked->per_second,
                          &rate->per_second);
    if (rc == 0)
        rc = ln_limit_get(ln_limit_find(LN_SPAN("COMMAND_BURST")), asked->burst, &rate->burst);
    return rc;
}

static void set_carrier(ln_command *game)
{
    static const uint8_t both[] = {0xff, 0xff, 0xff, 0xff}, errors[] = {0xff, 0xff, 0xff, 0xfe};

    game->carrier = (ln_rpc_carrier){
        .speech = &ln_rpc_json,
        .kind = LN_BINARY,
        .prefix = {both, sizeof both},
        .error_prefix = {game->options.errors_apart ? errors : both, sizeof both},
        .text_max_bytes = LN_COMMAND_PAYLOAD_MAX_BYTES,
        .pending_max = LN_RPC_PENDING_MAX,
        .requests_max = LN_RPC_REQUESTS_MAX,
        .peer_of = peer_of,
        .spend = spend,
        .hand_out = ln_command_hand_out,
        .take_back = ln_command_take_back,
    };
}

/* The parts that need memory or may be wrong; what was made is free_game()'s. */
static int fill(ln_command *game, const char *path, const ln_command_options *o)
{
    const size_t size = sizeof EVERYBODY + strlen(path);

    int rc = read_rate(&o->rate, &game->rate);
    if (rc == 0 && size > LN_DEFAULT_TOPIC_MAX_BYTES)
        rc = LN_ERR_INVALID;
    if (rc == 0)
        rc = ln_command_copy_bridges(game, o);
    if (rc < 0)
        return rc;
    game->everybody = ln_alloc(game->alloc, size);
    game->places = ln_places_new(game->server);
    if (game->everybody == NULL || game->places == NULL)
        return LN_ERR_NOMEM;
    memcpy(game->everybody, EVERYBODY, sizeof EVERYBODY - 1);
    memcpy(game->everybody + sizeof EVERYBODY - 1, path, strlen(path) + 1);
    return ln_filter_is(ln_text(game->everybody)) ? LN_ERR_INVALID : 0;
}

static int make(ln_server *server, const char *path, const ln_command_options *o, ln_command **made)
{
    ln_command *const game = ln_alloc_zero(server->alloc, sizeof *game);

    if (game == NULL)
        return LN_ERR_NOMEM;
    game->server = server;
    game->alloc = server->alloc;
    game->options = *o;
    ln_shelf_init(&game->ranges, server, ln_command_free_ranges);
    set_carrier(game);
    int rc = ln_rpc_init(&game->rpc, server, &game->carrier);
    if (rc == 0)
        rc = fill(game, path, o);
    if (rc < 0) {
        free_game(game);
        return rc;
    }
    *made = game;
    return 0;
}

/* The dialect's own defaults, where nothing was asked for. */
static ln_ws_options settle(const ln_ws_options *asked)
{
    ln_ws_options ws = {.overflow = LN_OVERFLOW_CLOSE};

    if (asked != NULL)
        ws = *asked;
    if (ws.message_max_bytes == 0)
        ws.message_max_bytes = LN_COMMAND_MESSAGE_MAX_BYTES;
    if (ws.ping_interval_ms == 0)
        ws.ping_interval_ms = PING_INTERVAL_MS;
    if (ws.pong_wait_ms == 0)
        ws.pong_wait_ms = PONG_WAIT_MS;
    return ws;
}

int ln_command_mount(ln_server *server, const char *path, const ln_command_options *options,
                     ln_command **game)
{
    static const ln_command_options no_options;
    const ln_command_options *const o = options == NULL ? &no_options : options;
    const ln_ws_options ws = settle(o->ws);
    ln_command *made;

    if (ws.message_max_bytes > LN_COMMAND_MESSAGE_MAX_BYTES)
        return LN_ERR_INVALID;
    int rc = make(server, path, o, &made);
    if (rc < 0)
        return rc;
    const ln_ws_handlers handlers = {.on_request = on_request,
                                     .on_open = on_open,
                                     .on_message = on_message,
                                     .on_close = on_close,
                                     .user = made};
    rc = ln_server_ws_own(server, path, &handlers, &ws, made, free_game);
    if (rc < 0) {
        free_game(made);
        return rc;
    }
    *game = made;
    return 0;
}
