// Cuts contiguous bytes of one stream into frames. What it keeps between two calls is one number, the bytes still
// owed to a large frame; the caller keeps the bytes that were not consumed and shows them again, with more behind.
// engine_read.cc calls it with what a socket produced. Pure, so a test may cut the input at any byte.
#pragma once

#include <algorithm>

#include "transport/framing.h"

namespace reactor_net {

struct CutOutcome {
  /** Bytes that were delivered or skipped; the rest is the start of one frame. */
  size_t consumed;
  /** Bytes of that rest and what follows it, without which another call changes nothing. */
  uint32_t needed;
  /** The stream cannot be resynchronised; the sink was told. */
  bool failed;
};

/**
 * Hands everything in `bytes[0, count)` that is complete to `sink`, oldest first, with offsets into `bytes`.
 * `large_left` belongs to the stream, 0 at its start. A sink has:
 *   Data(offset, length)                 bytes of a raw stream
 *   Frame(msg_id, offset, length)        a whole frame of at most kWholeFrameBytesMax bytes; its body
 *   LargeBegin(msg_id, length)           a larger one begins; bytes of its whole body
 *   LargeData(offset, length)            the next piece of that body
 *   TooLarge(announced) or Malformed()   the last call, and `failed` is set
 */
template <typename Sink>
CutOutcome CutFrames(const Framing& framing, uint32_t& large_left, const uint8_t* bytes, size_t count, Sink& sink) {
  if (framing.kind == Framing::Kind::kRaw) {
    if (count > 0) sink.Data(0, count);
    return {count, 0, false};
  }
  size_t at = 0;
  if (large_left > 0) {
    at = std::min<size_t>(large_left, count);
    if (at > 0) sink.LargeData(0, at);
    large_left -= static_cast<uint32_t>(at);
  }
  while (at < count) {
    const uint8_t* frame = bytes + at;
    const size_t available = count - at;
    const FrameHeader header = ReadHeader(framing, frame, available);
    if (header.verdict == FrameHeader::Verdict::kShort) return {at, static_cast<uint32_t>(header.bytes), false};
    if (header.verdict == FrameHeader::Verdict::kTooLarge) {
      sink.TooLarge(header.bytes);
      return {at, 0, true};
    }
    if (header.verdict == FrameHeader::Verdict::kMalformed) {
      sink.Malformed();
      return {at, 0, true};
    }
    const uint32_t frame_bytes = static_cast<uint32_t>(header.bytes);
    const uint32_t body_bytes = frame_bytes - framing.strip_bytes;
    if (frame_bytes <= kWholeFrameBytesMax) {
      if (available < frame_bytes) return {at, frame_bytes, false};
      sink.Frame(ReadMsgId(framing, frame), at + framing.strip_bytes, body_bytes);
      at += frame_bytes;
      continue;
    }
    if (available < framing.frame_bytes_min) return {at, framing.frame_bytes_min, false};
    sink.LargeBegin(ReadMsgId(framing, frame), body_bytes);
    const size_t piece = std::min<size_t>(available - framing.strip_bytes, body_bytes);
    if (piece > 0) sink.LargeData(at + framing.strip_bytes, piece);
    large_left = body_bytes - static_cast<uint32_t>(piece);
    at += framing.strip_bytes + piece;
  }
  return {at, 0, false};
}

}  // namespace reactor_net
