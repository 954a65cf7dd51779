// new ShmRingReader(): the consumer's side of a ring as JavaScript sees it; addon/shm-api.ts describes it.
// Describes whole batches of records in a table of words; the ring itself is jbus/ring_reader.h.
// Holds the mapping, the claim on the side and the tables until close(), or until it is collected.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "jbus/attachments.h"
#include "jbus/ring_reader.h"

namespace reactor_net {

class ShmRingReader : public Napi::ObjectWrap<ShmRingReader> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);

  explicit ShmRingReader(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ShmRingReader>(info) {}

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Take(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value Peek(const Napi::CallbackInfo& info);
  Napi::Value Seek(const Napi::CallbackInfo& info);
  Napi::Value Clear(const Napi::CallbackInfo& info);
  Napi::Value Size(const Napi::CallbackInfo& info);
  Napi::Value Dropped(const Napi::CallbackInfo& info);
  Napi::Value Poison(const Napi::CallbackInfo& info);
  Napi::Value PrepareWait(const Napi::CallbackInfo& info);
  Napi::Value CancelWait(const Napi::CallbackInfo& info);
  Napi::Value Wait(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  /** False with ADDON_CLOSED thrown, before open and after close. */
  bool IsOpen(Napi::Env env);
  /** Or for news of the ring: it closes, or is poisoned. */
  bool WaitForRecords(int64_t spin_us, int64_t sleep_us);

  std::unique_ptr<jbus::SideClaim> claim_;
  std::optional<jbus::RingReader> ring_;
};

}  // namespace reactor_net
