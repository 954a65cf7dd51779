// The start of a frame that one connection has not received whole yet, kept between two reads.
// Owns its memory, grown with what really arrived (a header alone ties up nothing) and freed when it is empty.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reactor_net {

class PartialFrame {
 public:
  PartialFrame() = default;
  PartialFrame(const PartialFrame&) = delete;
  PartialFrame& operator=(const PartialFrame&) = delete;
  ~PartialFrame() { Clear(); }

  const uint8_t* bytes() const { return bytes_; }
  uint32_t count() const { return count_; }
  /** Bytes, these included, without which nothing can be delivered. */
  uint32_t needed() const { return needed_; }
  uint32_t capacity() const { return capacity_; }

  /** False when there is no memory. `bytes` lies elsewhere. */
  bool Append(const uint8_t* bytes, size_t count);
  void Expect(uint32_t needed) { needed_ = needed; }
  void Clear();

 private:
  uint8_t* bytes_ = nullptr;
  uint32_t count_ = 0;
  uint32_t capacity_ = 0;
  uint32_t needed_ = 0;
};

}  // namespace reactor_net
