#include "binding/option_functions.h"

#include <limits>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "core/socket_options.h"
#include "core/tcp_info.h"

namespace reactor_net {
namespace {

/** Reads argument 1; an unknown name is answered with the list of known ones. */
std::string ReadOptionName(Napi::Env env, Arguments& arguments, bool* known) {
  const std::string name = arguments.Text(1, "name");
  *known = !arguments.failed() && IsSocketOption(name);
  if (arguments.failed() || *known) return name;
  std::string list;
  for (const std::string_view each : SocketOptionNames()) list.append(list.empty() ? "" : ", ").append(each);
  ThrowInvalidArgument(env, "name must be one of " + list);
  return name;
}

Napi::Value SetSocketOptionFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  const int64_t value = arguments.Integer(2, "value", -1, std::numeric_limits<int>::max());
  bool known = false;
  const std::string name = ReadOptionName(info.Env(), arguments, &known);
  if (!known) return info.Env().Undefined();
  if (Failure failure = SetSocketOption(fd, name, static_cast<int>(value))) {
    ThrowFailure(info.Env(), failure, name + " of fd " + std::to_string(fd));
  }
  return info.Env().Undefined();
}

Napi::Value GetSocketOptionFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  bool known = false;
  const std::string name = ReadOptionName(info.Env(), arguments, &known);
  if (!known) return info.Env().Undefined();
  Result<int> value = GetSocketOption(fd, name);
  if (value.ok()) return Napi::Number::New(info.Env(), value.value());
  ThrowFailure(info.Env(), value.failure(), name + " of fd " + std::to_string(fd));
  return info.Env().Undefined();
}

Napi::Value TcpInfoFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.Descriptor(0);
  if (arguments.failed()) return info.Env().Undefined();
  Result<TcpInfo> read = ReadTcpInfo(fd);
  if (!read.ok()) {
    ThrowFailure(info.Env(), read.failure(), "TCP information of fd " + std::to_string(fd));
    return info.Env().Undefined();
  }
  const TcpInfo& tcp = read.value();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("state", std::string(tcp.state));
  const auto set = [&result](const char* name, double value) { result.Set(name, value); };
  set("rttUs", tcp.rtt_us);
  set("rttVarUs", tcp.rtt_var_us);
  set("minRttUs", tcp.min_rtt_us);
  set("retransmits", tcp.retransmits);
  set("totalRetransmits", tcp.total_retransmits);
  set("congestionWindow", tcp.congestion_window);
  set("slowStartThreshold", tcp.slow_start_threshold);
  set("sendMss", tcp.send_mss);
  set("receiveMss", tcp.receive_mss);
  set("pathMtu", tcp.path_mtu);
  set("unacked", tcp.unacked);
  set("lost", tcp.lost);
  set("notSentBytes", tcp.not_sent_bytes);
  set("bytesSent", static_cast<double>(tcp.bytes_sent));
  set("bytesReceived", static_cast<double>(tcp.bytes_received));
  set("bytesAcked", static_cast<double>(tcp.bytes_acked));
  set("bytesRetransmitted", static_cast<double>(tcp.bytes_retransmitted));
  set("deliveryRateBytesPerSecond", static_cast<double>(tcp.delivery_rate));
  return result;
}

}  // namespace

void ExportOptionFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("setSocketOption", Napi::Function::New<SetSocketOptionFunction>(env, "setSocketOption"));
  exports.Set("getSocketOption", Napi::Function::New<GetSocketOptionFunction>(env, "getSocketOption"));
  exports.Set("tcpInfo", Napi::Function::New<TcpInfoFunction>(env, "tcpInfo"));
}

}  // namespace reactor_net
