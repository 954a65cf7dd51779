// libFuzzer target: one engine with a few connections, moved about by any sequence of calls while peers write, end,
// reset and read. It must neither touch memory it does not own nor lose or reorder a byte of a raw stream or a file.
// Input: bytes taken two at a time, an action and its argument.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <vector>

#include "../test/check.h"
#include "transport/engine.h"

using namespace reactor_net;

namespace {

constexpr uint32_t kSlots = 8;
constexpr size_t kSendBytes = 64 * 1024;
constexpr size_t kSendRecords = 64;

constexpr size_t kFileBytes = 64 * 1024;

/** A file whose bytes count up like everything that is sent. */
int CountingFile() {
  static const int file = [] {
    std::signal(SIGPIPE, SIG_IGN);
    std::vector<uint8_t> content(kFileBytes);
    for (size_t i = 0; i < kFileBytes; i++) content[i] = static_cast<uint8_t>(i);
    const int fd = memfd_create("engine-fuzz", MFD_CLOEXEC);
    CHECK(write(fd, content.data(), kFileBytes) == static_cast<ssize_t>(kFileBytes));
    return fd;
  }();
  return fcntl(file, F_DUPFD_CLOEXEC, 0);
}

/** A connection as its peer sees it; the bytes either side sends count up, so that each receiver can check them. */
struct Peer {
  int fd = -1;
  uint8_t next_out = 0;
  uint8_t next_in = 0;        // expected from the engine
  uint8_t engine_next_in = 0;  // what the engine has to deliver next
  uint8_t engine_next_out = 0;
};

class Play {
 public:
  Play() : receive_(kReceiveSlabBytesMin), events_(kEventRecordsMin * EventTable::kRecordWords), send_(kSendBytes),
           sends_(kSendRecords * kSendRecordWords), status_(kSlots * kStatusWords) {
    const EngineMemory memory = {receive_.data(), receive_.size(), events_.data(), kEventRecordsMin, send_.data(),
                                 kSendBytes,      sends_.data(),   kSendRecords,   status_.data(), kSlots};
    engine_ = std::move(Engine::Create(memory, 1 << 20).value());
    tlv_ = engine_->AddFraming(Framing::Tlv(100'000)).value();
  }
  ~Play() {
    for (Peer& peer : peers_) Drop(peer);
  }

  void Act(uint8_t action, uint8_t argument) {
    const uint32_t slot = argument % kSlots;
    Peer& peer = peers_[slot];
    switch (action % 13) {
      case 0: return Open(argument);
      case 1: return engine_->Resume(slot);
      case 2: return engine_->Pause(slot);
      case 3: return engine_->Shutdown(slot);
      case 4: return engine_->Close(slot, (argument & 64) != 0);
      case 5: return Turn();
      case 6: return Flush();
      case 7: return Write(slot, argument * 40u);
      case 8: return PeerWrites(peer, argument * 100u);
      case 9: return PeerReads(peer);
      case 12: return WriteFile(slot, argument);
      case 10: if (peer.fd >= 0) shutdown(peer.fd, SHUT_WR); return;
      default: Drop(peer);
    }
  }
  void Finish() {
    for (int i = 0; i < 4; i++) {
      Turn();
      Flush();
    }
  }

 private:
  void Open(uint8_t argument) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return;
    Result<uint32_t> slot = engine_->Add(ends[0], (argument & 1) != 0 ? tlv_ : 0);
    if (!slot.ok()) {
      close(ends[0]);
      close(ends[1]);
      return;
    }
    Drop(peers_[slot.value()]);
    peers_[slot.value()] = Peer();
    peers_[slot.value()].fd = ends[1];
    raw_[slot.value()] = (argument & 1) == 0;
  }
  void Turn() {
    if (records_ > 0) Flush();
    engine_->BeginTurn();
    const size_t count = engine_->Poll();
    CHECK(count <= kEventRecordsMin);
    for (size_t i = 0; i < count; i++) Take(&events_[i * EventTable::kRecordWords]);
  }
  void Take(const uint32_t* event) {
    const uint32_t slot = event[1];
    CHECK(slot < kSlots);
    if (static_cast<EventType>(event[0]) != EventType::kData) return;
    CHECK(raw_[slot] && size_t{event[3]} + event[4] <= receive_.size());
    for (uint32_t i = 0; i < event[4]; i++) CHECK(receive_[event[3] + i] == peers_[slot].engine_next_in++);
  }
  void Write(uint32_t slot, size_t bytes) {
    if (records_ == kSendRecords || send_used_ + bytes > kSendBytes || engine_->DescriptorOf(slot) < 0) Flush();
    if (engine_->DescriptorOf(slot) < 0) return;
    uint32_t* record = &sends_[records_++ * kSendRecordWords];
    record[0] = slot;
    record[1] = static_cast<uint32_t>(send_used_);
    record[2] = static_cast<uint32_t>(bytes);
    for (size_t i = 0; i < bytes; i++) send_[send_used_ + i] = peers_[slot].engine_next_out++;
    send_used_ += bytes;
  }
  /** Up to 32 KiB of the file; some ranges run past its end. */
  void WriteFile(uint32_t slot, uint8_t argument) {
    Flush();
    uint8_t& next = peers_[slot].engine_next_out;
    const uint64_t offset = argument >= 250 ? kFileBytes - 256 + next : next;
    const uint64_t bytes = argument * 130u;
    engine_->SendFile(slot, {CountingFile(), offset, bytes});
    next = static_cast<uint8_t>(next + bytes);
  }
  void Flush() {
    CHECK(engine_->Flush(records_));
    records_ = 0;
    send_used_ = 0;
  }
  void PeerWrites(Peer& peer, size_t bytes) {
    if (peer.fd < 0) return;
    std::vector<uint8_t> content(bytes);
    for (size_t i = 0; i < bytes; i++) content[i] = static_cast<uint8_t>(peer.next_out + i);
    const ssize_t sent = send(peer.fd, content.data(), bytes, MSG_NOSIGNAL);
    if (sent > 0) peer.next_out = static_cast<uint8_t>(peer.next_out + sent);
  }
  void PeerReads(Peer& peer) {
    uint8_t content[4096];
    const ssize_t got = peer.fd < 0 ? -1 : recv(peer.fd, content, sizeof content, 0);
    for (ssize_t i = 0; i < got; i++) CHECK(content[i] == peer.next_in++);
  }
  void Drop(Peer& peer) {
    if (peer.fd >= 0) close(peer.fd);
    peer.fd = -1;
  }

  std::vector<uint8_t> receive_;
  std::vector<uint32_t> events_;
  std::vector<uint8_t> send_;
  std::vector<uint32_t> sends_;
  std::vector<uint32_t> status_;
  std::unique_ptr<Engine> engine_;
  uint32_t tlv_ = 0;
  Peer peers_[kSlots];
  bool raw_[kSlots] = {};
  size_t records_ = 0;
  size_t send_used_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Play play;
  for (size_t i = 0; i + 1 < size && i < 1000; i += 2) play.Act(data[i], data[i + 1]);
  play.Finish();
  return 0;
}
