#include "jbus/ring_header.h"

namespace reactor_net::jbus {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

uint32_t Value(SegmentState state) { return static_cast<uint32_t>(state); }

ProcessIdentity ReadProcess(const SharedMemory& memory, size_t pid_offset, size_t start_time_offset) {
  return {memory.Load32(pid_offset, std::memory_order_acquire), memory.Load64(start_time_offset, kRelaxed)};
}

bool IsPowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

}  // namespace

void FormatHeader(SharedMemory memory, const RingIdentity& identity) {
  const ProcessIdentity self = ThisProcess();
  memory.Store32(at::kVersion, kLayoutVersion, kRelaxed);
  memory.Store32(at::kDataOffsetWord, kDataOffset, kRelaxed);
  memory.Store64(at::kCapacity, identity.capacity, kRelaxed);
  memory.Store32(at::kSegmentFlags, identity.flags, kRelaxed);
  memory.Store32(at::kState, Value(SegmentState::kInit), kRelaxed);
  memory.Store64(at::kEpoch, identity.epoch, kRelaxed);
  memory.Store64(at::kChannelHash, identity.channel_hash, kRelaxed);
  memory.Store32(at::kCreatorPid, self.pid, kRelaxed);
  memory.Store64(at::kCreatorStartTime, self.start_time, kRelaxed);
  memory.Store64(at::kTail, identity.start_position, kRelaxed);
  memory.Store64(at::kHead, identity.start_position, kRelaxed);
  memory.Store64(at::kMagic, kSegmentMagic, std::memory_order_release);
}

HeaderFacts ReadHeader(const SharedMemory& memory) {
  HeaderFacts facts;
  facts.magic = memory.Load64(at::kMagic, std::memory_order_acquire);
  facts.version = memory.Load32(at::kVersion, kRelaxed);
  facts.data_offset = memory.Load32(at::kDataOffsetWord, kRelaxed);
  facts.identity.capacity = memory.Load64(at::kCapacity, kRelaxed);
  facts.identity.flags = memory.Load32(at::kSegmentFlags, kRelaxed);
  facts.identity.epoch = memory.Load64(at::kEpoch, kRelaxed);
  facts.identity.channel_hash = memory.Load64(at::kChannelHash, kRelaxed);
  facts.state = memory.Load32(at::kState, kRelaxed);
  facts.creator = ReadProcess(memory, at::kCreatorPid, at::kCreatorStartTime);
  // Head before tail: the distance between the two is then never negative for a peer that keeps the rules.
  facts.consumer = ReadSide(memory, Side::kConsumer);
  facts.producer = ReadSide(memory, Side::kProducer);
  return facts;
}

SideFacts ReadSide(const SharedMemory& memory, Side side) {
  const bool is_producer = side == Side::kProducer;
  const size_t line = LineOf(side);
  SideFacts facts;
  facts.process = ReadProcess(memory, line + in_line::kPid, line + in_line::kStartTime);
  facts.heartbeat_count = memory.Load32(line + in_line::kHeartbeatCount, kRelaxed);
  facts.heartbeat_ms = memory.Load64(line + in_line::kHeartbeatMs, kRelaxed);
  facts.position = memory.Load64(line, kRelaxed);
  facts.records = memory.Load64(is_producer ? at::kRecordsWritten : at::kRecordsRead, kRelaxed);
  facts.bytes = memory.Load64(is_producer ? at::kBytesWritten : at::kBytesRead, kRelaxed);
  facts.waiting = memory.Load32(is_producer ? at::kProducerWaiting : at::kConsumerWaiting, kRelaxed) != 0;
  return facts;
}

HeaderFault JudgeHeader(const HeaderFacts& facts, uint64_t segment_bytes) {
  const uint64_t capacity = facts.identity.capacity;
  if (facts.magic != kSegmentMagic) return HeaderFault::kMagic;
  if (facts.version != kLayoutVersion || facts.data_offset != kDataOffset) return HeaderFault::kVersion;
  if (capacity < kCapacityLeast || capacity > kCapacityMost || !IsPowerOfTwo(capacity) ||
      segment_bytes < kDataOffset + capacity) {
    return HeaderFault::kCapacity;
  }
  if ((facts.identity.flags & ~kSegmentFlagCrc) != 0) return HeaderFault::kFlags;
  if (facts.state >= Value(SegmentState::kPoisoned)) return HeaderFault::kPoisoned;
  return HeaderFault::kNone;
}

bool ClaimSide(SharedMemory memory, Side side) {
  const size_t line = LineOf(side);
  const ProcessIdentity self = ThisProcess();
  const ProcessIdentity found = ReadProcess(memory, line + in_line::kPid, line + in_line::kStartTime);
  if (found.pid != self.pid) {
    if (IsAlive(found)) return false;
    memory.Store64(line + in_line::kStartTime, 0, kRelaxed);  // not the dead one's, should anybody look now
    if (!memory.CompareExchange32(line + in_line::kPid, found.pid, self.pid)) return false;
  }
  memory.Store64(line + in_line::kStartTime, self.start_time, kRelaxed);
  Beat(memory, side);
  return true;
}

void LeaveSide(SharedMemory memory, Side side) {
  memory.Store64(LineOf(side) + in_line::kStartTime, 0, kRelaxed);
  memory.Store32(LineOf(side) + in_line::kPid, 0, std::memory_order_release);
}

void Beat(SharedMemory memory, Side side) {
  const size_t line = LineOf(side);
  const uint32_t count = memory.Load32(line + in_line::kHeartbeatCount, kRelaxed);
  memory.Store64(line + in_line::kHeartbeatMs, MonotonicMs(), kRelaxed);
  memory.Store32(line + in_line::kHeartbeatCount, count + 1, std::memory_order_release);
}

uint32_t ReadState(const SharedMemory& memory) { return memory.Load32(at::kState, kRelaxed); }

void MarkState(SharedMemory memory, SegmentState state) {
  uint32_t found = ReadState(memory);
  // Exchanged only for the state seen: the other side may change it at the same time. Each round is a step up.
  while (found < Value(state) && !memory.CompareExchange32(at::kState, found, Value(state))) found = ReadState(memory);
}

bool HasNews(const SharedMemory& memory) {
  return ReadState(memory) >= Value(SegmentState::kClosing);
}

}  // namespace reactor_net::jbus
