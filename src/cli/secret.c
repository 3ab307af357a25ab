/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Reads until `size` bytes, or the end of the file; how many, or LN_ERR_IO. */
static ssize_t read_up_to(int fd, char *bytes, size_t size)
{
    size_t have = 0;
    while (have < size) {
        const ssize_t n = read(fd, bytes + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return LN_ERR_IO;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static int cut_line(char *secret, size_t have)
{
    const char *newline = memchr(secret, '\n', have);
    if (newline == NULL && have == LN_SECRET_SIZE)
        return LN_ERR_LIMIT;
    size_t n = newline != NULL ? (size_t)(newline - secret) : have;
    if (n > 0 && secret[n - 1] == '\r')
        n--;
    if (n == 0 || memchr(secret, '\0', n) != NULL)
        return LN_ERR_INVALID;
    secret[n] = '\0';
    return 0;
}

int ln_secret_read(const char *path, char secret[LN_SECRET_SIZE])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? LN_ERR_NOT_FOUND : errno == EACCES ? LN_ERR_ACCESS : LN_ERR_IO;
    const ssize_t have = read_up_to(fd, secret, LN_SECRET_SIZE);
    close(fd);
    const int rc = have < 0 ? (int)have : cut_line(secret, (size_t)have);
    if (rc < 0)
        ln_secret_wipe(secret);
    return rc;
}

ln_span ln_secret_ask(const char *word, char *room, size_t size)
{
    if (word != NULL && strcmp(word, "-") != 0)
        return ln_text(word);
    if (fgets(room, (int)size, stdin) == NULL)
        return LN_SPAN("");
    room[strcspn(room, "\r\n")] = '\0';
    return ln_text_trim(ln_text(room));
}

void ln_secret_wipe(char *secret)
{
    explicit_bzero(secret, LN_SECRET_SIZE);
}
