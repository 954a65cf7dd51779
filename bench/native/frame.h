// What the generator sends and expects back: TLV frames whose body follows from their sequence number,
// so that a reply which is late, doubled, cut or mixed up with another is noticed.
// Body: the low bytes of the sequence number (up to 8), then a pattern that starts where it says.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

constexpr size_t kHeaderBytes = 8;

inline void store_u32(char* target, uint32_t value) {
  for (int byte = 0; byte < 4; byte += 1) target[byte] = static_cast<char>(value >> (8 * byte));
}

inline uint32_t load_u32(const char* source) {
  uint32_t value = 0;
  for (int byte = 0; byte < 4; byte += 1) {
    value |= static_cast<uint32_t>(static_cast<unsigned char>(source[byte])) << (8 * byte);
  }
  return value;
}

/** The bodies of one payload size; shared by all connections of a thread, never changed. */
class BodyPattern {
 public:
  explicit BodyPattern(uint32_t payload_bytes)
      : payload_bytes_(payload_bytes), pattern_(payload_bytes + 256) {
    for (size_t index = 0; index < pattern_.size(); index += 1) {
      pattern_[index] = static_cast<char>((index * 31 + (index >> 8)) & 0xff);
    }
  }

  uint32_t payload_bytes() const { return payload_bytes_; }

  /** Writes header and body of frame `sequence` to `target`, which has room for both. */
  void write(char* target, uint32_t msg_id, uint64_t sequence) const {
    store_u32(target, msg_id);
    store_u32(target + 4, payload_bytes_);
    char* body = target + kHeaderBytes;
    memcpy(body, pattern_.data() + (sequence & 0xff), payload_bytes_);
    memcpy(body, &sequence, std::min<size_t>(payload_bytes_, sizeof sequence));
  }

  /** Whether `bytes` are what the body of `sequence` has from `offset` on. */
  bool matches(uint64_t sequence, size_t offset, const char* bytes, size_t length) const {
    if (offset < sizeof sequence) {
      const size_t part = std::min(length, std::min<size_t>(payload_bytes_, sizeof sequence) - offset);
      if (memcmp(bytes, reinterpret_cast<const char*>(&sequence) + offset, part) != 0) return false;
      bytes += part;
      length -= part;
      offset += part;
    }
    return memcmp(bytes, pattern_.data() + (sequence & 0xff) + offset, length) == 0;
  }

 private:
  uint32_t payload_bytes_;
  std::vector<char> pattern_;
};

/** One connection's incoming side: checks replies as their bytes arrive and keeps none of them. */
class ReplyReader {
 public:
  /**
   * Takes one chunk, calls `on_reply()` for every reply completed, oldest first.
   * Returns false on the first byte that differs from the frame that was due.
   */
  template <typename OnReply>
  bool feed(const BodyPattern& pattern, uint32_t msg_id, const char* bytes, size_t length, OnReply on_reply) {
    while (length > 0) {
      if (header_got_ < kHeaderBytes) {
        const size_t part = std::min(length, kHeaderBytes - header_got_);
        memcpy(header_ + header_got_, bytes, part);
        header_got_ += part;
        bytes += part;
        length -= part;
        if (header_got_ < kHeaderBytes) return true;
        if (load_u32(header_) != msg_id || load_u32(header_ + 4) != pattern.payload_bytes()) return false;
      }
      const size_t part = std::min<size_t>(length, pattern.payload_bytes() - body_got_);
      if (!pattern.matches(sequence_, body_got_, bytes, part)) return false;
      body_got_ += part;
      bytes += part;
      length -= part;
      if (body_got_ < pattern.payload_bytes()) return true;
      header_got_ = 0;
      body_got_ = 0;
      sequence_ += 1;
      on_reply();
    }
    return true;
  }

 private:
  char header_[kHeaderBytes] = {};
  size_t header_got_ = 0;
  size_t body_got_ = 0;
  uint64_t sequence_ = 0;
};
