// The producer's half of a ring: puts records behind the tail, then shows them with one store.
// A record that was put but not published does not exist for the reader: a crash at any point leaves nothing half done.
// Knows no system call; binding/shm_ring_writer.cc and the tests own the memory it writes to. One thread only.
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

/** What the caller says of a record; the writer adds the rest of the header. */
struct RecordFields {
  uint32_t length = 0;
  uint32_t total_length = 0;
  uint16_t flags = 0;
  uint16_t type = 0;
  uint64_t msg_id = 0;
};

template <typename Memory>
class BasicRingWriter {
 public:
  /** `capacity` was checked (ring_header.h); the position is taken over from whoever wrote here before. */
  BasicRingWriter(Memory memory, uint64_t capacity, bool with_crc);

  /**
   * Writes one record behind those already put. Returns the bytes it takes, pads included; 0 when there is no room
   * or the ring is poisoned. `fields.length` is at most RecordBytesMax(capacity).
   */
  uint64_t Put(const RecordFields& fields, const uint8_t* payload);
  /** Shows everything put so far. True: the consumer sleeps and has to be woken. */
  bool Publish();

  /** Bytes in use, as far as the consumer is known to have read. */
  uint64_t Size();
  uint64_t capacity() const { return capacity_; }
  uint64_t records() const { return records_; }
  uint64_t bytes() const { return bytes_; }
  Poison poison() const { return poison_; }
  void SetPoison(Poison reason);
  /** Whether the other side has poisoned the ring; cheap enough for every call from JavaScript. */
  bool IsPoisoned();

  /**
   * Announces that this side will sleep until there is room for `bytes`. False: there is already, do not sleep.
   * Every sleep is announced anew; CancelWait takes the announcement back.
   */
  bool PrepareWait(uint64_t bytes);
  void CancelWait() { memory_.Store32(at::kProducerWaiting, 0, std::memory_order_relaxed); }

 private:
  /** Whether `cost` more bytes fit, looking at the shared head only if what is known of it does not do. */
  bool HasRoom(uint64_t cost) { return cost <= Free() || (RefreshHead() && cost <= Free()); }
  uint64_t Free() const { return capacity_ - (tail_ - head_); }
  bool RefreshHead();
  size_t OffsetOf(uint64_t position) const { return kDataOffset + (position & (capacity_ - 1)); }
  void PutHeader(uint64_t position, const RecordHeader& header);

  Memory memory_;
  const uint64_t capacity_;
  const bool with_crc_;
  uint64_t tail_;       // behind the last record put
  uint64_t published_;  // what the shared tail says
  uint64_t head_;       // the shared head when last looked at
  uint64_t records_;
  uint64_t bytes_;
  Poison poison_ = Poison::kNone;
};

template <typename Memory>
BasicRingWriter<Memory>::BasicRingWriter(Memory memory, uint64_t capacity, bool with_crc)
    : memory_(memory),
      capacity_(capacity),
      with_crc_(with_crc),
      tail_(memory_.Load64(at::kTail, std::memory_order_relaxed)),
      published_(tail_),
      head_(tail_ - capacity_),  // as if full: any head there may be is progress
      records_(memory_.Load64(at::kRecordsWritten, std::memory_order_relaxed)),
      bytes_(memory_.Load64(at::kBytesWritten, std::memory_order_relaxed)) {
  RefreshHead();
}

