// jbus/segment, attachments and ring_header: one mapping per process, sides claimed once, nothing left behind.
#include "jbus/segment.h"

#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "check.h"
#include "jbus/attachments.h"

using namespace reactor_net;
using namespace reactor_net::jbus;

namespace {

constexpr uint64_t kBytes = kDataOffset + kCapacityLeast;

/** A segment without a key that is gone with this process, however a check ends it: removed, and attached once. */
class TemporarySegment {
 public:
  TemporarySegment() : id_(CreateSegment(0, kBytes).value()), base_(shmat(id_, nullptr, 0)) {
    CHECK(base_ != reinterpret_cast<void*>(-1) && !RemoveSegment(id_));
  }
  TemporarySegment(const TemporarySegment&) = delete;
  TemporarySegment& operator=(const TemporarySegment&) = delete;
  ~TemporarySegment() { shmdt(base_); }

  int id() const { return id_; }
  /** Besides our own. */
  uint32_t AttachCount() const { return StatSegment(id_).value().attach_count - 1; }

 private:
  const int id_;
  void* const base_;
};

void ModeIsPrivate() {
  const mode_t before = umask(0);
  const TemporarySegment segment;
  umask(before);
  const SegmentStatus status = StatSegment(segment.id()).value();
  CHECK(status.mode == 0600 && status.bytes == kBytes && status.uid == geteuid());
  CHECK(status.creator_pid == static_cast<uint32_t>(getpid()) && status.removed);
}

void OneMappingForAll() {
  const TemporarySegment segment;
  const AttachmentTotals before = CountAttachments();
  {
    std::vector<std::shared_ptr<Attachment>> all;
    std::vector<std::thread> threads;
    for (int i = 0; i < 100; i++) all.push_back(Attachment::Of(segment.id()).value());
    for (int i = 0; i < 4; i++) {
      threads.emplace_back([&segment] {
        for (int round = 0; round < 200; round++) CHECK(Attachment::Of(segment.id()).ok());
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(segment.AttachCount() == 1);
  }
  const AttachmentTotals after = CountAttachments();
  CHECK(after.segments == before.segments && after.bytes == before.bytes);
  CHECK(after.attached - before.attached == after.detached - before.detached);
  CHECK(segment.AttachCount() == 0);
}

void ManyThreadsMapAndUnmap() {
  const TemporarySegment segment;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&segment, i] {
      for (int round = 0; round < 500; round++) Attachment::Of(segment.id()).value()->base()[kDataOffset + i] = 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(segment.AttachCount() == 0);
}

void RemovedLivesUntilTheLastDetach() {
  const int id = CreateSegment(0, kBytes).value();
  std::shared_ptr<Attachment> attachment = Attachment::Of(id).value();
  CHECK(!StatSegment(id).value().removed && !RemoveSegment(id));
  CHECK(StatSegment(id).value().removed && Attachment::Of(id).ok());
  attachment.reset();
  CHECK(StatSegment(id).failure().error == EINVAL);
  CHECK(Attachment::Of(id).failure().error == EINVAL);
}

void SidesAreTakenOnce() {
  const TemporarySegment segment;
  const std::shared_ptr<Attachment> attachment = Attachment::Of(segment.id()).value();
  FormatHeader(attachment->memory(), {kCapacityLeast, 1, 0, 0, 0});
  std::unique_ptr<SideClaim> claim = SideClaim::Take(attachment, Side::kProducer);
  CHECK(claim != nullptr && SideClaim::Take(attachment, Side::kConsumer) != nullptr);
  CHECK(SideClaim::Take(attachment, Side::kProducer) == nullptr);
  const pid_t child = fork();  // another process, which cannot have it either
  if (child == 0) _exit(ClaimSide(attachment->memory(), Side::kProducer) ? 1 : 0);
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  claim.reset();
  CHECK(SideClaim::Take(attachment, Side::kProducer) != nullptr);
}

void ADeadOnesSideIsTakenOver() {
  const TemporarySegment segment;
  const std::shared_ptr<Attachment> attachment = Attachment::Of(segment.id()).value();
  FormatHeader(attachment->memory(), {kCapacityLeast, 1, 0, 0, 0});
  const pid_t child = fork();
  if (child == 0) _exit(ClaimSide(attachment->memory(), Side::kProducer) ? 0 : 1);
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(ReadSide(attachment->memory(), Side::kProducer).process.pid == static_cast<uint32_t>(child));
  CHECK(SideClaim::Take(attachment, Side::kProducer) != nullptr);
}

void HeadersAreJudged() {
  const TemporarySegment segment;
  const std::shared_ptr<Attachment> attachment = Attachment::Of(segment.id()).value();
  const auto fault = [&] { return JudgeHeader(ReadHeader(attachment->memory()), kBytes); };
  CHECK(fault() == HeaderFault::kMagic);
  FormatHeader(attachment->memory(), {kCapacityLeast, 1, 0, 0, 0});
  CHECK(fault() == HeaderFault::kNone && PeekHeader(segment.id()).value().identity.capacity == kCapacityLeast);
  const auto with = [&](size_t offset, uint32_t value) {
    const uint32_t before = attachment->memory().Load32(offset, std::memory_order_relaxed);
    attachment->memory().Store32(offset, value, std::memory_order_relaxed);
    const HeaderFault found = fault();
    attachment->memory().Store32(offset, before, std::memory_order_relaxed);
    return found;
  };
  CHECK(with(at::kVersion, 2) == HeaderFault::kVersion && with(at::kDataOffsetWord, 64) == HeaderFault::kVersion);
  CHECK(with(at::kCapacity, 4097) == HeaderFault::kCapacity && with(at::kCapacity, 8192) == HeaderFault::kCapacity);
  CHECK(with(at::kCapacity, 0) == HeaderFault::kCapacity && with(at::kCapacity, 2048) == HeaderFault::kCapacity);
  CHECK(with(at::kSegmentFlags, 2) == HeaderFault::kFlags && with(at::kState, 3) == HeaderFault::kPoisoned);
}

void StatesOnlyRise() {
  const TemporarySegment segment;
  const std::shared_ptr<Attachment> attachment = Attachment::Of(segment.id()).value();
  const SharedMemory memory = attachment->memory();
  FormatHeader(memory, {kCapacityLeast, 1, 0, 0, 0});
  MarkState(memory, SegmentState::kReady);
  CHECK(ReadState(memory) == 1 && !HasNews(memory));
  MarkState(memory, SegmentState::kPoisoned);
  MarkState(memory, SegmentState::kClosing);
  CHECK(ReadState(memory) == 3 && HasNews(memory));
}

}  // namespace

int main() {
  Run("a segment has mode 0600 whatever the umask", ModeIsPrivate);
  Run("a process maps a segment once, however many hold it", OneMappingForAll);
  Run("threads that map and unmap at the same time do not meet", ManyThreadsMapAndUnmap);
  Run("a removed segment lives until the last detach", RemovedLivesUntilTheLastDetach);
  Run("a side of a ring has one holder", SidesAreTakenOnce);
  Run("a dead process's side is taken over", ADeadOnesSideIsTakenOver);
  Run("a header that cannot be is told from one that can", HeadersAreJudged);
  Run("states only rise", StatesOnlyRise);
}
