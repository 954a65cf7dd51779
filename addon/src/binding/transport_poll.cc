#include "binding/transport_poll.h"

#include <algorithm>
#include <utility>

#include "binding/transport.h"

namespace reactor_net {
namespace {

/** Batches in which a connection's budgets hold. */
constexpr int kRoundsPerPass = 4;
/** After this time of finding more and more, the loop's timers and other handles get their turn. */
constexpr uint64_t kTurnNanosMax = 2'000'000;
/** Whoever fills the table means less; a slip there is not to stop the thread. */
constexpr uint32_t kSpinMicrosMax = 1'000'000;

}  // namespace

Result<TransportPoll*> TransportPoll::Start(AddonState* state, std::unique_ptr<Engine> engine, uint32_t* control,
                                            Transport* owner) {
  const int fd = engine->fd();
  std::unique_ptr<TransportPoll> poll(new TransportPoll(state, std::move(engine), control, owner));
  return PollResource::Start(std::move(poll), fd, UV_READABLE);
}

void TransportPoll::BeginClose() {
  if (owner_ == nullptr) return;
  std::exchange(owner_, nullptr)->Detach();
  while (!listeners_.empty()) listeners_.back()->BeginClose();
  CloseHandle();
  // After uv_close, which still takes the epoll descriptor out of the loop's own.
  engine_->CloseAll();
}

void TransportPoll::SetRef(bool ref) {
  ref_ = ref;
  PollResource::SetRef(ref);
  for (ExclusiveListener* listener : listeners_) listener->SetRef(ref);
}

Result<uint32_t> TransportPoll::ListenExclusively(int fd, uint32_t framing) {
  Result<uint32_t> slot = engine_->Listen(fd, true, framing);
  if (!slot.ok()) return slot;
  Result<ExclusiveListener*> listener = ExclusiveListener::Start(state_, fd, slot.value(), this);
  if (!listener.ok()) {
    engine_->Release(slot.value());
    return listener.failure();
  }
  listener.value()->SetRef(ref_);
  listeners_.push_back(listener.value());
  return slot;
}

ExclusiveListener* TransportPoll::ListenerOf(uint32_t slot) {
  for (ExclusiveListener* listener : listeners_) {
    if (listener->slot() == slot) return listener;
  }
  return nullptr;
}

void TransportPoll::Pause(uint32_t slot) {
  engine_->Pause(slot);
  if (ExclusiveListener* listener = ListenerOf(slot)) listener->Pause();
}

void TransportPoll::Resume(uint32_t slot) {
  engine_->Resume(slot);
  if (ExclusiveListener* listener = ListenerOf(slot)) listener->Resume();
}

// uv has to let go of a descriptor before it is closed or handed on.

void TransportPoll::Close(uint32_t slot, bool reset) {
  if (ExclusiveListener* listener = ListenerOf(slot)) listener->BeginClose();
  engine_->Close(slot, reset);
}

int TransportPoll::Release(uint32_t slot) {
  if (ExclusiveListener* listener = ListenerOf(slot)) listener->BeginClose();
  return engine_->Release(slot);
}

void TransportPoll::AcceptNow(ExclusiveListener* listener) {
  const uint32_t slot = listener->slot();
  engine_->MarkReady(slot);
  RunTurn();
  // The engine pauses a listener that fails; JavaScript may have closed it, or everything, meanwhile.
  if (owner_ != nullptr && !engine_->IsAccepting(slot)) Pause(slot);
}

void TransportPoll::ForgetListener(ExclusiveListener* listener) {
  listeners_.erase(std::find(listeners_.begin(), listeners_.end(), listener));
}

bool TransportPoll::FlushBefore(uint32_t slot) {
  const bool sound = engine_->FlushBefore(slot, control_[kControlSendRecords]);
  control_[kControlSendRecords] = 0;
  control_[kControlSendBytes] = 0;
  if (!sound) (void)engine_->Flush(0);
  return sound;
}

bool TransportPoll::FlushFirst() {
  if (std::exchange(control_[kControlFlushFirst], 0) == 0) return false;
  const uint64_t setbacks = engine_->setbacks();
  if (!Flush()) owner_->RefuseRecords();
  return engine_->setbacks() != setbacks;
}

void TransportPoll::OnReady(int status, int) {
  if (owner_ != nullptr && status == 0) RunTurn();
}

// A turn of libuv's loop costs as much as several messages: while there is more, we stay.
void TransportPoll::RunTurn() {
  wakeups_++;
  const uint64_t deadline = uv_hrtime() + kTurnNanosMax;
  bool is_first = true;
  do {
    engine_->BeginTurn();
    if (!RunPass(std::exchange(is_first, false))) return;
  } while (uv_hrtime() < deadline);
}

// JavaScript may close this transport in any batch: after each one the owner says whether we go on.
bool TransportPoll::RunPass(bool is_first) {
  for (int round = 0; round < kRoundsPerPass; round++) {
    const size_t count = NextBatch(!is_first || round > 0);
    if (count == 0) return false;
    const bool alive = owner_->HandBatch(static_cast<uint32_t>(count));
    if (owner_ == nullptr) return false;
    if (!Flush()) owner_->RefuseRecords();
    if (!alive || owner_ == nullptr) return false;
  }
  return true;
}

size_t TransportPoll::NextBatch(bool spin) {
  size_t count = engine_->Poll();
  const uint32_t spin_us = std::min(control_[kControlSpinMicros], kSpinMicrosMax);
  if (count > 0 || !spin || spin_us == 0) return count;
  const uint64_t deadline = uv_hrtime() + uint64_t{spin_us} * 1000;
  while (count == 0 && uv_hrtime() < deadline) count = engine_->Poll();
  return count;
}

}  // namespace reactor_net
