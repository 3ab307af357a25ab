/* SPDX-License-Identifier: MIT */
/*
 * sendwait - a thread that waits for room in the send queue of a connection (ln_send_wait()).
 *
 * The message stays where the thread has it. Its order goes to the connection's loop by letter, and
 * is parked there while there is no room.
 *
 * States                       left by
 *   WAITING                    the loop: there is room, or never will be -> TAKEN; the thread: the
 *                              deadline has passed -> LEFT
 *   TAKEN                      the loop gives the signal; the thread frees the order
 *   LEFT                       the loop, by the letter that the thread has sent, frees it
 */
#ifndef LN_SENDWAIT_H
#define LN_SENDWAIT_H

#include "wsconn.h"

typedef struct ln_sendwait ln_sendwait;

/* Room may have come, or the end: looks after those that are parked. */
void ln_sendwait_wake(ln_conn *c);

/* The connection has closed: all that are parked are told. */
void ln_sendwait_dismiss(ln_conn *c);

#endif
