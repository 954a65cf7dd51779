// Watches a listening descriptor that several threads share so that a new connection wakes one of them.
// EPOLLEXCLUSIVE counts only threads that sleep in the very epoll set the descriptor is in, so this one has to be in the
// loop's own set and not in the engine's. libuv cannot ask for it: a uv_poll_t puts the descriptor there, and once it is
// there an idle handle takes it out and puts it back exclusively. libuv never changes the entry after that.
#pragma once

#include "binding/addon_state.h"
#include "core/result.h"

namespace reactor_net {

class TransportPoll;

class ExclusiveListener final : public LoopResource {
 public:
  /** Watches `fd`, which stays the engine's and must stay open until BeginClose. */
  static Result<ExclusiveListener*> Start(AddonState* state, int fd, uint32_t slot, TransportPoll* owner);

  void BeginClose() override;

  void Pause();
  void Resume();
  uint32_t slot() const { return slot_; }
  /** Whether it keeps the loop alive. */
  void SetRef(bool ref);

 private:
  ExclusiveListener(AddonState* state, int fd, uint32_t slot, TransportPoll* owner)
      : state_(state), owner_(owner), fd_(fd), slot_(slot) {}

  static void OnReadable(uv_poll_t* handle, int status, int events);
  static void OnIdle(uv_idle_t* handle);
  static void OnClosed(uv_handle_t* handle);
  void MakeExclusive();

  AddonState* const state_;
  TransportPoll* owner_;
  const int fd_;
  const uint32_t slot_;
  int idle_calls_ = 0;
  int open_handles_ = 2;
  uv_poll_t poll_;
  uv_idle_t idle_;
};

}  // namespace reactor_net
