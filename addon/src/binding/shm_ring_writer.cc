#include "binding/shm_ring_writer.h"

#include <algorithm>
#include <limits>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/shm_ring_open.h"
#include "jbus/backoff.h"

namespace reactor_net {
namespace {

constexpr int64_t kIdMost = std::numeric_limits<int32_t>::max();
constexpr int64_t kIdLeast = std::numeric_limits<int32_t>::min();
constexpr int64_t kTypeMost = std::numeric_limits<uint16_t>::max();
constexpr int64_t kMsgIdMost = static_cast<int64_t>(jbus::kIdentityMost);
constexpr int64_t kWaitMostUs = int64_t{24} * 3600 * 1'000'000;
/** A long batch is shown in pieces, so that the reader starts before it is complete. */
constexpr uint32_t kRowsPerPublish = 128;

}  // namespace

void ShmRingWriter::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("ShmRingWriter",
              DefineClass(env, "ShmRingWriter",
                          {InstanceMethod<&ShmRingWriter::Open>("open"),
                           InstanceMethod<&ShmRingWriter::Write>("write"),
                           InstanceMethod<&ShmRingWriter::WriteFragments>("writeFragments"),
                           InstanceMethod<&ShmRingWriter::WriteBatch>("writeBatch"),
                           InstanceMethod<&ShmRingWriter::WriteHeartbeat>("writeHeartbeat"),
                           InstanceMethod<&ShmRingWriter::Size>("size"),
                           InstanceMethod<&ShmRingWriter::Poison>("poison"),
                           InstanceMethod<&ShmRingWriter::PrepareWait>("prepareWait"),
                           InstanceMethod<&ShmRingWriter::CancelWait>("cancelWait"),
                           InstanceMethod<&ShmRingWriter::Wait>("wait"),
                           InstanceMethod<&ShmRingWriter::Close>("close")}));
}

Napi::Value ShmRingWriter::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int id = static_cast<int>(arguments.Integer(0, "id", kIdLeast, kIdMost));
  if (arguments.failed()) return env.Undefined();
  OpenedSide opened = OpenSide(env, id, jbus::Side::kProducer);
  if (opened.claim != nullptr) {
    ring_.emplace(opened.claim->attachment().memory(), opened.capacity, (opened.flags & jbus::kSegmentFlagCrc) != 0);
    claim_ = std::move(opened.claim);
  }
  return Napi::Number::New(env, opened.status);
}

bool ShmRingWriter::IsOpen(Napi::Env env) {
  if (ring_.has_value()) return true;
  ThrowCode(env, "ADDON_CLOSED", "the ring writer is closed");
  return false;
}

Napi::Value ShmRingWriter::Write(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const auto type = static_cast<uint16_t>(arguments.Integer(0, "type", 0, kTypeMost));
  const auto msg_id = static_cast<uint64_t>(arguments.Integer(1, "msgId", 0, kMsgIdMost));
  if (arguments.failed() || !IsOpen(env)) return env.Undefined();
  const ArrayView<const uint8_t> bytes = ReadBytes(env, info[2], "bytes must be a Uint8Array");
  if (bytes.data == nullptr) return env.Undefined();
  if (bytes.length > jbus::RecordBytesMax(ring_->capacity())) {
    ThrowInvalidArgument(env, "bytes must fit into one record");
    return env.Undefined();
  }
  if (ring_->IsPoisoned()) return Napi::Number::New(env, 0);
  const auto length = static_cast<uint32_t>(bytes.length);
  const uint64_t taken = ring_->Put({length, length, jbus::kFlagBegin | jbus::kFlagEnd, type, msg_id}, bytes.data);
  return WithWake(env, taken, ring_->Publish());
}

// Each fragment is shown at once: the consumer empties the ring while the next one is copied.
Napi::Value ShmRingWriter::WriteFragments(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const auto type = static_cast<uint16_t>(arguments.Integer(0, "type", 0, kTypeMost));
  const auto msg_id = static_cast<uint64_t>(arguments.Integer(1, "msgId", 0, kMsgIdMost));
  const auto from = static_cast<uint64_t>(arguments.Integer(3, "from", 0, std::numeric_limits<uint32_t>::max()));
  if (arguments.failed() || !IsOpen(env)) return env.Undefined();
  const ArrayView<const uint8_t> bytes = ReadBytes(env, info[2], "bytes must be a Uint8Array");
  if (bytes.data == nullptr) return env.Undefined();
  if (bytes.length == 0 || bytes.length > std::numeric_limits<uint32_t>::max() || from >= bytes.length) {
    ThrowInvalidArgument(env, "bytes must have 1 to 2^32 - 1 elements, and from be less");
    return env.Undefined();
  }
  uint64_t next = from;
  bool wake = false;
  while (next < bytes.length && !wake && !ring_->IsPoisoned()) {
    const uint64_t length = std::min<uint64_t>(bytes.length - next, jbus::FragmentBytes(ring_->capacity()));
    const bool is_first = next == 0;
    const bool is_last = next + length == bytes.length;
    const uint16_t flags = static_cast<uint16_t>((is_first ? jbus::kFlagBegin : 0) | (is_last ? jbus::kFlagEnd : 0));
    const uint64_t taken = ring_->Put({static_cast<uint32_t>(length), static_cast<uint32_t>(bytes.length),
                                       flags == 0 ? jbus::kFlagMid : flags, type, msg_id},
                                      bytes.data + next);
    if (taken == 0) break;
    next += length;
    wake = ring_->Publish();
  }
  return WithWake(env, next - from, wake);
}

