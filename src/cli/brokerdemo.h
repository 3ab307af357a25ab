/* SPDX-License-Identifier: MIT */
/*
 * brokerdemo - the broker that `linnet serve` has at /wsmq (linnet/broker.h). Any client may call any
 * other one through system:proxy, topics that are rooms are as closed as these are to who has no
 * token and no password, and these answer:
 *
 *   example.echo          the payload
 *   system:get_time       {"currentTime":RFC 3339}
 *   system:error_test     {"shouldError":true}: an error; else {"message":s}
 *   server:slow_request   {"delayMilliseconds":n}, up to a minute: {"message":s}, so much later
 */
#ifndef LN_BROKERDEMO_H
#define LN_BROKERDEMO_H

#include "reload.h"

enum { LN_BROKERDEMO_DELAY_MAX_MS = 60000 };

/* Mounts it at `path`, with `ws`, and on it `reload`, unless that is NULL. As ln_broker_mount(). */
LN_NODISCARD int ln_brokerdemo_mount(ln_server *server, const char *path, const ln_ws_options *ws,
                                     ln_reload *reload);

#endif
