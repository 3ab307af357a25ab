/* SPDX-License-Identifier: MIT */
#include "base.h"

#include <stdio.h>
#include <stdlib.h>

LN_COLD _Noreturn void ln_assert_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "linnet: assertion failed: %s (%s:%d)\n", what, file, line);
    abort();
}
