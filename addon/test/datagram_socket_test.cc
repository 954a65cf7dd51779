// transport/datagram_socket: batches in and out, what is dropped and told, and a queue that keeps order and bounds.
#include "transport/datagram_socket.h"

#include <fcntl.h>

#include <cstring>
#include <random>
#include <string>

#include "check.h"
#include "core/socket.h"

using namespace reactor_net;

namespace {

constexpr size_t kReceiveBytes = 256 * 1024;
constexpr size_t kSendBytes = 256 * 1024;
constexpr size_t kSendRecords = 512;

/** A socket with the memory that JavaScript would give it. */
class Party {
 public:
  Party(int fd, DatagramBounds bounds = {2000, 1 << 20})
      : receive_(kReceiveBytes),
        records_(kDatagramsPerCall * kDatagramRecordWords),
        send_(kSendBytes),
        sends_(kSendRecords * kDatagramSendWords),
        status_(kDatagramStatusWords) {
    const DatagramMemory memory = {receive_.data(), receive_.size(), records_.data(), send_.data(),
                                   send_.size(),    sends_.data(),   kSendRecords,    status_.data()};
    Result<std::unique_ptr<DatagramSocket>> adopted = DatagramSocket::Adopt(fd, memory, bounds);
    CHECK(adopted.ok());
    socket_ = std::move(adopted.value());
  }

  DatagramSocket& socket() { return *socket_; }
  uint32_t* record(size_t index) { return &records_[index * kDatagramRecordWords]; }
  DatagramEvent event(size_t index) { return static_cast<DatagramEvent>(record(index)[0]); }
  std::string Text(size_t index) {
    return std::string(reinterpret_cast<char*>(&receive_[record(index)[1]]), record(index)[2]);
  }
  /** `to` null: the connected peer. */
  void Stage(const std::string& text, const uint32_t* to = nullptr) {
    uint32_t* record = &sends_[staged_++ * kDatagramSendWords];
    std::memset(record, 0, kDatagramSendWords * sizeof *record);
    record[0] = static_cast<uint32_t>(used_);
    record[1] = static_cast<uint32_t>(text.size());
    if (to != nullptr) std::memcpy(record + kDatagramSendAddress, to, kDatagramAddressWords * sizeof *to);
    std::memcpy(&send_[used_], text.data(), text.size());
    used_ += text.size();
  }
  bool Flush() {
    const bool sound = socket_->Flush(staged_);
    staged_ = used_ = 0;
    return sound;
  }
  uint32_t waiting_bytes() const { return status_[0]; }
  uint32_t waiting() const { return status_[1]; }
  uint32_t* sends() { return sends_.data(); }

 private:
  std::vector<uint8_t> receive_;
  std::vector<uint32_t> records_;
  std::vector<uint8_t> send_;
  std::vector<uint32_t> sends_;
  std::vector<uint32_t> status_;
  std::unique_ptr<DatagramSocket> socket_;
  size_t staged_ = 0;
  size_t used_ = 0;
};

BoundSocket Bind(const char* host) {
  BindOptions options;
  options.host = host;
  Result<BoundSocket> bound = BindUdp(options);
  CHECK(bound.ok());
  return std::move(bound.value());
}

/** A Unix pair: unlike UDP on loopback it refuses datagrams when the other side does not read. */
void MakePair(int ends[2]) { CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0); }

