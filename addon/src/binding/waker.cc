#include "binding/waker.h"

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/poll_resource.h"
#include "core/event_fd.h"

namespace reactor_net {

/** The watch of one Waker. */
class WakerPoll final : public PollResource {
 public:
  /** As PollResource::Start; `fd` stays the caller's. */
  static Result<WakerPoll*> Start(AddonState* state, int fd, Waker* owner) {
    return PollResource::Start(std::unique_ptr<WakerPoll>(new WakerPoll(state, fd, owner)), fd, UV_READABLE);
  }

  void BeginClose() override {
    if (owner_ == nullptr) return;
    std::exchange(owner_, nullptr)->Detach();
    CloseHandle();
  }

 private:
  WakerPoll(AddonState* state, int fd, Waker* owner) : PollResource(state), owner_(owner), fd_(fd) {}

  void OnReady(int status, int) override {
    if (owner_ == nullptr || status != 0) return;
    Result<bool> drained = DrainEventFd(fd_);
    if (drained.ok() && drained.value()) owner_->CallBack();
  }

  Waker* owner_;
  const int fd_;
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
  if (poll_ != nullptr) poll_->SetRef(true);
  return info.This();
}

Napi::Value Waker::UnrefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetRef(false);
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
