// new ShmRingWriter(): the producer's side of a ring as JavaScript sees it; addon/shm-api.ts describes it.
// Checks arguments and crosses once per batch; the ring itself is jbus/ring_writer.h.
// Holds the mapping and the claim on the side until close(), or until it is collected.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "jbus/attachments.h"
#include "jbus/ring_writer.h"

namespace reactor_net {

class ShmRingWriter : public Napi::ObjectWrap<ShmRingWriter> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);

  explicit ShmRingWriter(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ShmRingWriter>(info) {}

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value WriteFragments(const Napi::CallbackInfo& info);
  Napi::Value WriteBatch(const Napi::CallbackInfo& info);
  Napi::Value WriteHeartbeat(const Napi::CallbackInfo& info);
  Napi::Value Size(const Napi::CallbackInfo& info);
  Napi::Value Poison(const Napi::CallbackInfo& info);
  Napi::Value PrepareWait(const Napi::CallbackInfo& info);
  Napi::Value CancelWait(const Napi::CallbackInfo& info);
  Napi::Value Wait(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  /** False with ADDON_CLOSED thrown, before open and after close. */
  bool IsOpen(Napi::Env env);

  std::unique_ptr<jbus::SideClaim> claim_;
  std::optional<jbus::RingWriter> ring_;
};

}  // namespace reactor_net
