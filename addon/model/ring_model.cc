// The ring's own code, ring_writer.h and ring_reader.h, over every behaviour the C++ memory model allows:
// a tiny ring that fills, wraps and pads, both sides sleeping and waking, and either side killed at any step.
// Then the same with one ordering or fence taken out at a time: each of these mutants has to be found.
//   jbus_model [--quick] [--trace]   (npm run jbus:model); --quick explores shorter exchanges, --trace prints the steps
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>

#include "explorer.h"
#include "jbus/ring_reader.h"
#include "jbus/ring_writer.h"

using namespace reactor_net::jbus;
using namespace reactor_net::jbus::model;

namespace {

constexpr uint64_t kCapacity = 128;  // far below what a segment may have: only the code's arithmetic matters
constexpr uint64_t kSuccessorBase = 100;

struct Shape {
  uint64_t record_count = 0;
  uint32_t payload_bytes = 0;  // 8: three records leave 8 bytes to skip; 16: two leave a pad of 32
};

using ModelWriter = BasicRingWriter<ModelMemory>;
using ModelReader = BasicRingReader<ModelMemory>;

/** The object's bytes: equal bytes are equal memories, which is all that is needed to visit fewer states. */
template <typename Ring>
void DescribeRing(const std::optional<Ring>& ring, std::string* key) {
  *key += static_cast<char>(ring.has_value());
  if (ring.has_value()) key->append(reinterpret_cast<const char*>(&*ring), sizeof(Ring));
}

/** Writes records `next` to `last`, one in a turn, sleeping when the ring is full. */
class WriterActor : public Actor {
 public:
  WriterActor(const Shape& shape, Mutation mutation, uint64_t first, uint64_t last)
      : shape_(shape), mutation_(mutation), next_(first), last_(last) {}

  std::unique_ptr<Actor> Copy() const override { return std::make_unique<WriterActor>(*this); }
  uint64_t progress() const override { return next_; }
  void Describe(std::string* key) const override {
    DescribeRing(ring_, key);
    *key += static_cast<char>(next_);
  }

  bool Turn() override {
    if (!ring_.has_value()) {
      ring_.emplace(ModelMemory(true, mutation_), kCapacity, false);
      return false;
    }
    const uint64_t payload[2] = {next_, ~next_};
    const RecordFields fields = {shape_.payload_bytes, shape_.payload_bytes, kFlagBegin | kFlagEnd, 0, next_};
    if (ring_->Put(fields, reinterpret_cast<const uint8_t*>(payload)) == 0) {
      if (ring_->poison() != Poison::kNone) throw Violation{"the writer finds the ring broken"};
      // Half of the ring is what any record may need besides itself.
      if (ring_->PrepareWait(kCapacity / 2 + OccupiedBytes(shape_.payload_bytes))) Replay::Current()->Sleep();
      return false;
    }
    if (ring_->Publish()) Replay::Current()->RingDoorbell();
    return next_++ == last_;
  }

 private:
  Shape shape_;
  Mutation mutation_;
  uint64_t next_;
  uint64_t last_;
  std::optional<ModelWriter> ring_;
};

/** Reads until record `last`, one in a turn, sleeping when there is none; checks every word of every record. */
class ReaderActor : public Actor {
 public:
  ReaderActor(const Shape& shape, Mutation mutation, uint64_t seen_before, uint64_t last)
      : shape_(shape), mutation_(mutation), seen_(seen_before), last_(last) {}

  std::unique_ptr<Actor> Copy() const override { return std::make_unique<ReaderActor>(*this); }
  uint64_t progress() const override { return seen_; }
  void Describe(std::string* key) const override {
    DescribeRing(ring_, key);
    *key += {static_cast<char>(seen_), static_cast<char>(is_first_)};
  }

  bool Turn() override {
    if (!ring_.has_value()) {
      ring_.emplace(ModelMemory(false, mutation_), kCapacity, 1024);
      return false;
    }
    const size_t count = ring_->Take(1, [this](const RecordView& record) { Check(record); });
    if (ring_->poison() != Poison::kNone) throw Violation{"the reader finds the ring broken"};
    if (count == 0) {
      if (seen_ == last_) return true;  // the one before was killed with nothing left to do
      if (ring_->PrepareWait()) Replay::Current()->Sleep();
      return false;
    }
    if (ring_->Release(ring_->outstanding())) Replay::Current()->RingDoorbell();
    return seen_ == last_;
  }

