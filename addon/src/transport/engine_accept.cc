// The listening half of Engine: a listener is a slot like any other, and so is what it accepts, from the start.
#include <sys/socket.h>

#include <cerrno>

#include "core/descriptor.h"
#include "transport/engine.h"
#include "transport/limits.h"

namespace reactor_net {
namespace {

/** What accept4 says of one connection that was lost in the queue; the next one may be fine. */
bool IsLostConnection(int error) {
  return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM || error == ENETDOWN ||
         error == EHOSTDOWN || error == EHOSTUNREACH || error == ENETUNREACH || error == ENOPROTOOPT;
}

}  // namespace

Result<uint32_t> Engine::Listen(int fd, bool watched_elsewhere, uint32_t framing) {
  Result<uint32_t> number = Enter(fd, Slot::State::kListening, framing);
  if (!number.ok()) return number;
  Slot& slot = slots_[number.value()];
  slot.watched_elsewhere = watched_elsewhere;
  slot.reading = true;
  if (watched_elsewhere) return number;
  Failure failure = epoll_->Watch(number.value(), slot, WantedMask(slot));
  if (!failure) return number;
  slots_.GiveBack(number.value());
  return failure;
}

bool Engine::IsAccepting(uint32_t number) {
  const Slot* slot = slots_.Find(number);
  return slot != nullptr && slot->state == Slot::State::kListening && slot->reading;
}

void Engine::AcceptFromReady() {
  while (!ready_listeners_.empty() && HasRoom()) {
    const uint32_t number = ready_listeners_.back();
    ready_listeners_.pop_back();
    if (IsAccepting(number)) Accept(number, slots_[number]);
  }
}

void Engine::Accept(uint32_t number, Slot& listener) {
  for (int i = 0; i < kAcceptsPerTurnMax; i++) {
    stats_.accepts++;
    Descriptor accepted(accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    int error = errno;
    if (accepted.get() >= 0) {
      Result<uint32_t> entered = Add(accepted.get(), listener.framing);
      if (entered.ok()) {
        events_.Append(EventType::kAccepted, number, entered.value(), static_cast<size_t>(accepted.Release()), 0);
        continue;
      }
      error = entered.failure().error;
    } else if (IsLostConnection(error)) {
      continue;
    }
    if (error == EAGAIN) return;
    // Out of descriptors, or no listener any more: waiting connections would wake us at once, so JavaScript decides.
    listener.reading = false;
    epoll_->Forget(listener);
    events_.Append(EventType::kAcceptFailed, number, static_cast<uint32_t>(error), 0, 0);
    return;
  }
}

}  // namespace reactor_net
