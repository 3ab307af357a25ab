/* SPDX-License-Identifier: MIT */
/* dial - the settings of `linnet connect`, as its options write them and its parts read them. */
#ifndef LN_DIAL_H
#define LN_DIAL_H

#include "option.h"

enum { LN_DIAL_LISTS_BYTES = 1024 }; /* all subprotocols together */

typedef struct ln_dial_settings {
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

#endif
