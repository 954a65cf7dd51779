#include "binding/datagrams.h"

#include <limits>
#include <string>

#include "binding/arguments.h"
#include "binding/array_reader.h"
#include "binding/errors.h"

namespace reactor_net {
namespace {

constexpr int kIntMax = std::numeric_limits<int>::max();

/** Words of the control table: what JavaScript staged, then the status that the socket shows. */
enum ControlWord : uint32_t { kSendRecords = 0, kSendBytes = 1, kStatus = 2, kWords = kStatus + kDatagramStatusWords };

struct Options {
  DatagramMemory memory = {};
  DatagramBounds bounds = {};
  uint32_t* control = nullptr;
  std::vector<Napi::Object> arrays;
};

/** With an exception pending the result is not to be used. */
Options ReadOptions(Napi::Env env, Arguments& arguments, Napi::Object object) {
  Options options;
  const auto integer = [&](const char* name, int most) {
    return static_cast<size_t>(arguments.RequiredInteger(object, name, 1, most));
  };
  options.bounds.datagram_bytes_max = integer("datagramBytesMax", static_cast<int>(kDatagramBytesLimit));
  options.bounds.waiting_bytes_max = integer("waitingBytesMax", kIntMax);
  if (arguments.failed()) return options;
  ArrayReader reader(env, object, options.arrays);
  DatagramMemory& memory = options.memory;
  size_t words = 0;
  memory.receive =
      reader.Bytes("receiveSlab", DatagramSlotBytes(options.bounds.datagram_bytes_max), &memory.receive_bytes);
  memory.records = reader.SignedWords("records", kDatagramsPerCall * kDatagramRecordWords, &words);
  memory.send = reader.Bytes("sendSlab", 1, &memory.send_bytes);
  memory.sends = reader.SignedWords("sends", kDatagramSendWords, &words);
  memory.send_records = words / kDatagramSendWords;
  options.control = reader.SignedWords("control", kWords, &words);
  memory.status = options.control + kStatus;
  return options;
}

}  // namespace

void Datagrams::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("Datagrams", DefineClass(env, "Datagrams",
                                       {InstanceMethod<&Datagrams::Flush>("flush"),
                                        InstanceMethod<&Datagrams::Pause>("pause"),
                                        InstanceMethod<&Datagrams::Stats>("stats"),
                                        InstanceMethod<&Datagrams::RefLoop>("ref"),
                                        InstanceMethod<&Datagrams::UnrefLoop>("unref"),
                                        InstanceMethod<&Datagrams::Close>("close")}));
}

Datagrams::Datagrams(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Datagrams>(info), batch_(info.Env()) {
  Open(info);
}

void Datagrams::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  const Options options = ReadOptions(env, arguments, arguments.Options(1));
  if (env.IsExceptionPending()) return;
  if (!info[2].IsFunction()) return ThrowInvalidArgument(env, "onBatch must be a function");
  AddonState* state = AddonState::Of(env);
  if (state->closing() || !batch_.Open(info.This().As<Napi::Object>(), "ReactorNetDatagrams",
                                       info[2].As<Napi::Function>())) {
    return ThrowCode(env, "ADDON_CLOSED", "this thread is ending");
  }
  const std::string subject = "fd " + std::to_string(fd);
  Result<std::unique_ptr<DatagramSocket>> socket = DatagramSocket::Adopt(fd, options.memory, options.bounds);
  if (!socket.ok()) return ThrowFailure(env, socket.failure(), subject);
  Result<DatagramPoll*> poll = DatagramPoll::Start(state, std::move(socket.value()), this);
  if (!poll.ok()) return ThrowFailure(env, poll.failure(), subject);
  poll_ = poll.value();
  control_ = options.control;
  for (Napi::Object array : options.arrays) arrays_.push_back(Napi::Persistent(array));
  Ref();
}

Datagrams::~Datagrams() {
  if (poll_ != nullptr) poll_->BeginClose();
}

Napi::Value Datagrams::Flush(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr && !FlushStaged()) {
    ThrowInvalidArgument(info.Env(), "records must be within the slabs");
  }
  return info.Env().Undefined();
}

bool Datagrams::FlushStaged() {
  const uint32_t count = control_[kSendRecords];
  control_[kSendRecords] = 0;
  control_[kSendBytes] = 0;
  return poll_->Flush(count);
}

Napi::Value Datagrams::Pause(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetReceiving(false);
  return info.Env().Undefined();
}

Napi::Value Datagrams::Stats(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (poll_ == nullptr) {
    ThrowCode(env, "ADDON_CLOSED", "the datagram socket is closed");
    return env.Undefined();
  }
  const DatagramStats& stats = poll_->socket().stats();
  Napi::Object result = Napi::Object::New(env);
  const auto set = [&result](const char* name, uint64_t value) { result.Set(name, static_cast<double>(value)); };
  set("wakeups", poll_->wakeups());
  set("batches", poll_->batches());
  set("receiveCalls", stats.receive_calls);
  set("sendCalls", stats.send_calls);
  set("received", stats.received);
  set("bytesReceived", stats.bytes_received);
  set("truncated", stats.truncated);
  set("receiveFailures", stats.receive_failures);
  set("sent", stats.sent);
  set("bytesSent", stats.bytes_sent);
  set("sendFailures", stats.send_failures);
  set("queueDrops", stats.queue_drops);
  return result;
}

Napi::Value Datagrams::RefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetRef(true);
  return info.This();
}

Napi::Value Datagrams::UnrefLoop(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->SetRef(false);
  return info.This();
}

Napi::Value Datagrams::Close(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) {
    poll_->BeginClose();
    batch_.Close();
    arrays_.clear();
    Unref();
  }
  return info.Env().Undefined();
}

}  // namespace reactor_net
