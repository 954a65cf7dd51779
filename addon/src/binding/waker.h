// new Waker(fd, callback): calls back on this thread's loop when another thread signals the eventfd.
// Any number of signals before the loop gets there are one call. The eventfd stays the caller's.
// An open Waker holds its JavaScript object and keeps the loop alive (unless unref'd) until close().
#pragma once

#include <napi.h>

#include "binding/addon_state.h"

namespace reactor_net {

class WakerPoll;

class Waker : public Napi::ObjectWrap<Waker> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);

  explicit Waker(const Napi::CallbackInfo& info);
  ~Waker();

 private:
  friend class WakerPoll;

  /** The constructor's work; leaves with an exception pending when it cannot be done. */
  void Open(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  /** One call into JavaScript; may close this waker. */
  void CallBack();
  /** The poll handle is closing: `poll_` must not be used again. */
  void Detach() { poll_ = nullptr; }

  napi_env raw_env_;
  WakerPoll* poll_ = nullptr;
  napi_async_context context_ = nullptr;
  Napi::FunctionReference callback_;
};

}  // namespace reactor_net
