// How the rings touch a segment: atomic words with a stated order, and plain copies of payload.
// BasicRingWriter and BasicRingReader take it as a parameter, so that the model (addon/model/) can run the very same
// code over a simulated memory. Here every call is one instruction or one memcpy.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>

#include "jbus/steps.h"

namespace reactor_net::jbus {

static_assert(std::atomic<uint64_t>::is_always_lock_free && sizeof(std::atomic<uint64_t>) == 8);
static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4);

class SharedMemory {
 public:
  /** `base` is page aligned and stays mapped while this is used. */
  explicit SharedMemory(uint8_t* base) : base_(base) {}

  uint64_t Load64(size_t offset, std::memory_order order) const { return Word<uint64_t>(offset).load(order); }
  uint32_t Load32(size_t offset, std::memory_order order) const { return Word<uint32_t>(offset).load(order); }
  void Store64(size_t offset, uint64_t value, std::memory_order order) { Word<uint64_t>(offset).store(value, order); }
  void Store32(size_t offset, uint32_t value, std::memory_order order) { Word<uint32_t>(offset).store(value, order); }
  uint32_t Exchange32(size_t offset, uint32_t value) {
    return Word<uint32_t>(offset).exchange(value, std::memory_order_acq_rel);
  }
  bool CompareExchange32(size_t offset, uint32_t expected, uint32_t value) {
    return Word<uint32_t>(offset).compare_exchange_strong(expected, value, std::memory_order_acq_rel);
  }
  /** Orders an earlier store before a later load: the one thing release and acquire do not do. */
  void Fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

  void CopyIn(size_t offset, const uint8_t* from, size_t bytes) {
#ifdef JBUS_STOP_AT_STEP
    const size_t half = bytes / 2;
    std::memcpy(base_ + offset, from, half);
    Step(WriteStep::kPayloadHalf);
    std::memcpy(base_ + offset + half, from + half, bytes - half);
#else
    std::memcpy(base_ + offset, from, bytes);
#endif
  }
  /** Payload in place, for CRCs. The peer may change it at any time: nothing may be decided by it twice. */
  const uint8_t* Bytes(size_t offset) const { return base_ + offset; }

  /** Where a crash test may stop the writer; nothing in a normal build. */
  void Step([[maybe_unused]] WriteStep step) {
#ifdef JBUS_STOP_AT_STEP
    StopAtStep(step);
#endif
  }

 private:
  template <typename T>
  std::atomic<T>& Word(size_t offset) const {
    return *reinterpret_cast<std::atomic<T>*>(base_ + offset);
  }

  uint8_t* base_;
};

}  // namespace reactor_net::jbus
