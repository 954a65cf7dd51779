#include "core/local_stream.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "core/socket_address.h"

namespace reactor_net {
namespace {

constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

template <typename Call>
auto Retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

Result<std::pair<Descriptor, Descriptor>> SocketPair() {
  int fds[2] = {-1, -1};
  if (socketpair(AF_UNIX, kType, 0, fds) != 0) return Failure::Last("socketpair");
  return std::pair<Descriptor, Descriptor>(fds[0], fds[1]);
}

Result<Descriptor> ConnectUnix(const std::string& path) {
  const std::optional<SocketAddress> address = SocketAddress::Unix(path);
  if (!address) return Failure{EINVAL, "connect"};
  Descriptor descriptor(socket(AF_UNIX, kType, 0));
  if (descriptor.get() < 0) return Failure::Last("socket");
  if (Retry([&] { return connect(descriptor.get(), address->get(), address->bytes()); }) != 0) {
    return Failure::Last("connect");
  }
  return descriptor;
}

Result<Descriptor> AcceptUnix(int fd) {
  Descriptor descriptor(Retry([&] { return accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }));
  if (descriptor.get() < 0) return Failure::Last("accept4");
  return descriptor;
}

Result<uid_t> UserBehind(int fd) {
  ucred credentials = {};
  socklen_t bytes = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return Failure::Last("getsockopt");
  return credentials.uid;
}

Failure SendDescriptors(int fd, const uint8_t* bytes, size_t length, const std::vector<int>& descriptors) {
  if (length == 0 || descriptors.size() > kDescriptorsMost) return Failure{EINVAL, "sendmsg"};
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * kDescriptorsMost)] = {};
  iovec part = {const_cast<uint8_t*>(bytes), length};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const size_t carried = sizeof(int) * descriptors.size();
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(carried);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(carried);
    std::memcpy(CMSG_DATA(header), descriptors.data(), carried);
  }
  const ssize_t sent = Retry([&] { return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (sent < 0) return Failure::Last("sendmsg");
  // The rest would come without its descriptors; so few bytes go whole unless the socket is full of others.
  if (static_cast<size_t>(sent) < length) return Failure{ENOBUFS, "sendmsg"};
  return Failure::None();
}

Result<DescriptorMessage> ReceiveDescriptors(int fd, size_t length) {
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * kDescriptorsMost)] = {};
  DescriptorMessage received;
  received.bytes.resize(length);
  iovec part = {received.bytes.data(), length};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t bytes = Retry([&] { return recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); });
  if (bytes < 0) return Failure::Last("recvmsg");
  received.bytes.resize(static_cast<size_t>(bytes));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int carried = -1;
      std::memcpy(&carried, CMSG_DATA(header) + i * sizeof(int), sizeof carried);
      received.descriptors.emplace_back(carried);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) return Failure{EMSGSIZE, "recvmsg"};
  return received;
}

}  // namespace reactor_net
