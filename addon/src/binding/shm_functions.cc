#include "binding/shm_functions.h"

#include <cstdio>
#include <limits>
#include <memory>
#include <string>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/shm_facts.h"
#include "jbus/attachments.h"
#include "jbus/segment.h"

namespace reactor_net {
namespace {

constexpr int64_t kIntMost = std::numeric_limits<int32_t>::max();
constexpr int64_t kIntLeast = std::numeric_limits<int32_t>::min();
constexpr int64_t kSegmentBytesMost = int64_t{jbus::kDataOffset} + int64_t{jbus::kCapacityMost};

std::string Segment(int id) { return "segment " + std::to_string(id); }

std::string Key(int32_t key) {
  char text[24];
  std::snprintf(text, sizeof text, "key 0x%08x", static_cast<uint32_t>(key));
  return text;
}

Napi::Value CreateFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int32_t key = static_cast<int32_t>(arguments.Integer(0, "key", kIntLeast, kIntMost));
  const int64_t bytes = arguments.Integer(1, "bytes", 1, kSegmentBytesMost);
  if (arguments.failed()) return info.Env().Undefined();
  Result<int> id = jbus::CreateSegment(key, static_cast<uint64_t>(bytes));
  if (id.ok()) return Napi::Number::New(info.Env(), id.value());
  ThrowFailure(info.Env(), id.failure(), Key(key));
  return info.Env().Undefined();
}

Napi::Value FindFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int32_t key = static_cast<int32_t>(arguments.Integer(0, "key", kIntLeast, kIntMost));
  if (arguments.failed()) return info.Env().Undefined();
  Result<int> id = jbus::FindSegment(key);
  if (id.ok()) return Napi::Number::New(info.Env(), id.value());
  ThrowFailure(info.Env(), id.failure(), Key(key));
  return info.Env().Undefined();
}

/** Argument 0; false, with the error thrown, when it cannot be a segment's id. */
bool ReadId(const Napi::CallbackInfo& info, int* id) {
  Arguments arguments(info);
  *id = static_cast<int>(arguments.Integer(0, "id", kIntLeast, kIntMost));
  return !arguments.failed();
}

Napi::Value StatFunction(const Napi::CallbackInfo& info) {
  int id = 0;
  if (!ReadId(info, &id)) return info.Env().Undefined();
  Result<jbus::SegmentStatus> status = jbus::StatSegment(id);
  if (status.ok()) return StatusToJs(info.Env(), status.value());
  ThrowFailure(info.Env(), status.failure(), Segment(id));
  return info.Env().Undefined();
}

Napi::Value RemoveFunction(const Napi::CallbackInfo& info) {
  int id = 0;
  if (!ReadId(info, &id)) return info.Env().Undefined();
  if (Failure failure = jbus::RemoveSegment(id)) ThrowFailure(info.Env(), failure, Segment(id));
  return info.Env().Undefined();
}

/** Holds one reference of the mapping for the ArrayBuffer; runs when V8 has dropped the memory, detached or collected. */
void ReleaseView(napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<jbus::Attachment>*>(hint); }

Napi::Value MapFunction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int id = 0;
  if (!ReadId(info, &id)) return env.Undefined();
  Result<std::shared_ptr<jbus::Attachment>> attachment = jbus::Attachment::Of(id);
  if (!attachment.ok()) {
    ThrowFailure(env, attachment.failure(), Segment(id));
    return env.Undefined();
  }
  auto* held = new std::shared_ptr<jbus::Attachment>(std::move(attachment.value()));
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, (*held)->base(), (*held)->bytes(), ReleaseView, held, &buffer);
  if (status == napi_ok) return Napi::Value(env, buffer);
  delete held;
  ThrowCode(env, "ADDON_UNSUPPORTED", "this runtime allows no ArrayBuffer over memory of its own");
  return env.Undefined();
}

Napi::Value UnmapFunction(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer() || napi_detach_arraybuffer(info.Env(), info[0]) != napi_ok) {
    ThrowInvalidArgument(info.Env(), "buffer must be an ArrayBuffer that shmMap returned");
  }
  return info.Env().Undefined();
}

Napi::Value HeaderFunction(const Napi::CallbackInfo& info) {
  int id = 0;
  if (!ReadId(info, &id)) return info.Env().Undefined();
  Result<jbus::HeaderFacts> facts = jbus::PeekHeader(id);
  if (facts.ok()) return HeaderToJs(info.Env(), facts.value());
  ThrowFailure(info.Env(), facts.failure(), Segment(id));
  return info.Env().Undefined();
}

