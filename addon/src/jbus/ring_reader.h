// The consumer's half of a ring: finds records behind the head, checks every word of them, hands out where they lie.
// Nothing the peer wrote is believed: a header is read once into a copy, and the copy is judged; what breaks the format
// poisons the ring. Bytes stay the reader's until Release. One thread only; binding/shm_ring_reader.cc owns the memory.
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <cstring>

#include "jbus/crc32.h"
#include "jbus/layout.h"
#include "jbus/poison.h"
#include "jbus/shared_memory.h"

namespace reactor_net::jbus {

/** One record as delivered. */
struct RecordView {
  uint32_t offset = 0;  // of the payload, from the segment's start
  uint32_t length = 0;
  uint32_t total_length = 0;
  uint16_t flags = 0;  // without the CRC flag: it was checked
  uint16_t type = 0;
  uint64_t msg_id = 0;
  uint64_t cost = 0;  // set by Take: what Release gets back for it, with what was skipped before it
};

/** The message of which some fragments have come. */
struct Assembly {
  bool open = false;
  uint64_t msg_id = 0;
  uint32_t total_length = 0;
  uint32_t received = 0;
};

template <typename Memory>
class BasicRingReader {
 public:
  /** `capacity` was checked (ring_header.h). Begins where the last consumer stopped. */
  BasicRingReader(Memory memory, uint64_t capacity, uint32_t message_bytes_max);

  /**
   * Calls `sink(record)` for up to `count_max` further records and returns their number. They stay in the ring until
   * released. 0: nothing there, or poisoned.
   */
  template <typename Sink>
  size_t Take(size_t count_max, Sink&& sink);
  /** Gives back the oldest taken records, whose costs add up to `bytes`. True: the producer sleeps, wake it. */
  bool Release(uint64_t bytes);
  /** Bytes taken and not yet released. */
  uint64_t outstanding() const { return outstanding_; }

  /** Looks at the record the cursor is at, without taking it. */
  bool Peek(RecordView* record);
  /** Moves the cursor past up to `count` whole records; it goes back to the reading position with the next Take. */
  size_t Seek(size_t count);
  /** Drops everything published so far, taken or not. True: the producer sleeps, wake it. */
  bool Clear();

  /** Bytes published and not yet released. */
  uint64_t Size();
  uint64_t capacity() const { return capacity_; }
  uint64_t records() const { return records_; }
  uint64_t bytes() const { return bytes_; }
  /** Fragments without a begin: what was left of a message whose begin is gone. */
  uint64_t dropped() const { return reading_.dropped; }
  Poison poison() const { return poison_; }
  void SetPoison(Poison reason);
  bool IsPoisoned();

  /** Announces that this side will sleep until there is a record. False: there is one, or poison; do not sleep. */
  bool PrepareWait();
  void CancelWait() { memory_.Store32(at::kConsumerWaiting, 0, std::memory_order_relaxed); }
  /** Whether a Take would find something; for a reader that spins. */
  bool HasRecords() { return RefreshTail() && tail_ != reading_.position; }

 private:
  /** A point in the stream and what is known there. */
  struct Place {
    uint64_t position = 0;
    Assembly assembly;
    uint64_t dropped = 0;
  };
  enum class Verdict { kDeliver, kDrop, kBroken };

  /** Moves `place` past the next record to deliver. False: nothing there, or poisoned. */
  bool Next(Place& place, RecordView* record);
  bool RefreshTail();
  bool LoadHeader(uint64_t position, uint64_t used, RecordHeader* header);
  bool CheckCrc(uint64_t position, RecordHeader header);
  Verdict Judge(const RecordHeader& header, Assembly& assembly);
  Verdict JudgeFragment(const RecordHeader& header, bool is_end, Assembly& assembly);
  bool Broken(Poison reason) {
    SetPoison(reason);
    return false;
  }
  Verdict Violation(Poison reason) {
    SetPoison(reason);
    return Verdict::kBroken;
  }
  bool PublishHead(uint64_t head);
  size_t OffsetOf(uint64_t position) const { return kDataOffset + (position & (capacity_ - 1)); }

