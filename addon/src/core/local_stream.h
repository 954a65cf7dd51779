// Connected Unix stream sockets between two processes: pairs, connecting and accepting, who the other end is, and
// descriptors that travel with bytes (SCM_RIGHTS). binding/local_stream_functions.cc calls it; doorbells ring over them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/descriptor.h"
#include "core/result.h"

namespace reactor_net {

/** Two ends, non-blocking and closed on exec. */
Result<std::pair<Descriptor, Descriptor>> SocketPair();

/** Connected, non-blocking and closed on exec. A leading NUL: an abstract name. EAGAIN when too many wait there. */
Result<Descriptor> ConnectUnix(const std::string& path);

/** The next connection, non-blocking and closed on exec; EAGAIN when none waits. */
Result<Descriptor> AcceptUnix(int fd);

/** The effective user of the process that connected, listened, or made the pair. */
Result<uid_t> UserBehind(int fd);

/** Descriptors that one message may carry. */
constexpr size_t kDescriptorsMost = 8;

struct DescriptorMessage {
  std::vector<uint8_t> bytes;
  std::vector<Descriptor> descriptors;  // closed on exec
};

/** Sends all of the bytes, at least one and few enough for the socket's buffer, with the descriptors on the first. */
Failure SendDescriptors(int fd, const uint8_t* bytes, size_t length, const std::vector<int>& descriptors);

/** Receives what one such call has sent, `length` bytes or fewer; EAGAIN when nothing came yet, 0 bytes: the end. */
Result<DescriptorMessage> ReceiveDescriptors(int fd, size_t length);

}  // namespace reactor_net
