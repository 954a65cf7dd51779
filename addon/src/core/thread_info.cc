#include "core/thread_info.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace reactor_net {
namespace {

int64_t Micros(const timeval& time) { return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; }

}  // namespace

int CpuCountMax() { return CPU_SETSIZE; }

// By number: glibc has gettid() only since 2.30.
pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

Failure SetThreadName(const std::string& name) {
  if (prctl(PR_SET_NAME, name.c_str()) == 0) return Failure::None();
  return Failure::Last("prctl");
}

Failure SetThreadAffinity(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) == 0) return Failure::None();
  return Failure::Last("sched_setaffinity");
}

Result<std::vector<int>> ThreadAffinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return Failure::Last("sched_getaffinity");
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

Failure SetBatchScheduling(pid_t id) {
  const sched_param none = {};
  if (sched_setscheduler(id, SCHED_BATCH, &none) == 0) return Failure::None();
  return Failure::Last("sched_setscheduler");
}

Result<CpuTime> ThreadCpuTime() {
  rusage usage = {};
  if (getrusage(RUSAGE_THREAD, &usage) != 0) return Failure::Last("getrusage");
  return CpuTime{Micros(usage.ru_utime), Micros(usage.ru_stime)};
}

Result<DescriptorLimit> ReadDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Failure::Last("getrlimit");
  return DescriptorLimit{limit.rlim_cur, limit.rlim_max};
}

}  // namespace reactor_net
