// One doorbell socket on a thread's loop. It closes the descriptor as soon as closing begins.
#pragma once

#include "binding/poll_resource.h"
#include "core/result.h"

namespace reactor_net {

class Doorbell;

class DoorbellPoll final : public PollResource {
 public:
  /** As PollResource::Start. On failure the descriptor is the caller's again. */
  static Result<DoorbellPoll*> Start(AddonState* state, int fd, Doorbell* owner);

  void BeginClose() override;

  int fd() const { return fd_; }

 private:
  DoorbellPoll(AddonState* state, int fd, Doorbell* owner);

  void OnReady(int status, int events) override;
  void StartFailed() override { owns_fd_ = false; }

  const int fd_;
  const bool listens_;
  bool owns_fd_ = true;
  Doorbell* owner_;
};

}  // namespace reactor_net
