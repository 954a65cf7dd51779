// What a receiver makes of one stream, for comparing: the same bytes must give the same story however they arrive.
// CutWhole and CutInPieces run the frame cutter; the latter keeps rests as engine_read.cc does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "transport/frame_cutter.h"
#include "transport/partial_frame.h"

namespace reactor_net {

using Bytes = std::vector<uint8_t>;

/** Frames as text, pieces of large bodies joined, so that stories can be compared. */
class Story {
 public:
  explicit Story(const uint8_t* bytes) : bytes_(bytes) {}

  void LookAt(const uint8_t* bytes) { bytes_ = bytes; }
  void Data(size_t offset, size_t length) { Join("data ", offset, length); }
  void Frame(uint32_t msg_id, size_t offset, size_t length) {
    lines_.push_back("frame " + std::to_string(msg_id) + " " + Text(offset, length));
  }
  void LargeBegin(uint32_t msg_id, size_t length) {
    lines_.push_back("large " + std::to_string(msg_id) + " " + std::to_string(length));
  }
  void LargeData(size_t offset, size_t length) { Join("body ", offset, length); }
  void TooLarge(uint64_t announced) { lines_.push_back("too large " + std::to_string(announced)); }
  void Malformed() { lines_.push_back("malformed"); }

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string Text(size_t offset, size_t length) const {
    return std::string(reinterpret_cast<const char*>(bytes_) + offset, length);
  }
  void Join(const std::string& kind, size_t offset, size_t length) {
    if (lines_.empty() || lines_.back().compare(0, kind.size(), kind) != 0) lines_.push_back(kind);
    lines_.back() += Text(offset, length);
  }

  const uint8_t* bytes_;
  std::vector<std::string> lines_;
};

inline std::vector<std::string> CutWhole(const Framing& framing, const Bytes& wire) {
  Story story(wire.data());
  uint32_t large_left = 0;
  const CutOutcome outcome = CutFrames(framing, large_left, wire.data(), wire.size(), story);
  CHECK(outcome.consumed <= wire.size());
  CHECK(outcome.failed || outcome.consumed == wire.size() || outcome.needed > wire.size() - outcome.consumed);
  return story.lines();
}

/** Shows the wire in pieces whose sizes `next_piece` gives, 1 or more. */
template <typename NextPiece>
std::vector<std::string> CutInPieces(const Framing& framing, const Bytes& wire, NextPiece next_piece) {
  Story story(nullptr);
  PartialFrame partial;
  uint32_t large_left = 0;
  for (size_t at = 0; at < wire.size();) {
    const size_t piece = std::min<size_t>(next_piece(), wire.size() - at);
    const uint8_t* arrived = wire.data() + at;
    at += piece;
    if (partial.count() > 0 && partial.count() + piece < partial.needed()) {
      CHECK(partial.Append(arrived, piece));
      continue;
    }
    Bytes joined(partial.bytes(), partial.bytes() + partial.count());
    joined.insert(joined.end(), arrived, arrived + piece);
    partial.Clear();
    story.LookAt(joined.data());
    const CutOutcome outcome = CutFrames(framing, large_left, joined.data(), joined.size(), story);
    if (outcome.failed) break;
    const size_t rest = joined.size() - outcome.consumed;
    if (rest == 0) continue;
    CHECK(outcome.needed > rest);
    CHECK(rest < kWholeFrameBytesMax);
    partial.Expect(outcome.needed);
    CHECK(partial.Append(joined.data() + outcome.consumed, rest));
  }
  return story.lines();
}

}  // namespace reactor_net
