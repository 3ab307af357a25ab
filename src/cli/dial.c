/* SPDX-License-Identifier: MIT */
/* dial - `linnet connect URL`: the options of the client, and its help; session.c holds the
 * conversation. */
#include "dial.h"

#include "base/limits.h"
#include "offer.h"
#include "session.h"
#include "verb.h"

#define AT(member) offsetof(ln_dial_settings, member)

enum {
    MESSAGE_BYTES = 64 << 20, /* by default: what most servers' largest answers fit into */
    MESSAGE_MAX_BYTES = 1 << 30,
    CLOSE_WAIT_MS = 60000 /* by default: the peer may first work through what it was sent */
};

static const ln_option options[] = {
    LN_DIAL_HANDSHAKE_OPTIONS(0),
    {.name = "subprotocol",
     .letter = 's',
     .type = LN_OPTION_LIST,
     .offset = AT(subprotocols),
     .value = "NAME",
     .help = "offers a subprotocol"},
    {.name = "auth",
     .type = LN_OPTION_TEXT,
     .offset = AT(auth),
     .value = "USER:PASSWORD",
     .help = "authenticates (Basic); other users may see it in the list of processes: prefer "
             "--auth-file"},
    {.name = "auth-file",
     .type = LN_OPTION_TEXT,
     .offset = AT(auth_file),
     .value = "FILE",
     .help = "authenticates with USER:PASSWORD from the first line of the file"},
    {.name = "deflate",
     .type = LN_OPTION_SET,
     .offset = AT(is_deflated),
     .help = "offers compression (permessage-deflate); it does anyway"},
    {.name = "no-deflate",
     .type = LN_OPTION_CLEAR,
     .offset = AT(is_deflated),
     .help = "does not offer compression"},
    {.help = "Input"},
    {.name = "execute",
     .letter = 'x',
     .type = LN_OPTION_LIST,
     .offset = AT(execute),
     .value = "MESSAGE",
     .help = "sends this instead of standard input, listens for --wait, and ends"},
    {.name = "wait",
     .letter = 'w',
     .can_be_off = true,
     .type = LN_OPTION_DURATION,
     .offset = AT(wait_ms),
     .value = "SECONDS",
     .help = "how long to listen before closing when everything is sent, or off = until the peer "
             "closes; without it "
             "2s after -x, and not at all after the end of standard input"},
    {.name = "text",
     .letter = 't',
     .type = LN_OPTION_CLEAR,
     .offset = AT(is_binary),
     .help = "sends text, a message for each line; it does anyway"},
    {.name = "binary",
     .letter = 'b',
     .type = LN_OPTION_SET,
     .offset = AT(is_binary),
     .help = "sends binary messages; when not at a terminal, input is sent in the pieces in which "
             "it comes, newlines "
             "included, and payloads are written without a newline behind them"},
    {.name = "slash",
     .type = LN_OPTION_SET,
     .offset = AT(has_slash),
     .help = "understands lines like /ping [DATA] and /close [CODE [REASON]]"},
    {.name = "no-close",
     .letter = 'n',
     .type = LN_OPTION_SET,
     .offset = AT(keeps_open),
     .help = "goes on listening after the end of standard input"},
    {.name = "exit-on-eof",
     .letter = 'E',
     .type = LN_OPTION_SET,
     .offset = AT(exits_on_eof),
     .help = "at the end of standard input says goodbye and does not wait for the answer"},
    {.help = "Output"},
    {.name = "one-message",
     .letter = '1',
     .type = LN_OPTION_SET,
     .offset = AT(wants_one),
     .help = "ends after one message; it is a failure if none comes, with -w within that time"},
    {.name = "base64",
     .type = LN_OPTION_SET,
     .offset = AT(is_base64),
     .help = "writes binary messages as base64, one a line"},
    {.name = "show-ping-pong",
     .letter = 'P',
     .type = LN_OPTION_SET,
     .offset = AT(shows_pings),
     .help = "tells of pings and pongs"},
    LN_DIAL_TALK_OPTIONS(0),
    LN_DIAL_TLS_OPTIONS(0),
    {.help = "Connection"},
    {.name = "reconnect",
     .type = LN_OPTION_SET,
     .offset = AT(reconnects),
     .help = "connects again, with growing pauses, whenever the connection fails or is closed by "
             "the peer"},
    {.name = "timeout",
     .type = LN_OPTION_DURATION,
     .offset = AT(timeout_ms),
     .value = "TIME",
     .help = "for connecting and the handshake",
     .min = LN_MIN_HANDSHAKE_MS,
     .max = LN_MAX_HANDSHAKE_MS},
    {.name = "close-wait",
     .type = LN_OPTION_DURATION,
     .offset = AT(close_wait_ms),
     .value = "TIME",
     .help = "for the peer's answer to our goodbye",
     .min = LN_MIN_CLOSE_WAIT_MS,
     .max = LN_MAX_CLOSE_WAIT_MS},
    {.name = "ping-interval",
     .can_be_off = true,
     .type = LN_OPTION_DURATION,
     .offset = AT(ping_interval_ms),
     .value = "TIME",
     .help = "silence after which the server is pinged, or off",
     .min = 1,
     .max = LN_MAX_PING_INTERVAL_MS},
    {.name = "max-message",
     .type = LN_OPTION_SIZE,
     .offset = AT(message_max_bytes),
     .value = "SIZE",
     .help = "largest message and largest line of input",
     .min = LN_MIN_FRAME_MAX_BYTES,
     .max = MESSAGE_MAX_BYTES},
    {0},
};

