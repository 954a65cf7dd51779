// new Datagrams(fd, options, onBatch): a UDP socket in batches as JavaScript sees it; addon/api.ts describes it.
// Checks arguments and hands batches over; the work is done by transport/datagram_socket.h.
// While open it holds its JavaScript object and the shared arrays, and keeps the loop alive (unless unref'd).
#pragma once

#include <napi.h>

#include <vector>

#include "binding/batch_callback.h"
#include "binding/datagram_poll.h"

namespace reactor_net {

class Datagrams : public Napi::ObjectWrap<Datagrams> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);

  explicit Datagrams(const Napi::CallbackInfo& info);
  ~Datagrams();

 private:
  friend class DatagramPoll;

  /** The constructor's work; leaves with an exception pending when it cannot be done. */
  void Open(const Napi::CallbackInfo& info);

  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value Pause(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  /** Runs onBatch until the batch is done with. False when nobody is left to call. */
  bool HandBatch(uint32_t count) { return batch_.Hand(*this, count) && poll_ != nullptr; }
  void RefuseRecords() { batch_.RefuseRecords(); }
  /** Sends what the control table counts and sets it to nothing. False when a record is impossible. */
  bool FlushStaged();
  /** The poll handle is closing: `poll_` must not be used again. */
  void Detach() { poll_ = nullptr; }

  DatagramPoll* poll_ = nullptr;
  uint32_t* control_ = nullptr;
  BatchCallback batch_;
  std::vector<Napi::ObjectReference> arrays_;  // keep the socket's memory where it is
};

}  // namespace reactor_net
