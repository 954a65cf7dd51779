// Shared memory as the C++ memory model allows it to behave, for the explorer to take every allowed turn.
// Each word keeps every value ever stored. A thread's view says which of them it may no longer miss; a load may return
// any later one, so a stale read is a choice like any other. Release stores carry the view along, acquire loads join it,
// a full fence joins the view of all fences. Not modelled: loads that see stores which have not happened yet; what they
// could break, a writer reusing bytes that are still being read, is found as a race instead (read clocks).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace reactor_net::jbus::model {

constexpr size_t kThreadCount = 2;
constexpr size_t kWordCountMax = 24;
/** Words first, then one clock per thread that counts its reads of records. */
constexpr size_t kViewEntries = kWordCountMax + kThreadCount;

/** Per word, the number of the oldest value that may still be read; per thread, how far its reads are known. */
struct View {
  std::array<uint8_t, kViewEntries> entries{};

  void Join(const View& other) {
    for (size_t i = 0; i < kViewEntries; i++) entries[i] = std::max(entries[i], other.entries[i]);
  }
};

struct Message {
  uint64_t value = 0;
  View view;
};

struct Word {
  std::vector<Message> messages{Message{}};
  /** By thread: its clock when it last read this word. */
  std::array<uint8_t, kThreadCount> read_at{};
};

/** What a thread knows. `pending` joins `current` at an acquire fence, `released` is what later relaxed stores carry. */
struct ThreadView {
  View current;
  View pending;
  View released;
};

class ViewMemory {
 public:
  size_t ReadChoices(size_t thread, size_t word) const {
    return words_[word].messages.size() - threads_[thread].current.entries[word];
  }

  /** Choice 0 is the oldest value the thread may read. */
  uint64_t Load(size_t thread, size_t word, std::memory_order order, size_t choice) {
    ThreadView& known = threads_[thread];
    const size_t index = known.current.entries[word] + choice;
    const Message& message = words_[word].messages[index];
    known.current.entries[word] = static_cast<uint8_t>(index);
    known.pending.Join(message.view);
    if (order != std::memory_order_relaxed) known.current.Join(message.view);
    return message.value;
  }

  void Store(size_t thread, size_t word, std::memory_order order, uint64_t value) {
    Append(thread, word, value, order == std::memory_order_relaxed ? View{} : threads_[thread].current);
  }

  /** Reads the last value and stores after it, with acquire and release. */
  uint64_t Exchange(size_t thread, size_t word, uint64_t value) {
    const size_t last = words_[word].messages.size() - 1;
    const size_t choice = last - threads_[thread].current.entries[word];
    const uint64_t before = Load(thread, word, std::memory_order_acquire, choice);
    const View read_view = words_[word].messages[last].view;
    Append(thread, word, value, threads_[thread].current);
    words_[word].messages.back().view.Join(read_view);
    return before;
  }

  void Fence(size_t thread) {
    ThreadView& known = threads_[thread];
    known.current.Join(known.pending);
    known.current.Join(fences_);
    fences_ = known.current;
    known.released = known.current;
  }

  /** A read of a record: the thread's clock goes on. */
  void NoteRead(size_t thread, size_t word) {
    words_[word].read_at[thread] = ++threads_[thread].current.entries[kWordCountMax + thread];
  }

  /** Whether `thread` may overwrite a record's word: it must know of every read of it by the other. */
  bool IsReadUp(size_t thread, size_t word) const {
    const size_t other = 1 - thread;
    return threads_[thread].current.entries[kWordCountMax + other] >= words_[word].read_at[other];
  }

  /** A system call from one thread that lets the other go on: what the first knows, the second knows. */
  void PassOn(size_t from, size_t to) { threads_[to].current.Join(threads_[from].current); }

  /**
   * Appends what distinguishes this memory from another. Values that nobody can read any more make no difference, nor
   * do the absolute numbers of those that can: both are counted from the oldest one that is still in reach.
   */
  void Describe(std::string* key) const {
    View base;
    for (size_t word = 0; word < kWordCountMax; word++) {
      base.entries[word] = std::min(threads_[0].current.entries[word], threads_[1].current.entries[word]);
    }
    for (size_t thread = 0; thread < kThreadCount; thread++) {
      const size_t clock = kWordCountMax + thread;
      base.entries[clock] = threads_[1 - thread].current.entries[clock];
    }
    for (size_t i = 0; i < kWordCountMax; i++) {
      const Word& word = words_[i];
      *key += static_cast<char>(word.messages.size() - base.entries[i]);
      for (size_t number = base.entries[i]; number < word.messages.size(); number++) {
        const Message& message = word.messages[number];
        key->append(reinterpret_cast<const char*>(&message.value), sizeof message.value);
        DescribeView(message.view, base, key);
      }
      for (size_t thread = 0; thread < kThreadCount; thread++) {
        *key += Above(word.read_at[thread], base.entries[kWordCountMax + thread]);
      }
    }
    for (const ThreadView& known : threads_) {
      DescribeView(known.current, base, key);
      DescribeView(known.pending, base, key);
      DescribeView(known.released, base, key);
    }
    DescribeView(fences_, base, key);
  }

 private:
  void Append(size_t thread, size_t word, uint64_t value, View carried) {
    ThreadView& known = threads_[thread];
    std::vector<Message>& messages = words_[word].messages;
    const auto index = static_cast<uint8_t>(messages.size());
    carried.Join(known.released);
    carried.entries[word] = index;
    messages.push_back({value, carried});
    known.current.entries[word] = index;
  }

  static char Above(uint8_t value, uint8_t base) { return static_cast<char>(value > base ? value - base : 0); }

  static void DescribeView(const View& view, const View& base, std::string* key) {
    for (size_t i = 0; i < kViewEntries; i++) *key += Above(view.entries[i], base.entries[i]);
  }

  std::array<Word, kWordCountMax> words_;
  std::array<ThreadView, kThreadCount> threads_;
  View fences_;
};

}  // namespace reactor_net::jbus::model
