// The calling thread: its id, name, processors and processor time; and the process's descriptor limit.
// All of it but SetBatchScheduling concerns the thread that calls, so a worker names and pins itself.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace reactor_net {

struct CpuTime {
  int64_t user_us;
  int64_t system_us;
};

struct DescriptorLimit {
  uint64_t soft;  // RLIM_INFINITY: none
  uint64_t hard;
};

/** The largest processor number that can be asked for, plus one. */
int CpuCountMax();

pid_t ThreadId();

/** The kernel keeps the first 15 bytes. */
Failure SetThreadName(const std::string& name);

/** EINVAL when none of the processors may be used. */
Failure SetThreadAffinity(const std::vector<int>& cpus);

/** Ascending. */
Result<std::vector<int>> ThreadAffinity();

/**
 * Tells the scheduler that the thread `id`, and those it makes from then on, compute for long (SCHED_BATCH): its share of a
 * processor stays, but it displaces nobody when it wakes. For a process that has just begun, its id. EPERM, ESRCH.
 */
Failure SetBatchScheduling(pid_t id);

Result<CpuTime> ThreadCpuTime();

Result<DescriptorLimit> ReadDescriptorLimit();

}  // namespace reactor_net
