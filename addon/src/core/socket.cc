#include "core/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <optional>

#include "core/socket_address.h"

namespace reactor_net {
namespace {

Failure SetOption(int fd, int level, int name, int value) {
  if (setsockopt(fd, level, name, &value, sizeof value) == 0) return Failure::None();
  return Failure::Last("setsockopt");
}

/** A socket of `type` with the options that have to be set before bind, bound. */
Result<Descriptor> OpenAndBind(int type, const BindOptions& options) {
  const std::optional<SocketAddress> address = SocketAddress::Numeric(options.host, options.port);
  if (!address) return Failure{EINVAL, "getaddrinfo"};
  const int family = address->family();
  Descriptor descriptor(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = descriptor.get();
  if (fd < 0) return Failure::Last("socket");
  // A TCP port in TIME_WAIT may be taken at once; for UDP the option would let two sockets share a port.
  if (type == SOCK_STREAM) {
    if (Failure failure = SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return failure;
  }
  if (options.reuse_port) {
    if (Failure failure = SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return failure;
  }
  if (family == AF_INET6) {
    if (Failure failure = SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6_only)) return failure;
  }
  if (bind(fd, address->get(), address->bytes()) != 0) return Failure::Last("bind");
  return descriptor;
}

Result<int> BoundPort(int fd) {
  sockaddr_storage address = {};
  socklen_t bytes = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) return Failure::Last("getsockname");
  // sin_port and sin6_port lie at the same offset.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Result<BoundSocket> WithPort(Descriptor descriptor) {
  Result<int> port = BoundPort(descriptor.get());
  if (!port.ok()) return port.failure();
  return BoundSocket{std::move(descriptor), port.value()};
}

}  // namespace

bool IsNumericHost(const std::string& host) { return SocketAddress::Numeric(host, 0).has_value(); }

Result<BoundSocket> ListenTcp(const ListenOptions& options) {
  Result<Descriptor> opened = OpenAndBind(SOCK_STREAM, options.bind);
  if (!opened.ok()) return opened.failure();
  const int fd = opened.value().get();
  if (options.fast_open > 0) {
    if (Failure failure = SetOption(fd, IPPROTO_TCP, TCP_FASTOPEN, options.fast_open)) return failure;
  }
  if (options.defer_accept_seconds > 0) {
    if (Failure failure = SetOption(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options.defer_accept_seconds)) {
      return failure;
    }
  }
  if (listen(fd, options.backlog) != 0) return Failure::Last("listen");
  return WithPort(std::move(opened.value()));
}

Result<BoundSocket> BindUdp(const BindOptions& options) {
  Result<Descriptor> opened = OpenAndBind(SOCK_DGRAM, options);
  if (!opened.ok()) return opened.failure();
  return WithPort(std::move(opened.value()));
}

Result<Descriptor> ConnectUdp(const std::string& host, int port) {
  const std::optional<SocketAddress> address = SocketAddress::Numeric(host, port);
  if (!address) return Failure{EINVAL, "getaddrinfo"};
  Descriptor descriptor(socket(address->family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (descriptor.get() < 0) return Failure::Last("socket");
  if (connect(descriptor.get(), address->get(), address->bytes()) != 0) return Failure::Last("connect");
  return descriptor;
}

}  // namespace reactor_net
