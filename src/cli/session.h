/* SPDX-License-Identifier: MIT */
/*
 * session - one conversation of `linnet connect`: lines in, messages out, and back.
 *
 * Written as if everything blocked; whoever waits, for input, for room in the send queue, for the end, turns the loop,
 * in which handlers note what happened.
 *
 * States                           left by
 *   waiting   no connection        on_open -> talking; on_failure without another try -> over
 *   talking   conn != NULL         on_close -> over, or waiting when it reconnects
 *   leaving   we asked for the end on_close -> over; a second signal -> over
 *   over      nothing more comes
 */
#ifndef LN_SESSION_H
#define LN_SESSION_H

#include "offer.h"

/* Holds the conversation that `offer` describes, to its end. The exit code. */
int ln_session_run(const ln_connect_settings *set, ln_offer *offer);

#endif
