// core/thread_info: all of it concerns the calling thread and no other, but for batch scheduling.
#include "core/thread_info.h"

#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "check.h"

using namespace reactor_net;

namespace {

std::string NameOf(pid_t thread_id) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread_id) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

void NameBelongsToOneThread() {
  const std::string before = NameOf(getpid());
  std::thread([&] {
    CHECK(ThreadId() != getpid());
    CHECK(!SetThreadName("a-name-longer-than-15-bytes"));
    CHECK(NameOf(ThreadId()) == "a-name-longer-t");
  }).join();
  CHECK(NameOf(getpid()) == before);
}

void AffinityBelongsToOneThread() {
  const std::vector<int> before = ThreadAffinity().value();
  CHECK(!before.empty());
  std::thread([&] {
    CHECK(!SetThreadAffinity({before.back()}));
    CHECK(ThreadAffinity().value() == std::vector<int>{before.back()});
    CHECK(SetThreadAffinity({}).error == EINVAL);
    CHECK(SetThreadAffinity({CpuCountMax() - 1}).error == EINVAL || before.back() == CpuCountMax() - 1);
  }).join();
  CHECK(ThreadAffinity().value() == before);
}

void BatchSchedulingIsForTheThreadThatIsNamed() {
  std::thread([] {
    CHECK(!SetBatchScheduling(ThreadId()));
    CHECK(sched_getscheduler(ThreadId()) == SCHED_BATCH);
  }).join();
  CHECK(sched_getscheduler(getpid()) != SCHED_BATCH);
  CHECK(SetBatchScheduling(-1).error == EINVAL);
}

void TimeGrowsWithWork() {
  const CpuTime before = ThreadCpuTime().value();
  CpuTime now = before;
  while (now.user_us + now.system_us < before.user_us + before.system_us + 2000) now = ThreadCpuTime().value();
  CHECK(now.user_us >= before.user_us && now.system_us >= before.system_us);
}

void LimitHasAnOrder() {
  const DescriptorLimit limit = ReadDescriptorLimit().value();
  CHECK(limit.soft > 0 && limit.soft <= limit.hard);
}

}  // namespace

int main() {
  Run("a name concerns the calling thread and is cut at 15 bytes", NameBelongsToOneThread);
  Run("batch scheduling is for the thread that is named", BatchSchedulingIsForTheThreadThatIsNamed);
  Run("affinity concerns the calling thread; impossible processors are refused", AffinityBelongsToOneThread);
  Run("processor time grows with work", TimeGrowsWithWork);
  Run("the soft descriptor limit is at most the hard one", LimitHasAnOrder);
}
