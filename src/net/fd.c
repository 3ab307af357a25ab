/* SPDX-License-Identifier: MIT */
#include "fd.h"

#include <fcntl.h>
#include <unistd.h>

int ln_fd_duplicate(int fd, int *copy)
{
    const int rc = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (rc < 0)
        return LN_ERR_DESCRIPTORS;
    *copy = rc;
    return 0;
}

void ln_fd_close(int fd)
{
    if (fd >= 0)
        close(fd);
}
