/* SPDX-License-Identifier: MIT */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int error_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ENXIO: /* a socket, or a pipe without a reader */
        return LN_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EXDEV: /* RESOLVE_BENEATH: the path leads outside */
    case ELOOP:
        return LN_ERR_ACCESS;
    case EMFILE:
    case ENFILE:
        return LN_ERR_DESCRIPTORS;
    default:
        return LN_ERR_IO;
    }
}

int ln_folder_open(const char *path, int *fd)
{
    const int rc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rc < 0)
        return error_of(errno);
    *fd = rc;
    return 0;
}

static int open_beneath(int folder_fd, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd;

    do {
        fd = (int)syscall(SYS_openat2, folder_fd, *path == '\0' ? "." : path, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* EAGAIN: a rename crossed our way */
    return fd < 0 ? error_of(errno) : fd;
}

int ln_file_open(int folder_fd, const char *path, ln_file *file)
{
    const int fd = open_beneath(folder_fd, path);
    struct stat st;

    if (fd < 0)
        return fd;
    const bool is_known = fstat(fd, &st) == 0;
    if (!is_known || !S_ISREG(st.st_mode)) {
        close(fd);
        *file = (ln_file){.fd = -1, .is_folder = true};
        return is_known && S_ISDIR(st.st_mode) ? 0 : LN_ERR_NOT_FOUND;
    }
    *file = (ln_file){.fd = fd,
                      .size = (uint64_t)st.st_size,
                      .modified_s = st.st_mtim.tv_sec,
                      .modified_ns = st.st_mtim.tv_nsec};
    return 0;
}

int ln_file_read(int fd, uint64_t offset, void *bytes, size_t n)
{
    ssize_t rc;

    do {
        rc = pread(fd, bytes, n > INT_MAX ? INT_MAX : n, (off_t)offset);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? LN_ERR_IO : (int)rc;
}
