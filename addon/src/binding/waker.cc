#include "binding/waker.h"

#include "binding/arguments.h"
#include "binding/errors.h"
#include "core/event_fd.h"

namespace reactor_net {

/** The uv_poll_t of one Waker. It outlives the Waker by the close callback, so it is an object of its own. */
class WakerPoll final : public LoopResource {
 public:
  /** Starts polling; on failure the handle closes itself and the result says why. */
  static Result<WakerPoll*> Start(AddonState* state, int fd, Waker* owner) {
    auto* poll = new WakerPoll(state, fd, owner);
    const int opened = uv_poll_init(state->loop(), &poll->handle_, fd);
    if (opened != 0) {
      delete poll;  // uv has not taken it
      return Failure{-opened, "uv_poll_init"};
    }
    poll->handle_.data = poll;
    state->Enter(poll);
    const int started = uv_poll_start(&poll->handle_, UV_READABLE, OnReadable);
    if (started == 0) return poll;
    poll->BeginClose();
    return Failure{-started, "uv_poll_start"};
  }

  void BeginClose() override {
    if (owner_ == nullptr) return;
    std::exchange(owner_, nullptr)->Detach();
    uv_close(AsHandle(), OnClosed);
  }

  uv_handle_t* AsHandle() { return reinterpret_cast<uv_handle_t*>(&handle_); }

 private:
  WakerPoll(AddonState* state, int fd, Waker* owner) : state_(state), owner_(owner), fd_(fd) {}

  static void OnReadable(uv_poll_t* handle, int status, int) {
    auto* poll = static_cast<WakerPoll*>(handle->data);
    if (poll->owner_ == nullptr || status != 0) return;
    Result<bool> drained = DrainEventFd(poll->fd_);
    if (drained.ok() && drained.value()) poll->owner_->CallBack();
  }

  static void OnClosed(uv_handle_t* handle) {
    auto* poll = static_cast<WakerPoll*>(handle->data);
    poll->state_->Leave(poll);
    delete poll;
  }

  AddonState* state_;
  Waker* owner_;
  int fd_;
  uv_poll_t handle_;
};

void Waker::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("Waker", DefineClass(env, "Waker",
                                   {InstanceMethod<&Waker::RefLoop>("ref"), InstanceMethod<&Waker::UnrefLoop>("unref"),
                                    InstanceMethod<&Waker::Close>("close")}));
}

Waker::Waker(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Waker>(info), raw_env_(info.Env()) {
  Open(info);
}

void Waker::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return;
  if (!info[1].IsFunction()) return ThrowInvalidArgument(env, "callback must be a function");
  const std::string subject = "fd " + std::to_string(fd);
  Result<bool> is_event_fd = IsEventFd(fd);
  if (!is_event_fd.ok()) return ThrowFailure(env, is_event_fd.failure(), subject);
  if (!is_event_fd.value()) return ThrowInvalidArgument(env, "fd must be an eventfd");
  AddonState* state = AddonState::Of(env);
  if (state->closing()) return ThrowCode(env, "ADDON_CLOSED", "this thread is ending");
  const Napi::String name = Napi::String::New(env, "ReactorNetWaker");
  if (napi_async_init(env, info.This(), name, &context_) != napi_ok) {
    return ThrowCode(env, "ADDON_CLOSED", "this thread is ending");
  }
  Result<WakerPoll*> poll = WakerPoll::Start(state, fd, this);
  if (!poll.ok()) return ThrowFailure(env, poll.failure(), subject);
  poll_ = poll.value();
  callback_ = Napi::Persistent(info[1].As<Napi::Function>());
  Ref();
}

Waker::~Waker() {
  if (poll_ != nullptr) poll_->BeginClose();
  if (context_ != nullptr) napi_async_destroy(raw_env_, context_);
}

Napi::Value Waker::RefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) uv_ref(poll_->AsHandle());
  return info.This();
}

Napi::Value Waker::UnrefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) uv_unref(poll_->AsHandle());
  return info.This();
}

Napi::Value Waker::Close(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) {
    poll_->BeginClose();
    callback_.Reset();
    Unref();
  }
  return info.Env().Undefined();
}

// Raw Node-API: in a worker that is being terminated every call here may fail, and the C++ wrapper
// would answer that by ending the process. A failed status means nobody is left to call: return.
void Waker::CallBack() {
  napi_handle_scope scope;
  if (napi_open_handle_scope(raw_env_, &scope) != napi_ok) return;
  napi_value self = nullptr;
  napi_value callback = nullptr;
  if (napi_get_reference_value(raw_env_, *this, &self) == napi_ok &&
      napi_get_reference_value(raw_env_, callback_, &callback) == napi_ok && callback != nullptr &&
      napi_make_callback(raw_env_, context_, self, callback, 0, nullptr, nullptr) == napi_pending_exception) {
    napi_value error = nullptr;
    if (napi_get_and_clear_last_exception(raw_env_, &error) == napi_ok) {
      // Thrown by the callback: becomes 'uncaughtException'. Refused without harm when the thread is ending.
      napi_fatal_exception(raw_env_, error);
    }
  }
  napi_close_handle_scope(raw_env_, scope);
}

}  // namespace reactor_net
