// Two connected TCP sockets over loopback, for tests that need a real connection.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"
#include "core/descriptor.h"
#include "core/socket.h"

namespace reactor_net {

struct TcpPair {
  Descriptor client;
  Descriptor server;
};

inline TcpPair ConnectPair() {
  ListenOptions options;
  options.bind.host = "127.0.0.1";
  Result<BoundSocket> listener = ListenTcp(options);
  CHECK(listener.ok());
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(listener.value().port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(client.get() >= 0);
  // Blocking: once connect returns, the handshake is over and accept has something to take.
  CHECK(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  Descriptor server(accept4(listener.value().descriptor.get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(server.get() >= 0);
  return {std::move(client), std::move(server)};
}

}  // namespace reactor_net
