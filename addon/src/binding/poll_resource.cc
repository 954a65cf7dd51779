#include "binding/poll_resource.h"

namespace reactor_net {

void PollResource::SetRef(bool ref) { ref ? uv_ref(AsHandle()) : uv_unref(AsHandle()); }

Failure PollResource::Open(int fd) {
  const int opened = uv_poll_init(state_->loop(), &handle_, fd);
  if (opened != 0) return Failure{-opened, "uv_poll_init"};
  handle_.data = this;
  state_->Enter(this);
  return {};
}

int PollResource::Watch(int events) {
  if (events == 0) return uv_poll_stop(&handle_);
  return uv_poll_start(&handle_, events, [](uv_poll_t* handle, int status, int ready) {
    static_cast<PollResource*>(handle->data)->OnReady(status, ready);
  });
}

void PollResource::CloseHandle() {
  uv_close(AsHandle(), [](uv_handle_t* handle) {
    auto* resource = static_cast<PollResource*>(handle->data);
    resource->state_->Leave(resource);
    delete resource;
  });
}

}  // namespace reactor_net
