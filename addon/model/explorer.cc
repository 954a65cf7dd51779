#include "explorer.h"

namespace reactor_net::jbus::model {
namespace {

std::string Describe(size_t index, const Operation& operation, uint64_t result) {
  static const char* const kNames[] = {"load", "store", "exchange", "fence", "ring the doorbell", "sleep", "done"};
  static const char* const kWords[] = {"tail", "head", "consumer waiting", "producer waiting"};
  std::string text = index == 0 ? "writer: " : "reader: ";
  text += kNames[static_cast<size_t>(operation.kind)];
  if (operation.kind > Operation::Kind::kExchange) return text;
  const size_t word = operation.word;
  text += word < kFirstRecordWord ? std::string(" ") + kWords[word]
                                  : " record word " + std::to_string(word - kFirstRecordWord);
  const uint64_t value = operation.kind == Operation::Kind::kStore ? operation.value : result;
  return text + " = " + std::to_string(value);
}

bool IsRecordWord(size_t word) { return word >= kFirstRecordWord; }

}  // namespace

Outcome Explorer::Run() {
  State first;
  for (size_t i = 0; i < kThreadCount; i++) {
    first.threads[i].actor = scenario_.threads[i];
    if (!Advance(first.threads[i])) return outcome_;
  }
  Visit(first);
  outcome_.states = seen_.size();
  return outcome_;
}

bool Explorer::Advance(Thread& thread) {
  while (!thread.is_done) {
    std::unique_ptr<Actor> actor = thread.actor->Copy();
    Replay replay(thread.results);
    Replay::Current() = &replay;
    try {
      thread.is_done = actor->Turn();
    } catch (const Pause&) {
      thread.pending = replay.pending();
      thread.progress = actor->progress();
      return true;
    } catch (const Violation& violation) {
      Fail(violation.what);
      return false;
    }
    thread.actor = std::move(actor);
    thread.results.clear();
  }
  thread.pending = {};
  return true;
}

void Explorer::Visit(const State& state) {
  if (!outcome_.violation.empty() || !IsNew(state)) return;
  bool is_end = true;
  for (size_t i = 0; i < kThreadCount; i++) {
    if (!CanStep(state, i)) continue;
    is_end = false;
    Step(state, i);
  }
  if (scenario_.victim.has_value() && !state.has_killed) {
    is_end = false;
    Kill(state);
  }
  if (is_end) JudgeEnd(state);
}

void Explorer::Step(const State& state, size_t index) {
  const Operation& operation = state.threads[index].pending;
  const size_t choices =
      operation.kind == Operation::Kind::kLoad ? state.memory.ReadChoices(index, operation.word) : 1;
  for (size_t choice = 0; choice < choices; choice++) Perform(state, index, choice);
}

void Explorer::Perform(const State& state, size_t index, size_t choice) {
  if (!outcome_.violation.empty()) return;
  State next = state;
  Thread& thread = next.threads[index];
  const Operation operation = thread.pending;
  uint64_t result = 0;
  std::string violation;
  switch (operation.kind) {
    case Operation::Kind::kLoad:
      result = next.memory.Load(index, operation.word, operation.order, choice);
      if (IsRecordWord(operation.word)) next.memory.NoteRead(index, operation.word);
      break;
    case Operation::Kind::kStore:
      if (IsRecordWord(operation.word) && !next.memory.IsReadUp(index, operation.word)) {
        violation = "the writer overwrites bytes that the reader may still be reading";
      }
      next.memory.Store(index, operation.word, operation.order, operation.value);
      break;
    case Operation::Kind::kExchange:
      result = next.memory.Exchange(index, operation.word, operation.value);
      break;
    case Operation::Kind::kFence:
      next.memory.Fence(index);
      break;
    case Operation::Kind::kRingDoorbell:
      next.threads[1 - index].is_doorbell_rung = true;
      break;
    case Operation::Kind::kSleep:
      thread.is_doorbell_rung = false;
      next.memory.PassOn(1 - index, index);
      break;
    case Operation::Kind::kDone:
      return;
  }
  path_.push_back(Describe(index, operation, result));
  thread.results.push_back(result);
  if (!violation.empty()) {
    Fail(violation);
  } else if (Advance(thread)) {
    Visit(next);
  }
  path_.pop_back();
}

// What the dead one has stored is in memory; the successor is started after the death was seen, and so knows all of it.
void Explorer::Kill(const State& state) {
  const size_t index = *scenario_.victim;
  State next = state;
  next.has_killed = true;
  Thread& thread = next.threads[index];
  thread = {};
  thread.actor = scenario_.successor(state.threads[index].progress);
  next.threads[1 - index].is_doorbell_rung = true;  // whoever learns of a death looks at the ring
  path_.push_back(index == 0 ? "writer: killed" : "reader: killed");
  if (Advance(thread)) Visit(next);
  path_.pop_back();
}

bool Explorer::CanStep(const State& state, size_t index) const {
  const Thread& thread = state.threads[index];
  return !thread.is_done && (thread.pending.kind != Operation::Kind::kSleep || thread.is_doorbell_rung);
}

void Explorer::JudgeEnd(const State& state) {
  outcome_.endings++;
  for (size_t i = 0; i < kThreadCount; i++) {
    if (!state.threads[i].is_done) Fail(i == 0 ? "the writer sleeps for ever" : "the reader sleeps for ever");
  }
}

bool Explorer::IsNew(const State& state) {
  std::string key;
  state.memory.Describe(&key);
  for (const Thread& thread : state.threads) {
    thread.actor->Describe(&key);
    key += static_cast<char>(thread.results.size());
    key.append(reinterpret_cast<const char*>(thread.results.data()), thread.results.size() * sizeof(uint64_t));
    key += {static_cast<char>(thread.is_done), static_cast<char>(thread.is_doorbell_rung)};
  }
  key += static_cast<char>(state.has_killed);
  return seen_.insert(key).second;
}

void Explorer::Fail(const std::string& what) {
  if (!outcome_.violation.empty()) return;
  outcome_.violation = what;
  outcome_.steps = path_;
}

}  // namespace reactor_net::jbus::model
