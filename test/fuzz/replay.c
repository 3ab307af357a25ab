/* SPDX-License-Identifier: MIT */
/*
 * replay - runs a fuzz target over a corpus: every file of the folders on the command line. Prints
 * TAP.
 *
 * The name of each file is printed before it runs, so that the last line of a crash says which one
 * it was. Finding nothing to run is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes of a regular file, in memory of exactly that size, so that a read beyond them is seen;
 * NULL if it is none. */
static uint8_t *read_file(const char *path, size_t *size)
{
    struct stat info;
    if (stat(path, &info) < 0 || !S_ISREG(info.st_mode))
        return NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    *size = (size_t)info.st_size;
    uint8_t *bytes = malloc(*size > 0 ? *size : 1);
    if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

/* How many files of `folder` ran. */
static unsigned run_folder(const char *folder)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, NULL, alphasort);
    unsigned ran = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        free(entries[i]);
        size_t size;
        uint8_t *bytes = read_file(path, &size);
        if (bytes == NULL)
            continue;
        printf("# %s\n", path);
        fflush(stdout);
        (void)LLVMFuzzerTestOneInput(bytes, size);
        free(bytes);
        ran++;
    }
    if (count >= 0)
        free(entries);
    return ran;
}

int main(int argc, char **argv)
{
    unsigned failed = argc < 2;
    for (int i = 1; i < argc; i++) {
        const unsigned ran = run_folder(argv[i]);
        const char *name = strrchr(argv[i], '/') != NULL ? strrchr(argv[i], '/') + 1 : argv[i];
        printf("%s %d - %s: %u inputs\n", ran > 0 ? "ok" : "not ok", i, name, ran);
        failed += ran == 0;
    }
    return failed > 0;
}
