// System calls behind socket.h; what to do about a failure is the run's business.

#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "clock.h"

namespace {

bool is_loopback_v4(const Address& address) {
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  return v4->sin_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

// Should it fail, the connection comes from the usual address.
void bind_source(int fd, uint64_t visit) {
  const int on = 1;
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(0x7f000002u + static_cast<uint32_t>(visit % 250));
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Fd::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool parse_address(const Options& options, Address& address) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, options.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(options.port);
    address.length = sizeof *v4;
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, options.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(options.port);
    address.length = sizeof *v6;
    return true;
  }
  return false;
}

Fd start_connect(const Address& address, uint64_t visit) {
  Fd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fd;
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (visit > 0 && is_loopback_v4(address)) bind_source(fd.get(), visit);
  const int status = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length);
  if (status != 0 && errno != EINPROGRESS) return Fd();
  return fd;
}

int connect_result(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

Epoll::Epoll() : fd_(epoll_create1(EPOLL_CLOEXEC)), events_(512) {}

bool Epoll::add(int fd, uint32_t events, uint32_t index) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = index;
  return epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Epoll::modify(int fd, uint32_t events, uint32_t index) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = index;
  epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Epoll::remove(int fd) { epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

int Epoll::wait(int64_t deadline_ns) {
  const int64_t left = std::max<int64_t>(0, deadline_ns - now_ns());
  const timespec timeout{static_cast<time_t>(left / 1'000'000'000),
                         static_cast<long>(left % 1'000'000'000)};
  int count = epoll_pwait2(fd_.get(), events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
  // Kernels before 5.11 know milliseconds only.
  if (count < 0 && errno == ENOSYS) {
    count = epoll_wait(fd_.get(), events_.data(), static_cast<int>(events_.size()),
                       static_cast<int>(std::min<int64_t>(left / 1'000'000, 60'000)));
  }
  return std::max(count, 0);
}

char* Output::append(size_t bytes) {
  const size_t end = bytes_.size();
  bytes_.resize(end + bytes);
  return bytes_.data() + end;
}

int Output::flush(int fd) {
  while (begin_ < bytes_.size()) {
    const ssize_t written = send(fd, bytes_.data() + begin_, bytes_.size() - begin_, MSG_NOSIGNAL);
    if (written < 0) return errno == EAGAIN || errno == EINTR ? 0 : errno;
    begin_ += static_cast<size_t>(written);
  }
  bytes_.clear();
  begin_ = 0;
  return 0;
}

std::vector<Fd> open_connections(const Options& options, const Address& address, int count,
                                 uint64_t& errors) {
  constexpr int kUnderWayMax = 128;
  const int64_t deadline = now_ns() + seconds_ns(options.connect_timeout_s);
  Epoll epoll;
  std::vector<Fd> pending(static_cast<size_t>(count));
  std::vector<Fd> open;
  int started = 0;
  int under_way = 0;
  while ((started < count || under_way > 0) && now_ns() < deadline) {
    while (started < count && under_way < kUnderWayMax) {
      const auto slot = static_cast<uint32_t>(started);
      started += 1;
      pending[slot] = start_connect(address, slot + 1);
      const bool begun = pending[slot] && epoll.add(pending[slot].get(), EPOLLOUT, slot);
      if (begun) under_way += 1;
      else errors += 1;
    }
    const int ready = epoll.wait(deadline);
    for (int position = 0; position < ready; position += 1) {
      Fd& fd = pending[epoll.event(position).data.u32];
      under_way -= 1;
      epoll.remove(fd.get());
      if (connect_result(fd.get()) == 0) open.push_back(std::move(fd));
      else errors += 1;
      fd.reset();
    }
  }
  errors += static_cast<uint64_t>(under_way + (count - started));
  return open;
}
