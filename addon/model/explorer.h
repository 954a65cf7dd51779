// Visits every state two threads can reach over a ViewMemory: every interleaving, every stale read, every crash.
// A state is the memory, what each thread remembers, and the doorbells; it is visited once.
// Reports the first violation with the steps that lead to it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "model_thread.h"

namespace reactor_net::jbus::model {

struct Scenario {
  std::array<std::shared_ptr<const Actor>, kThreadCount> threads;
  /** Which thread may be killed, once, at any step; its successor is made of how far it had come. */
  std::optional<size_t> victim;
  std::function<std::shared_ptr<const Actor>(uint64_t progress)> successor;
};

struct Outcome {
  size_t states = 0;
  size_t endings = 0;
  /** Empty when every state kept the promises. */
  std::string violation;
  std::vector<std::string> steps;
};

class Explorer {
 public:
  explicit Explorer(const Scenario& scenario) : scenario_(scenario) {}

  Outcome Run();

 private:
  struct Thread {
    std::shared_ptr<const Actor> actor;  // as its turn began
    std::vector<uint64_t> results;       // of the turn's operations so far
    Operation pending;
    uint64_t progress = 0;
    bool is_done = false;
    bool is_doorbell_rung = false;
  };
  struct State {
    ViewMemory memory;
    std::array<Thread, kThreadCount> threads;
    bool has_killed = false;
  };

  /** Runs the thread's code to its next operation. False: it found a violation. */
  bool Advance(Thread& thread);
  void Visit(const State& state);
  void Step(const State& state, size_t index);
  void Perform(const State& state, size_t index, size_t choice);
  void Kill(const State& state);
  bool CanStep(const State& state, size_t index) const;
  /** Nobody can go on: fine if everybody is done, or the one that is left waits for a dead one. */
  void JudgeEnd(const State& state);
  bool IsNew(const State& state);
  void Fail(const std::string& what);

  const Scenario& scenario_;
  Outcome outcome_;
  std::unordered_set<std::string> seen_;
  std::vector<std::string> path_;
};

}  // namespace reactor_net::jbus::model
