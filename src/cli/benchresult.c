/* SPDX-License-Identifier: MIT */
#include "benchresult.h"

#include <time.h>

#include "base/alloc.h"

#include <unistd.h>

enum { BUSY_PERCENT = 90 }; /* of our threads' time: from here on we may be what limits */

static void describe_machine(ln_benchresult *r)
{
    char release[LN_BENCHRESULT_TEXT_BYTES / 2] = "";
    FILE *const file = fopen("/proc/sys/kernel/osrelease", "re");
    if (file != NULL && fscanf(file, "%47s", release) != 1)
        release[0] = '\0';
    if (file != NULL)
        fclose(file);
    snprintf(r->system, sizeof r->system, "Linux %s", release);
    ln_benchproc_value("/proc/cpuinfo", "model name", r->machine, sizeof r->machine);
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    r->processors = count > 0 ? (unsigned)count : 1;
}

int ln_benchresult_init(ln_benchresult *r, const ln_benchplan *plan)
{
    *r = (ln_benchresult){
        .plan = plan,
        .tally = ln_alloc_zero(NULL, ln_benchtally_size(ln_bench_slices(plan))),
        .latency = ln_alloc_zero(NULL, sizeof *r->latency),
        .unix_time = (int64_t)time(NULL),
    };
    if (r->tally == NULL || r->latency == NULL) {
        ln_benchresult_fini(r);
        return LN_ERR_NOMEM;
    }
    r->tally->slice_count = ln_bench_slices(plan);
    describe_machine(r);
    return 0;
}

void ln_benchresult_fini(ln_benchresult *r)
{
    ln_free(NULL, r->tally);
    ln_free(NULL, r->latency);
    r->tally = NULL;
    r->latency = NULL;
}

void ln_benchresult_sum(ln_benchresult *r, ln_benchboard *board)
{
    const uint64_t step_ns = r->plan->step_ns;
    for (uint32_t i = 0; i < board->workers; i++)
        ln_benchtally_merge(r->tally, ln_benchboard_tally(board, i));
    for (unsigned i = 0; i < r->tally->slice_count; i++)
        ln_benchhist_merge(r->latency, &r->tally->slices[i].latency);
    const uint64_t slices = (r->measured_ns + step_ns - 1) / step_ns;
    r->slices = slices < r->plan->steps ? (unsigned)slices : r->plan->steps;
}

double ln_benchresult_slice_rate(const ln_benchresult *r, unsigned i)
{
    const uint64_t begin_ns = i * r->plan->step_ns, left_ns = r->measured_ns - begin_ns;
    const uint64_t ns = left_ns < r->plan->step_ns ? left_ns : r->plan->step_ns;
    return ns > 0 ? (double)r->tally->slices[i].events * 1e9 / (double)ns : 0;
}

bool ln_benchresult_is_good(const ln_benchresult *r)
{
    return r->tally->trouble == 0 && r->lost_processes == 0 && r->has_run && r->tally->verified > 0;
}

double ln_benchresult_seconds(const ln_benchresult *r)
{
    return (double)r->measured_ns / 1e9;
}

double ln_benchresult_rate(const ln_benchresult *r)
{
    return r->measured_ns > 0 ? (double)r->tally->events / ln_benchresult_seconds(r) : 0;
}

double ln_benchresult_byte_rate(const ln_benchresult *r)
{
    return ln_benchresult_rate(r) * (double)r->plan->messages.size;
}

double ln_benchresult_opening_rate(const ln_benchresult *r)
{
    return r->opening_ns > 0 ? (double)r->tally->opened * 1e9 / (double)r->opening_ns : 0;
}

static double cpu_total_us(const ln_benchresult *r)
{
    return (double)(r->cpu.user_us + r->cpu.system_us);
}

double ln_benchresult_cpu_us(const ln_benchresult *r)
{
    return r->tally->events > 0 ? cpu_total_us(r) / (double)r->tally->events : 0;
}

double ln_benchresult_cpu_share(const ln_benchresult *r)
{
    return r->measured_ns > 0 ? cpu_total_us(r) * 1000 / (double)r->measured_ns : 0;
}

double ln_benchresult_own_share(const ln_benchresult *r)
{
    const double most = (double)r->measured_ns * r->plan->workers;
    return most > 0 ? (double)r->tally->cpu_ns / most : 0;
}

double ln_benchresult_connection_bytes(const ln_benchresult *r)
{
    const double more = (double)r->memory_open - (double)r->memory_before;
    return r->tally->opened > 0 && more > 0 ? more / (double)r->tally->opened : 0;
}

bool ln_benchresult_is_own_limit(const ln_benchresult *r)
{
    return r->plan->set->rate == 0 && ln_benchresult_own_share(r) * 100 > BUSY_PERCENT;
}