void EchoOver(const char* host) {
  BoundSocket bound = Bind(host);
  Party server(bound.descriptor.Release());
  Result<Descriptor> connected = ConnectUdp(host, bound.port);
  CHECK(connected.ok());
  Party client(connected.value().Release());
  for (int i = 0; i < 100; i++) client.Stage("question " + std::to_string(i));
  CHECK(client.Flush());
  CHECK(client.socket().stats().sent == 100 && client.socket().stats().send_calls == 2);
  int answered = 0;
  while (const size_t count = server.socket().Receive()) {
    CHECK(count <= kDatagramsPerCall);
    for (size_t i = 0; i < count; i++) {
      CHECK(server.event(i) == DatagramEvent::kReceived);
      CHECK(server.Text(i) == "question " + std::to_string(answered++));
      server.Stage("answer", server.record(i) + kDatagramRecordAddress);
    }
    CHECK(server.socket().was_full() == (count == kDatagramsPerCall));
    CHECK(server.Flush());
  }
  CHECK(answered == 100);
  int back = 0;
  while (const size_t count = client.socket().Receive()) {
    for (size_t i = 0; i < count; i++) CHECK(client.Text(i) == "answer");
    back += static_cast<int>(count);
  }
  CHECK(back == 100);
}

void EchoOverBoth() {
  EchoOver("127.0.0.1");
  const Descriptor probe(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (probe.get() >= 0) EchoOver("::1");
}

void TruncatedAreTold() {
  int ends[2];
  MakePair(ends);
  Party reader(ends[0], {100, 1 << 20});
  Party writer(ends[1]);
  writer.Stage(std::string(100, 'a'));
  writer.Stage(std::string(101, 'b'));
  writer.Stage("");
  CHECK(writer.Flush());
  CHECK(reader.socket().Receive() == 3);
  CHECK(reader.event(0) == DatagramEvent::kReceived && reader.Text(0) == std::string(100, 'a'));
  CHECK(reader.event(1) == DatagramEvent::kTruncated && reader.record(1)[2] == 101);
  CHECK(reader.event(2) == DatagramEvent::kReceived && reader.record(2)[2] == 0);
  CHECK(reader.socket().stats().truncated == 1);
}

void RefusedIsNews() {
  BoundSocket gone = Bind("127.0.0.1");
  Party client(ConnectUdp("127.0.0.1", gone.port).value().Release());
  { const Descriptor closed(gone.descriptor.Release()); }
  client.Stage("anybody?");
  CHECK(client.Flush());
  CHECK(client.socket().Receive() == 1);
  CHECK(client.event(0) == DatagramEvent::kReceiveFailed && client.record(0)[1] == ECONNREFUSED);
  // The error of the first must not cost the second its chance.
  client.Stage("one");
  CHECK(client.Flush());
  client.Stage("two");
  CHECK(client.Flush());
  CHECK(client.socket().stats().sent == 3 && client.socket().stats().send_failures == 0);
  CHECK(client.socket().WantsWritable() && client.socket().stats().receive_failures == 2);
}

void RefusedByKernelIsCounted() {
  BoundSocket bound = Bind("127.0.0.1");
  Party client(ConnectUdp("127.0.0.1", bound.port).value().Release());
  client.Stage(std::string(65508, 'x'));
  client.Stage("fits");
  client.Stage(std::string(65508, 'x'));
  CHECK(client.Flush());
  CHECK(client.socket().stats().sent == 1 && client.socket().stats().send_failures == 2);
  CHECK(client.socket().Receive() == 1);
  CHECK(client.event(0) == DatagramEvent::kSendFailed && client.record(0)[1] == EMSGSIZE && client.record(0)[2] == 2);
  CHECK(client.socket().Receive() == 0);
}

void QueueKeepsOrder() {
  int ends[2];
  MakePair(ends);
  Party reader(ends[0]);
  Party writer(ends[1]);
  for (int i = 0; i < 500; i++) writer.Stage(std::to_string(i));
  CHECK(writer.Flush());
  CHECK(writer.waiting() > 0 && writer.socket().WantsWritable());
  writer.Stage("500");
  CHECK(writer.Flush());
  int next = 0;
  while (next <= 500) {
    const size_t count = reader.socket().Receive();
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) CHECK(reader.Text(i) == std::to_string(next++));
    writer.socket().Drain();
  }
  CHECK(writer.waiting() == 0 && writer.waiting_bytes() == 0);
  CHECK(writer.socket().Receive() == 1 && writer.event(0) == DatagramEvent::kDrained);
  CHECK(!writer.socket().WantsWritable() && writer.socket().stats().sent == 501);
}

