#include "transport/datagram_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace reactor_net {
namespace {

constexpr size_t kCacheLineBytes = 64;

/** Errors that a message which came back (ICMP) leaves on the socket, where the next call finds them. */
bool IsFromNetwork(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN ||
         error == ENONET || error == ENOPROTOOPT;
}

/** The kernel has no room now. ENOBUFS is the queue of the device, which libuv waits for in the same way. */
bool IsFull(int error) { return error == EAGAIN || error == ENOBUFS; }

Failure CheckIsDatagram(int fd) {
  int type = 0;
  socklen_t bytes = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) != 0) return Failure::Last("getsockopt");
  return type == SOCK_DGRAM ? Failure::None() : Failure{EPROTOTYPE, "getsockopt"};
}

socklen_t AddressBytes(const uint32_t* address) {
  sa_family_t family = AF_UNSPEC;
  std::memcpy(&family, address, sizeof family);
  if (family == AF_INET) return sizeof(sockaddr_in);
  return family == AF_INET6 ? sizeof(sockaddr_in6) : 0;
}

}  // namespace

/** An odd number of cache lines: at 64 KiB apart all datagrams would fall into one set of the processor's cache. */
size_t DatagramSlotBytes(size_t datagram_bytes_max) {
  const size_t lines = (datagram_bytes_max + kCacheLineBytes - 1) / kCacheLineBytes;
  return (lines | 1) * kCacheLineBytes;
}

Result<std::unique_ptr<DatagramSocket>> DatagramSocket::Adopt(int fd, const DatagramMemory& memory,
                                                              DatagramBounds bounds) {
  if (Failure failure = CheckIsDatagram(fd)) return failure;
  // An inherited socket may have it; its error queue would be readable for ever, and nobody reads it here.
  const int off = 0;
  setsockopt(fd, IPPROTO_IP, IP_RECVERR, &off, sizeof off);
  setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &off, sizeof off);
  return std::unique_ptr<DatagramSocket>(new DatagramSocket(fd, memory, bounds));
}

DatagramSocket::DatagramSocket(int fd, const DatagramMemory& memory, DatagramBounds bounds)
    : descriptor_(fd),
      memory_(memory),
      bounds_(bounds),
      slot_bytes_(DatagramSlotBytes(bounds.datagram_bytes_max)),
      slots_(std::min(kDatagramsPerCall, memory.receive_bytes / slot_bytes_)) {
  for (size_t i = 0; i < slots_; i++) {
    receive_vectors_[i] = {memory_.receive + i * slot_bytes_, bounds_.datagram_bytes_max};
    msghdr& header = receive_headers_[i].msg_hdr;
    header.msg_name = memory_.records + i * kDatagramRecordWords + kDatagramRecordAddress;
    header.msg_iov = &receive_vectors_[i];
    header.msg_iovlen = 1;
  }
  ShowStatus();
}

void DatagramSocket::Close() {
  if (const int fd = descriptor_.Release(); fd >= 0) (void)CloseDescriptor(fd);
  waiting_.clear();
  waiting_bytes_ = 0;
  news_.clear();
}

