/* SPDX-License-Identifier: MIT */
/* brokerside - the server of bench/drill_broker.c: a broker that counts how often each request was executed. */
#ifndef BROKERSIDE_H
#define BROKERSIDE_H

#include <stdatomic.h>
#include <stdint.h>

/* Serves 127.0.0.1:port, path /wsmq, until it is killed. A request for "count" with the payload n adds one to executed[n],
 * n < count, and is answered with n. Exits with 1 if it cannot. */
_Noreturn void brokerside_run(int port, _Atomic uint8_t *executed, uint64_t count);

#endif
