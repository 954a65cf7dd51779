// One doorbell socket on a thread's loop: a uv_poll_t on its descriptor.
// It outlives its Doorbell by the uv close callback, and closes the descriptor as soon as closing begins.
#pragma once

#include "binding/addon_state.h"
#include "core/descriptor.h"
#include "core/result.h"

namespace reactor_net {

class Doorbell;

class DoorbellPoll final : public LoopResource {
 public:
  /** Starts polling. On failure the descriptor is the caller's again. */
  static Result<DoorbellPoll*> Start(AddonState* state, int fd, Doorbell* owner);

  void BeginClose() override;

  int fd() const { return fd_; }
  void SetRef(bool ref);

 private:
  DoorbellPoll(AddonState* state, int fd, Doorbell* owner);

  static void OnReadable(uv_poll_t* handle, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  uv_handle_t* AsHandle() { return reinterpret_cast<uv_handle_t*>(&handle_); }

  AddonState* const state_;
  const int fd_;
  const bool listens_;
  Doorbell* owner_;
  uv_poll_t handle_;
};

}  // namespace reactor_net
