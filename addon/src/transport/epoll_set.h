// The epoll descriptor of one engine: which sockets are watched, for what, and what became ready.
// Level-triggered. Also holds an eventfd, by which the engine makes its own descriptor readable.
#pragma once

#include <sys/epoll.h>

#include <memory>

#include "core/descriptor.h"
#include "core/result.h"
#include "transport/slot_table.h"

namespace reactor_net {

class EpollSet {
 public:
  static constexpr int kEventsMax = 512;

  static Result<std::unique_ptr<EpollSet>> Create();

  /** Readable while something watched is ready; for the poll handle of the loop. */
  int fd() const { return epoll_.get(); }

  /** Makes `mask` what epoll watches the slot's descriptor for; 0 leaves it in the set, for errors only. */
  Failure Watch(uint32_t number, Slot& slot, uint32_t mask);
  /** Takes the slot's descriptor out. */
  void Forget(Slot& slot);

  /** Fetches what is ready, without waiting, once everything fetched before has been taken. */
  void Fetch();
  /** The next event fetched, or null. The slot's generation has been checked by the caller. */
  const epoll_event* Peek() const { return next_ < ready_ ? &events_[next_] : nullptr; }
  void Take() { next_++; }

  /** Makes the descriptor readable until the next Fetch. */
  void Nudge();
  void CloseAll();

  static uint32_t NumberOf(const epoll_event& event) { return static_cast<uint32_t>(event.data.u64); }
  static uint32_t GenerationOf(const epoll_event& event) { return static_cast<uint32_t>(event.data.u64 >> 32); }

  uint64_t waits() const { return waits_; }
  uint64_t controls() const { return controls_; }

 private:
  EpollSet(int epoll, int nudge) : epoll_(epoll), nudge_(nudge) {}

  Descriptor epoll_;
  Descriptor nudge_;
  bool nudged_ = false;
  int next_ = 0;
  int ready_ = 0;
  uint64_t waits_ = 0;
  uint64_t controls_ = 0;
  epoll_event events_[kEventsMax];
};

}  // namespace reactor_net
