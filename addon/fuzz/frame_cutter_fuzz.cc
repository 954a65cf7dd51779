// libFuzzer target: any framing, any bytes, any cuts. The stream must tell the same story whole and in pieces,
// and nothing outside it may be read (AddressSanitizer).
// Input: 16 bytes that choose the framing, 1 that seeds the cuts, then the stream.
#include <random>

#include "../test/stream_model.h"

using namespace reactor_net;

namespace {

constexpr size_t kChoiceBytes = 17;

HeaderField FieldFrom(const uint8_t* choice, const uint32_t* widths, size_t width_count) {
  return {choice[0] % 12u, widths[choice[1] % width_count], (choice[2] & 1) != 0};
}

Framing FramingFrom(const uint8_t* choice) {
  constexpr uint32_t kLengthWidths[] = {1, 2, 3, 4, 8};
  constexpr uint32_t kMsgIdWidths[] = {0, 1, 2, 4};
  const uint32_t frame_bytes_max = 1 + (ReadUint32Little(choice + 12) & 0xfffff);
  if (choice[0] % 8 == 0) return Framing::Raw();
  if (choice[0] % 8 < 4) return Framing::Tlv(frame_bytes_max);
  const int32_t adjustment = static_cast<int8_t>(choice[7]) * ((choice[0] & 64) != 0 ? 8'000'000 : 1);
  return Framing::LengthField(FieldFrom(choice + 1, kLengthWidths, 5), FieldFrom(choice + 4, kMsgIdWidths, 4),
                              adjustment, choice[8] % 24u, frame_bytes_max);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kChoiceBytes) return 0;
  const Framing framing = FramingFrom(data);
  const Bytes wire(data + kChoiceBytes, data + size);
  std::minstd_rand random(data[kChoiceBytes - 1] + 1u);
  const size_t piece_max = 1 + random() % 300;
  CHECK(CutWhole(framing, wire) == CutInPieces(framing, wire, [&] { return 1 + random() % piece_max; }));
  return 0;
}
