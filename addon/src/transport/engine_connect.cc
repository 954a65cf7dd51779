// The connecting half of Engine: a socket on its way is a slot like any other, whose output waits.
#include <sys/socket.h>

#include <cerrno>

#include "core/descriptor.h"
#include "transport/engine.h"

namespace reactor_net {

Result<uint32_t> Engine::ConnectTcp(const std::string& host, int port, uint32_t framing) {
  const std::optional<SocketAddress> address = SocketAddress::Numeric(host, port);
  if (!address) return Failure{EINVAL, "getaddrinfo"};
  return StartConnect(*address, framing);
}

Result<uint32_t> Engine::ConnectUnix(const std::string& path, uint32_t framing) {
  const std::optional<SocketAddress> address = SocketAddress::Unix(path);
  if (!address) return Failure{EINVAL, "connect"};
  return StartConnect(*address, framing);
}

Result<uint32_t> Engine::StartConnect(const SocketAddress& address, uint32_t framing) {
  Descriptor descriptor(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (descriptor.get() < 0) return Failure::Last("socket");
  const bool connected = connect(descriptor.get(), address.get(), address.bytes()) == 0;
  if (!connected && errno != EINPROGRESS) return Failure::Last("connect");
  const Slot::State state = connected ? Slot::State::kOpen : Slot::State::kConnecting;
  Result<uint32_t> entered = Enter(descriptor.get(), state, framing);
  if (!entered.ok()) return entered;
  const uint32_t number = entered.value();
  Slot& slot = slots_[number];
  descriptor.Release();
  if (connected) {
    ReportLater(number, EventType::kConnected, 0);
  } else {
    Watch(number, slot);
  }
  return number;
}

void Engine::FinishConnect(uint32_t number, Slot& slot) {
  const int error = PendingSocketError(slot.fd);
  if (error != 0) {
    Fail(number, slot, error);
    return;
  }
  slot.state = Slot::State::kOpen;
  events_.Append(EventType::kConnected, number, 0, 0, 0);
  ShowStatus(number, slot);
  if (!slot.output.empty()) Drain(number, slot);
  if (slot.state != Slot::State::kOpen) return;
  if (slot.shutdown_wanted) FinishShutdown(number, slot);
  Unsettle(number, slot);
}

}  // namespace reactor_net
