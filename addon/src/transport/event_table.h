// The batch that JavaScript reads: records of five words {type, slot, a, b, c} in memory it shares with us.
// addon/transport-layout.ts names the same numbers; the two change together.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

namespace reactor_net {

enum class EventType : uint32_t {
  kFrame = 1,         // a: message id, b: offset of the body in the receive slab, c: its bytes
  kData = 2,          // b: offset, c: bytes
  kLargeBegin = 3,    // a: message id, c: bytes of the whole body
  kLargeData = 4,     // b: offset, c: bytes
  kTooLarge = 5,      // a, b: low and high word of the announced bytes
  kMalformed = 6,     //
  kEnd = 7,           // the peer sent its FIN
  kClosed = 8,        // a: errno; the slot is gone
  kDrained = 9,       // a: bytes of waiting output that the kernel took, files included
  kConnected = 10,    //
  kAccepted = 11,     // slot: the listener's, a: the new connection's slot, b: its descriptor
  kAcceptFailed = 12,  // slot: the listener's, now paused; a: errno
  kFileFailed = 13    // a: errno, ENODATA for a file that became shorter; the connection was reset, the slot is gone
};

class EventTable {
 public:
  static constexpr size_t kRecordWords = 5;

  EventTable(uint32_t* words, size_t capacity) : words_(words), capacity_(capacity) {}

  size_t count() const { return count_; }
  size_t room() const { return capacity_ - count_; }
  void Restart() { count_ = 0; }

  void Append(EventType type, uint32_t slot, uint32_t a, size_t b, size_t c) {
    assert(count_ < capacity_);
    uint32_t* record = words_ + count_ * kRecordWords;
    record[0] = static_cast<uint32_t>(type);
    record[1] = slot;
    record[2] = a;
    record[3] = static_cast<uint32_t>(b);
    record[4] = static_cast<uint32_t>(c);
    count_++;
  }

 private:
  uint32_t* const words_;
  const size_t capacity_;
  size_t count_ = 0;
};

}  // namespace reactor_net
