/* SPDX-License-Identifier: MIT */
/* serveoptions - what `linnet serve` can be told: its settings, their table, what they exclude. */
#ifndef LN_SERVEOPTIONS_H
#define LN_SERVEOPTIONS_H

#include "option.h"

#define LN_SERVE_ADDRESS "127.0.0.1:8080" /* without any other */

typedef struct ln_serve_settings {
    ln_option_list listen;
    ln_option_list listen_tls;
    char *tls_cert, *tls_key, *tls_pkcs12, *tls_passphrase_file, *tls_client_ca;
    char *files;
    char *watch;
    uint32_t watch_rest_ms;
    char *origins;
    uint32_t workers; /* 0 = one for each processor */
    uint32_t io;
    uint32_t log_level; /* from 0: ln_log_level - 1 */
    uint32_t connections_max;
    uint32_t message_max_bytes; /* 0 = each endpoint's own */
    uint32_t queue_max_bytes;
    uint32_t queue_max_messages; /* 0 = no bound */
    uint32_t queue_budget_bytes;
    uint32_t overflow;         /* enum ln_overflow */
    uint32_t ping_interval_ms; /* 0 = each endpoint's own */
    uint32_t pong_wait_ms;     /* likewise */
    uint32_t idle_ms;
    uint32_t drain_ms;

    uint32_t rooms; /* enum ln_rooms_mode */
    char *auth_secret_file, *auth_jwks, *auth_issuer, *auth_audience;
    ln_option_list auth_keys;
    bool token_required, anonymous, query_token, refresh_tokens, exclude_sender;
    char *rules_file, *passwords_file, *admin_secret_file;
    uint32_t rooms_max, room_members_max, registrations_max; /* 0 = the default */
    uint32_t joins_per_second;
    uint32_t rate, address_rate, user_rate;                   /* messages a second; 0 = any */
    uint32_t rate_bytes, address_rate_bytes, user_rate_bytes; /* likewise bytes */
    uint32_t rate_excess;                                     /* enum ln_rooms_excess */
} ln_serve_settings;

extern const ln_option ln_serve_options[];
extern const ln_serve_settings ln_serve_defaults;

/* What does not go together in them, as a sentence; NULL: nothing. `has_secret`: the environment
 * holds one for tokens. */
const char *ln_serve_find_mistake(const ln_serve_settings *s, bool has_secret);

#endif