size_t DatagramSocket::Receive() {
  if (!news_.empty()) return TakeNews();
  was_full_ = false;
  for (size_t i = 0; i < slots_; i++) receive_headers_[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6);
  int count = 0;
  do {
    stats_.receive_calls++;
    // With MSG_TRUNC among the flags a datagram that was cut tells its real size.
    count = recvmmsg(fd(), receive_headers_, static_cast<unsigned>(slots_), MSG_DONTWAIT | MSG_TRUNC, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    if (errno == EAGAIN) return 0;
    stats_.receive_failures++;
    Tell(DatagramEvent::kReceiveFailed, errno);
    return TakeNews();
  }
  for (int i = 0; i < count; i++) {
    const mmsghdr& header = receive_headers_[i];
    const bool truncated = (header.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    uint32_t* record = memory_.records + i * kDatagramRecordWords;
    record[0] = static_cast<uint32_t>(truncated ? DatagramEvent::kTruncated : DatagramEvent::kReceived);
    record[1] = static_cast<uint32_t>(i * slot_bytes_);
    record[2] = header.msg_len;
    // The rest still has an earlier sender's words, and TypeScript compares all of them.
    const size_t address_bytes = header.msg_hdr.msg_namelen;
    if (address_bytes < sizeof(sockaddr_in6)) {
      std::memset(static_cast<uint8_t*>(header.msg_hdr.msg_name) + address_bytes, 0,
                  sizeof(sockaddr_in6) - address_bytes);
    }
    stats_.bytes_received += header.msg_len;
    if (truncated) stats_.truncated++;
  }
  stats_.received += static_cast<size_t>(count);
  was_full_ = static_cast<size_t>(count) == slots_;
  return static_cast<size_t>(count);
}

size_t DatagramSocket::TakeNews() {
  was_full_ = false;
  const size_t count = std::min(news_.size(), kDatagramsPerCall);
  for (size_t i = 0; i < count; i++) {
    uint32_t* record = memory_.records + i * kDatagramRecordWords;
    record[0] = static_cast<uint32_t>(news_[i].event);
    record[1] = news_[i].error;
    record[2] = news_[i].count;
  }
  news_.erase(news_.begin(), news_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

// The same news twice is one record, so their number is bounded by that of the errors there are.
void DatagramSocket::Tell(DatagramEvent event, int error) {
  for (News& news : news_) {
    if (news.event != event || news.error != static_cast<uint32_t>(error)) continue;
    news.count++;
    return;
  }
  news_.push_back({event, static_cast<uint32_t>(error), 1});
}

bool DatagramSocket::Flush(size_t count) {
  if (!AreSound(count)) return false;
  const auto record_at = [this](size_t index) { return RecordAt(index); };
  for (size_t i = waiting_.empty() ? SendMessages(count, record_at) : 0; i < count; i++) Enqueue(RecordAt(i));
  ShowStatus();
  return true;
}

void DatagramSocket::Drain() {
  if (waiting_.empty()) return;
  const size_t done = SendMessages(waiting_.size(), [this](size_t index) {
    const Waiting& waiting = waiting_[index];
    return Message{waiting.address, waiting.bytes.get(), waiting.count};
  });
  for (size_t i = 0; i < done; i++) {
    waiting_bytes_ -= waiting_.front().count;
    waiting_.pop_front();
  }
  if (waiting_.empty()) Tell(DatagramEvent::kDrained, 0);
  ShowStatus();
}

bool DatagramSocket::AreSound(size_t count) const {
  if (count > memory_.send_records) return false;
  for (size_t i = 0; i < count; i++) {
    const uint32_t* record = memory_.sends + i * kDatagramSendWords;
    if (size_t{record[0]} + record[1] > memory_.send_bytes) return false;
  }
  return true;
}

DatagramSocket::Message DatagramSocket::RecordAt(size_t index) const {
  const uint32_t* record = memory_.sends + index * kDatagramSendWords;
  return {record + kDatagramSendAddress, memory_.send + record[0], record[1]};
}

template <typename MessageAt>
size_t DatagramSocket::SendMessages(size_t count, MessageAt message_at) {
  size_t done = 0;
  bool retried = false;
  while (done < count) {
    const size_t batch = std::min(count - done, kDatagramsPerCall);
    for (size_t i = 0; i < batch; i++) Prepare(send_headers_[i], send_vectors_[i], message_at(done + i));
    stats_.send_calls++;
    const int sent = sendmmsg(fd(), send_headers_, static_cast<unsigned>(batch), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      CountSent(send_headers_, static_cast<size_t>(sent));
      done += static_cast<size_t>(sent);
      retried = false;
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (IsFull(error)) break;
    // Left by an earlier datagram, and taken off the socket by this call: the message itself has not been tried.
    if (IsFromNetwork(error) && !retried) {
      retried = true;
      stats_.receive_failures++;
      Tell(DatagramEvent::kReceiveFailed, error);
      continue;
    }
    stats_.send_failures++;
    Tell(DatagramEvent::kSendFailed, error);
    retried = false;
    done++;
  }
  return done;
}

void DatagramSocket::Prepare(mmsghdr& header, iovec& vector, const Message& message) const {
  // The kernel only reads them; its structures are shared with the receiving calls.
  vector = {const_cast<uint8_t*>(message.bytes), message.count};
  header.msg_hdr.msg_namelen = AddressBytes(message.address);
  header.msg_hdr.msg_name = header.msg_hdr.msg_namelen == 0 ? nullptr : const_cast<uint32_t*>(message.address);
  header.msg_hdr.msg_iov = &vector;
  header.msg_hdr.msg_iovlen = 1;
}

void DatagramSocket::CountSent(const mmsghdr* headers, size_t count) {
  for (size_t i = 0; i < count; i++) stats_.bytes_sent += headers[i].msg_len;
  stats_.sent += count;
}

void DatagramSocket::Enqueue(const Message& message) {
  Waiting waiting = {};
  if (waiting_.size() < kWaitingDatagramsMax && waiting_bytes_ + message.count <= bounds_.waiting_bytes_max) {
    waiting.bytes.reset(new (std::nothrow) uint8_t[message.count]);
  }
  if (waiting.bytes == nullptr) {
    stats_.queue_drops++;
    Tell(DatagramEvent::kQueueFull, 0);
    return;
  }
  std::memcpy(waiting.address, message.address, sizeof waiting.address);
  std::memcpy(waiting.bytes.get(), message.bytes, message.count);
  waiting.count = message.count;
  waiting_bytes_ += message.count;
  waiting_.push_back(std::move(waiting));
}

void DatagramSocket::ShowStatus() {
  memory_.status[0] = static_cast<uint32_t>(waiting_bytes_);
  memory_.status[1] = static_cast<uint32_t>(waiting_.size());
}

}  // namespace reactor_net
