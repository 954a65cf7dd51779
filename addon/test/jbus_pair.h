// A ring in ordinary memory for the C++ tests: a page of header and the records, with a writer and a reader over it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "check.h"
#include "jbus/ring_header.h"
#include "jbus/ring_reader.h"
#include "jbus/ring_writer.h"

namespace reactor_net::jbus {

/** Memory of one segment, page aligned, zeroed and formatted. */
class TestSegment {
 public:
  explicit TestSegment(uint64_t capacity, uint32_t flags = 0, uint64_t start_position = 0)
      : capacity_(capacity), base_(static_cast<uint8_t*>(std::aligned_alloc(4096, kDataOffset + capacity))) {
    std::memset(base_, 0, kDataOffset + capacity);
    FormatHeader(memory(), {capacity, 1, 2, flags, start_position});
  }
  TestSegment(const TestSegment&) = delete;
  TestSegment& operator=(const TestSegment&) = delete;
  ~TestSegment() { std::free(base_); }

  SharedMemory memory() const { return SharedMemory(base_); }
  uint8_t* base() const { return base_; }
  uint64_t capacity() const { return capacity_; }

 private:
  const uint64_t capacity_;
  uint8_t* const base_;
};

constexpr uint16_t kWhole = kFlagBegin | kFlagEnd;

/** Bytes that tell which record they belong to. */
inline std::vector<uint8_t> Pattern(uint64_t number, size_t length) {
  std::vector<uint8_t> bytes(length);
  for (size_t i = 0; i < length; i++) bytes[i] = static_cast<uint8_t>(number * 31 + i * 7 + (i >> 8));
  return bytes;
}

inline uint64_t PutWhole(RingWriter& writer, uint64_t number, size_t length) {
  const std::vector<uint8_t> payload = Pattern(number, length);
  const auto bytes = static_cast<uint32_t>(length);
  return writer.Put({bytes, bytes, kWhole, static_cast<uint16_t>(number), number}, payload.data());
}

inline bool IsPattern(const TestSegment& segment, const RecordView& record) {
  const std::vector<uint8_t> expected = Pattern(record.msg_id, record.length);
  return std::equal(expected.begin(), expected.end(), segment.base() + record.offset);
}

}  // namespace reactor_net::jbus
