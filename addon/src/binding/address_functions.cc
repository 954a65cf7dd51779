#include "binding/address_functions.h"

#include <netinet/in.h>

#include <cstring>
#include <limits>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/socket_functions.h"
#include "core/local_address.h"

namespace reactor_net {
namespace {

Napi::Value ListenUnixFunction(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  Napi::Object options = arguments.Options(0);
  const std::string path = arguments.RequiredText(options, "path");
  const int backlog = arguments.RequiredInteger(options, "backlog", 1, std::numeric_limits<int>::max());
  if (arguments.failed()) return env.Undefined();
  if (!IsUnixPath(path)) {
    ThrowInvalidArgument(env, "path must have 1 to 107 bytes");
    return env.Undefined();
  }
  Result<Descriptor> listening = ListenUnix(path, backlog);
  if (!listening.ok()) {
    ThrowFailure(env, listening.failure(), path);
    return env.Undefined();
  }
  return HandOver(env, listening.value());
}

Napi::Value AddressToJs(Napi::Env env, Result<LocalAddress> found, const std::string& subject) {
  if (!found.ok()) {
    ThrowFailure(env, found.failure(), subject);
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  const LocalAddress& address = found.value();
  if (address.is_unix) {
    result.Set("path", address.path);
  } else {
    result.Set("host", address.host);
    result.Set("port", address.port);
  }
  return result;
}

Napi::Value AddressFunction(const Napi::CallbackInfo& info, Result<LocalAddress> (*find)(int fd)) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return env.Undefined();
  return AddressToJs(env, find(fd), "fd " + std::to_string(fd));
}

Napi::Value LocalAddressFunction(const Napi::CallbackInfo& info) { return AddressFunction(info, LocalAddressOf); }

Napi::Value RemoteAddressFunction(const Napi::CallbackInfo& info) { return AddressFunction(info, RemoteAddressOf); }

Napi::Value ReadAddressFunction(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().ByteLength() != sizeof(sockaddr_in6)) {
    ThrowInvalidArgument(env, "words must be an Int32Array of DATAGRAM_ADDRESS_WORDS elements");
    return env.Undefined();
  }
  const Napi::TypedArray words = info[0].As<Napi::TypedArray>();
  sockaddr_storage storage = {};
  std::memcpy(&storage, static_cast<const uint8_t*>(words.ArrayBuffer().Data()) + words.ByteOffset(),
              sizeof(sockaddr_in6));
  if (storage.ss_family == AF_INET || storage.ss_family == AF_INET6) {
    return AddressToJs(env, AddressOf(storage, sizeof(sockaddr_in6)), "address words");
  }
  ThrowInvalidArgument(env, "words must be an IPv4 or IPv6 address");
  return env.Undefined();
}

}  // namespace

void ExportAddressFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("listenUnix", Napi::Function::New<ListenUnixFunction>(env, "listenUnix"));
  exports.Set("localAddress", Napi::Function::New<LocalAddressFunction>(env, "localAddress"));
  exports.Set("readAddress", Napi::Function::New<ReadAddressFunction>(env, "readAddress"));
  exports.Set("remoteAddress", Napi::Function::New<RemoteAddressFunction>(env, "remoteAddress"));
}

}  // namespace reactor_net
