// transport/frame_cutter and framing: frames do not depend on how the bytes arrive, and headers are judged first.
#include "transport/frame_cutter.h"

#include <random>
#include <utility>

#include "stream_model.h"

using namespace reactor_net;

namespace {

void Put(Bytes& wire, uint64_t value, int bytes, bool big_endian = false) {
  for (int i = 0; i < bytes; i++) {
    wire.push_back(static_cast<uint8_t>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
  }
}

void PutTlv(Bytes& wire, uint32_t msg_id, size_t body_bytes) {
  Put(wire, msg_id, 4);
  Put(wire, body_bytes, 4);
  for (size_t i = 0; i < body_bytes; i++) wire.push_back(static_cast<uint8_t>(msg_id + i));
}

using Lines = std::vector<std::string>;

void EveryCutTellsTheSameStory() {
  Bytes wire;
  for (const size_t body_bytes : {0, 1, 7, 8, 100, 3}) PutTlv(wire, static_cast<uint32_t>(body_bytes * 3), body_bytes);
  const Framing framing = Framing::Tlv(1000);
  const Lines expected = CutWhole(framing, wire);
  CHECK(expected.size() == 6);
  for (size_t cut = 1; cut < wire.size(); cut++) {
    bool first = true;
    CHECK(expected == CutInPieces(framing, wire, [&] { return std::exchange(first, false) ? cut : wire.size(); }));
  }
  CHECK(expected == CutInPieces(framing, wire, [] { return size_t{1}; }));
}

void LargeFramesComeInPieces() {
  Bytes wire;
  PutTlv(wire, 1, 5);
  PutTlv(wire, 2, kWholeFrameBytesMax - 8);  // the largest that comes whole
  PutTlv(wire, 3, kWholeFrameBytesMax - 7);
  PutTlv(wire, 4, 300'000);
  PutTlv(wire, 5, 0);
  const Framing framing = Framing::Tlv(1 << 20);
  const Lines expected = CutWhole(framing, wire);
  CHECK(expected.size() == 7);
  CHECK(expected[2] == "large 3 65529");
  CHECK(expected[3].size() == 5 + 65529);
  CHECK(expected[6] == "frame 5 ");
  std::mt19937 random(20);
  for (const size_t piece_max : {10, 1000, 65536, 200'000}) {
    CHECK(expected == CutInPieces(framing, wire, [&] { return 1 + random() % piece_max; }));
  }
}

void TooLargeIsJudgedOnTheHeader() {
  Bytes wire;
  PutTlv(wire, 1, 10);
  Put(wire, 9, 4);
  Put(wire, 11, 4);
  const Lines expected = {"frame 1 \x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a", "too large 11"};
  CHECK(CutWhole(Framing::Tlv(10), wire) == expected);
  CHECK(CutInPieces(Framing::Tlv(10), wire, [] { return size_t{1}; }) == expected);
}

void EveryWidthAndOrderIsRead() {
  for (const bool big_endian : {false, true}) {
    for (const uint32_t bytes : {1u, 2u, 3u, 4u, 8u}) {
      const Framing framing = Framing::LengthField({1, bytes, big_endian}, {}, 0, 0, 1000);
      Bytes wire = {'x'};
      Put(wire, 2, static_cast<int>(bytes), big_endian);
      wire.push_back('a');
      wire.push_back('b');
      const std::string whole(wire.begin(), wire.end());
      CHECK(CutWhole(framing, wire) == Lines{"frame 0 " + whole});
    }
  }
}

void AdjustmentStripAndMsgId() {
  // u16 length that counts itself and the id behind it | u16 id | body; the two fields are stripped.
  const Framing framing = Framing::LengthField({0, 2, true}, {2, 2, true}, -2, 4, 100);
  Bytes wire;
  for (const int body_bytes : {3, 0}) {
    Put(wire, static_cast<uint64_t>(4 + body_bytes), 2, true);
    Put(wire, 0x0102, 2, true);
    for (int i = 0; i < body_bytes; i++) wire.push_back('a');
  }
  CHECK((CutWhole(framing, wire) == Lines{"frame 258 aaa", "frame 258 "}));
}

void ImpossibleLengthsAreMalformed() {
  const Framing counts_itself = Framing::LengthField({0, 4, false}, {}, -4, 4, 100);
  CHECK(CutWhole(counts_itself, {3, 0, 0, 0}) == Lines{"malformed"});
  const Framing with_id = Framing::LengthField({0, 1, false}, {1, 4, false}, 0, 0, 100);
  CHECK(CutWhole(with_id, {3, 0, 0, 0}) == Lines{"malformed"});
}

void HugeLengthsDoNotWrap() {
  const Framing framing = Framing::LengthField({0, 8, false}, {}, kLengthAdjustmentLimit, 8, 100);
  const Lines story = CutWhole(framing, Bytes(8, 0xff));
  CHECK(story.size() == 1 && story[0].compare(0, 9, "too large") == 0);
}

void RawBytesPassThrough() {
  const Bytes wire = {'a', 'b', 'c'};
  CHECK(CutInPieces(Framing::Raw(), wire, [] { return size_t{1}; }) == Lines{"data abc"});
}

void AHeaderTiesUpNoMemory() {
  PartialFrame partial;
  const Bytes start(8, 0);
  partial.Expect(60'000);
  CHECK(partial.Append(start.data(), start.size()));
  CHECK(partial.capacity() <= 64);
}

}  // namespace

int main() {
  Run("a stream cut at every byte tells the same story", EveryCutTellsTheSameStory);
  Run("frames above 64 KiB come in pieces and are followed by the next frame", LargeFramesComeInPieces);
  Run("a frame that is too large is refused on its header", TooLargeIsJudgedOnTheHeader);
  Run("length fields of every width and order are read", EveryWidthAndOrderIsRead);
  Run("adjustment, strip and message id do what the codec does", AdjustmentStripAndMsgId);
  Run("a length shorter than the header is malformed", ImpossibleLengthsAreMalformed);
  Run("a length of 2^64 - 1 is too large, whatever is added", HugeLengthsDoNotWrap);
  Run("raw bytes pass through", RawBytesPassThrough);
  Run("the header of a large frame ties up no memory", AHeaderTiesUpNoMemory);
}
