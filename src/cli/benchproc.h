/* SPDX-License-Identifier: MIT */
/*
 * benchproc - what /proc tells of a process: processor time and memory, before and after.
 *
 * Numbers of several processes add up, for servers that fork.
 */
#ifndef LN_BENCHPROC_H
#define LN_BENCHPROC_H

#include "base/base.h"

/* User and system time of all threads, dead ones included, in clock ticks' resolution. */
typedef struct ln_benchproc_cpu {
    uint64_t user_us;
    uint64_t system_us;
} ln_benchproc_cpu;

/* Adds the time of `pid` to *cpu. LN_ERR_NOT_FOUND: no such process. */
LN_NODISCARD int ln_benchproc_add_cpu(uint32_t pid, ln_benchproc_cpu *cpu);

/* Adds the anonymous memory of `pid`, which is what a connection costs, to *bytes. LN_ERR_ACCESS:
 * smaps_rollup is not readable, as that of other users' processes. */
LN_NODISCARD int ln_benchproc_add_memory(uint32_t pid, uint64_t *bytes);

/* The first "key : value" of /proc/cpuinfo or its kin, trimmed; "" if there is none. */
void ln_benchproc_value(const char *path, const char *key, char *value, size_t size);

#endif
