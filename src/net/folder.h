/* SPDX-License-Identifier: MIT */
/*
 * folder - files below one directory and nothing else: no way out by "..", by symbolic link or by
 * renaming.
 *
 * The kernel enforces it (openat2 with RESOLVE_BENEATH); names are bytes that were decoded once by
 * the caller.
 */
#ifndef LN_FOLDER_H
#define LN_FOLDER_H

#include "base/base.h"

/* Opens a directory for good. Its descriptor in *fd. LN_ERR_NOT_FOUND, LN_ERR_ACCESS,
 * LN_ERR_DESCRIPTORS, LN_ERR_IO. */
LN_NODISCARD int ln_folder_open(const char *path, int *fd);

typedef struct ln_file {
    int fd;
    bool is_folder; /* then only that is filled in, and fd is -1 */
    uint64_t size;
    int64_t modified_s; /* wall clock, seconds */
    int64_t modified_ns;
} ln_file;

/*
 * Opens `path` ("a/b.txt", no leading slash, "" = the folder itself) for reading: a regular file,
 * or tells that it is a folder. LN_ERR_NOT_FOUND (also anything that is neither), LN_ERR_ACCESS (a
 * way out), LN_ERR_DESCRIPTORS, LN_ERR_IO.
 */
LN_NODISCARD int ln_file_open(int folder_fd, const char *path, ln_file *file);

/* Up to n bytes from `offset`. Their number, 0 at the end; LN_ERR_IO. */
LN_NODISCARD int ln_file_read(int fd, uint64_t offset, void *bytes, size_t n);

#endif
