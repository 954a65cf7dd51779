// One UDP socket in batches: recvmmsg into a slab and a table of numbers, sendmmsg out of a slab and a table.
// Never blocks, never calls back, knows nothing of Node; binding/datagram_poll.cc drives it.
// Addresses are words as the kernel has them (a sockaddr_in, or a sockaddr_in6), so that nobody formats one in vain.
// What the kernel will not take now waits in a queue of its own; what it refuses is counted, told and dropped.
// addon/datagram-layout.ts has the numbers of this file; the two change together.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>
#include <memory>
#include <vector>

#include "core/descriptor.h"
#include "core/result.h"
#include "transport/limits.h"

namespace reactor_net {

enum class DatagramEvent : uint32_t {
  kReceived = 1,       // offset in the receive slab, bytes, address of the sender
  kTruncated = 2,      // larger than allowed and dropped: its real bytes, address of the sender
  kReceiveFailed = 3,  // an error the network left on the socket (ICMP). errno, how often
  kSendFailed = 4,     // the kernel refused datagrams. errno, how many
  kQueueFull = 5,      // datagrams beyond the bounds of the queue were dropped. 0, how many
  kDrained = 6,        // nothing waits any more
};

constexpr size_t kDatagramAddressWords = sizeof(sockaddr_in6) / sizeof(uint32_t);
/** Event, offset (or errno), bytes (or how many), address. */
constexpr size_t kDatagramRecordWords = 3 + kDatagramAddressWords;
constexpr size_t kDatagramRecordAddress = 3;
/** Offset in the send slab, bytes, address; a family of 0 stands for the connected peer. */
constexpr size_t kDatagramSendWords = 2 + kDatagramAddressWords;
constexpr size_t kDatagramSendAddress = 2;
/** Status: bytes and datagrams that wait for the kernel. */
constexpr size_t kDatagramStatusWords = 2;

/** Belongs to the caller, who keeps it in place until the socket is closed. */
struct DatagramMemory {
  uint8_t* receive;
  size_t receive_bytes;
  uint32_t* records;  // kDatagramsPerCall of them
  const uint8_t* send;
  size_t send_bytes;
  const uint32_t* sends;
  size_t send_records;
  uint32_t* status;
};

struct DatagramBounds {
  size_t datagram_bytes_max;  // of one that is received; larger ones are dropped
  size_t waiting_bytes_max;   // of output; datagrams beyond are dropped
};

struct DatagramStats {
  uint64_t receive_calls = 0;
  uint64_t send_calls = 0;
  uint64_t received = 0;
  uint64_t bytes_received = 0;
  uint64_t truncated = 0;
  uint64_t receive_failures = 0;
  uint64_t sent = 0;
  uint64_t bytes_sent = 0;
  uint64_t send_failures = 0;
  uint64_t queue_drops = 0;
};

/** Bytes of the receive slab that one datagram of at most `datagram_bytes_max` takes. */
size_t DatagramSlotBytes(size_t datagram_bytes_max);

class DatagramSocket {
 public:
  /**
   * Takes over a UDP socket, bound or connected (or a connected Unix one). The caller keeps it on failure;
   * EPROTOTYPE: it is no datagram socket.
   */
  static Result<std::unique_ptr<DatagramSocket>> Adopt(int fd, const DatagramMemory& memory, DatagramBounds bounds);
  DatagramSocket(const DatagramSocket&) = delete;
  DatagramSocket& operator=(const DatagramSocket&) = delete;

  int fd() const { return descriptor_.get(); }
  /** Gives the descriptor back. */
  int Release() { return descriptor_.Release(); }
  /** Closes the descriptor; what waits is dropped and the shared memory is not touched any more. */
  void Close();

  /** Starts a batch over the former one and returns its records: news first, by themselves, then datagrams. */
  size_t Receive();
  /** The same of news alone, for a socket that is to take no datagrams. */
  size_t TakeNews();
  /** Whether the last batch took as many datagrams as it could, so that more may wait. */
  bool was_full() const { return was_full_; }
  /** Sends `count` records in order, behind what waits. False, with nothing sent, if one is impossible. */
  bool Flush(size_t count);
  /** Sends what waits, as far as the kernel takes it. */
  void Drain();
  /** Whether there is a reason to look again once the socket is writable: output that waits, or news to tell. */
  bool WantsWritable() const { return !waiting_.empty() || !news_.empty(); }

  const DatagramStats& stats() const { return stats_; }

 private:
  struct Waiting {
    uint32_t address[kDatagramAddressWords];
    std::unique_ptr<uint8_t[]> bytes;
    size_t count;
  };
  struct Message {
    const uint32_t* address;
    const uint8_t* bytes;
    size_t count;
  };
  struct News {
    DatagramEvent event;
    uint32_t error;
    uint32_t count;
  };

  DatagramSocket(int fd, const DatagramMemory& memory, DatagramBounds bounds);

  void Tell(DatagramEvent event, int error);
  bool AreSound(size_t count) const;
  Message RecordAt(size_t index) const;
  /** Sends in order and returns how many messages are dealt with: sent, or refused for good. */
  template <typename MessageAt>
  size_t SendMessages(size_t count, MessageAt message_at);
  void Prepare(mmsghdr& header, iovec& vector, const Message& message) const;
  void CountSent(const mmsghdr* headers, size_t count);
  /** Copies the message into the queue; drops it when that is full. */
  void Enqueue(const Message& message);
  void ShowStatus();

  Descriptor descriptor_;
  const DatagramMemory memory_;
  const DatagramBounds bounds_;
  const size_t slot_bytes_;
  const size_t slots_;  // datagrams of one recvmmsg
  bool was_full_ = false;
  mmsghdr receive_headers_[kDatagramsPerCall] = {};
  iovec receive_vectors_[kDatagramsPerCall] = {};
  mmsghdr send_headers_[kDatagramsPerCall] = {};
  iovec send_vectors_[kDatagramsPerCall] = {};
  std::deque<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  std::vector<News> news_;
  DatagramStats stats_;
};

}  // namespace reactor_net
