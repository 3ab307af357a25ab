/* SPDX-License-Identifier: MIT */
/* scripts - the files of clients/js that pages need for hot reload, carried in the program: wherever
 * it is installed, they are of its version. The table is made by cmake/embed.cmake. */
#ifndef LN_SCRIPTS_H
#define LN_SCRIPTS_H

#include "base/base.h"

typedef struct ln_script {
    const char *path; /* "/linnet.js"; NULL ends the table */
    ln_span text;
} ln_script;

extern const ln_script ln_scripts[];

#endif
