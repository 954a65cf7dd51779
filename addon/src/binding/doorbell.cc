#include "binding/doorbell.h"

#include <limits>
#include <string>

#include "binding/arguments.h"
#include "binding/doorbell_poll.h"
#include "binding/errors.h"
#include "core/descriptor.h"

namespace reactor_net {

void Doorbell::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("Doorbell",
              DefineClass(env, "Doorbell",
                          {InstanceMethod<&Doorbell::Ring>("ring"), InstanceMethod<&Doorbell::Wait>("wait"),
                           InstanceMethod<&Doorbell::RefLoop>("ref"), InstanceMethod<&Doorbell::UnrefLoop>("unref"),
                           InstanceMethod<&Doorbell::Close>("close")}));
}

Doorbell::Doorbell(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Doorbell>(info), callback_(info.Env()) {
  Open(info);
}

void Doorbell::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return;
  if (!info[1].IsFunction()) return ThrowInvalidArgument(env, "callback must be a function");
  const std::string subject = "fd " + std::to_string(fd);
  // Inherited ones come as the parent's spawn left them; anything but a socket is refused here.
  Result<ino_t> inode = SocketInode(fd);
  if (!inode.ok()) return ThrowFailure(env, inode.failure(), subject);
  if (Failure failure = SetNonBlocking(fd)) return ThrowFailure(env, failure, subject);
  if (Failure failure = SetCloseOnExec(fd)) return ThrowFailure(env, failure, subject);
  AddonState* state = AddonState::Of(env);
  if (state->closing() ||
      !callback_.Open(info.This().As<Napi::Object>(), "ReactorNetDoorbell", info[1].As<Napi::Function>())) {
    return ThrowCode(env, "ADDON_CLOSED", "this thread is ending");
  }
  Result<DoorbellPoll*> poll = DoorbellPoll::Start(state, fd, this);
  if (!poll.ok()) return ThrowFailure(env, poll.failure(), subject);
  poll_ = poll.value();
  Ref();
}

Doorbell::~Doorbell() {
  if (poll_ != nullptr) poll_->BeginClose();
}

void Doorbell::CallBack(Heard heard) { callback_.Hand(*this, static_cast<uint32_t>(heard)); }

Napi::Value Doorbell::Ring(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) RingBell(poll_->fd());
  return info.Env().Undefined();
}

Napi::Value Doorbell::Wait(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t timeout_ms = arguments.Integer(0, "timeoutMs", 0, std::numeric_limits<int>::max());
  if (arguments.failed()) return info.Env().Undefined();
  const Heard heard = poll_ == nullptr ? Heard::kGone : AwaitBell(poll_->fd(), static_cast<int>(timeout_ms));
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(heard));
}

Napi::Value Doorbell::RefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetRef(true);
  return info.This();
}

Napi::Value Doorbell::UnrefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetRef(false);
  return info.This();
}

Napi::Value Doorbell::Close(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) {
    poll_->BeginClose();
    callback_.Close();
    Unref();
  }
  return info.Env().Undefined();
}

}  // namespace reactor_net
