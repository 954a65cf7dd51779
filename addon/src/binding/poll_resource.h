// A uv_poll_t on one descriptor: started, kept on the loop or not, and freed by its close callback.
// TransportPoll, DatagramPoll and the Waker's are such; each says what is done when its descriptor is ready.
// It outlives its owner in JavaScript by that callback, which is why it is an object of its own.
#pragma once

#include <memory>

#include "binding/addon_state.h"
#include "core/result.h"

namespace reactor_net {

class PollResource : public LoopResource {
 public:
  /** Whether it keeps the loop alive. */
  void SetRef(bool ref);

 protected:
  explicit PollResource(AddonState* state) : state_(state) {}
  virtual ~PollResource() = default;

  /** Polls `fd` from now on and frees itself in the end. On failure it closes itself and the result says why. */
  template <typename Poll>
  static Result<Poll*> Start(std::unique_ptr<Poll> poll, int fd, int events) {
    PollResource& resource = *poll;
    if (Failure failure = resource.Open(fd)) {
      resource.StartFailed();
      return failure;
    }
    Poll* const open = poll.release();
    const int started = resource.Watch(events);
    if (started == 0) return open;
    resource.StartFailed();
    resource.BeginClose();
    return Failure{-started, "uv_poll_start"};
  }

  /** Watches for these events instead; 0 for none. Returns uv's error. */
  int Watch(int events);
  /** Frees it once uv has let go of the descriptor, for which it has no more use when this returns. */
  void CloseHandle();

  virtual void OnReady(int status, int events) = 0;
  /** What was taken over from whoever starts it is theirs again. */
  virtual void StartFailed() {}

  AddonState* const state_;

 private:
  Failure Open(int fd);
  uv_handle_t* AsHandle() { return reinterpret_cast<uv_handle_t*>(&handle_); }

  uv_poll_t handle_;
};

}  // namespace reactor_net
