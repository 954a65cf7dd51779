// core/socket_options and core/tcp_info on a real connection.
#include "core/socket_options.h"

#include <unistd.h>

#include "check.h"
#include "core/tcp_info.h"
#include "tcp_pair.h"

using namespace reactor_net;

namespace {

void OptionsReadBack() {
  const TcpPair pair = ConnectPair();
  const int fd = pair.client.get();
  const struct {
    const char* name;
    int value;
  } kCases[] = {{"noDelay", 1},        {"keepAlive", 1},
                {"keepAliveIdleSeconds", 30}, {"keepAliveIntervalSeconds", 5},
                {"keepAliveCount", 4}, {"userTimeoutMs", 15000},
                {"notSentLowWaterBytes", 16384}, {"lingerSeconds", 0},
                {"lingerSeconds", -1}, {"cork", 1}};
  for (const auto& each : kCases) {
    CHECK(!SetSocketOption(fd, each.name, each.value));
    CHECK(GetSocketOption(fd, each.name).value() == each.value);
  }
}

void EveryNameIsReadable() {
  const TcpPair pair = ConnectPair();
  for (const std::string_view name : SocketOptionNames()) {
    CHECK(IsSocketOption(name));
    CHECK(GetSocketOption(pair.client.get(), name).ok());
  }
}

void MistakesAreTold() {
  CHECK(!IsSocketOption("nodelay"));
  CHECK(SetSocketOption(0, "nodelay", 1).error == EINVAL);
  CHECK(GetSocketOption(9999, "noDelay").failure().error == EBADF);
  const TcpPair pair = ConnectPair();
  CHECK(SetSocketOption(pair.client.get(), "keepAliveCount", 100'000).error == EINVAL);
}

void InfoCountsBytes() {
  const TcpPair pair = ConnectPair();
  char bytes[1000] = {};
  CHECK(write(pair.client.get(), bytes, sizeof bytes) == sizeof bytes);
  size_t got = 0;
  while (got < sizeof bytes) {
    const ssize_t n = read(pair.server.get(), bytes, sizeof bytes - got);
    CHECK(n > 0);
    got += static_cast<size_t>(n);
  }
  Result<TcpInfo> client = ReadTcpInfo(pair.client.get());
  Result<TcpInfo> server = ReadTcpInfo(pair.server.get());
  CHECK(client.ok() && server.ok());
  CHECK(client.value().state == "established");
  CHECK(client.value().bytes_sent == sizeof bytes);
  CHECK(server.value().bytes_received == sizeof bytes);
  CHECK(client.value().send_mss > 0 && client.value().congestion_window > 0);
}

}  // namespace

int main() {
  Run("options read back as they were set", OptionsReadBack);
  Run("every name in the table can be read from a TCP socket", EveryNameIsReadable);
  Run("an unknown name, a free number and an impossible value are told", MistakesAreTold);
  Run("tcp_info counts the bytes of a connection on both sides", InfoCountsBytes);
}
