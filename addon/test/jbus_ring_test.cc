// jbus/ring_writer and ring_reader against a plain queue, their edges, and two threads over one ring.
#include <deque>
#include <random>
#include <thread>

#include "jbus/backoff.h"
#include "jbus/crc32.h"
#include "jbus_pair.h"

using namespace reactor_net;
using namespace reactor_net::jbus;

namespace {

struct Sent {
  uint64_t number;
  size_t length;
};

void CheckNext(const TestSegment& segment, const RecordView& record, std::deque<Sent>& queue) {
  CHECK(!queue.empty());
  CHECK(record.msg_id == queue.front().number && record.length == queue.front().length);
  CHECK(record.flags == kWhole && IsPattern(segment, record));
  queue.pop_front();
}

void Exchange(uint32_t seed, uint32_t flags, uint64_t start_position) {
  const TestSegment segment(4096, flags, start_position);
  RingWriter writer(segment.memory(), 4096, (flags & kSegmentFlagCrc) != 0);
  RingReader reader(segment.memory(), 4096, 1 << 20);
  std::minstd_rand random(seed);
  std::deque<Sent> queue;
  uint64_t number = 0;
  size_t cursor = 0;  // of Peek, ahead of the queue's front
  for (int step = 0; step < 4000; step++) {
    const size_t length = random() % (random() % 5 == 0 ? RecordBytesMax(4096) + 1 : 150);
    switch (random() % 5) {
      case 0:
      case 1:
        if (PutWhole(writer, ++number, length) > 0) queue.push_back({number, length});
        writer.Publish();
        break;
      case 2: {
        cursor = 0;
        const size_t count = reader.Take(random() % 4, [&](const RecordView& record) {
          CheckNext(segment, record, queue);
          if (random() % 2 == 0) CHECK(!reader.Release(record.cost));
        });
        if (count > 0) reader.Release(reader.outstanding());
        break;
      }
      case 3: {
        cursor += reader.Seek(random() % 3);
        RecordView record;
        CHECK(reader.Peek(&record) == (cursor < queue.size()));
        if (cursor < queue.size()) CHECK(record.msg_id == queue[cursor].number && IsPattern(segment, record));
        break;
      }
      default:
        if (random() % 50 != 0) break;
        reader.Clear();
        queue.clear();
        cursor = 0;
    }
    CHECK(writer.poison() == Poison::kNone && reader.poison() == Poison::kNone);
    CHECK(writer.Size() == reader.Size() && writer.Size() <= 4096);
  }
}

void RingIsAQueue() {
  const uint32_t first = std::random_device()();
  std::printf("# first seed %u\n", first);
  for (uint32_t seed = first; seed != first + 20; seed++) Exchange(seed, seed % 2, seed % 512 * 8);
  Exchange(1, 0, (uint64_t{1} << 32) - 2048);
  Exchange(2, 1, (uint64_t{1} << 53) - 2048);
  Exchange(3, 0, UINT64_MAX - 2047);
}

void EveryRemainderIsSkipped() {
  for (uint64_t position = 0; position < 4096; position += 8) {
    for (const size_t length : {0u, 8u, 100u, 2016u}) {
      const TestSegment segment(4096, 0, position);
      RingWriter writer(segment.memory(), 4096, false);
      RingReader reader(segment.memory(), 4096, 4096);
      CHECK(PutWhole(writer, position, length) > 0);
      writer.Publish();
      CHECK(reader.Take(2, [&](const RecordView& record) { CHECK(IsPattern(segment, record)); }) == 1);
      reader.Release(reader.outstanding());
      CHECK(writer.Size() == 0);
    }
  }
}

void NothingShowsBeforePublish() {
  const TestSegment segment(4096);
  RingWriter writer(segment.memory(), 4096, false);
  RingReader reader(segment.memory(), 4096, 4096);
  CHECK(PutWhole(writer, 1, 10) > 0 && PutWhole(writer, 2, 10) > 0);
  CHECK(!reader.HasRecords() && reader.Take(9, [](const RecordView&) {}) == 0);
  writer.Publish();
  CHECK(reader.Take(9, [](const RecordView&) {}) == 2);
}

void FullRefuses() {
  const TestSegment segment(4096);
  RingWriter writer(segment.memory(), 4096, false);
  CHECK(PutWhole(writer, 1, 2016) == 2048 && PutWhole(writer, 2, 2016) == 2048);
  CHECK(PutWhole(writer, 3, 0) == 0 && writer.Size() == 4096);
  CHECK(writer.PrepareWait(8));
  writer.Publish();
  RingReader reader(segment.memory(), 4096, 4096);
  CHECK(reader.Take(1, [](const RecordView&) {}) == 1);
  CHECK(reader.Release(reader.outstanding()));  // the producer is to be woken, once
  CHECK(!writer.PrepareWait(8) && PutWhole(writer, 3, 0) > 0);
}

uint64_t PutFragment(RingWriter& writer, uint16_t flags, uint64_t msg_id, uint32_t total, uint32_t length) {
  const std::vector<uint8_t> payload(length);
  const uint64_t taken = writer.Put({length, total, flags, 0, msg_id}, payload.data());
  writer.Publish();
  return taken;
}

void FragmentsAreChecked() {
  const auto poison_after = [](auto put) {
    const TestSegment segment(4096);
    RingWriter writer(segment.memory(), 4096, false);
    RingReader reader(segment.memory(), 4096, 1000);
    put(writer);
    reader.Take(9, [](const RecordView&) {});
    CHECK((reader.poison() != Poison::kNone) == writer.IsPoisoned());
    return reader.poison();
  };
  CHECK(poison_after([](RingWriter& writer) {
          PutFragment(writer, kFlagBegin, 5, 30, 10);
          PutFragment(writer, kFlagHeartbeat, 0, 0, 0);
          PutFragment(writer, kFlagMid, 5, 30, 10);
          PutFragment(writer, kFlagEnd, 5, 30, 10);
        }) == Poison::kNone);
  CHECK(poison_after([](RingWriter& writer) {
          PutFragment(writer, kFlagBegin, 5, 30, 10);
          PutFragment(writer, kFlagMid, 6, 30, 10);
        }) == Poison::kSequence);
  CHECK(poison_after([](RingWriter& writer) {
          PutFragment(writer, kFlagBegin, 5, 30, 10);
          PutFragment(writer, kWhole, 6, 10, 10);
        }) == Poison::kSequence);
  CHECK(poison_after([](RingWriter& writer) {
          PutFragment(writer, kFlagBegin, 5, 30, 10);
          PutFragment(writer, kFlagEnd, 5, 30, 10);
        }) == Poison::kTotalLength);
  CHECK(poison_after([](RingWriter& writer) {
          PutFragment(writer, kFlagBegin, 5, 30, 10);
          PutFragment(writer, kFlagMid, 5, 30, 24);
        }) == Poison::kTotalLength);
  CHECK(poison_after([](RingWriter& writer) { PutFragment(writer, kWhole, 5, 1001, 1001); }) == Poison::kTotalLength);
  CHECK(poison_after([](RingWriter& writer) { PutFragment(writer, kFlagHeartbeat, 0, 1, 1); }) == Poison::kLength);
  CHECK(poison_after([](RingWriter& writer) { PutFragment(writer, kFlagBegin | kFlagMid, 0, 1, 1); }) ==
        Poison::kFlags);
}

void FragmentsWithoutABeginAreDropped() {
  const TestSegment segment(4096);
  RingWriter writer(segment.memory(), 4096, false);
  RingReader reader(segment.memory(), 4096, 1000);
  PutFragment(writer, kFlagMid, 5, 30, 10);
  PutFragment(writer, kFlagEnd, 5, 30, 10);
  CHECK(reader.Take(9, [](const RecordView&) {}) == 0);
  CHECK(reader.dropped() == 2 && reader.poison() == Poison::kNone && writer.Size() == 0);
  // Dropped ones between taken ones go with their neighbours, so that the head is always at a record.
  PutWhole(writer, 1, 8);
  PutFragment(writer, kFlagMid, 5, 30, 20);
  PutWhole(writer, 2, 8);
  PutWhole(writer, 3, 8);
  writer.Publish();
  std::vector<uint64_t> costs;
  CHECK(reader.Take(1, [&](const RecordView& record) { costs.push_back(record.cost); }) == 1);
  CHECK(reader.Take(9, [&](const RecordView& record) { costs.push_back(record.cost); }) == 2);
  reader.Release(costs[0]);
  reader.Release(costs[1]);
  RingReader successor(segment.memory(), 4096, 1000);
  CHECK(successor.Take(9, [](const RecordView& record) { CHECK(record.msg_id == 3); }) == 1);
}

void CrcIsZlibs() {
  const char* const digits = "123456789";
  CHECK(Crc32(0, reinterpret_cast<const uint8_t*>(digits), 9) == 0xCBF43926);
  CHECK(Crc32(Crc32(0, reinterpret_cast<const uint8_t*>(digits), 4),
              reinterpret_cast<const uint8_t*>(digits) + 4, 5) == 0xCBF43926);
}

void AFlippedBitIsFound() {
  for (const size_t offset : {4096u + 8, 4096u + 14, 4096u + 17, 4096u + 24, 4096u + 40}) {
    const TestSegment segment(4096, kSegmentFlagCrc);
    RingWriter writer(segment.memory(), 4096, true);
    RingReader reader(segment.memory(), 4096, 4096);
    PutWhole(writer, 7, 64);
    writer.Publish();
    segment.base()[offset] ^= 4;
    CHECK(reader.Take(1, [](const RecordView&) {}) == 0 && reader.poison() == Poison::kCrc);
    CHECK(writer.IsPoisoned() && writer.poison() == Poison::kByPeer);
  }
}

/** Both sides block by looking; the waiting words are set and cleared as with a doorbell. */
void TwoThreadsPassEverything() {
  constexpr uint64_t kRecords = 100'000;
  const TestSegment segment(4096);
  std::thread producer([&segment] {
    RingWriter writer(segment.memory(), 4096, false);
    std::minstd_rand random(7);
    for (uint64_t number = 1; number <= kRecords; number++) {
      const size_t length = random() % 200;
      while (PutWhole(writer, number, length) == 0) {
        writer.Publish();
        WaitUntil([&] { return !writer.PrepareWait(512); }, 0, 1'000'000);
      }
      if (random() % 3 == 0 || number == kRecords) writer.Publish();
    }
  });
  RingReader reader(segment.memory(), 4096, 4096);
  uint64_t previous = 0;
  while (previous < kRecords) {
    const size_t count = reader.Take(16, [&](const RecordView& record) {
      CHECK(record.msg_id == ++previous && IsPattern(segment, record));
    });
    if (count > 0) reader.Release(reader.outstanding());
    if (count == 0) CHECK(WaitUntil([&] { return !reader.PrepareWait(); }, 0, 20'000'000));
    CHECK(reader.poison() == Poison::kNone);
  }
  producer.join();
  CHECK(reader.Size() == 0);
}

}  // namespace

int main() {
  Run("a ring is a queue, whatever is put, taken, released, peeked, sought and cleared", RingIsAQueue);
  Run("a record fits at every position, past every remainder at the end", EveryRemainderIsSkipped);
  Run("what was put shows only with its publication", NothingShowsBeforePublish);
  Run("a full ring refuses, and a release wakes who waits for it", FullRefuses);
  Run("fragments that do not belong together poison the ring for both sides", FragmentsAreChecked);
  Run("fragments without a begin are dropped, counted and given back", FragmentsWithoutABeginAreDropped);
  Run("the checksum is the one of zlib", CrcIsZlibs);
  Run("a flipped bit anywhere in a record with a checksum is found", AFlippedBitIsFound);
  Run("two threads pass every record once and in order", TwoThreadsPassEverything);
}
