#include "core/descriptor.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace reactor_net {

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

int Descriptor::Release() { return std::exchange(fd_, -1); }

Result<int> DuplicateDescriptor(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return Failure::Last("fcntl");
  return copy;
}

Failure SetNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return Failure::Last("fcntl");
  return Failure::None();
}

Failure SetCloseOnExec(int fd) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return Failure::Last("fcntl");
  return Failure::None();
}

Failure CloseDescriptor(int fd) {
  if (close(fd) == 0 || errno == EINTR) return Failure::None();
  return Failure::Last("close");
}

Result<int> ReadableBytes(int fd) {
  int bytes = 0;
  if (ioctl(fd, FIONREAD, &bytes) != 0) return Failure::Last("ioctl");
  return bytes;
}

Result<ino_t> SocketInode(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return Failure::Last("fstat");
  if (!S_ISSOCK(status.st_mode)) return Failure{ENOTSOCK, "fstat"};
  return status.st_ino;
}

Result<bool> CloseSocketIf(int fd, ino_t inode) {
  Result<ino_t> found = SocketInode(fd);
  if (!found.ok()) {
    const int error = found.failure().error;
    if (error == EBADF || error == ENOTSOCK) return false;
    return found.failure();
  }
  if (found.value() != inode) return false;
  if (Failure failure = CloseDescriptor(fd)) return failure;
  return true;
}

}  // namespace reactor_net
