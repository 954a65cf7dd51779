#include "binding/transport.h"

#include <limits>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/transport_options.h"
#include "core/descriptor.h"

namespace reactor_net {
namespace {

constexpr int64_t kSlotMax = std::numeric_limits<uint32_t>::max();
constexpr char kImpossibleRecords[] = "records must be within the slabs";
/** The largest whole number that JavaScript can count to. */
constexpr int64_t kFileBytesMax = (int64_t{1} << 53) - 1;

/** Argument 0; false, with the error thrown, when it cannot be a slot. */
bool ReadSlot(const Napi::CallbackInfo& info, uint32_t* slot) {
  Arguments arguments(info);
  *slot = static_cast<uint32_t>(arguments.Integer(0, "slot", 0, kSlotMax));
  return !arguments.failed();
}

}  // namespace

void Transport::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("Transport",
              DefineClass(env, "Transport",
                          {InstanceMethod<&Transport::DefineFraming>("defineFraming"),
                           InstanceMethod<&Transport::Add>("add"),
                           InstanceMethod<&Transport::Listen>("listen"),
                           InstanceMethod<&Transport::ConnectTcp>("connectTcp"),
                           InstanceMethod<&Transport::ConnectUnix>("connectUnix"),
                           InstanceMethod<&Transport::Pause>("pause"),
                           InstanceMethod<&Transport::Resume>("resume"),
                           InstanceMethod<&Transport::Shutdown>("shutdown"),
                           InstanceMethod<&Transport::CloseSlot>("closeSlot"),
                           InstanceMethod<&Transport::Release>("release"),
                           InstanceMethod<&Transport::DescriptorOf>("descriptorOf"),
                           InstanceMethod<&Transport::Flush>("flush"),
                           InstanceMethod<&Transport::Send>("send"),
                           InstanceMethod<&Transport::SendFile>("sendFile"),
                           InstanceMethod<&Transport::Stats>("stats"),
                           InstanceMethod<&Transport::RefLoop>("ref"),
                           InstanceMethod<&Transport::UnrefLoop>("unref"),
                           InstanceMethod<&Transport::Close>("close")}));
}

Transport::Transport(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Transport>(info), batch_(info.Env()) {
  Open(info);
}

void Transport::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  TransportOptions options = ReadTransportOptions(env, arguments, arguments.Options(0));
  if (env.IsExceptionPending()) return;
  if (!info[1].IsFunction()) return ThrowInvalidArgument(env, "onBatch must be a function");
  AddonState* state = AddonState::Of(env);
  if (state->closing()) return ThrowCode(env, "ADDON_CLOSED", "this thread is ending");
  Result<std::unique_ptr<Engine>> engine = Engine::Create(options.memory, options.output_bytes_max);
  if (!engine.ok()) return ThrowFailure(env, engine.failure(), "new transport");
  const Napi::Object resource =
      options.async_resource.IsEmpty() ? info.This().As<Napi::Object>() : options.async_resource;
  if (!batch_.Open(resource, "ReactorNetTransport", info[1].As<Napi::Function>())) {
    return ThrowCode(env, "ADDON_CLOSED", "this thread is ending");
  }
  Result<TransportPoll*> poll = TransportPoll::Start(state, std::move(engine.value()), options.control, this);
  if (!poll.ok()) return ThrowFailure(env, poll.failure(), "new transport");
  poll_ = poll.value();
  for (Napi::Object array : options.arrays) arrays_.push_back(Napi::Persistent(array));
  Ref();
}

Transport::~Transport() {
  if (poll_ != nullptr) poll_->BeginClose();
}

Engine* Transport::OpenEngine(Napi::Env env) {
  if (poll_ != nullptr) return &poll_->engine();
  ThrowCode(env, "ADDON_CLOSED", "the transport is closed");
  return nullptr;
}

Napi::Value Transport::DefineFraming(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const Framing framing = ReadFramingOptions(env, arguments, arguments.Options(0));
  if (env.IsExceptionPending()) return env.Undefined();
  Engine* engine = OpenEngine(env);
  if (engine == nullptr) return env.Undefined();
  return SlotToJs(env, engine->AddFraming(framing), "too many framings");
}

Napi::Value Transport::Add(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  Engine* engine = OpenEngine(env);
  bool known = false;
  const uint32_t framing = ReadFraming(env, engine, arguments, 1, &known);
  if (!known) return env.Undefined();
  return SlotToJs(env, engine->Add(fd, framing), "fd " + std::to_string(fd));
}

Napi::Value Transport::Listen(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  const bool exclusive = arguments.Integer(1, "exclusive", 0, 1) != 0;
  Engine* engine = OpenEngine(env);
  bool known = false;
  const uint32_t framing = ReadFraming(env, engine, arguments, 2, &known);
  if (!known) return env.Undefined();
  Result<uint32_t> slot = exclusive ? poll_->ListenExclusively(fd, framing) : engine->Listen(fd, false, framing);
  return SlotToJs(env, slot, "fd " + std::to_string(fd));
}

Napi::Value Transport::ConnectTcp(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const std::string host = arguments.Text(0, "host");
  const int port = static_cast<int>(arguments.Integer(1, "port", 1, 65535));
  Engine* engine = OpenEngine(env);
  bool known = false;
  const uint32_t framing = ReadFraming(env, engine, arguments, 2, &known);
  if (!known) return env.Undefined();
  if (!SocketAddress::Numeric(host, port)) {
    ThrowInvalidArgument(env, "host must be a numeric IPv4 or IPv6 address");
    return env.Undefined();
  }
  return SlotToJs(env, engine->ConnectTcp(host, port, framing), host + " port " + std::to_string(port));
}

