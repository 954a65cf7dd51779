#include "core/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace reactor_net {
namespace {

struct Option {
  std::string_view name;
  int level;
  int number;
};

constexpr Option kOptions[] = {
    {"noDelay", IPPROTO_TCP, TCP_NODELAY},
    {"keepAlive", SOL_SOCKET, SO_KEEPALIVE},
    {"keepAliveIdleSeconds", IPPROTO_TCP, TCP_KEEPIDLE},
    {"keepAliveIntervalSeconds", IPPROTO_TCP, TCP_KEEPINTVL},
    {"keepAliveCount", IPPROTO_TCP, TCP_KEEPCNT},
    {"userTimeoutMs", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"fastOpen", IPPROTO_TCP, TCP_FASTOPEN},
    {"quickAck", IPPROTO_TCP, TCP_QUICKACK},
    {"deferAcceptSeconds", IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {"cork", IPPROTO_TCP, TCP_CORK},
    {"notSentLowWaterBytes", IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {"lingerSeconds", SOL_SOCKET, SO_LINGER},
    {"receiveBufferBytes", SOL_SOCKET, SO_RCVBUF},
    {"sendBufferBytes", SOL_SOCKET, SO_SNDBUF},
    {"reusePort", SOL_SOCKET, SO_REUSEPORT},
    {"incomingCpu", SOL_SOCKET, SO_INCOMING_CPU},
};

const Option* Find(std::string_view name) {
  for (const Option& option : kOptions) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

/** The one option whose value is a struct. */
bool IsLinger(const Option& option) { return option.level == SOL_SOCKET && option.number == SO_LINGER; }

}  // namespace

bool IsSocketOption(std::string_view name) { return Find(name) != nullptr; }

std::vector<std::string_view> SocketOptionNames() {
  std::vector<std::string_view> names;
  for (const Option& option : kOptions) names.push_back(option.name);
  return names;
}

Failure SetSocketOption(int fd, std::string_view name, int value) {
  const Option* option = Find(name);
  if (option == nullptr) return Failure{EINVAL, "setsockopt"};
  const linger lingering = {value >= 0, value >= 0 ? value : 0};
  const bool is_linger = IsLinger(*option);
  const void* content = is_linger ? static_cast<const void*>(&lingering) : &value;
  const socklen_t bytes = is_linger ? sizeof lingering : sizeof value;
  if (setsockopt(fd, option->level, option->number, content, bytes) == 0) return Failure::None();
  return Failure::Last("setsockopt");
}

Result<int> GetSocketOption(int fd, std::string_view name) {
  const Option* option = Find(name);
  if (option == nullptr) return Failure{EINVAL, "getsockopt"};
  if (IsLinger(*option)) {
    linger lingering = {};
    socklen_t bytes = sizeof lingering;
    if (getsockopt(fd, option->level, option->number, &lingering, &bytes) != 0) return Failure::Last("getsockopt");
    return lingering.l_onoff != 0 ? lingering.l_linger : -1;
  }
  int value = 0;
  socklen_t bytes = sizeof value;
  if (getsockopt(fd, option->level, option->number, &value, &bytes) != 0) return Failure::Last("getsockopt");
  return value;
}

}  // namespace reactor_net
