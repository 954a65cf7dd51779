// A writer that is stopped at each step of a write and killed there: the reader sees the records before and nothing else.
// Built with the stopping memory of its own, so that the test does not need another build of the addon.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jbus_pair.h"

using namespace reactor_net;
using namespace reactor_net::jbus;

namespace {

constexpr uint64_t kCapacity = 4096;

/** SharedMemory that stops its process at the n-th thing done to the memory. */
class StoppingMemory : public SharedMemory {
 public:
  StoppingMemory(uint8_t* base, int stop_at) : SharedMemory(base), base_(base), stop_at_(stop_at) {}

  void Store64(size_t offset, uint64_t value, std::memory_order order) {
    Count();
    SharedMemory::Store64(offset, value, order);
  }
  void CopyIn(size_t offset, const uint8_t* from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
      Count();
      base_[offset + i] = from[i];
    }
  }
  uint32_t Exchange32(size_t offset, uint32_t value) {
    Count();
    return SharedMemory::Exchange32(offset, value);
  }

 private:
  void Count() {
    if (stop_at_-- == 0) raise(SIGSTOP);
  }

  uint8_t* base_;
  int stop_at_;
};

/** Writes records until the process is stopped, or two records are written. */
[[noreturn]] void WriteInChild(uint8_t* base, int stop_at) {
  BasicRingWriter<StoppingMemory> writer(StoppingMemory(base, stop_at), kCapacity, true);
  for (uint64_t number = 1; number <= 2; number++) {
    const std::vector<uint8_t> payload = Pattern(number, 40);
    writer.Put({40, 40, kWhole, 0, number}, payload.data());
    writer.Publish();
  }
  _exit(0);
}

/** Kills a writer at its n-th store. False: there is no n-th store. */
bool KillAt(uint8_t* base, int stop_at) {
  // The first record needs a pad, the second one does not.
  std::memset(base, 0, kDataOffset + kCapacity);
  FormatHeader(SharedMemory(base), {kCapacity, 1, 2, kSegmentFlagCrc, kCapacity - 40});
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) WriteInChild(base, stop_at);
  int status = 0;
  CHECK(waitpid(child, &status, WUNTRACED) == child);
  if (WIFEXITED(status)) return false;
  CHECK(WIFSTOPPED(status));
  kill(child, SIGKILL);
  CHECK(waitpid(child, &status, 0) == child);
  return true;
}

void NoStepShowsHalfARecord() {
  void* const mapped =
      mmap(nullptr, kDataOffset + kCapacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(mapped != MAP_FAILED);
  auto* const base = static_cast<uint8_t*>(mapped);
  int stop_at = 0;
  for (; KillAt(base, stop_at); stop_at++) {
    RingReader reader(SharedMemory(base), kCapacity, 4096);
    uint64_t previous = 0;
    const auto check = [&](const RecordView& record) {
      const std::vector<uint8_t> expected = Pattern(record.msg_id, record.length);
      CHECK(record.msg_id == ++previous && std::memcmp(base + record.offset, expected.data(), 40) == 0);
    };
    reader.Take(9, check);
    CHECK(reader.poison() == Poison::kNone && previous <= 2);
    // Whoever takes over goes on behind what was published.
    RingWriter successor(SharedMemory(base), kCapacity, true);
    const std::vector<uint8_t> payload = Pattern(previous + 1, 40);
    CHECK(successor.Put({40, 40, kWhole, 0, previous + 1}, payload.data()) > 0);
    successor.Publish();
    CHECK(reader.Take(9, check) == 1 && reader.poison() == Poison::kNone);
  }
  std::printf("# killed at %d steps\n", stop_at);
  CHECK(stop_at > 100);
  munmap(mapped, kDataOffset + kCapacity);
}

}  // namespace

int main() { Run("a writer killed before any of its stores leaves whole records and a ring to go on with", NoStepShowsHalfARecord); }
