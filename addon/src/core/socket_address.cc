#include "core/socket_address.h"

#include <netdb.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "core/local_address.h"

namespace reactor_net {

std::optional<SocketAddress> SocketAddress::Numeric(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() || getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return std::nullopt;
  }
  SocketAddress address;
  std::memcpy(&address.storage_, found->ai_addr, found->ai_addrlen);
  address.bytes_ = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

std::optional<SocketAddress> SocketAddress::Unix(const std::string& path) {
  if (!IsUnixPath(path)) return std::nullopt;
  SocketAddress address;
  auto* content = reinterpret_cast<sockaddr_un*>(&address.storage_);
  content->sun_family = AF_UNIX;
  std::memcpy(content->sun_path, path.data(), path.size());
  // An abstract name ends where the length says, a path with its NUL.
  address.bytes_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '\0' ? 0 : 1));
  return address;
}

int PendingSocketError(int fd) {
  int error = 0;
  socklen_t bytes = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return errno;
  return error;
}

}  // namespace reactor_net
