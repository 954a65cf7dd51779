// libFuzzer target: one datagram socket, moved about by any sequence of calls while its peer sends, reads and stops
// reading. It must neither touch memory it does not own nor lose, reorder or invent a datagram.
// Input: bytes taken two at a time, an action and its argument.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "../test/check.h"
#include "transport/datagram_socket.h"

using namespace reactor_net;

namespace {

constexpr size_t kDatagramBytes = 300;
constexpr size_t kWaitingBytes = 20'000;
constexpr size_t kSendBytes = 16 * 1024;
constexpr size_t kSendRecords = 32;
/** Every datagram begins with its number. */
using Number = uint32_t;
constexpr int kEverything = 1 << 20;

class Play {
 public:
  Play() : receive_(64 * 1024), records_(kDatagramsPerCall * kDatagramRecordWords), send_(kSendBytes),
           sends_(kSendRecords * kDatagramSendWords), status_(kDatagramStatusWords) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    peer_ = ends[1];
    const DatagramMemory memory = {receive_.data(), receive_.size(), records_.data(), send_.data(),
                                   kSendBytes,      sends_.data(),   kSendRecords,    status_.data()};
    socket_ = std::move(DatagramSocket::Adopt(ends[0], memory, {kDatagramBytes, kWaitingBytes}).value());
  }
  ~Play() { close(peer_); }

  void Act(uint8_t action, uint8_t argument) {
    switch (action % 8) {
      case 0: return Stage(argument * 2u);
      case 1: return Flush();
      case 2: return Receive();
      case 3: return socket_->Drain();
      case 4: return PeerSends(argument * 2u);
      case 5: return PeerReads(argument);
      case 6: return FlushNonsense(argument);
      default: for (int i = 0; i < argument; i++) Stage(8);
    }
  }
  /** What was sent and not dropped has arrived, and nothing else. */
  void Finish() {
    Flush();
    do {
      PeerReads(kEverything);
      socket_->Drain();
    } while (status_[1] > 0);
    PeerReads(kEverything);
    CHECK(status_[0] == 0 && arrived_ == socket_->stats().sent);
    CHECK(arrived_ + socket_->stats().queue_drops + socket_->stats().send_failures == staged_ever_);
    socket_->Close();
  }

 private:
  void Stage(size_t bytes) {
    bytes += sizeof(Number);
    if (staged_ == kSendRecords || used_ + bytes > kSendBytes) Flush();
    uint32_t* record = &sends_[staged_++ * kDatagramSendWords];
    std::memset(record, 0, kDatagramSendWords * sizeof *record);
    record[0] = static_cast<uint32_t>(used_);
    record[1] = static_cast<uint32_t>(bytes);
    std::memcpy(&send_[used_], &staged_ever_, sizeof staged_ever_);
    used_ += bytes;
    staged_ever_++;
  }
  void Flush() {
    CHECK(socket_->Flush(staged_));
    staged_ = used_ = 0;
    CHECK(status_[0] <= kWaitingBytes);
  }
  void FlushNonsense(uint8_t argument) {
    Flush();
    sends_[0] = kSendBytes - argument;
    sends_[1] = argument + 1u;
    CHECK(!socket_->Flush(1));
    CHECK(!socket_->Flush(kSendRecords + 1u + argument));
  }
  void Receive() {
    const size_t count = socket_->Receive();
    CHECK(count <= kDatagramsPerCall);
    for (size_t i = 0; i < count; i++) Take(&records_[i * kDatagramRecordWords]);
  }
  void Take(const uint32_t* record) {
    const auto event = static_cast<DatagramEvent>(record[0]);
    if (event != DatagramEvent::kReceived && event != DatagramEvent::kTruncated) return;
    CHECK((event == DatagramEvent::kTruncated) == (record[2] > kDatagramBytes));
    if (event == DatagramEvent::kTruncated) {
      peer_taken_++;
      return;
    }
    Number number = 0;
    CHECK(size_t{record[1]} + record[2] <= receive_.size() && record[2] >= sizeof number);
    std::memcpy(&number, &receive_[record[1]], sizeof number);
    CHECK(number == peer_taken_++);
  }
  void PeerSends(size_t bytes) {
    std::vector<uint8_t> content(bytes + sizeof(Number));
    std::memcpy(content.data(), &peer_sent_, sizeof peer_sent_);
    if (send(peer_, content.data(), content.size(), MSG_NOSIGNAL) > 0) peer_sent_++;
  }
  void PeerReads(int datagrams) {
    uint8_t content[1024];
    for (int i = 0; i < datagrams; i++) {
      Number number = 0;
      const ssize_t got = recv(peer_, content, sizeof content, 0);
      if (got < 0) return;
      std::memcpy(&number, content, sizeof number);
      CHECK(arrived_ == 0 || number > last_arrived_);  // the newest are dropped, never swapped
      last_arrived_ = number;
      arrived_++;
    }
  }

  std::vector<uint8_t> receive_;
  std::vector<uint32_t> records_;
  std::vector<uint8_t> send_;
  std::vector<uint32_t> sends_;
  std::vector<uint32_t> status_;
  std::unique_ptr<DatagramSocket> socket_;
  int peer_ = -1;
  size_t staged_ = 0;
  size_t used_ = 0;
  Number staged_ever_ = 0;
  Number arrived_ = 0;
  Number last_arrived_ = 0;
  Number peer_sent_ = 0;
  Number peer_taken_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Play play;
  for (size_t i = 0; i + 1 < size && i < 1000; i += 2) play.Act(data[i], data[i + 1]);
  play.Finish();
  return 0;
}
