// core/socket: what may share a port, dual stack, and that no failure leaves a socket behind.
#include "core/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "check.h"

using namespace reactor_net;

namespace {

ListenOptions On(const char* host, int port, bool reuse_port) {
  ListenOptions options;
  options.bind.host = host;
  options.bind.port = port;
  options.bind.reuse_port = reuse_port;
  return options;
}

/** The number the next descriptor would get: unchanged means nothing leaked. */
int NextNumber() {
  const Descriptor probe(open("/dev/null", O_RDONLY | O_CLOEXEC));
  return probe.get();
}

void PortZeroPicksOne() {
  Result<BoundSocket> listener = ListenTcp(On("127.0.0.1", 0, false));
  CHECK(listener.ok() && listener.value().port > 0);
  const int fd = listener.value().descriptor.get();
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

void SharedPortNeedsBoth() {
  Result<BoundSocket> first = ListenTcp(On("127.0.0.1", 0, true));
  CHECK(first.ok());
  const int port = first.value().port;
  Result<BoundSocket> second = ListenTcp(On("127.0.0.1", port, true));
  CHECK(second.ok() && second.value().port == port);
  const int before = NextNumber();
  Result<BoundSocket> third = ListenTcp(On("127.0.0.1", port, false));
  CHECK(!third.ok() && third.failure().error == EADDRINUSE);
  CHECK(NextNumber() == before);
}

void UdpSharesToo() {
  BindOptions options;
  options.host = "127.0.0.1";
  options.reuse_port = true;
  Result<BoundSocket> first = BindUdp(options);
  CHECK(first.ok());
  options.port = first.value().port;
  CHECK(BindUdp(options).ok());
  options.reuse_port = false;
  CHECK(BindUdp(options).failure().error == EADDRINUSE);
}

bool AcceptsIpv4(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

void DualStackIsAChoice() {
  Result<BoundSocket> both = ListenTcp(On("::", 0, false));
  if (!both.ok() && both.failure().error == EAFNOSUPPORT) return;  // no IPv6 on this system
  CHECK(both.ok());
  CHECK(AcceptsIpv4(both.value().port));
  ListenOptions only = On("::1", 0, false);
  only.bind.ipv6_only = true;
  Result<BoundSocket> one = ListenTcp(only);
  if (!one.ok() && one.failure().error == EADDRNOTAVAIL) return;  // IPv6 without a loopback address
  CHECK(one.ok());
  CHECK(!AcceptsIpv4(one.value().port));
}

void NamesAreNotResolved() {
  CHECK(IsNumericHost("127.0.0.1") && IsNumericHost("::1") && IsNumericHost("0.0.0.0"));
  CHECK(!IsNumericHost("localhost") && !IsNumericHost("") && !IsNumericHost("127.0.0.1:80"));
  CHECK(ListenTcp(On("localhost", 0, false)).failure().error == EINVAL);
}

}  // namespace

int main() {
  Run("port 0 picks one; the socket is non-blocking and closed on exec", PortZeroPicksOne);
  Run("a TCP port is shared only when both ask, and a refusal leaks nothing", SharedPortNeedsBoth);
  Run("a UDP port is shared only when both ask", UdpSharesToo);
  Run("an IPv6 socket takes IPv4 unless told not to", DualStackIsAChoice);
  Run("a host name is refused, not resolved", NamesAreNotResolved);
}
