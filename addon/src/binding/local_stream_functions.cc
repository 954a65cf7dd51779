#include "binding/local_stream_functions.h"

#include <string>
#include <vector>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/shm_ring_open.h"
#include "binding/socket_functions.h"
#include "core/local_stream.h"
#include "jbus/layout.h"
#include "jbus/memory_file.h"

namespace reactor_net {
namespace {

constexpr int kMessageBytesMost = 4096;

std::string Numbered(int fd) { return "fd " + std::to_string(fd); }

Napi::Value SocketPairFunction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Result<std::pair<Descriptor, Descriptor>> pair = SocketPair();
  if (!pair.ok()) {
    ThrowFailure(env, pair.failure(), "socket pair");
    return env.Undefined();
  }
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0u, HandOver(env, pair.value().first));
  result.Set(1u, HandOver(env, pair.value().second));
  return result;
}

Napi::Value ConnectUnixFunction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const std::string path = arguments.Text(0, "path");
  if (arguments.failed()) return env.Undefined();
  Result<Descriptor> connected = ConnectUnix(path);
  if (connected.ok()) return HandOver(env, connected.value());
  // The leading NUL of an abstract name would end the message.
  ThrowFailure(env, connected.failure(), path[0] == '\0' ? "@" + path.substr(1) : path);
  return env.Undefined();
}

Napi::Value AcceptUnixFunction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return env.Undefined();
  Result<Descriptor> accepted = AcceptUnix(fd);
  if (accepted.ok()) return HandOver(env, accepted.value());
  const int error = accepted.failure().error;
  // It may have been taken, or given up, since the socket was found readable.
  if (error == EAGAIN || error == ECONNABORTED) return Napi::Number::New(env, -1);
  ThrowFailure(env, accepted.failure(), Numbered(fd));
  return env.Undefined();
}

Napi::Value UserBehindFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return info.Env().Undefined();
  Result<uid_t> user = UserBehind(fd);
  if (user.ok()) return Napi::Number::New(info.Env(), user.value());
  ThrowFailure(info.Env(), user.failure(), Numbered(fd));
  return info.Env().Undefined();
}

Napi::Value CreateMemoryFileFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t bytes = arguments.Integer(0, "bytes", 1, int64_t{jbus::kDataOffset} + int64_t{jbus::kCapacityMost});
  if (arguments.failed()) return info.Env().Undefined();
  Result<int> id = jbus::CreateMemoryFile(static_cast<uint64_t>(bytes));
  if (id.ok()) return Napi::Number::New(info.Env(), id.value());
  ThrowFailure(info.Env(), id.failure(), "memory file");
  return info.Env().Undefined();
}

Napi::Value CloseMemoryFileFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t id = arguments.Integer(0, "id", std::numeric_limits<int32_t>::min(), -1);
  if (arguments.failed()) return info.Env().Undefined();
  if (Failure failure = jbus::CloseMemoryFile(static_cast<int>(id))) {
    ThrowFailure(info.Env(), failure, "memory file " + std::to_string(id));
  }
  return info.Env().Undefined();
}

Napi::Value SendMemoryFilesFunction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  const std::vector<int> ids = arguments.Integers(2, "ids", std::numeric_limits<int32_t>::min(), -1);
  if (arguments.failed()) return env.Undefined();
  const ArrayView<const uint8_t> bytes = ReadBytes(env, info[1], "bytes must be a Uint8Array");
  if (bytes.data == nullptr) return env.Undefined();
  std::vector<int> descriptors;
  for (const int id : ids) {
    Result<int> descriptor = jbus::DescriptorOfMemoryFile(id);
    if (!descriptor.ok()) {
      ThrowFailure(env, descriptor.failure(), "memory file " + std::to_string(id));
      return env.Undefined();
    }
    descriptors.push_back(descriptor.value());
  }
  if (Failure failure = SendDescriptors(fd, bytes.data, bytes.length, descriptors)) {
    ThrowFailure(env, failure, Numbered(fd));
  }
  return env.Undefined();
}

Napi::Value ReceiveMemoryFilesFunction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  const int64_t bytes_max = arguments.Integer(1, "bytesMax", 1, kMessageBytesMost);
  if (arguments.failed()) return env.Undefined();
  Result<DescriptorMessage> message = ReceiveDescriptors(fd, static_cast<size_t>(bytes_max));
  if (!message.ok()) {
    if (message.failure().error == EAGAIN) return env.Null();
    ThrowFailure(env, message.failure(), Numbered(fd));
    return env.Undefined();
  }
  const std::vector<uint8_t>& bytes = message.value().bytes;
  Napi::Array ids = Napi::Array::New(env);
  uint32_t count = 0;
  for (Descriptor& descriptor : message.value().descriptors) {
    Result<int> id = jbus::AdoptMemoryFile(std::move(descriptor));
    if (!id.ok()) {
      for (uint32_t i = 0; i < count; i++) {
        (void)jbus::CloseMemoryFile(ids.Get(i).As<Napi::Number>().Int32Value());
      }
      ThrowFailure(env, id.failure(), "memory file from " + Numbered(fd));
      return env.Undefined();
    }
    ids.Set(count++, Napi::Number::New(env, id.value()));
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("bytes", Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size()));
  result.Set("ids", ids);
  return result;
}

}  // namespace

void ExportLocalStreamFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("socketPair", Napi::Function::New<SocketPairFunction>(env, "socketPair"));
  exports.Set("connectUnix", Napi::Function::New<ConnectUnixFunction>(env, "connectUnix"));
  exports.Set("acceptUnix", Napi::Function::New<AcceptUnixFunction>(env, "acceptUnix"));
  exports.Set("userBehind", Napi::Function::New<UserBehindFunction>(env, "userBehind"));
  exports.Set("createMemoryFile", Napi::Function::New<CreateMemoryFileFunction>(env, "createMemoryFile"));
  exports.Set("closeMemoryFile", Napi::Function::New<CloseMemoryFileFunction>(env, "closeMemoryFile"));
  exports.Set("sendMemoryFiles", Napi::Function::New<SendMemoryFilesFunction>(env, "sendMemoryFiles"));
  exports.Set("receiveMemoryFiles", Napi::Function::New<ReceiveMemoryFilesFunction>(env, "receiveMemoryFiles"));
}

}  // namespace reactor_net
