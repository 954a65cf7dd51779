// How one kind of stream is divided into frames: raw bytes, TLV, or a length field in a header.
// frame_cutter.h walks a stream with it. The meaning of every field, and the order in which a header is judged,
// are those of reactor/codecs/length-field-codec.ts and tlv-codec.ts.
// Pure: no socket, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace reactor_net {

/** Frames up to this size, header included, are delivered whole; larger ones in pieces as they come. */
constexpr uint32_t kWholeFrameBytesMax = 64 * 1024;
/** Bytes one body may be allowed to have. */
constexpr uint32_t kFrameBytesLimit = (uint32_t{1} << 31) - 1;
constexpr uint32_t kHeaderBytesLimit = 4096;
constexpr int32_t kLengthAdjustmentLimit = 1 << 30;

/** An unsigned number in a header; 0 bytes: there is none. */
struct HeaderField {
  uint32_t offset = 0;
  uint32_t bytes = 0;
  bool big_endian = false;

  uint32_t end() const { return offset + bytes; }
};

struct Framing {
  enum class Kind : uint8_t { kRaw, kTlv, kLengthField };

  Kind kind = Kind::kRaw;
  HeaderField length;
  HeaderField msg_id;
  int32_t length_adjustment = 0;  // added to the length to get the bytes that follow it
  uint32_t strip_bytes = 0;       // bytes at the frame's start that are not part of the body
  uint32_t frame_bytes_max = 0;   // bytes one body may have
  uint32_t frame_bytes_min = 0;   // a frame has its length, its message id, and the bytes to strip

  static Framing Raw() { return {}; }
  static Framing Tlv(uint32_t frame_bytes_max);
  /** The fields are within the limits above; `length.bytes` is 1, 2, 3, 4 or 8 and `msg_id.bytes` 0, 1, 2 or 4. */
  static Framing LengthField(HeaderField length, HeaderField msg_id, int32_t adjustment, uint32_t strip_bytes,
                             uint32_t frame_bytes_max);

  /** Received bytes that surely need no more than `records` events. */
  size_t BytesFor(size_t records) const { return kind == Kind::kRaw ? SIZE_MAX : records * frame_bytes_min; }
};

/** What the first bytes of a frame say. */
struct FrameHeader {
  enum class Verdict : uint8_t { kShort, kGood, kTooLarge, kMalformed };

  Verdict verdict;
  /** kShort: bytes needed to say more; kGood: bytes of the whole frame; kTooLarge: bytes of the announced body. */
  uint64_t bytes;
};

/** The general case of ReadHeader. */
FrameHeader ReadLengthFieldHeader(const Framing& framing, const uint8_t* frame, size_t available);

uint64_t ReadField(const HeaderField& field, const uint8_t* frame);

inline uint32_t ReadUint32Little(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap32(value);
#endif
  return value;
}

/** Judges the frame that starts at `frame`, of which `available` bytes are there; not for raw streams. */
inline FrameHeader ReadHeader(const Framing& framing, const uint8_t* frame, size_t available) {
  if (framing.kind != Framing::Kind::kTlv) return ReadLengthFieldHeader(framing, frame, available);
  constexpr uint32_t kTlvHeaderBytes = 8;
  if (available < kTlvHeaderBytes) return {FrameHeader::Verdict::kShort, kTlvHeaderBytes};
  const uint64_t body_bytes = ReadUint32Little(frame + 4);
  if (body_bytes > framing.frame_bytes_max) return {FrameHeader::Verdict::kTooLarge, body_bytes};
  return {FrameHeader::Verdict::kGood, kTlvHeaderBytes + body_bytes};
}

/** The message id of a frame of which `frame_bytes_min` bytes are there; 0 where the framing has none. */
inline uint32_t ReadMsgId(const Framing& framing, const uint8_t* frame) {
  if (framing.kind == Framing::Kind::kTlv) return ReadUint32Little(frame);
  return framing.msg_id.bytes == 0 ? 0 : static_cast<uint32_t>(ReadField(framing.msg_id, frame));
}

}  // namespace reactor_net