static const ln_dial_settings defaults = {
    .verb = "connect",
    .is_deflated = true,
    .has_colour = true,
    .wait_ms = LN_OPTION_UNSET,
    .timeout_ms = LN_DEFAULT_HANDSHAKE_MS,
    .close_wait_ms = CLOSE_WAIT_MS,
    .ping_interval_ms = LN_DEFAULT_PING_INTERVAL_MS,
    .message_max_bytes = MESSAGE_BYTES,
};

static int misuse(const ln_dial_settings *set, int operands)
{
    if (operands == 0)
        return ln_verb_misused(&ln_dial_verb, "a URL is missing");
    if (set->auth != NULL && set->auth_file != NULL)
        return ln_verb_misused(&ln_dial_verb, "--auth and --auth-file exclude each other");
    if (set->keeps_open && set->exits_on_eof)
        return ln_verb_misused(&ln_dial_verb, "--no-close and --exit-on-eof exclude each other");
    return LN_EXIT_NOT_YET;
}

static int connect_to(int argc, char **argv)
{
    ln_dial_settings set;
    int operands = 0;
    int code = ln_verb_begin(&ln_dial_verb, argc, argv, &set, &operands);
    if (code == LN_EXIT_NOT_YET)
        code = misuse(&set, operands);
    if (code != LN_EXIT_NOT_YET)
        return code;

    static ln_offer offer; /* large for a stack */
    char why[LN_OPTION_WHY_SIZE];
    const int rc = ln_offer_init(&offer, &set, argv[1], why);
    if (rc == LN_ERR_INVALID)
        return ln_verb_misused(&ln_dial_verb, why);
    if (rc < 0)
        return ln_verb_failed(&ln_dial_verb, why);
    code = ln_session_run(&set, &offer);
    ln_offer_fini(&offer);
    return code;
}

const ln_verb ln_dial_verb = {
    .name = "connect",
    .summary = "talks to a WebSocket server",
    .operands = "URL",
    .operands_max = 1,
    .about = "Connects to ws://... or wss://..., sends what is typed and shows what is received. "
             "When standard input "
             "and output are not a terminal, each line of input is a message and each message a "
             "line of output; at the "
             "end of input it closes with 1000 and waits for the peer to do so, too.",
    .notes = "Exit code: 0 when the connection was closed in order, by us, or by the peer with "
             "1000, 1001 or no code; "
             "1 when it was not, or never opened.\n"
             "\n"
             "  linnet connect ws://localhost:8080/echo\n"
             "  linnet connect -x '{\"op\":\"status\"}' -1 wss://example.org/api | jq .\n"
             "  tail -f log | linnet connect -n ws://localhost:8080/rooms?room=log",
    .options = options,
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = connect_to,
};
