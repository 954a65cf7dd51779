// A thread of the model: ordinary code over ModelMemory, cut into turns and run again from the turn's beginning for every
// step. Given the results of a turn's first n operations it is deterministic, so its state is how the turn began and
// those results: Replay feeds them back and stops the code at the next operation, which the explorer then performs in
// every way the memory allows.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "jbus/layout.h"
#include "jbus/steps.h"
#include "view_memory.h"

namespace reactor_net::jbus::model {

/** Header words that matter between the threads; the others (counters, state) are not shared in the model. */
constexpr size_t kTailWord = 0;
constexpr size_t kHeadWord = 1;
constexpr size_t kConsumerWaitingWord = 2;
constexpr size_t kProducerWaitingWord = 3;
constexpr size_t kFirstRecordWord = 4;
constexpr size_t kNotShared = SIZE_MAX;

/** One thing taken out of the real algorithm, to show that the model misses it. */
enum class Mutation {
  kNone,
  kRelaxedTailStore,
  kRelaxedTailLoad,
  kRelaxedHeadStore,
  kRelaxedHeadLoad,
  kNoFenceAfterTail,
  kNoFenceBeforeConsumerSleep,
  kNoFenceAfterHead,
  kNoFenceBeforeProducerSleep,
  kTailBeforePayload,
};

struct Operation {
  enum class Kind { kLoad, kStore, kExchange, kFence, kRingDoorbell, kSleep, kDone };
  Kind kind = Kind::kDone;
  size_t word = 0;
  std::memory_order order = std::memory_order_relaxed;
  uint64_t value = 0;
};

/** Thrown by the code's memory where the known results end. */
struct Pause {};
/** Thrown by the code when something is not as promised. */
struct Violation {
  std::string what;
};

class Replay {
 public:
  explicit Replay(const std::vector<uint64_t>& results) : results_(results) {}

  uint64_t Perform(const Operation& operation) {
    if (next_ < results_.size()) return results_[next_++];
    pending_ = operation;
    throw Pause{};
  }

  void RingDoorbell() { Perform({Operation::Kind::kRingDoorbell}); }
  /** Until the other thread rings. */
  void Sleep() { Perform({Operation::Kind::kSleep}); }

  const Operation& pending() const { return pending_; }

  /** The one that the code now running is under; there is one thread here. */
  static Replay*& Current() {
    static Replay* current = nullptr;
    return current;
  }

 private:
  const std::vector<uint64_t>& results_;
  size_t next_ = 0;
  Operation pending_;
};

/** The memory parameter of BasicRingWriter and BasicRingReader. */
class ModelMemory {
 public:
  ModelMemory(bool is_writer, Mutation mutation) : is_writer_(is_writer), mutation_(mutation) {}

  uint64_t Load64(size_t offset, std::memory_order order) {
    const size_t word = WordOf(offset);
    if (word == kNotShared) return 0;
    const bool is_weakened = (word == kTailWord && mutation_ == Mutation::kRelaxedTailLoad) ||
                             (word == kHeadWord && mutation_ == Mutation::kRelaxedHeadLoad);
    is_sleep_announced_ = false;
    return Replay::Current()->Perform({Operation::Kind::kLoad, word, is_weakened ? std::memory_order_relaxed : order, 0});
  }
  uint32_t Load32(size_t offset, std::memory_order order) { return static_cast<uint32_t>(Load64(offset, order)); }

  void Store64(size_t offset, uint64_t value, std::memory_order order) {
    const size_t word = WordOf(offset);
    if (word == kNotShared) return;
    const bool is_weakened = (word == kTailWord && mutation_ == Mutation::kRelaxedTailStore) ||
                             (word == kHeadWord && mutation_ == Mutation::kRelaxedHeadStore);
    Replay::Current()->Perform({Operation::Kind::kStore, word, is_weakened ? std::memory_order_relaxed : order, value});
    is_sleep_announced_ = word == kConsumerWaitingWord || word == kProducerWaitingWord;
    if (word == kTailWord) WriteLatePayload();
  }
  void Store32(size_t offset, uint32_t value, std::memory_order order) { Store64(offset, value, order); }

  uint32_t Exchange32(size_t offset, uint32_t value) {
    return static_cast<uint32_t>(Replay::Current()->Perform({Operation::Kind::kExchange, WordOf(offset), {}, value}));
  }

  void Fence() {
    const Mutation here = is_writer_ ? (is_sleep_announced_ ? Mutation::kNoFenceBeforeProducerSleep
                                                            : Mutation::kNoFenceAfterTail)
                                     : (is_sleep_announced_ ? Mutation::kNoFenceBeforeConsumerSleep
                                                            : Mutation::kNoFenceAfterHead);
    if (mutation_ != here) Replay::Current()->Perform({Operation::Kind::kFence});
  }

  void CopyIn(size_t offset, const uint8_t* from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 8) {
      uint64_t value = 0;
      std::memcpy(&value, from + i, std::min<size_t>(8, bytes - i));
      if (mutation_ == Mutation::kTailBeforePayload) {
        late_[late_count_++] = {WordOf(offset + i), value};
      } else {
        Store64(offset + i, value, std::memory_order_relaxed);
      }
    }
  }
  const uint8_t* Bytes(size_t) const { throw Violation{"checksums are not modelled"}; }
  void Step(WriteStep) {}

 private:
  struct LateWord {
    size_t word;
    uint64_t value;
  };

  static size_t WordOf(size_t offset) {
    switch (offset) {
      case at::kTail:
        return kTailWord;
      case at::kHead:
        return kHeadWord;
      case at::kConsumerWaiting:
        return kConsumerWaitingWord;
      case at::kProducerWaiting:
        return kProducerWaitingWord;
      default:
        return offset < kDataOffset ? kNotShared : kFirstRecordWord + (offset - kDataOffset) / 8;
    }
  }

  /** The two separate writes of the design notes: the record is announced, then filled. */
  void WriteLatePayload() {
    for (size_t i = 0; i < late_count_; i++) {
      const LateWord& late = late_[i];
      Replay::Current()->Perform({Operation::Kind::kStore, late.word, std::memory_order_relaxed, late.value});
    }
    late_count_ = 0;
  }

  bool is_writer_;
  Mutation mutation_;
  bool is_sleep_announced_ = false;
  std::array<LateWord, 4> late_{};
  size_t late_count_ = 0;
};

/** A thread's code and everything it remembers between turns. */
class Actor {
 public:
  virtual ~Actor() = default;
  virtual std::unique_ptr<Actor> Copy() const = 0;
  /** Some operations; true when the thread is done. */
  virtual bool Turn() = 0;
  /** Appends what it remembers. */
  virtual void Describe(std::string* key) const = 0;
  /** How far it has come, in its own terms; a successor begins there. */
  virtual uint64_t progress() const = 0;
};

}  // namespace reactor_net::jbus::model
