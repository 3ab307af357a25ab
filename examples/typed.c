/* SPDX-License-Identifier: MIT */
/*
 * typed.c - JSON-RPC with structs: what a call brings is checked before it is used, what it does
 * not fit is answered with where and why.
 *
 *   move    {"player": TEXT, "by": {"x": NUMBER, "y": NUMBER}, "speed": 1 to 255, or none}
 *           gives {"at": {"x": ..., "y": ...}, "moves": NUMBER}
 *
 *     typed [ADDRESS]      ws://ADDRESS/ws, 127.0.0.1:8080 if none is given
 */
#include <linnet/command.h>
#include <linnet/linnet.h>
#include <linnet/shape.h>
#include <stdio.h>
#include <string.h>

typedef struct place {
    double x, y;
} place;
LN_SHAPE(place, LN_FIELD(place, x), LN_FIELD(place, y));

typedef struct move {
    char player[32];
    place by;
    uint8_t speed;
} move;
LN_SHAPE(move, LN_FIELD(move, player), LN_FIELD_SHAPE(move, by, place),
         LN_FIELD(move, speed, .is_optional = true));

typedef struct state {
    place at;
    uint32_t moves;
} state;
LN_SHAPE(state, LN_FIELD_SHAPE(state, at, place), LN_FIELD(state, moves));

static state world;

static int on_move(const ln_rpc_call *call, void *user)
{
    char why[LN_SHAPE_WHY_SIZE], text[128];
    move m = {.speed = 1}; /* what is not sent stays */

    if (move_read(call->params, &m, why) < 0)
        return ln_rpc_error(&call->ticket, LN_RPC_INVALID_PARAMS, (ln_span){why, strlen(why)},
                            LN_SPAN(""));
    world.at.x += m.by.x * m.speed;
    world.at.y += m.by.y * m.speed;
    world.moves++;
    const int n = state_write(&world, text, sizeof text, NULL);
    return n < 0 ? n : ln_rpc_result(&call->ticket, (ln_span){text, (size_t)n});
}

int main(int argc, char **argv)
{
    ln_server *server = ln_server_new(NULL);
    ln_command *game;

    int rc = ln_command_mount(server, "/ws", NULL, &game);
    if (rc == 0)
        rc = ln_command_method(game, "move", on_move, NULL);
    if (rc == 0)
        rc = ln_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080");
    if (rc == 0) {
        printf("listening on port %d\n", ln_server_port(server, 0));
        fflush(stdout);
        rc = ln_server_run(server);
    }
    if (rc < 0)
        fprintf(stderr, "typed: %s\n", ln_strerror(rc));
    ln_server_free(server);
    return rc < 0;
}
