#include "transport/framing.h"

#include <algorithm>

namespace reactor_net {
namespace {

/** Lengths above this are all the same to us: too large. Keeps the sums below within 64 signed bits. */
constexpr uint64_t kLengthClamp = uint64_t{1} << 62;

}  // namespace

Framing Framing::Tlv(uint32_t frame_bytes_max) {
  const HeaderField msg_id = {0, 4, false};
  const HeaderField length = {4, 4, false};
  Framing framing = LengthField(length, msg_id, 0, 8, frame_bytes_max);
  framing.kind = Kind::kTlv;
  return framing;
}

Framing Framing::LengthField(HeaderField length, HeaderField msg_id, int32_t adjustment, uint32_t strip_bytes,
                             uint32_t frame_bytes_max) {
  Framing framing;
  framing.kind = Kind::kLengthField;
  framing.length = length;
  framing.msg_id = msg_id;
  framing.length_adjustment = adjustment;
  framing.strip_bytes = strip_bytes;
  framing.frame_bytes_max = frame_bytes_max;
  framing.frame_bytes_min = std::max({length.end(), msg_id.bytes == 0 ? 0 : msg_id.end(), strip_bytes});
  return framing;
}

uint64_t ReadField(const HeaderField& field, const uint8_t* frame) {
  const uint8_t* bytes = frame + field.offset;
  uint64_t value = 0;
  for (uint32_t i = 0; i < field.bytes; i++) {
    const uint32_t at = field.big_endian ? i : field.bytes - 1 - i;
    value = (value << 8) | bytes[at];
  }
  return value;
}

FrameHeader ReadLengthFieldHeader(const Framing& framing, const uint8_t* frame, size_t available) {
  const uint32_t length_end = framing.length.end();
  if (available < length_end) return {FrameHeader::Verdict::kShort, length_end};
  const int64_t length = static_cast<int64_t>(std::min(ReadField(framing.length, frame), kLengthClamp));
  const int64_t frame_bytes = length_end + length + framing.length_adjustment;
  const int64_t body_bytes = frame_bytes - framing.strip_bytes;
  if (body_bytes > int64_t{framing.frame_bytes_max}) {
    return {FrameHeader::Verdict::kTooLarge, static_cast<uint64_t>(body_bytes)};
  }
  if (frame_bytes < int64_t{framing.frame_bytes_min}) return {FrameHeader::Verdict::kMalformed, 0};
  return {FrameHeader::Verdict::kGood, static_cast<uint64_t>(frame_bytes)};
}

}  // namespace reactor_net