Napi::Value Transport::ConnectUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const std::string path = arguments.Text(0, "path");
  Engine* engine = OpenEngine(env);
  bool known = false;
  const uint32_t framing = ReadFraming(env, engine, arguments, 1, &known);
  if (!known) return env.Undefined();
  if (!SocketAddress::Unix(path)) {
    ThrowInvalidArgument(env, "path must have 1 to 107 bytes");
    return env.Undefined();
  }
  return SlotToJs(env, engine->ConnectUnix(path, framing), path);
}

uint32_t Transport::ReadFraming(Napi::Env env, Engine* engine, Arguments& arguments, size_t index, bool* known) {
  if (engine == nullptr) return 0;
  const uint32_t framing = static_cast<uint32_t>(arguments.Integer(index, "framing", 0, kSlotMax));
  if (arguments.failed()) return 0;
  *known = engine->HasFraming(framing);
  if (!*known) ThrowInvalidArgument(env, "framing must be 0 or come from defineFraming");
  return framing;
}

Napi::Value Transport::SlotToJs(Napi::Env env, Result<uint32_t> slot, const std::string& subject) {
  if (slot.ok()) return Napi::Number::New(env, slot.value());
  ThrowFailure(env, slot.failure(), subject);
  return env.Undefined();
}

// After close, and for slots that are gone, the next four do nothing: whoever calls them could not have known.

Napi::Value Transport::Pause(const Napi::CallbackInfo& info) {
  uint32_t slot = 0;
  if (!ReadSlot(info, &slot)) return info.Env().Undefined();
  if (poll_ != nullptr) poll_->Pause(slot);
  return info.Env().Undefined();
}

Napi::Value Transport::Resume(const Napi::CallbackInfo& info) {
  uint32_t slot = 0;
  if (!ReadSlot(info, &slot)) return info.Env().Undefined();
  if (poll_ != nullptr) poll_->Resume(slot);
  return info.Env().Undefined();
}

Napi::Value Transport::Shutdown(const Napi::CallbackInfo& info) {
  uint32_t slot = 0;
  if (!ReadSlot(info, &slot)) return info.Env().Undefined();
  if (poll_ != nullptr) poll_->engine().Shutdown(slot);
  return info.Env().Undefined();
}

Napi::Value Transport::CloseSlot(const Napi::CallbackInfo& info) {
  uint32_t slot = 0;
  if (!ReadSlot(info, &slot)) return info.Env().Undefined();
  const bool reset = info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
  if (poll_ != nullptr) poll_->Close(slot, reset);
  return info.Env().Undefined();
}

Napi::Value Transport::Release(const Napi::CallbackInfo& info) {
  uint32_t slot = 0;
  if (!ReadSlot(info, &slot)) return info.Env().Undefined();
  const int fd = poll_ == nullptr ? -1 : poll_->Release(slot);
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value Transport::DescriptorOf(const Napi::CallbackInfo& info) {
  uint32_t slot = 0;
  if (!ReadSlot(info, &slot)) return info.Env().Undefined();
  const int fd = poll_ == nullptr ? -1 : poll_->engine().DescriptorOf(slot);
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value Transport::Flush(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr && !poll_->Flush()) {
    ThrowInvalidArgument(info.Env(), kImpossibleRecords);
  }
  return info.Env().Undefined();
}

Napi::Value Transport::Send(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t slot = 0;
  if (!ReadSlot(info, &slot)) return env.Undefined();
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    ThrowInvalidArgument(env, "bytes must be a Uint8Array");
    return env.Undefined();
  }
  if (Flush(info); poll_ == nullptr || env.IsExceptionPending()) return env.Undefined();
  const Napi::Uint8Array bytes = info[1].As<Napi::Uint8Array>();
  poll_->engine().Send(slot, bytes.Data(), bytes.ElementLength());
  return env.Undefined();
}

Napi::Value Transport::SendFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(1);
  const uint64_t offset = static_cast<uint64_t>(arguments.Integer(2, "offset", 0, kFileBytesMax));
  const uint64_t bytes = static_cast<uint64_t>(arguments.Integer(3, "bytes", 0, kFileBytesMax));
  uint32_t slot = 0;
  if (arguments.failed() || !ReadSlot(info, &slot)) return env.Undefined();
  if (poll_ == nullptr) {
    (void)static_cast<bool>(CloseDescriptor(fd));
  } else if (poll_->FlushBefore(bytes > 0 ? slot : kNone)) {
    poll_->engine().SendFile(slot, {fd, offset, bytes});
  } else {
    ThrowInvalidArgument(env, kImpossibleRecords);
  }
  return env.Undefined();
}

Napi::Value Transport::Stats(const Napi::CallbackInfo& info) {
  Engine* engine = OpenEngine(info.Env());
  if (engine == nullptr) return info.Env().Undefined();
  const EngineStats stats = engine->stats();
  Napi::Object result = Napi::Object::New(info.Env());
  const auto set = [&result](const char* name, uint64_t value) { result.Set(name, static_cast<double>(value)); };
  set("wakeups", poll_->wakeups());
  set("batches", stats.batches);
  set("epollWaits", stats.epoll_waits);
  set("epollControls", stats.epoll_controls);
  set("receives", stats.receives);
  set("sends", stats.sends);
  set("accepts", stats.accepts);
  set("frames", stats.frames);
  set("bytesReceived", stats.bytes_received);
  set("bytesSent", stats.bytes_sent);
  return result;
}

Napi::Value Transport::RefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetRef(true);
  return info.This();
}

Napi::Value Transport::UnrefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetRef(false);
  return info.This();
}

Napi::Value Transport::Close(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) {
    poll_->BeginClose();
    batch_.Close();
    arrays_.clear();
    Unref();
  }
  return info.Env().Undefined();
}

}  // namespace reactor_net
