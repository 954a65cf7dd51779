#include "core/local_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "core/socket_address.h"

namespace reactor_net {
namespace {

constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);

LocalAddress FromUnix(const sockaddr_storage& storage, socklen_t bytes) {
  LocalAddress address;
  address.is_unix = true;
  if (bytes <= kPathOffset) return address;  // unnamed
  const char* path = reinterpret_cast<const sockaddr_un*>(&storage)->sun_path;
  const size_t path_bytes = bytes - kPathOffset;
  // Abstract names start with NUL and may hold more of them; paths end at the first.
  address.path = path[0] == '\0' ? std::string(path, path_bytes) : std::string(path, strnlen(path, path_bytes));
  return address;
}

std::string InterfaceSuffix(const sockaddr_in6& address) {
  char name[IF_NAMESIZE] = {};
  if (!IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr) || if_indextoname(address.sin6_scope_id, name) == nullptr) return "";
  return std::string("%") + name;
}

}  // namespace

bool IsUnixPath(const std::string& path) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) return false;
  return path[0] == '\0' ? path.size() > 1 : path.find('\0') == std::string::npos;
}

Result<Descriptor> ListenUnix(const std::string& path, int backlog) {
  const std::optional<SocketAddress> address = SocketAddress::Unix(path);
  if (!address) return Failure{EINVAL, "bind"};
  Descriptor descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (descriptor.get() < 0) return Failure::Last("socket");
  if (bind(descriptor.get(), address->get(), address->bytes()) != 0) return Failure::Last("bind");
  if (listen(descriptor.get(), backlog) != 0) return Failure::Last("listen");
  return descriptor;
}

Result<LocalAddress> AddressOf(const sockaddr_storage& storage, socklen_t bytes) {
  if (storage.ss_family == AF_UNIX) return FromUnix(storage, bytes);
  LocalAddress address;
  char host[INET6_ADDRSTRLEN] = {};
  const bool is_ipv6 = storage.ss_family == AF_INET6;
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  const void* raw = is_ipv6 ? static_cast<const void*>(&v6->sin6_addr) : static_cast<const void*>(&v4->sin_addr);
  if (inet_ntop(storage.ss_family, raw, host, sizeof host) == nullptr) return Failure::Last("inet_ntop");
  address.host = host;
  if (is_ipv6) address.host += InterfaceSuffix(*v6);
  // sin_port and sin6_port lie at the same offset.
  address.port = ntohs(v4->sin_port);
  return address;
}

Result<LocalAddress> LocalAddressOf(int fd) {
  sockaddr_storage storage = {};
  socklen_t bytes = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &bytes) != 0) return Failure::Last("getsockname");
  return AddressOf(storage, bytes);
}

Result<LocalAddress> RemoteAddressOf(int fd) {
  sockaddr_storage storage = {};
  socklen_t bytes = sizeof storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &bytes) != 0) return Failure::Last("getpeername");
  return AddressOf(storage, bytes);
}

}  // namespace reactor_net
