// new Transport(options, onBatch): the native transport as JavaScript sees it; addon/api.ts describes it.
// Checks arguments, hands batches over and reports what JavaScript throws; the work is done by transport/engine.h.
// An open Transport holds its JavaScript object and the shared arrays, and keeps the loop alive (unless unref'd).
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "binding/batch_callback.h"
#include "binding/transport_poll.h"

namespace reactor_net {

class Transport : public Napi::ObjectWrap<Transport> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);

  explicit Transport(const Napi::CallbackInfo& info);
  ~Transport();

 private:
  friend class TransportPoll;

  /** The constructor's work; leaves with an exception pending when it cannot be done. */
  void Open(const Napi::CallbackInfo& info);

  Napi::Value DefineFraming(const Napi::CallbackInfo& info);
  Napi::Value Add(const Napi::CallbackInfo& info);
  Napi::Value Listen(const Napi::CallbackInfo& info);
  Napi::Value ConnectTcp(const Napi::CallbackInfo& info);
  Napi::Value ConnectUnix(const Napi::CallbackInfo& info);
  Napi::Value Pause(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value Shutdown(const Napi::CallbackInfo& info);
  Napi::Value CloseSlot(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value DescriptorOf(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value SendFile(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  /** The engine, or null with ADDON_CLOSED thrown. */
  Engine* OpenEngine(Napi::Env env);
  uint32_t ReadFraming(Napi::Env env, Engine* engine, class Arguments& arguments, size_t index, bool* known);
  Napi::Value SlotToJs(Napi::Env env, Result<uint32_t> slot, const std::string& subject);

  /** Runs onBatch until the batch is done with. False when nobody is left to call. */
  bool HandBatch(uint32_t count) {
    const auto flush_first = [this] { return poll_ != nullptr && poll_->FlushFirst(); };
    return batch_.Hand(*this, count, flush_first) && poll_ != nullptr;
  }
  void RefuseRecords() { batch_.RefuseRecords(); }
  /** The poll handle is closing: `poll_` must not be used again. */
  void Detach() { poll_ = nullptr; }

  TransportPoll* poll_ = nullptr;
  BatchCallback batch_;
  std::vector<Napi::ObjectReference> arrays_;  // keep the memory of the engine where it is
};

}  // namespace reactor_net
