/* SPDX-License-Identifier: MIT */
/*
 * chat - the chat that `linnet serve` has at /ws, in the command dialect (linnet/command.h). All
 * payloads are JSON; what is malformed is passed over.
 *
 *   id  from      payload
 *   1   client    {"username":s,"message":s[,"timestamp":RFC 3339]}
 *       server    to everybody: the same, with the server's time
 *   3   server    to everybody: {"id":uuid,"username":s,"joinedAt":RFC 3339}; answers 8
 *   4   server    to everybody: the same of one who left
 *   5   client    who is there? Answered by 6
 *   6   server    an array of the objects of 3, of CHAT_LIST_MAX people at most
 *   8   client    {"username":s}: my name; until then it is Guest_ and eight digits of the id
 */
#ifndef LN_CHAT_H
#define LN_CHAT_H

#include <linnet/command.h>

#include "base/base.h"

enum {
    LN_CHAT_LIST_MAX = 1000,     /* people of one answer */
    LN_CHAT_NAME_MAX_BYTES = 256 /* of a name as it is written in JSON */
};

/* A chat's people. NULL when out of memory. It has to outlive the server. */
typedef struct ln_chat ln_chat;
ln_chat *ln_chat_new(void);
/* Accepts NULL. */
void ln_chat_free(ln_chat *chat);

/* Mounts it at `path`, with `ws`. As ln_command_mount(). */
LN_NODISCARD int ln_chat_mount(ln_chat *chat, ln_server *server, const char *path,
                               const ln_ws_options *ws);

#endif
