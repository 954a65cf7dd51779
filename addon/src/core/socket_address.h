// One socket address as the kernel takes it: numeric IPv4 or IPv6 with a port, or a Unix path.
// core/socket.cc binds to it, the transport connects to it. Names are not resolved.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

namespace reactor_net {

class SocketAddress {
 public:
  /** Nothing when `host` is not a numeric address. */
  static std::optional<SocketAddress> Numeric(const std::string& host, int port);
  /** A leading NUL makes it an abstract name. Nothing when the path does not fit. */
  static std::optional<SocketAddress> Unix(const std::string& path);

  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t bytes() const { return bytes_; }

 private:
  SocketAddress() = default;

  sockaddr_storage storage_ = {};
  socklen_t bytes_ = 0;
};

/** Takes the error that waits on a socket; 0 when there is none. */
int PendingSocketError(int fd);

}  // namespace reactor_net
