#include "binding/doorbell_poll.h"

#include <utility>

#include "binding/doorbell.h"
#include "core/descriptor.h"
#include "core/doorbell_socket.h"

namespace reactor_net {

DoorbellPoll::DoorbellPoll(AddonState* state, int fd, Doorbell* owner)
    : PollResource(state), fd_(fd), listens_(IsListening(fd)), owner_(owner) {}

Result<DoorbellPoll*> DoorbellPoll::Start(AddonState* state, int fd, Doorbell* owner) {
  return PollResource::Start(std::unique_ptr<DoorbellPoll>(new DoorbellPoll(state, fd, owner)), fd, UV_READABLE);
}

void DoorbellPoll::BeginClose() {
  if (owner_ == nullptr) return;
  std::exchange(owner_, nullptr)->Detach();
  CloseHandle();
  if (owns_fd_) (void)CloseDescriptor(fd_);
}

void DoorbellPoll::OnReady(int status, int) {
  if (owner_ == nullptr) return;
  const Heard heard = listens_ ? Heard::kCaller : status == 0 ? HearBell(fd_) : Heard::kGone;
  if (heard == Heard::kNothing) return;
  if (heard == Heard::kGone) (void)Watch(0);  // the end of file would be heard for ever
  owner_->CallBack(heard);
}

}  // namespace reactor_net
