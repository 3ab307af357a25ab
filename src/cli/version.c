/* SPDX-License-Identifier: MIT */
/* version - `linnet version`: what a report of a fault should begin with. */
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include <linnet/loop.h>

#include "base/text.h"
#include "verb.h"

static const ln_option options[] = {{0}};

/* Not worth a word: the C library and what the kernel and the linker bring along. */
static bool is_system(const char *file)
{
    static const char *const prefixes[] = {"libc.",       "libc-",  "libm.", "libdl.",
                                           "libpthread.", "librt.", "ld-",   "linux-vdso"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(prefixes); i++)
        if (strncmp(file, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* Library files carry their version in the name that the linker's link points to: libz.so.1 is
 * libz.so.1.2.13. */
static int print_library(struct dl_phdr_info *info, size_t size, void *arg)
{
    bool *is_first = arg;
    char path[PATH_MAX];
    (void)size;
    if (realpath(info->dlpi_name, path) ==
        NULL) /* the program itself has no name, the kernel's part no file */
        return 0;
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    if (is_system(file))
        return 0;
    printf("%s%s", *is_first ? "libraries: " : ", ", file);
    *is_first = false;
    return 0;
}

static bool works(enum ln_io io)
{
    ln_loop *loop = NULL;
    const int rc = ln_loop_new(&(ln_loop_options){.io = io, .log_level = LN_LOG_ERROR}, &loop);
    if (rc < 0)
        return false;
    ln_loop_free(loop);
    return true;
}

static int version(int argc, char **argv)
{
    int operands;
    char settings[1];
    const int code = ln_verb_begin(&ln_version_verb, argc, argv, settings, &operands);
    if (code != LN_EXIT_NOT_YET)
        return code;

    printf("linnet %s\n", ln_version());
    printf("back ends: %sepoll\n", works(LN_IO_URING) ? "io_uring, " : "");
    bool is_first = true;
    dl_iterate_phdr(print_library, &is_first);
    if (!is_first)
        putchar('\n');
    return LN_EXIT_DONE;
}

const ln_verb ln_version_verb = {
    .name = "version",
    .summary = "prints the version, the working back ends and the libraries in use",
    .operands = "",
    .about = "Prints the version, the input/output back ends that work on this system, and the "
             "libraries in use.",
    .options = options,
    .defaults = "",
    .run = version,
};