  Memory memory_;
  const uint64_t capacity_;
  const uint32_t message_bytes_max_;
  uint64_t head_;        // what the shared head says
  uint64_t tail_;        // the shared tail when last looked at
  Place reading_;        // behind what was taken or dropped last
  uint64_t taken_end_;   // behind the last record taken: the next one's cost begins here
  Place cursor_;         // where Peek looks; meaningful while is_seeking_
  bool is_seeking_ = false;
  uint64_t outstanding_ = 0;
  uint64_t records_;
  uint64_t bytes_;
  Poison poison_ = Poison::kNone;
};

template <typename Memory>
BasicRingReader<Memory>::BasicRingReader(Memory memory, uint64_t capacity, uint32_t message_bytes_max)
    : memory_(memory),
      capacity_(capacity),
      message_bytes_max_(message_bytes_max),
      head_(memory_.Load64(at::kHead, std::memory_order_relaxed)),
      tail_(head_),
      taken_end_(head_),
      records_(memory_.Load64(at::kRecordsRead, std::memory_order_relaxed)),
      bytes_(memory_.Load64(at::kBytesRead, std::memory_order_relaxed)) {
  reading_.position = head_;
  if (head_ % 8 != 0) SetPoison(Poison::kHead);
  RefreshTail();
}

template <typename Memory>
template <typename Sink>
size_t BasicRingReader<Memory>::Take(size_t count_max, Sink&& sink) {
  is_seeking_ = false;
  RecordView record;
  size_t count = 0;
  for (; count < count_max && Next(reading_, &record); count++) {
    record.cost = reading_.position - taken_end_;
    taken_end_ = reading_.position;
    outstanding_ += record.cost;
    bytes_ += record.length;
    sink(record);
  }
  records_ += count;
  // Dropped fragments with nothing behind them would fill the ring for good.
  if (outstanding_ == 0 && reading_.position != head_) PublishHead(taken_end_ = reading_.position);
  return count;
}

template <typename Memory>
bool BasicRingReader<Memory>::Release(uint64_t bytes) {
  assert(bytes <= outstanding_ && bytes % 8 == 0);
  outstanding_ -= bytes;
  if (outstanding_ > 0) return PublishHead(head_ + bytes);
  return PublishHead(taken_end_ = reading_.position);
}

template <typename Memory>
bool BasicRingReader<Memory>::Peek(RecordView* record) {
  Seek(0);
  Place place = cursor_;
  return Next(place, record);
}

template <typename Memory>
size_t BasicRingReader<Memory>::Seek(size_t count) {
  if (!is_seeking_) cursor_ = reading_;
  is_seeking_ = true;
  RecordView record;
  size_t skipped = 0;
  while (skipped < count && Next(cursor_, &record)) skipped++;
  return skipped;
}

template <typename Memory>
bool BasicRingReader<Memory>::Clear() {
  is_seeking_ = false;
  if (IsPoisoned() || !RefreshTail()) return false;
  reading_.position = tail_;
  reading_.assembly = {};
  outstanding_ = 0;
  return PublishHead(taken_end_ = tail_);
}

template <typename Memory>
uint64_t BasicRingReader<Memory>::Size() {
  RefreshTail();
  return tail_ - head_;
}

template <typename Memory>
bool BasicRingReader<Memory>::PrepareWait() {
  memory_.Store32(at::kConsumerWaiting, 1, std::memory_order_relaxed);
  memory_.Fence();
  if (RefreshTail() && tail_ == reading_.position) return true;
  CancelWait();
  return false;
}

template <typename Memory>
bool BasicRingReader<Memory>::PublishHead(uint64_t head) {
  assert(head - head_ <= tail_ - head_);
  head_ = head;
  memory_.Store64(at::kRecordsRead, records_, std::memory_order_relaxed);
  memory_.Store64(at::kBytesRead, bytes_, std::memory_order_relaxed);
  memory_.Store64(at::kHead, head_, std::memory_order_release);
  memory_.Fence();
  return memory_.Load32(at::kProducerWaiting, std::memory_order_relaxed) != 0 &&
         memory_.Exchange32(at::kProducerWaiting, 0) != 0;
}

template <typename Memory>
bool BasicRingReader<Memory>::RefreshTail() {
  const uint64_t tail = memory_.Load64(at::kTail, std::memory_order_acquire);
  const uint64_t used = tail - head_;  // a tail behind the head wraps far beyond the capacity
  if (used > capacity_ || used < tail_ - head_ || tail % 8 != 0) return Broken(Poison::kTail);
  tail_ = tail;
  return true;
}

template <typename Memory>
bool BasicRingReader<Memory>::Next(Place& place, RecordView* record) {
  while (poison_ == Poison::kNone) {
    if (place.position == tail_ && (!RefreshTail() || place.position == tail_)) return false;
    const uint64_t used = tail_ - place.position;
    const uint64_t room_to_end = capacity_ - (place.position & (capacity_ - 1));
    if (room_to_end < kRecordHeaderBytes) {  // too small for a pad: both sides skip it
      if (room_to_end > used) return Broken(Poison::kTail);
      place.position += room_to_end;
      continue;
    }
    RecordHeader header;
    if (!LoadHeader(place.position, used, &header)) return false;
    if (header.flags == kFlagPad) {
      if (header.length != room_to_end - kRecordHeaderBytes || room_to_end > used) return Broken(Poison::kLength);
      place.position += room_to_end;
      continue;
    }
    const uint64_t occupied = OccupiedBytes(header.length);
    if (header.length > RecordBytesMax(capacity_) || occupied > used || occupied > room_to_end) {
      return Broken(Poison::kLength);
    }
    if ((header.flags & kFlagCrc) != 0 && !CheckCrc(place.position, header)) return Broken(Poison::kCrc);
    header.flags &= static_cast<uint16_t>(~kFlagCrc);
    const Verdict verdict = Judge(header, place.assembly);
    if (verdict == Verdict::kBroken) return false;
    const size_t payload_offset = OffsetOf(place.position) + kRecordHeaderBytes;
    place.position += occupied;
    if (verdict == Verdict::kDrop) {
      place.dropped++;
      continue;
    }
    *record = {static_cast<uint32_t>(payload_offset), header.length, header.total_length, header.flags,
               header.type, header.msg_id, 0};
    return true;
  }
  return false;
}

/** Reads the header's words once each. False when there is none: the ring is poisoned then. */
template <typename Memory>
bool BasicRingReader<Memory>::LoadHeader(uint64_t position, uint64_t used, RecordHeader* header) {
  if (used < kRecordHeaderBytes) return Broken(Poison::kTail);
  uint64_t words[kRecordHeaderBytes / 8];
  const size_t offset = OffsetOf(position);
  for (size_t i = 0; i < kRecordHeaderBytes / 8; i++) {
    words[i] = memory_.Load64(offset + 8 * i, std::memory_order_relaxed);
  }
  std::memcpy(header, words, sizeof words);
  return header->magic == kRecordMagic || Broken(Poison::kMagic);
}

template <typename Memory>
bool BasicRingReader<Memory>::CheckCrc(uint64_t position, RecordHeader header) {
  const uint32_t expected = header.crc;
  header.crc = 0;
  const uint32_t over_header = Crc32(0, reinterpret_cast<const uint8_t*>(&header), kRecordHeaderBytes);
  return Crc32(over_header, memory_.Bytes(OffsetOf(position) + kRecordHeaderBytes), header.length) == expected;
}

/** Whether the record may come here. `header.flags` is without the CRC flag; the length has been checked. */
template <typename Memory>
typename BasicRingReader<Memory>::Verdict BasicRingReader<Memory>::Judge(const RecordHeader& header,
                                                                         Assembly& assembly) {
  switch (header.flags) {
    case kFlagHeartbeat:  // may come between fragments
      return header.length == 0 ? Verdict::kDeliver : Violation(Poison::kLength);
    case kFlagBegin | kFlagEnd:
      if (assembly.open) return Violation(Poison::kSequence);
      if (header.length != header.total_length || header.total_length > message_bytes_max_) {
        return Violation(Poison::kTotalLength);
      }
      return Verdict::kDeliver;
    case kFlagBegin:
      if (assembly.open) return Violation(Poison::kSequence);
      if (header.length > header.total_length || header.total_length > message_bytes_max_) {
        return Violation(Poison::kTotalLength);
      }
      assembly = {true, header.msg_id, header.total_length, header.length};
      return Verdict::kDeliver;
    case kFlagMid:
    case kFlagEnd:
      return JudgeFragment(header, header.flags == kFlagEnd, assembly);
    default:
      return Violation(Poison::kFlags);
  }
}

template <typename Memory>
typename BasicRingReader<Memory>::Verdict BasicRingReader<Memory>::JudgeFragment(const RecordHeader& header,
                                                                                 bool is_end, Assembly& assembly) {
  if (!assembly.open) return Verdict::kDrop;  // its begin was cleared, or read by a consumer that died
  if (header.msg_id != assembly.msg_id) return Violation(Poison::kSequence);
  const uint32_t missing = assembly.total_length - assembly.received;
  if (header.total_length != assembly.total_length || header.length > missing ||
      (is_end && header.length != missing)) {
    return Violation(Poison::kTotalLength);
  }
  assembly.received += header.length;
  assembly.open = !is_end;
  return Verdict::kDeliver;
}

template <typename Memory>
void BasicRingReader<Memory>::SetPoison(Poison reason) {
  poison_ = reason;
  memory_.Store32(at::kState, static_cast<uint32_t>(SegmentState::kPoisoned), std::memory_order_relaxed);
}

template <typename Memory>
bool BasicRingReader<Memory>::IsPoisoned() {
  if (poison_ == Poison::kNone && memory_.Load32(at::kState, std::memory_order_relaxed) ==
                                      static_cast<uint32_t>(SegmentState::kPoisoned)) {
    poison_ = Poison::kByPeer;
  }
  return poison_ != Poison::kNone;
}

using RingReader = BasicRingReader<SharedMemory>;

}  // namespace reactor_net::jbus
