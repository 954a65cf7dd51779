#include "core/event_fd.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace reactor_net {

Result<int> CreateEventFd() {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return Failure::Last("eventfd");
  return fd;
}

Failure SignalEventFd(int fd) {
  const uint64_t one = 1;
  while (write(fd, &one, sizeof one) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) break;
    return Failure::Last("write");
  }
  return Failure::None();
}

Result<bool> DrainEventFd(int fd) {
  uint64_t count = 0;
  while (read(fd, &count, sizeof count) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return false;
    return Failure::Last("read");
  }
  return true;
}

Result<bool> IsEventFd(int fd) {
  if (fcntl(fd, F_GETFD) < 0) return Failure::Last("fcntl");
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  char target[64] = {};
  if (readlink(link.c_str(), target, sizeof target - 1) < 0) return true;
  return std::strcmp(target, "anon_inode:[eventfd]") == 0;
}

}  // namespace reactor_net
