/* SPDX-License-Identifier: MIT */
/* fd - descriptors that are not on a loop: taking another, giving one up. */
#ifndef LN_FD_H
#define LN_FD_H

#include "base/base.h"

/* Another descriptor for the same socket. LN_ERR_DESCRIPTORS. */
LN_NODISCARD int ln_fd_duplicate(int fd, int *copy);

/* Closes it; harmless for -1. */
void ln_fd_close(int fd);

#endif
