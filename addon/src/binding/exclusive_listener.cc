#include "binding/exclusive_listener.h"

#include <sys/epoll.h>

#include <utility>

#include "binding/transport_poll.h"

namespace reactor_net {

Result<ExclusiveListener*> ExclusiveListener::Start(AddonState* state, int fd, uint32_t slot, TransportPoll* owner) {
  auto* listener = new ExclusiveListener(state, fd, slot, owner);
  const int opened = uv_poll_init(state->loop(), &listener->poll_, fd);
  if (opened != 0) {
    delete listener;  // uv has not taken it
    return Failure{-opened, "uv_poll_init"};
  }
  uv_idle_init(state->loop(), &listener->idle_);
  listener->poll_.data = listener->idle_.data = listener;
  uv_unref(reinterpret_cast<uv_handle_t*>(&listener->idle_));
  state->Enter(listener);
  listener->Resume();
  return listener;
}

void ExclusiveListener::BeginClose() {
  if (owner_ == nullptr) return;
  std::exchange(owner_, nullptr)->ForgetListener(this);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle_), OnClosed);
}

void ExclusiveListener::Pause() {
  uv_poll_stop(&poll_);
  uv_idle_stop(&idle_);
}

void ExclusiveListener::Resume() {
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(&poll_))) return;
  idle_calls_ = 0;
  uv_poll_start(&poll_, UV_READABLE, OnReadable);
  uv_idle_start(&idle_, OnIdle);
}

void ExclusiveListener::SetRef(bool ref) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&poll_);
  ref ? uv_ref(handle) : uv_unref(handle);
}

void ExclusiveListener::OnReadable(uv_poll_t* handle, int status, int) {
  auto* listener = static_cast<ExclusiveListener*>(handle->data);
  if (listener->owner_ != nullptr && status == 0) listener->owner_->AcceptNow(listener);
}

// The loop runs idle handles before it polls, and does not sleep while there is one: at the first call the descriptor
// may not be in the set yet, at the second it is.
void ExclusiveListener::OnIdle(uv_idle_t* handle) {
  auto* listener = static_cast<ExclusiveListener*>(handle->data);
  if (++listener->idle_calls_ < 2) return;
  uv_idle_stop(handle);
  listener->MakeExclusive();
}

void ExclusiveListener::MakeExclusive() {
  const int loop = uv_backend_fd(state_->loop());
  epoll_event event = {};
  event.data.fd = fd_;  // what libuv looks for
  if (epoll_ctl(loop, EPOLL_CTL_DEL, fd_, &event) != 0) return;
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  if (epoll_ctl(loop, EPOLL_CTL_ADD, fd_, &event) == 0) return;
  event.events = EPOLLIN;  // works as well, with more wake-ups
  epoll_ctl(loop, EPOLL_CTL_ADD, fd_, &event);
}

void ExclusiveListener::OnClosed(uv_handle_t* handle) {
  auto* listener = static_cast<ExclusiveListener*>(handle->data);
  if (--listener->open_handles_ > 0) return;
  listener->state_->Leave(listener);
  delete listener;
}

}  // namespace reactor_net
