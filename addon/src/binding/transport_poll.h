// One engine on one thread's loop: a single uv_poll_t on the engine's epoll descriptor, and the rounds of a turn.
// It closes every descriptor as soon as closing begins.
#pragma once

#include <memory>
#include <vector>

#include "binding/exclusive_listener.h"
#include "binding/poll_resource.h"
#include "core/result.h"
#include "transport/engine.h"

namespace reactor_net {

class Transport;

/** Words of the control table that JavaScript and we share. */
enum ControlWord : uint32_t {
  kControlSendRecords = 0,
  kControlSendBytes = 1,
  kControlSpinMicros = 2,
  kControlFlushFirst = 3,
  kControlWords = 4
};

class TransportPoll final : public PollResource {
 public:
  /** Starts polling; on failure the handle closes itself and the result says why. */
  static Result<TransportPoll*> Start(AddonState* state, std::unique_ptr<Engine> engine, uint32_t* control,
                                      Transport* owner);

  void BeginClose() override;

  Engine& engine() { return *engine_; }
  uint64_t wakeups() const { return wakeups_; }
  /** Whether this and its listeners keep the loop alive. */
  void SetRef(bool ref);

  /** As Engine::Listen, with the descriptor in the loop's own epoll set. */
  Result<uint32_t> ListenExclusively(int fd, uint32_t framing);
  /** As in Engine; listeners may be watched here. */
  void Pause(uint32_t slot);
  void Resume(uint32_t slot);
  void Close(uint32_t slot, bool reset);
  int Release(uint32_t slot);
  /** A turn that begins with what this listener has. */
  void AcceptNow(ExclusiveListener* listener);
  void ForgetListener(ExclusiveListener* listener);

  /** Sends what the control table counts and sets it to nothing. False when a record is impossible. */
  bool Flush() { return FlushBefore(kNone); }
  /** The same, while more output of connection `slot` follows at once. */
  bool FlushBefore(uint32_t slot);
  /** Between onBatch and its ticks: flushes if JavaScript asked for that. True when not everything went as hoped. */
  bool FlushFirst();

 private:
  TransportPoll(AddonState* state, std::unique_ptr<Engine> engine, uint32_t* control, Transport* owner)
      : PollResource(state), engine_(std::move(engine)), control_(control), owner_(owner) {}

  void OnReady(int status, int events) override;
  ExclusiveListener* ListenerOf(uint32_t slot);
  void RunTurn();
  /** A few batches on the same budgets per connection; false when there is no more, or nobody to hand it to. */
  bool RunPass(bool is_first);
  /** Records of the next batch; with `spin` it looks as long as the control table says. */
  size_t NextBatch(bool spin);

  const std::unique_ptr<Engine> engine_;
  uint32_t* const control_;
  Transport* owner_;
  bool ref_ = true;
  uint64_t wakeups_ = 0;
  std::vector<ExclusiveListener*> listeners_;  // few
};

}  // namespace reactor_net
