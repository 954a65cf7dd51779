#include "binding/shm_ring_reader.h"

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
constexpr int64_t kWaitMostUs = int64_t{24} * 3600 * 1'000'000;

void FillRow(uint32_t* row, const jbus::RecordView& record) {
  row[kRowOffset] = record.offset;
  row[kRowLength] = record.length;
  row[kRowFlags] = record.flags;
  row[kRowType] = record.type;
  row[kRowMsgIdLow] = static_cast<uint32_t>(record.msg_id);
  row[kRowMsgIdHigh] = static_cast<uint32_t>(record.msg_id >> 32);
  row[kRowTotalLength] = record.total_length;
  row[kRowCost] = static_cast<uint32_t>(record.cost);
}

}  // namespace

void ShmRingReader::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("ShmRingReader",
              DefineClass(env, "ShmRingReader",
                          {InstanceMethod<&ShmRingReader::Open>("open"),
                           InstanceMethod<&ShmRingReader::Take>("take"),
                           InstanceMethod<&ShmRingReader::Release>("release"),
                           InstanceMethod<&ShmRingReader::Peek>("peek"),
                           InstanceMethod<&ShmRingReader::Seek>("seek"),
                           InstanceMethod<&ShmRingReader::Clear>("clear"),
                           InstanceMethod<&ShmRingReader::Size>("size"),
                           InstanceMethod<&ShmRingReader::Dropped>("dropped"),
                           InstanceMethod<&ShmRingReader::Poison>("poison"),
                           InstanceMethod<&ShmRingReader::PrepareWait>("prepareWait"),
                           InstanceMethod<&ShmRingReader::CancelWait>("cancelWait"),
                           InstanceMethod<&ShmRingReader::Wait>("wait"),
                           InstanceMethod<&ShmRingReader::Close>("close")}));
}

Napi::Value ShmRingReader::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int id = static_cast<int>(arguments.Integer(0, "id", kIdLeast, kIdMost));
  const auto message_bytes_max =
      static_cast<uint32_t>(arguments.Integer(1, "messageBytesMax", 0, std::numeric_limits<uint32_t>::max()));
  if (arguments.failed()) return env.Undefined();
  OpenedSide opened = OpenSide(env, id, jbus::Side::kConsumer);
  if (opened.claim != nullptr) {
    ring_.emplace(opened.claim->attachment().memory(), opened.capacity, message_bytes_max);
    claim_ = std::move(opened.claim);
  }
  return Napi::Number::New(env, opened.status);
}

bool ShmRingReader::IsOpen(Napi::Env env) {
  if (ring_.has_value()) return true;
  ThrowCode(env, "ADDON_CLOSED", "the ring reader is closed");
  return false;
}

Napi::Value ShmRingReader::Take(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int64_t count_max = arguments.Integer(1, "countMax", 0, kIdMost);
  const int64_t spin_us = info.Length() > 2 ? arguments.Integer(2, "spinMicros", 0, kWaitMostUs) : 0;
  if (arguments.failed() || !IsOpen(env)) return env.Undefined();
  const ArrayView<uint32_t> rows = ReadWords(env, info[0], "rows must be a Uint32Array");
  if (rows.data == nullptr || ring_->IsPoisoned()) return Napi::Number::New(env, 0);
  if (spin_us > 0) (void)WaitForRecords(spin_us, 0);
  uint32_t* row = rows.data;
  const size_t count = ring_->Take(std::min<size_t>(rows.length / kRowWords, static_cast<size_t>(count_max)),
                                   [&row](const jbus::RecordView& record) {
                                     FillRow(row, record);
                                     row += kRowWords;
                                   });
  return Napi::Number::New(env, static_cast<double>(count));
}

Napi::Value ShmRingReader::Release(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!IsOpen(env)) return env.Undefined();
  uint64_t bytes = ring_->outstanding();
  if (!info[0].IsUndefined()) {
    Arguments arguments(info);
    bytes = static_cast<uint64_t>(arguments.Integer(0, "bytes", 0, static_cast<int64_t>(bytes)));
    if (arguments.failed()) return env.Undefined();
    if (bytes % 8 != 0) {
      ThrowInvalidArgument(env, "bytes must be the cost of whole records");
      return env.Undefined();
    }
  }
  return Napi::Boolean::New(env, bytes > 0 && ring_->Release(bytes));
}

Napi::Value ShmRingReader::Peek(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!IsOpen(env)) return env.Undefined();
  const ArrayView<uint32_t> rows = ReadWords(env, info[0], "row must be a Uint32Array of 8 elements");
  jbus::RecordView record;
  const bool found = rows.length >= kRowWords && !ring_->IsPoisoned() && ring_->Peek(&record);
  if (found) FillRow(rows.data, record);
  return Napi::Boolean::New(env, found);
}

Napi::Value ShmRingReader::Seek(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t count = arguments.Integer(0, "count", 0, kIdMost);
  if (arguments.failed() || !IsOpen(info.Env())) return info.Env().Undefined();
  const size_t skipped = ring_->IsPoisoned() ? 0 : ring_->Seek(static_cast<size_t>(count));
  return Napi::Number::New(info.Env(), static_cast<double>(skipped));
}

Napi::Value ShmRingReader::Clear(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), ring_->Clear());
}

Napi::Value ShmRingReader::Size(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(ring_->Size()));
}

Napi::Value ShmRingReader::Dropped(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(ring_->dropped()));
}

Napi::Value ShmRingReader::Poison(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  ring_->IsPoisoned();
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(ring_->poison()));
}

Napi::Value ShmRingReader::PrepareWait(const Napi::CallbackInfo& info) {
  if (!IsOpen(info.Env())) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), ring_->PrepareWait());
}

Napi::Value ShmRingReader::CancelWait(const Napi::CallbackInfo& info) {
  if (IsOpen(info.Env())) ring_->CancelWait();
  return info.Env().Undefined();
}

Napi::Value ShmRingReader::Wait(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t spin_us = arguments.Integer(0, "spinMicros", 0, kWaitMostUs);
  const int64_t sleep_us = arguments.Integer(1, "sleepMicros", 0, kWaitMostUs);
  if (arguments.failed() || !IsOpen(info.Env())) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), WaitForRecords(spin_us, sleep_us));
}

bool ShmRingReader::WaitForRecords(int64_t spin_us, int64_t sleep_us) {
  const auto has_records_or_news = [&] { return ring_->HasRecords() || jbus::HasNews(claim_->attachment().memory()); };
  return jbus::WaitUntil(has_records_or_news, spin_us, sleep_us);
}

Napi::Value ShmRingReader::Close(const Napi::CallbackInfo& info) {
  ring_.reset();
  claim_.reset();
  return info.Env().Undefined();
}

}  // namespace reactor_net
