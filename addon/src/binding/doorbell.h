// new Doorbell(fd, callback): one end of a Unix stream by which two processes wake each other.
// Takes over the descriptor. A bell that is rung any number of times before the loop gets there is one call.
// An open Doorbell holds its JavaScript object and keeps the loop alive (unless unref'd) until close().
#pragma once

#include <napi.h>

#include "binding/addon_state.h"
#include "binding/batch_callback.h"
#include "core/doorbell_socket.h"

namespace reactor_net {

class DoorbellPoll;

class Doorbell : public Napi::ObjectWrap<Doorbell> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);

  explicit Doorbell(const Napi::CallbackInfo& info);
  ~Doorbell();

  /** The callback's argument is the number of what was heard; may close this doorbell. */
  void CallBack(Heard heard);
  /** The poll handle is closing: `poll_` must not be used again. */
  void Detach() { poll_ = nullptr; }

 private:
  /** The constructor's work; leaves with an exception pending when it cannot be done. */
  void Open(const Napi::CallbackInfo& info);
  Napi::Value Ring(const Napi::CallbackInfo& info);
  Napi::Value Wait(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  BatchCallback callback_;
  DoorbellPoll* poll_ = nullptr;
};

}  // namespace reactor_net
