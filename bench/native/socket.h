// Sockets and epoll for the runs: each class owns one descriptor and closes it.

#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "options.h"

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

/** Numeric host only; returns false when it is not one. */
bool parse_address(const Options& options, Address& address);

/**
 * A non-blocking socket whose connection is under way, TCP_NODELAY set; empty on failure (errno).
 * To a server on 127.0.0.0/8 a `visit` above 0 comes from one of 250 addresses there, in turn: connections
 * that come and go by the thousand would use up the ports of a single one.
 */
Fd start_connect(const Address& address, uint64_t visit = 0);

/** The outcome of a connection that became writable: 0 or an errno. */
int connect_result(int fd);

class Epoll {
 public:
  Epoll();
  bool add(int fd, uint32_t events, uint32_t index);
  void modify(int fd, uint32_t events, uint32_t index);
  void remove(int fd);
  /** Waits until `deadline_ns` (monotonic) at most; returns how many of `events()` are filled. */
  int wait(int64_t deadline_ns);
  const epoll_event& event(int position) const { return events_[static_cast<size_t>(position)]; }

 private:
  Fd fd_;
  std::vector<epoll_event> events_;
};

/** Bytes waiting to be written to one socket; memory is kept between uses. */
class Output {
 public:
  /** Room for `bytes` more at the end; the caller fills it. */
  char* append(size_t bytes);
  bool empty() const { return begin_ == bytes_.size(); }
  /** Writes what the socket takes. Returns 0, or the errno that ended the connection. */
  int flush(int fd);

 private:
  std::vector<char> bytes_;
  size_t begin_ = 0;
};

/**
 * Opens `count` connections, at most 128 at a time so that no listen queue overflows.
 * Those that fail or miss the deadline are left out of the answer and counted in `errors`.
 */
std::vector<Fd> open_connections(const Options& options, const Address& address, int count,
                                 uint64_t& errors);
