/* SPDX-License-Identifier: MIT */
/*
 * session - one conversation of `linnet connect`: lines in, messages out, and back.
 *
 * States                           left by
 *   waiting   no connection        on_open -> talking; on_failure without another try -> over
 *   talking   conn != NULL         on_close -> over, or waiting when it reconnects
 *   leaving, over                  the desk's (desk.h)
 */
#ifndef LN_SESSION_H
#define LN_SESSION_H

#include "offer.h"

/* Holds the conversation that `offer` describes, to its end. The exit code. */
int ln_session_run(const ln_dial_settings *set, ln_offer *offer);

#endif