template <typename Memory>
uint64_t BasicRingWriter<Memory>::Put(const RecordFields& fields, const uint8_t* payload) {
  assert(fields.length <= RecordBytesMax(capacity_));
  const uint64_t occupied = OccupiedBytes(fields.length);
  const uint64_t room_to_end = capacity_ - (tail_ & (capacity_ - 1));
  const uint64_t skipped = room_to_end < occupied ? room_to_end : 0;
  if (poison_ != Poison::kNone || !HasRoom(skipped + occupied)) return 0;
  if (skipped >= kRecordHeaderBytes) {
    const uint32_t pad_length = static_cast<uint32_t>(skipped - kRecordHeaderBytes);
    PutHeader(tail_, {kRecordMagic, pad_length, pad_length, kFlagPad, 0, 0, 0, 0});
    memory_.Step(WriteStep::kPadWritten);
  }
  const uint64_t position = tail_ + skipped;
  const uint16_t crc_flag = with_crc_ ? kFlagCrc : 0;
  RecordHeader header = {kRecordMagic, fields.length, fields.total_length, static_cast<uint16_t>(fields.flags | crc_flag),
                         fields.type, fields.msg_id, 0, 0};
  PutHeader(position, header);
  memory_.Step(WriteStep::kHeaderWritten);
  const size_t payload_offset = OffsetOf(position) + kRecordHeaderBytes;
  if (fields.length > 0) memory_.CopyIn(payload_offset, payload, fields.length);
  memory_.Step(WriteStep::kPayloadWritten);
  if (with_crc_) {
    header.crc = Crc32(0, reinterpret_cast<const uint8_t*>(&header), kRecordHeaderBytes);
    // Over the copy: the caller's bytes may be shared with a thread that writes them.
    header.crc = Crc32(header.crc, memory_.Bytes(payload_offset), fields.length);
    PutHeader(position, header);
  }
  tail_ += skipped + occupied;
  records_++;
  bytes_ += fields.length;
  return skipped + occupied;
}

template <typename Memory>
bool BasicRingWriter<Memory>::Publish() {
  if (tail_ == published_) return false;
  assert(tail_ - head_ <= capacity_);
  memory_.Store64(at::kRecordsWritten, records_, std::memory_order_relaxed);
  memory_.Store64(at::kBytesWritten, bytes_, std::memory_order_relaxed);
  memory_.Step(WriteStep::kBeforePublish);
  memory_.Store64(at::kTail, tail_, std::memory_order_release);
  published_ = tail_;
  memory_.Step(WriteStep::kPublished);
  // The consumer sets its word, fences, looks at the tail: one of the two sees the other.
  memory_.Fence();
  const bool wake = memory_.Load32(at::kConsumerWaiting, std::memory_order_relaxed) != 0 &&
                    memory_.Exchange32(at::kConsumerWaiting, 0) != 0;
  memory_.Step(WriteStep::kWakeDecided);
  return wake;
}

template <typename Memory>
uint64_t BasicRingWriter<Memory>::Size() {
  RefreshHead();
  return tail_ - head_;
}

template <typename Memory>
bool BasicRingWriter<Memory>::PrepareWait(uint64_t bytes) {
  memory_.Store32(at::kProducerWaiting, 1, std::memory_order_relaxed);
  memory_.Fence();
  if (RefreshHead() && Free() < bytes) return true;
  CancelWait();
  return false;
}

template <typename Memory>
bool BasicRingWriter<Memory>::RefreshHead() {
  const uint64_t head = memory_.Load64(at::kHead, std::memory_order_acquire);
  // Between what was last seen and what was published; a smaller or a larger one wraps far out of that.
  if (head - head_ > published_ - head_ || head % 8 != 0) {
    SetPoison(Poison::kHead);
    return false;
  }
  head_ = head;
  return true;
}

template <typename Memory>
void BasicRingWriter<Memory>::PutHeader(uint64_t position, const RecordHeader& header) {
  uint64_t words[kRecordHeaderBytes / 8];
  std::memcpy(words, &header, sizeof words);
  const size_t offset = OffsetOf(position);
  for (size_t i = 0; i < kRecordHeaderBytes / 8; i++) {
    memory_.Store64(offset + 8 * i, words[i], std::memory_order_relaxed);
  }
}

template <typename Memory>
void BasicRingWriter<Memory>::SetPoison(Poison reason) {
  poison_ = reason;
  memory_.Store32(at::kState, static_cast<uint32_t>(SegmentState::kPoisoned), std::memory_order_relaxed);
}

template <typename Memory>
bool BasicRingWriter<Memory>::IsPoisoned() {
  if (poison_ == Poison::kNone && memory_.Load32(at::kState, std::memory_order_relaxed) ==
                                      static_cast<uint32_t>(SegmentState::kPoisoned)) {
    poison_ = Poison::kByPeer;
  }
  return poison_ != Poison::kNone;
}

using RingWriter = BasicRingWriter<SharedMemory>;

}  // namespace reactor_net::jbus
