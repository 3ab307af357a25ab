/* SPDX-License-Identifier: MIT */
/*
 * dial - the settings of `linnet connect`, as its options write them and its parts read them. Other
 * commands that connect have some of them, too: rows of a table for them stand below, with `base`
 * as the offset of a ln_dial_settings in their own settings.
 */
#ifndef LN_DIAL_H
#define LN_DIAL_H

#include "option.h"

enum { LN_DIAL_LISTS_BYTES = 1024 }; /* all subprotocols together */

typedef struct ln_dial_settings {
    const char *verb; /* that talks: "connect" */
    bool is_scripted; /* never a conversation, also at a terminal */
    ln_option_list headers;
    ln_option_list subprotocols;
    ln_option_list execute;
    char *origin;
    char *auth, *auth_file;
    char *ca, *cert, *key, *passphrase_file;
    bool is_insecure;
    bool is_binary;
    bool is_base64;
    bool is_deflated;
    bool has_slash;
    bool shows_pings;
    bool wants_one;    /* message, and then the end */
    bool keeps_open;   /* at the end of input */
    bool exits_on_eof; /* without waiting for the peer's goodbye */
    bool reconnects;
    bool is_verbose, is_quiet;
    bool has_colour;
    uint32_t wait_ms; /* or LN_OPTION_UNSET, LN_OFF */
    uint32_t timeout_ms;
    uint32_t close_wait_ms;
    uint32_t ping_interval_ms;
    uint32_t message_max_bytes;
} ln_dial_settings;

#define LN_DIAL_AT(base, member) ((base) + offsetof(ln_dial_settings, member))

#define LN_DIAL_HANDSHAKE_OPTIONS(base)                                                            \
    {.name = "header",                                                                             \
     .letter = 'H',                                                                                \
     .type = LN_OPTION_LIST,                                                                       \
     .offset = LN_DIAL_AT(base, headers),                                                          \
     .value = "NAME:VALUE",                                                                        \
     .help = "sends a header with the handshake"},                                                 \
    {                                                                                              \
        .name = "origin", .letter = 'o', .type = LN_OPTION_TEXT,                                   \
        .offset = LN_DIAL_AT(base, origin), .value = "ORIGIN",                                     \
        .help = "sends an Origin header, as pages do"                                              \
    }

#define LN_DIAL_TALK_OPTIONS(base)                                                                 \
    {.name = "verbose",                                                                            \
     .letter = 'v',                                                                                \
     .type = LN_OPTION_SET,                                                                        \
     .offset = LN_DIAL_AT(base, is_verbose),                                                       \
     .help = "tells what happens"},                                                                \
        {.name = "quiet",                                                                          \
         .letter = 'q',                                                                            \
         .type = LN_OPTION_SET,                                                                    \
         .offset = LN_DIAL_AT(base, is_quiet),                                                     \
         .help = "tells of failures only"},                                                        \
    {                                                                                              \
        .name = "no-color", .type = LN_OPTION_CLEAR, .offset = LN_DIAL_AT(base, has_colour),       \
        .help = "no colours; nor are there under NO_COLOR, or away from a terminal"                \
    }

#define LN_DIAL_TLS_OPTIONS(base)                                                                  \
    {.help = "TLS"},                                                                               \
        {.name = "ca",                                                                             \
         .type = LN_OPTION_TEXT,                                                                   \
         .offset = LN_DIAL_AT(base, ca),                                                           \
         .value = "FILE",                                                                          \
         .help = "trusts these certificates (PEM) instead of the system's"},                       \
        {.name = "cert",                                                                           \
         .type = LN_OPTION_TEXT,                                                                   \
         .offset = LN_DIAL_AT(base, cert),                                                         \
         .value = "FILE",                                                                          \
         .help = "our certificate (PEM)"},                                                         \
        {.name = "key",                                                                            \
         .type = LN_OPTION_TEXT,                                                                   \
         .offset = LN_DIAL_AT(base, key),                                                          \
         .value = "FILE",                                                                          \
         .help = "its key (PEM); without it, taken from the certificate's file"},                  \
        {.name = "passphrase-file",                                                                \
         .type = LN_OPTION_TEXT,                                                                   \
         .offset = LN_DIAL_AT(base, passphrase_file),                                              \
         .value = "FILE",                                                                          \
         .help = "its first line opens the key"},                                                  \
    {                                                                                              \
        .name = "insecure", .letter = 'k', .type = LN_OPTION_SET,                                  \
        .offset = LN_DIAL_AT(base, is_insecure), .help = "does not verify the server (wscat's -n)" \
    }

#endif
