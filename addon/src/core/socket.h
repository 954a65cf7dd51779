// Makes bound sockets with the options Node 20 does not offer, SO_REUSEPORT above all.
// binding/socket_functions.cc calls it; the numbers go to net.Server, dgram.Socket or Datagrams, which then own them.
#pragma once

#include <string>

#include "core/descriptor.h"
#include "core/result.h"

namespace reactor_net {

struct BindOptions {
  std::string host;  // numeric, IPv4 or IPv6
  int port = 0;      // 0: the kernel picks
  bool reuse_port = false;
  bool ipv6_only = false;  // IPv6 only; false also accepts IPv4 on `::`
};

struct ListenOptions {
  BindOptions bind;
  int backlog = 511;             // the kernel caps it at net.core.somaxconn
  int fast_open = 0;             // queued SYNs with data; 0 leaves TCP Fast Open off
  int defer_accept_seconds = 0;  // accept only once data is there; 0 is off
};

struct BoundSocket {
  Descriptor descriptor;
  int port;
};

bool IsNumericHost(const std::string& host);

/** A listening TCP socket, non-blocking and closed on exec. */
Result<BoundSocket> ListenTcp(const ListenOptions& options);

/** A bound UDP socket, non-blocking and closed on exec. */
Result<BoundSocket> BindUdp(const BindOptions& options);

/** A UDP socket that talks to one numeric address only, non-blocking and closed on exec. */
Result<Descriptor> ConnectUdp(const std::string& host, int port);

}  // namespace reactor_net
