/* SPDX-License-Identifier: MIT */
#include "benchtally.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const ln_benchfault_words ln_benchtally_words[LN_BENCHFAULT_COUNT] = {
    [LN_BENCHFAULT_CONNECT] = {"connect", "connection could not be made",
                               "connections could not be made"},
    [LN_BENCHFAULT_TLS] = {"tls", "connection failed in TLS", "connections failed in TLS"},
    [LN_BENCHFAULT_REFUSED] = {"refused", "connection was refused", "connections were refused"},
    [LN_BENCHFAULT_HANDSHAKE] = {"handshake", "handshake failed", "handshakes failed"},
    [LN_BENCHFAULT_TIMEOUT] = {"timeout", "connection did not open in time",
                               "connections did not open in time"},
    [LN_BENCHFAULT_CLOSED] = {"closed", "connection was closed", "connections were closed"},
    [LN_BENCHFAULT_LOST] = {"lost", "message was lost", "messages were lost"},
    [LN_BENCHFAULT_REPEATED] = {"duplicated", "message came more than once",
                                "messages came more than once"},
    [LN_BENCHFAULT_REORDERED] = {"reordered", "message came out of order",
                                 "messages came out of order"},
    [LN_BENCHFAULT_CORRUPTED] = {"corrupted", "message was corrupted", "messages were corrupted"},
    [LN_BENCHFAULT_KIND] = {"wrong_kind", "message changed between text and binary",
                            "messages changed between text and binary"},
    [LN_BENCHFAULT_STRANGE] = {"strange", "message was not asked for",
                               "messages were not asked for"},
    [LN_BENCHFAULT_SILENT] = {"no_pong", "ping was not answered", "pings were not answered"},
    [LN_BENCHFAULT_UNSENT] = {"unsent", "event was due and did not begin",
                              "events were due and did not begin"},
    [LN_BENCHFAULT_OURS] = {"internal", "failure was our own", "failures were our own"},
};

size_t ln_benchtally_size(unsigned slice_count)
{
    return sizeof(ln_benchtally) + slice_count * sizeof(ln_benchslice);
}

void ln_benchtally_fault(ln_benchtally *t, enum ln_benchfault fault, uint64_t n,
                         const char *example, ...)
{
    if (n == 0)
        return;
    if (t->faults[fault] == 0) {
        va_list arguments;
        va_start(arguments, example);
        vsnprintf(t->examples[fault], LN_BENCHTALLY_EXAMPLE_BYTES, example, arguments);
        va_end(arguments);
    }
    t->faults[fault] += n;
    ln_benchtally_count(&t->trouble, n);
}

static void merge_faults(ln_benchtally *into, const ln_benchtally *from)
{
    for (size_t i = 0; i < LN_BENCHFAULT_COUNT; i++) {
        if (into->faults[i] == 0)
            memcpy(into->examples[i], from->examples[i], LN_BENCHTALLY_EXAMPLE_BYTES);
        into->faults[i] += from->faults[i];
    }
}

void ln_benchtally_merge(ln_benchtally *into, const ln_benchtally *from)
{
    LN_ASSERT(into->slice_count == from->slice_count);
    ln_benchtally_count(&into->opened, from->opened);
    ln_benchtally_count(&into->failed, from->failed);
    ln_benchtally_count(&into->closed, from->closed);
    ln_benchtally_count(&into->events, from->events);
    ln_benchtally_count(&into->trouble, from->trouble);
    into->sent += from->sent;
    into->verified += from->verified;
    into->expected += from->expected;
    into->foreign += from->foreign;
    into->returned += from->returned;
    into->cpu_ns += from->cpu_ns;
    merge_faults(into, from);
    ln_benchhist_merge(&into->opening, &from->opening);
    ln_benchhist_merge(&into->lateness, &from->lateness);
    for (unsigned i = 0; i < into->slice_count; i++) {
        into->slices[i].events += from->slices[i].events;
        ln_benchhist_merge(&into->slices[i].latency, &from->slices[i].latency);
    }
}