Napi::Value FormatFunction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int id = static_cast<int>(arguments.Integer(0, "id", kIntLeast, kIntMost));
  jbus::RingIdentity identity;
  const int64_t identity_most = static_cast<int64_t>(jbus::kIdentityMost);
  identity.capacity = static_cast<uint64_t>(
      arguments.Integer(1, "capacity", int64_t{jbus::kCapacityLeast}, int64_t{jbus::kCapacityMost}));
  identity.epoch = static_cast<uint64_t>(arguments.Integer(2, "epoch", 1, identity_most));
  identity.channel_hash = static_cast<uint64_t>(arguments.Integer(3, "channelHash", 0, identity_most));
  identity.flags = static_cast<uint32_t>(arguments.Integer(4, "flags", 0, jbus::kSegmentFlagCrc));
  identity.start_position = static_cast<uint64_t>(arguments.Integer(5, "startPosition", 0, int64_t{1} << 56)) & ~uint64_t{7};
  if (arguments.failed()) return env.Undefined();
  Result<std::shared_ptr<jbus::Attachment>> attachment = jbus::Attachment::Of(id);
  if (!attachment.ok()) {
    ThrowFailure(env, attachment.failure(), Segment(id));
  } else if (attachment.value()->bytes() < jbus::kDataOffset + identity.capacity) {
    ThrowInvalidArgument(env, "capacity must be at most the segment's size without the page before it");
  } else {
    jbus::FormatHeader(attachment.value()->memory(), identity);
  }
  return env.Undefined();
}

/** The mapping of argument 0; null with the error thrown when there is none, or it is too small for a page. */
std::shared_ptr<jbus::Attachment> ReadAttachment(const Napi::CallbackInfo& info) {
  int id = 0;
  if (!ReadId(info, &id)) return nullptr;
  Result<std::shared_ptr<jbus::Attachment>> attachment = jbus::Attachment::Of(id);
  if (attachment.ok() && attachment.value()->bytes() >= jbus::kDataOffset) return attachment.value();
  ThrowFailure(info.Env(), attachment.ok() ? Failure{EINVAL, "shmat"} : attachment.failure(), Segment(id));
  return nullptr;
}

Napi::Value StateFunction(const Napi::CallbackInfo& info) {
  const std::shared_ptr<jbus::Attachment> attachment = ReadAttachment(info);
  if (attachment == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), jbus::ReadState(attachment->memory()));
}

Napi::Value MarkFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t state = arguments.Integer(1, "state", 1, 3);
  if (arguments.failed()) return info.Env().Undefined();
  const std::shared_ptr<jbus::Attachment> attachment = ReadAttachment(info);
  if (attachment != nullptr) jbus::MarkState(attachment->memory(), static_cast<jbus::SegmentState>(state));
  return info.Env().Undefined();
}

/** Argument 1 of the two functions below. */
jbus::Side ReadSideArgument(Arguments& arguments) {
  return arguments.Integer(1, "side", 0, 1) == 0 ? jbus::Side::kProducer : jbus::Side::kConsumer;
}

Napi::Value SideFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const jbus::Side side = ReadSideArgument(arguments);
  if (arguments.failed()) return info.Env().Undefined();
  const std::shared_ptr<jbus::Attachment> attachment = ReadAttachment(info);
  if (attachment == nullptr) return info.Env().Undefined();
  return SideToJs(info.Env(), jbus::ReadSide(attachment->memory(), side));
}

Napi::Value BeatFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const jbus::Side side = ReadSideArgument(arguments);
  if (arguments.failed()) return info.Env().Undefined();
  const std::shared_ptr<jbus::Attachment> attachment = ReadAttachment(info);
  if (attachment != nullptr) jbus::Beat(attachment->memory(), side);
  return info.Env().Undefined();
}

Napi::Value TotalsFunction(const Napi::CallbackInfo& info) {
  const jbus::AttachmentTotals totals = jbus::CountAttachments();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("segments", totals.segments);
  result.Set("bytes", static_cast<double>(totals.bytes));
  result.Set("attached", static_cast<double>(totals.attached));
  result.Set("detached", static_cast<double>(totals.detached));
  return result;
}

Napi::Value ProcessStartTimeFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t pid = arguments.Integer(0, "pid", 0, kIntMost);
  if (arguments.failed()) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(jbus::StartTimeOf(static_cast<uint32_t>(pid))));
}

}  // namespace

void ExportShmFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("shmCreate", Napi::Function::New<CreateFunction>(env, "shmCreate"));
  exports.Set("shmFind", Napi::Function::New<FindFunction>(env, "shmFind"));
  exports.Set("shmStat", Napi::Function::New<StatFunction>(env, "shmStat"));
  exports.Set("shmRemove", Napi::Function::New<RemoveFunction>(env, "shmRemove"));
  exports.Set("shmMap", Napi::Function::New<MapFunction>(env, "shmMap"));
  exports.Set("shmUnmap", Napi::Function::New<UnmapFunction>(env, "shmUnmap"));
  exports.Set("shmHeader", Napi::Function::New<HeaderFunction>(env, "shmHeader"));
  exports.Set("shmFormat", Napi::Function::New<FormatFunction>(env, "shmFormat"));
  exports.Set("shmState", Napi::Function::New<StateFunction>(env, "shmState"));
  exports.Set("shmMark", Napi::Function::New<MarkFunction>(env, "shmMark"));
  exports.Set("shmSide", Napi::Function::New<SideFunction>(env, "shmSide"));
  exports.Set("shmBeat", Napi::Function::New<BeatFunction>(env, "shmBeat"));
  exports.Set("shmTotals", Napi::Function::New<TotalsFunction>(env, "shmTotals"));
  exports.Set("processStartTime", Napi::Function::New<ProcessStartTimeFunction>(env, "processStartTime"));
}

}  // namespace reactor_net
