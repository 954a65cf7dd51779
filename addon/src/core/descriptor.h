// Owns one file descriptor and closes it unless it was released.
// socket.cc and the C++ tests hold half-made sockets in it, so that no error path leaks one.
#pragma once

#include <sys/types.h>

#include "core/result.h"

namespace reactor_net {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  int get() const { return fd_; }
  /** Hands the number over; the caller closes it from now on. */
  int Release();

 private:
  int fd_;
};

/** A second number for the same open file, closed on exec. */
Result<int> DuplicateDescriptor(int fd);

/** Makes every system call on the open file return at once, whoever else has it open. */
Failure SetNonBlocking(int fd);

/** Keeps the descriptor out of programs that are started from now on. */
Failure SetCloseOnExec(int fd);

/** Closes once and never retries: after EINTR Linux has already released the number. */
Failure CloseDescriptor(int fd);

/** Bytes that a read of a socket or pipe would find. */
Result<int> ReadableBytes(int fd);

/** The inode of the socket behind `fd`; ENOTSOCK for any other kind of file. */
Result<ino_t> SocketInode(int fd);

/**
 * Closes `fd` if it is still the socket with this inode; false when the number is free or means another file.
 * The check and the close are two system calls: only the last owner of the number may call this.
 */
Result<bool> CloseSocketIf(int fd, ino_t inode);

}  // namespace reactor_net
