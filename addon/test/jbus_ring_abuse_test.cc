// A peer that writes any bytes at any time: the ring is given up, nothing outside it is touched, nothing hangs.
#include <random>

#include "jbus_abuse.h"

using namespace reactor_net;
using namespace reactor_net::jbus;

namespace {

void AnyScriptIsSurvived() {
  const uint32_t first = std::random_device()();
  std::printf("# first seed %u\n", first);
  for (uint32_t seed = first; seed != first + 3000; seed++) {
    std::minstd_rand random(seed);
    std::vector<uint8_t> script(3 + random() % 400);
    for (uint8_t& byte : script) byte = static_cast<uint8_t>(random() >> 8);
    AbuseRing(script.data(), script.size());
  }
}

/** One honest record, one word of it or of the positions changed, then a reader. */
template <typename Corrupt>
Poison PoisonOf(Corrupt corrupt) {
  const TestSegment segment(4096);
  RingWriter writer(segment.memory(), 4096, false);
  RingReader reader(segment.memory(), 4096, 4096);
  PutWhole(writer, 1, 64);
  writer.Publish();
  corrupt(segment.memory());
  reader.Take(1, [](const RecordView&) {});
  CHECK(writer.IsPoisoned() == (reader.poison() != Poison::kNone));
  return reader.poison();
}

void EachFieldIsJudged() {
  const auto store = [](size_t offset, uint32_t value) {
    return [=](SharedMemory memory) { memory.Store32(offset, value, std::memory_order_relaxed); };
  };
  CHECK(PoisonOf(store(kDataOffset, 0)) == Poison::kMagic);
  CHECK(PoisonOf(store(kDataOffset + 4, 63)) == Poison::kTotalLength);
  CHECK(PoisonOf(store(kDataOffset + 4, 65)) == Poison::kLength);
  CHECK(PoisonOf(store(kDataOffset + 4, 0xFFFFFFFF)) == Poison::kLength);
  CHECK(PoisonOf(store(kDataOffset + 8, 63)) == Poison::kTotalLength);
  CHECK(PoisonOf(store(kDataOffset + 12, 0)) == Poison::kFlags);
  CHECK(PoisonOf(store(kDataOffset + 12, kFlagPad)) == Poison::kLength);
  CHECK(PoisonOf(store(kDataOffset + 12, kFlagPad | kFlagCrc)) != Poison::kNone);
  CHECK(PoisonOf(store(at::kTail, 4104)) == Poison::kTail);
  CHECK(PoisonOf(store(at::kTail, 97)) == Poison::kTail);
  CHECK(PoisonOf(store(at::kTail, 16)) == Poison::kTail);
  CHECK(PoisonOf(store(at::kTail + 4, 1)) == Poison::kTail);
}

void TheWriterJudgesTheHead() {
  for (const uint64_t head : {uint64_t{8}, uint64_t{5000}, UINT64_MAX - 7, uint64_t{3}}) {
    const TestSegment segment(4096, 0, 8192);
    RingWriter writer(segment.memory(), 4096, false);
    segment.memory().Store64(at::kHead, head, std::memory_order_relaxed);
    writer.Size();
    CHECK(writer.poison() == Poison::kHead && PutWhole(writer, 1, 1) == 0);
  }
}

}  // namespace

int main() {
  Run("whatever bytes the peer writes, only bytes of the ring are read", AnyScriptIsSurvived);
  Run("each field of a record and the tail are judged, and both sides learn of it", EachFieldIsJudged);
  Run("the writer judges the head", TheWriterJudgesTheHead);
}