 private:
  void Check(const RecordView& record) {
    ModelMemory memory(false, mutation_);
    const uint64_t number = record.msg_id;
    // The first one a successor gets may have been seen before: it was taken and not released.
    const bool is_next = number == seen_ + 1 || number == kSuccessorBase + 1 || (is_first_ && number <= seen_);
    if (!is_next) throw Violation{"a record is lost, repeated or out of order"};
    if (record.length != shape_.payload_bytes ||
        memory.Load64(record.offset, std::memory_order_relaxed) != number ||
        (record.length > 8 && memory.Load64(record.offset + 8, std::memory_order_relaxed) != ~number)) {
      throw Violation{"a torn record is delivered"};
    }
    seen_ = number;
    is_first_ = false;
  }

  Shape shape_;
  Mutation mutation_;
  uint64_t seen_;
  uint64_t last_;
  bool is_first_ = true;
  std::optional<ModelReader> ring_;
};

Scenario Exchange(const Shape& shape, Mutation mutation) {
  Scenario scenario;
  scenario.threads = {std::make_shared<WriterActor>(shape, mutation, 1, shape.record_count),
                      std::make_shared<ReaderActor>(shape, mutation, 0, shape.record_count)};
  return scenario;
}

/** The writer is killed anywhere, at the latest when it is done; the reader is owed all that its successor writes. */
Scenario WriterCrash(const Shape& shape, Mutation mutation) {
  const uint64_t last = kSuccessorBase + shape.record_count;
  Scenario scenario;
  scenario.threads = {std::make_shared<WriterActor>(shape, mutation, 1, shape.record_count),
                      std::make_shared<ReaderActor>(shape, mutation, 0, last)};
  scenario.victim = 0;
  scenario.successor = [=](uint64_t) {
    return std::make_shared<WriterActor>(shape, mutation, kSuccessorBase + 1, last);
  };
  return scenario;
}

/** The reader is killed anywhere; another goes on at the head and may see again what was not released. */
Scenario ReaderCrash(const Shape& shape, Mutation mutation) {
  Scenario scenario = Exchange(shape, mutation);
  scenario.victim = 1;
  scenario.successor = [=](uint64_t seen) {
    return std::make_shared<ReaderActor>(shape, mutation, seen, shape.record_count);
  };
  return scenario;
}

Outcome Explore(const char* name, const Scenario& scenario) {
  const auto begin = std::chrono::steady_clock::now();
  Outcome outcome = Explorer(scenario).Run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%-44s %8zu states %6zu endings %6.1f s  %s\n", name, outcome.states, outcome.endings, seconds.count(),
              outcome.violation.empty() ? "all promises kept" : outcome.violation.c_str());
  std::fflush(stdout);
  return outcome;
}

}  // namespace

int main(int argc, char** argv) {
  bool is_quick = false;
  bool with_trace = false;
  for (int i = 1; i < argc; i++) {
    is_quick = is_quick || std::strcmp(argv[i], "--quick") == 0;
    with_trace = with_trace || std::strcmp(argv[i], "--trace") == 0;
  }
  bool is_good = true;
  const auto expect = [&](bool is_violated, const char* name, const Scenario& scenario) {
    const Outcome outcome = Explore(name, scenario);
    const bool is_expected = outcome.violation.empty() != is_violated;
    is_good = is_good && is_expected;
    if (is_expected && !with_trace) return;
    for (const std::string& step : outcome.steps) std::printf("    %s\n", step.c_str());
  };

  const Shape skips = {is_quick ? 4u : 5u, 8};
  const Shape pads = {is_quick ? 3u : 4u, 16};
  const Shape few = {is_quick ? 1u : 2u, 8};
  const Shape four = {4, 8};
  expect(false, "8-byte records: full, implicit skip", Exchange(skips, Mutation::kNone));
  expect(false, "16-byte records: full, pad", Exchange(pads, Mutation::kNone));
  expect(false, "writer killed at any step, and replaced", WriterCrash(few, Mutation::kNone));
  expect(false, "reader killed at any step, and replaced", ReaderCrash(few, Mutation::kNone));

  std::printf("mutants, each of which has to be found:\n");
  expect(true, "tail stored without release", Exchange(few, Mutation::kRelaxedTailStore));
  expect(true, "tail loaded without acquire", Exchange(few, Mutation::kRelaxedTailLoad));
  expect(true, "head stored without release", Exchange(four, Mutation::kRelaxedHeadStore));
  expect(true, "head loaded without acquire", Exchange(four, Mutation::kRelaxedHeadLoad));
  expect(true, "no fence after the tail", Exchange(few, Mutation::kNoFenceAfterTail));
  expect(true, "no fence before the consumer sleeps", Exchange(few, Mutation::kNoFenceBeforeConsumerSleep));
  expect(true, "no fence after the head", Exchange(four, Mutation::kNoFenceAfterHead));
  expect(true, "no fence before the producer sleeps", Exchange(four, Mutation::kNoFenceBeforeProducerSleep));
  expect(true, "payload after the tail", WriterCrash(few, Mutation::kTailBeforePayload));
  return is_good ? 0 : 1;
}
