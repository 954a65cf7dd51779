#include "binding/doorbell_poll.h"

#include <utility>

#include "binding/doorbell.h"
#include "core/doorbell_socket.h"

namespace reactor_net {

DoorbellPoll::DoorbellPoll(AddonState* state, int fd, Doorbell* owner)
    : state_(state), fd_(fd), listens_(IsListening(fd)), owner_(owner) {}

Result<DoorbellPoll*> DoorbellPoll::Start(AddonState* state, int fd, Doorbell* owner) {
  auto* poll = new DoorbellPoll(state, fd, owner);
  const int opened = uv_poll_init(state->loop(), &poll->handle_, fd);
  if (opened != 0) {
    delete poll;  // uv has not taken it
    return Failure{-opened, "uv_poll_init"};
  }
  poll->handle_.data = poll;
  state->Enter(poll);
  const int started = uv_poll_start(&poll->handle_, UV_READABLE, OnReadable);
  if (started == 0) return poll;
  poll->owner_ = nullptr;
  uv_close(poll->AsHandle(), OnClosed);
  return Failure{-started, "uv_poll_start"};
}

void DoorbellPoll::BeginClose() {
  if (owner_ == nullptr) return;
  std::exchange(owner_, nullptr)->Detach();
  uv_close(AsHandle(), OnClosed);
  // After uv_close, which still takes the descriptor out of the loop's epoll set.
  (void)CloseDescriptor(fd_);
}

void DoorbellPoll::SetRef(bool ref) { ref ? uv_ref(AsHandle()) : uv_unref(AsHandle()); }

void DoorbellPoll::OnReadable(uv_poll_t* handle, int status, int) {
  auto* poll = static_cast<DoorbellPoll*>(handle->data);
  if (poll->owner_ == nullptr) return;
  const Heard heard = poll->listens_ ? Heard::kCaller : status == 0 ? HearBell(poll->fd_) : Heard::kGone;
  if (heard == Heard::kNothing) return;
  if (heard == Heard::kGone) uv_poll_stop(handle);  // the end of file would be heard for ever
  poll->owner_->CallBack(heard);
}

void DoorbellPoll::OnClosed(uv_handle_t* handle) {
  auto* poll = static_cast<DoorbellPoll*>(handle->data);
  poll->state_->Leave(poll);
  delete poll;
}

}  // namespace reactor_net