Napi::Value ShmRingWriter::WriteBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int64_t first = arguments.Integer(2, "first", 0, kIdMost);
  const int64_t count = arguments.Integer(3, "count", 0, kIdMost);
  if (arguments.failed() || !IsOpen(env)) return env.Undefined();
  const ArrayView<uint32_t> rows = ReadWords(env, info[0], "rows must be a Uint32Array");
  if (rows.data == nullptr) return env.Undefined();
  const ArrayView<const uint8_t> bytes = ReadBytes(env, info[1], "bytes must be a Uint8Array");
  if (bytes.data == nullptr) return env.Undefined();
  if (static_cast<uint64_t>(first + count) > rows.length / kRowWords) {
    ThrowInvalidArgument(env, "first and count must lie within rows");
    return env.Undefined();
  }
  const uint32_t length_max = jbus::RecordBytesMax(ring_->capacity());
  int64_t written = 0;
  bool wake = false;
  for (; written < count && !wake && !ring_->IsPoisoned(); written++) {
    const uint32_t* row = rows.data + static_cast<size_t>(first + written) * kRowWords;
    const uint32_t offset = row[kRowOffset];
    const uint32_t length = row[kRowLength];
    if (length > length_max || offset > bytes.length || length > bytes.length - offset) {
      if (written > 0) break;  // what is good is written and told; the next call says what is wrong
      ThrowInvalidArgument(env, "each row must fit into one record and point into bytes");
      return env.Undefined();
    }
    const uint64_t msg_id = uint64_t{row[kRowMsgIdHigh]} << 32 | row[kRowMsgIdLow];
    const jbus::RecordFields fields = {length, length, jbus::kFlagBegin | jbus::kFlagEnd,
                                       static_cast<uint16_t>(row[kRowType]), msg_id};
    if (ring_->Put(fields, bytes.data + offset) == 0) break;
    if ((written + 1) % kRowsPerPublish == 0) wake = ring_->Publish();
  }
  wake = ring_->Publish() || wake;
  return WithWake(env, static_cast<uint64_t>(written), wake);
}

Napi::Value ShmRingWriter::WriteHeartbeat(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  if (ring_->IsPoisoned()) return Napi::Number::New(info.Env(), 0);
  const uint64_t taken = ring_->Put({0, 0, jbus::kFlagHeartbeat, 0, 0}, nullptr);
  return WithWake(info.Env(), taken, ring_->Publish());
}

Napi::Value ShmRingWriter::Size(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(ring_->Size()));
}

Napi::Value ShmRingWriter::Poison(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  ring_->IsPoisoned();
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(ring_->poison()));
}

Napi::Value ShmRingWriter::PrepareWait(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t bytes = arguments.Integer(0, "bytes", 1, int64_t{jbus::kCapacityMost});
  if (arguments.failed() || !IsOpen(info.Env())) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), ring_->PrepareWait(static_cast<uint64_t>(bytes)));
}

Napi::Value ShmRingWriter::CancelWait(const Napi::CallbackInfo& info) {
  if (IsOpen(info.Env())) ring_->CancelWait();
  return info.Env().Undefined();
}

Napi::Value ShmRingWriter::Wait(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto bytes = static_cast<uint64_t>(arguments.Integer(0, "bytes", 1, int64_t{jbus::kCapacityMost}));
  const int64_t spin_us = arguments.Integer(1, "spinMicros", 0, kWaitMostUs);
  const int64_t sleep_us = arguments.Integer(2, "sleepMicros", 0, kWaitMostUs);
  if (arguments.failed() || !IsOpen(info.Env())) return info.Env().Undefined();
  const auto has_room_or_news = [&] {
    return ring_->capacity() - ring_->Size() >= bytes || jbus::HasNews(claim_->attachment().memory());
  };
  return Napi::Boolean::New(info.Env(), jbus::WaitUntil(has_room_or_news, spin_us, sleep_us));
}

Napi::Value ShmRingWriter::Close(const Napi::CallbackInfo& info) {
  ring_.reset();
  claim_.reset();
  return info.Env().Undefined();
}

}  // namespace reactor_net
