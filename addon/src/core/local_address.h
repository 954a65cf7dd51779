// Unix listening sockets, and the question where a socket is bound.
// binding/address_functions.cc calls it for servers that keep their listening descriptor themselves.
#pragma once

#include <sys/socket.h>

#include <string>

#include "core/descriptor.h"
#include "core/result.h"

namespace reactor_net {

/** Where a socket is bound: `path` for Unix sockets (a leading NUL: abstract), else `host` and `port`. */
struct LocalAddress {
  bool is_unix = false;
  std::string path;
  std::string host;
  int port = 0;
};

/** Whether a Unix address can hold the path. */
bool IsUnixPath(const std::string& path);

/** A listening Unix stream socket, non-blocking and closed on exec. The path must not exist. */
Result<Descriptor> ListenUnix(const std::string& path, int backlog);

/** What the kernel wrote: a Unix address, or IPv4 or IPv6; a link-local one names its interface, as in Node. */
Result<LocalAddress> AddressOf(const sockaddr_storage& storage, socklen_t bytes);

Result<LocalAddress> LocalAddressOf(int fd);

/** Where the other end is bound; ENOTCONN when there is none. */
Result<LocalAddress> RemoteAddressOf(int fd);

}  // namespace reactor_net
