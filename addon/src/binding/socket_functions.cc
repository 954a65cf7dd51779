#include "binding/socket_functions.h"

#include <limits>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "core/descriptor.h"
#include "core/event_fd.h"
#include "core/socket.h"

namespace reactor_net {
namespace {

constexpr int kIntMax = std::numeric_limits<int>::max();
constexpr int kDeferAcceptSecondsMax = 32767;
constexpr int64_t kSafeIntegerMax = (int64_t{1} << 53) - 1;

std::string Numbered(int fd) { return "fd " + std::to_string(fd); }

BindOptions ReadBindOptions(Arguments& arguments, Napi::Object options) {
  BindOptions result;
  result.host = arguments.RequiredText(options, "host");
  result.port = arguments.RequiredInteger(options, "port", 0, 65535);
  result.reuse_port = arguments.OptionalFlag(options, "reusePort", false);
  result.ipv6_only = arguments.OptionalFlag(options, "ipv6Only", false);
  return result;
}

/** False, with the error thrown, when the options cannot be used. */
bool CheckHost(Napi::Env env, const Arguments& arguments, const BindOptions& options) {
  if (arguments.failed()) return false;
  if (IsNumericHost(options.host)) return true;
  ThrowInvalidArgument(env, "host must be a numeric IPv4 or IPv6 address");
  return false;
}

Napi::Value BoundToJs(Napi::Env env, Result<BoundSocket> bound, const BindOptions& options) {
  if (!bound.ok()) {
    ThrowFailure(env, bound.failure(), options.host + " port " + std::to_string(options.port));
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("port", bound.value().port);
  result.Set("fd", HandOver(env, bound.value().descriptor));
  return result;
}

Napi::Value ListenTcpFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Napi::Object object = arguments.Options(0);
  ListenOptions options;
  options.bind = ReadBindOptions(arguments, object);
  options.backlog = arguments.RequiredInteger(object, "backlog", 1, kIntMax);
  options.fast_open = arguments.OptionalInteger(object, "fastOpen", 0, kIntMax, 0);
  options.defer_accept_seconds =
      arguments.OptionalInteger(object, "deferAcceptSeconds", 0, kDeferAcceptSecondsMax, 0);
  if (!CheckHost(info.Env(), arguments, options.bind)) return info.Env().Undefined();
  return BoundToJs(info.Env(), ListenTcp(options), options.bind);
}

Napi::Value BindUdpFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const BindOptions options = ReadBindOptions(arguments, arguments.Options(0));
  if (!CheckHost(info.Env(), arguments, options)) return info.Env().Undefined();
  return BoundToJs(info.Env(), BindUdp(options), options);
}

Napi::Value ConnectUdpFunction(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  BindOptions options;
  options.host = arguments.Text(0, "host");
  options.port = static_cast<int>(arguments.Integer(1, "port", 1, 65535));
  if (!CheckHost(env, arguments, options)) return env.Undefined();
  Result<Descriptor> connected = ConnectUdp(options.host, options.port);
  if (!connected.ok()) {
    ThrowFailure(env, connected.failure(), options.host + " port " + std::to_string(options.port));
    return env.Undefined();
  }
  return HandOver(env, connected.value());
}

Napi::Value DupFdFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return info.Env().Undefined();
  Result<int> copy = DuplicateDescriptor(fd);
  if (copy.ok()) return Napi::Number::New(info.Env(), copy.value());
  ThrowFailure(info.Env(), copy.failure(), Numbered(fd));
  return info.Env().Undefined();
}

Napi::Value CloseFdFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return info.Env().Undefined();
  if (Failure failure = CloseDescriptor(fd)) ThrowFailure(info.Env(), failure, Numbered(fd));
  return info.Env().Undefined();
}

Napi::Value ReadableBytesFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return info.Env().Undefined();
  Result<int> bytes = ReadableBytes(fd);
  if (bytes.ok()) return Napi::Number::New(info.Env(), bytes.value());
  ThrowFailure(info.Env(), bytes.failure(), Numbered(fd));
  return info.Env().Undefined();
}

Napi::Value SocketInodeFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return info.Env().Undefined();
  Result<ino_t> inode = SocketInode(fd);
  // The kernel numbers sockets with 32 bits, so a double holds every inode.
  if (inode.ok()) return Napi::Number::New(info.Env(), static_cast<double>(inode.value()));
  ThrowFailure(info.Env(), inode.failure(), Numbered(fd));
  return info.Env().Undefined();
}

Napi::Value CloseSocketIfFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  const int64_t inode = arguments.Integer(1, "inode", 0, kSafeIntegerMax);
  if (arguments.failed()) return info.Env().Undefined();
  Result<bool> closed = CloseSocketIf(fd, static_cast<ino_t>(inode));
  if (closed.ok()) return Napi::Boolean::New(info.Env(), closed.value());
  ThrowFailure(info.Env(), closed.failure(), Numbered(fd));
  return info.Env().Undefined();
}

Napi::Value EventFdFunction(const Napi::CallbackInfo& info) {
  Result<int> fd = CreateEventFd();
  if (fd.ok()) return Napi::Number::New(info.Env(), fd.value());
  ThrowFailure(info.Env(), fd.failure(), "new event descriptor");
  return info.Env().Undefined();
}

Napi::Value SignalEventFdFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return info.Env().Undefined();
  if (Failure failure = SignalEventFd(fd)) ThrowFailure(info.Env(), failure, Numbered(fd));
  return info.Env().Undefined();
}

}  // namespace

Napi::Value HandOver(Napi::Env env, Descriptor& descriptor) {
  Napi::Value fd = Napi::Number::New(env, descriptor.get());
  // An environment that is ending could not take the number: then the descriptor closes it here.
  if (!env.IsExceptionPending()) descriptor.Release();
  return fd;
}

void ExportSocketFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("listenTcp", Napi::Function::New<ListenTcpFunction>(env, "listenTcp"));
  exports.Set("bindUdp", Napi::Function::New<BindUdpFunction>(env, "bindUdp"));
  exports.Set("connectUdp", Napi::Function::New<ConnectUdpFunction>(env, "connectUdp"));
  exports.Set("dupFd", Napi::Function::New<DupFdFunction>(env, "dupFd"));
  exports.Set("closeFd", Napi::Function::New<CloseFdFunction>(env, "closeFd"));
  exports.Set("readableBytes", Napi::Function::New<ReadableBytesFunction>(env, "readableBytes"));
  exports.Set("socketInode", Napi::Function::New<SocketInodeFunction>(env, "socketInode"));
  exports.Set("closeSocketIf", Napi::Function::New<CloseSocketIfFunction>(env, "closeSocketIf"));
  exports.Set("eventFd", Napi::Function::New<EventFdFunction>(env, "eventFd"));
  exports.Set("signalEventFd", Napi::Function::New<SignalEventFdFunction>(env, "signalEventFd"));
}

}  // namespace reactor_net