void QueueHasABound() {
  int ends[2];
  MakePair(ends);
  const Descriptor idle(ends[0]);
  Party writer(ends[1], {2000, 1000});
  for (int i = 0; i < 400; i++) writer.Stage(std::string(100, 'x'));
  CHECK(writer.Flush());
  CHECK(writer.waiting() == 10 && writer.waiting_bytes() == 1000);
  const DatagramStats& stats = writer.socket().stats();
  CHECK(stats.queue_drops > 0 && stats.sent + stats.queue_drops + 10 == 400);
  CHECK(writer.socket().Receive() == 1);
  CHECK(writer.event(0) == DatagramEvent::kQueueFull && writer.record(0)[2] == stats.queue_drops);
}

void ImpossibleRecordsAreRefused() {
  BoundSocket bound = Bind("127.0.0.1");
  Party party(bound.descriptor.Release());
  party.Stage("x");
  party.sends()[0] = kSendBytes;
  CHECK(!party.Flush());
  party.Stage("x");
  party.sends()[1] = 0xffffffff;
  CHECK(!party.Flush());
  CHECK(!party.socket().Flush(kSendRecords + 1));
  CHECK(party.socket().stats().sent == 0);
  // Any words at all may stand where an address should be.
  std::mt19937 random(11);
  for (int i = 0; i < 2000; i++) {
    uint32_t address[kDatagramAddressWords];
    for (uint32_t& word : address) word = random();
    if (i % 2 == 0) address[0] = (address[0] & 0xffff0000) | (i % 4 == 0 ? AF_INET : AF_INET6);
    if ((address[0] & 0xffff) == AF_INET) address[1] = (address[1] & ~0xffu) | 127;  // stays on this machine
    if ((address[0] & 0xffff) == AF_INET6) continue;
    party.Stage("x", address);
    CHECK(party.Flush());
  }
}

void OtherFilesAreRefused() {
  const Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Descriptor stream(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(DatagramSocket::Adopt(file.get(), {}, {1, 1}).failure().error == ENOTSOCK);
  CHECK(DatagramSocket::Adopt(stream.get(), {}, {1, 1}).failure().error == EPROTOTYPE);
}

void ErrorQueueIsOff() {
  BoundSocket bound = Bind("127.0.0.1");
  int value = 1;
  socklen_t bytes = sizeof value;
  CHECK(setsockopt(bound.descriptor.get(), IPPROTO_IP, IP_RECVERR, &value, bytes) == 0);
  Party party(bound.descriptor.Release());
  CHECK(getsockopt(party.socket().fd(), IPPROTO_IP, IP_RECVERR, &value, &bytes) == 0 && value == 0);
}

void CloseMayBeRepeated() {
  BoundSocket bound = Bind("127.0.0.1");
  const int fd = bound.descriptor.get();
  Party party(bound.descriptor.Release());
  party.socket().Close();
  CHECK(fcntl(fd, F_GETFD) == -1);
  party.socket().Close();
}

}  // namespace

int main() {
  Run("a hundred questions and answers travel in two calls each way, in order, over IPv4 and IPv6", EchoOverBoth);
  Run("a datagram above the bound is told by its real size, an empty one is a datagram", TruncatedAreTold);
  Run("a refusal by the network is news, and does not cost the next datagram its chance", RefusedIsNews);
  Run("a datagram the kernel refuses is counted, its neighbours are sent", RefusedByKernelIsCounted);
  Run("what the kernel does not take waits in order, and its end is told", QueueKeepsOrder);
  Run("the queue drops the newest beyond its bound and counts them", QueueHasABound);
  Run("records outside the slab are refused, and any address does no harm", ImpossibleRecordsAreRefused);
  Run("a file and a stream socket are refused", OtherFilesAreRefused);
  Run("an error queue that nobody would read is switched off", ErrorQueueIsOff);
  Run("closing frees the descriptor and may be repeated", CloseMayBeRepeated);
}
