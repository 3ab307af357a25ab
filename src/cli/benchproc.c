/* SPDX-License-Identifier: MIT */
#include "benchproc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_BYTES = 1024, PATH_BYTES = 64 };

static FILE *open_proc(uint32_t pid, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/%s", pid, name);
    return fopen(path, "re");
}

int ln_benchproc_add_cpu(uint32_t pid, ln_benchproc_cpu *cpu)
{
    FILE *const file = open_proc(pid, "stat");
    char line[LINE_BYTES];
    uint64_t user, system;
    if (file == NULL)
        return LN_ERR_NOT_FOUND;
    const char *const read = fgets(line, sizeof line, file);
    fclose(file);
    /* The second field is a name that may contain anything; fields 14 and 15 are the times. */
    const char *const behind_name = read != NULL ? strrchr(line, ')') : NULL;
    if (behind_name == NULL ||
        sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &system) != 2)
        return LN_ERR_NOT_FOUND;
    const uint64_t tick_us = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    cpu->user_us += user * tick_us;
    cpu->system_us += system * tick_us;
    return 0;
}

int ln_benchproc_add_memory(uint32_t pid, uint64_t *bytes)
{
    FILE *const file = open_proc(pid, "smaps_rollup");
    char line[LINE_BYTES];
    uint64_t kib;
    int rc = LN_ERR_ACCESS;
    if (file == NULL)
        return rc;
    while (rc < 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Anonymous: %" SCNu64 " kB", &kib) == 1) {
            *bytes += kib * 1024;
            rc = 0;
        }
    }
    fclose(file);
    return rc;
}

void ln_benchproc_value(const char *path, const char *key, char *value, size_t size)
{
    FILE *const file = fopen(path, "re");
    char line[LINE_BYTES];
    value[0] = '\0';
    while (file != NULL && value[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const char *const colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, strlen(key)) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        const ln_span text = ln_text_trim(ln_text(colon + 1));
        snprintf(value, size, "%.*s", (int)text.size, (const char *)text.data);
    }
    if (file != NULL)
        fclose(file);
}
