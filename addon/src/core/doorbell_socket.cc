#include "core/doorbell_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

namespace reactor_net {

Heard HearBell(int fd) {
  uint8_t bytes[1024];
  Heard heard = Heard::kNothing;
  for (;;) {
    const ssize_t count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count == 0) return Heard::kGone;
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? heard : Heard::kGone;
    }
    heard = Heard::kRung;
    // Less than there was room for: the socket is empty, and a second call to find that out is saved.
    if (static_cast<size_t>(count) < sizeof bytes) return heard;
  }
}

Heard AwaitBell(int fd, int timeout_ms) {
  pollfd wanted = {fd, POLLIN, 0};
  const int ready = poll(&wanted, 1, timeout_ms);  // a signal ends it early: the caller looks and waits again
  return ready > 0 ? HearBell(fd) : Heard::kNothing;
}

void RingBell(int fd) {
  const uint8_t bell = 1;
  while (send(fd, &bell, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

bool IsListening(int fd) {
  int listening = 0;
  socklen_t bytes = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) == 0 && listening != 0;
}

}  // namespace reactor_net
