#include "binding/address_functions.h"

#include <limits>

#include "binding/arguments.h"
#include "binding/errors.h"
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
  Napi::Value fd = Napi::Number::New(env, listening.value().get());
  // An environment that is ending could not take the number: then the descriptor closes it here.
  if (!env.IsExceptionPending()) listening.value().Release();
  return fd;
}

Napi::Value AddressFunction(const Napi::CallbackInfo& info, Result<LocalAddress> (*find)(int fd)) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return env.Undefined();
  Result<LocalAddress> found = find(fd);
  if (!found.ok()) {
    ThrowFailure(env, found.failure(), "fd " + std::to_string(fd));
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

Napi::Value LocalAddressFunction(const Napi::CallbackInfo& info) { return AddressFunction(info, LocalAddressOf); }

Napi::Value RemoteAddressFunction(const Napi::CallbackInfo& info) { return AddressFunction(info, RemoteAddressOf); }

}  // namespace

void ExportAddressFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("listenUnix", Napi::Function::New<ListenUnixFunction>(env, "listenUnix"));
  exports.Set("localAddress", Napi::Function::New<LocalAddressFunction>(env, "localAddress"));
  exports.Set("remoteAddress", Napi::Function::New<RemoteAddressFunction>(env, "remoteAddress"));
}

}  // namespace reactor_net
