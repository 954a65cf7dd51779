// An engine driven by hand over real sockets, for the C++ tests of what it does: engine_test.cc, engine_file_test.cc.
#pragma once

#include <fcntl.h>
#include <poll.h>

#include <cstring>
#include <string>
#include <vector>

#include "stream_model.h"
#include "tcp_pair.h"
#include "transport/engine.h"

namespace reactor_net {

struct Event {
  EventType type;
  uint32_t slot, a, b, c;
};

/** An engine with memory of its own, and a peer's half of every connection it is given. */
class Bench {
 public:
  explicit Bench(size_t event_records = 4096, size_t receive_bytes = 1 << 20, size_t output_bytes_max = 64 << 20)
      : receive_(receive_bytes),
        events_(event_records * EventTable::kRecordWords),
        send_(1 << 20),
        sends_(4096 * kSendRecordWords),
        status_(64 * kStatusWords) {
    const EngineMemory memory = {receive_.data(), receive_.size(), events_.data(), event_records, send_.data(),
                                 send_.size(),    sends_.data(),   4096,           status_.data(), 64};
    engine_ = std::move(Engine::Create(memory, output_bytes_max).value());
    tlv_ = engine_->AddFraming(Framing::Tlv(1 << 20)).value();
  }

  Engine& engine() { return *engine_; }
  uint32_t tlv() const { return tlv_; }
  uint32_t PendingBytes(uint32_t slot) const { return status_[slot * kStatusWords]; }
  uint32_t Files(uint32_t slot) const { return status_[slot * kStatusWords + 2]; }
  uint32_t FileBytes(uint32_t slot) const { return status_[slot * kStatusWords + 3]; }

  /** A connection whose other end is returned; reading unless told otherwise. */
  int Connect(uint32_t framing, uint32_t* slot, bool reading = true) {
    TcpPair pair = ConnectPair();
    CHECK(fcntl(pair.server.get(), F_SETFL, O_NONBLOCK) == 0);
    *slot = engine_->Add(pair.server.Release(), framing).value();
    if (reading) engine_->Resume(*slot);
    return pair.client.Release();
  }

  /** One poll of a new turn. */
  std::vector<Event> Turn() {
    engine_->BeginTurn();
    return Poll();
  }
  std::vector<Event> Poll() {
    std::vector<Event> found;
    const size_t count = engine_->Poll();
    for (size_t i = 0; i < count; i++) {
      const uint32_t* record = &events_[i * EventTable::kRecordWords];
      found.push_back({static_cast<EventType>(record[0]), record[1], record[2], record[3], record[4]});
    }
    return found;
  }
  /** Turns until one has events; the sockets of a loopback answer at once, or within the time given. */
  std::vector<Event> Await() {
    for (;;) {
      pollfd watched = {engine_->fd(), POLLIN, 0};
      CHECK(poll(&watched, 1, 10'000) == 1);
      std::vector<Event> found = Turn();
      if (!found.empty()) return found;
    }
  }
  bool IsQuiet() {
    pollfd watched = {engine_->fd(), POLLIN, 0};
    return poll(&watched, 1, 0) == 0;
  }

  void Write(uint32_t slot, const std::string& text) {
    std::memcpy(send_.data() + send_used_, text.data(), text.size());
    uint32_t* record = &sends_[records_ * kSendRecordWords];
    record[0] = slot;
    record[1] = static_cast<uint32_t>(send_used_);
    record[2] = static_cast<uint32_t>(text.size());
    send_used_ += text.size();
    records_++;
  }
  void WriteRange(uint32_t slot, uint32_t offset, uint32_t bytes) {
    uint32_t* record = &sends_[records_++ * kSendRecordWords];
    record[0] = slot;
    record[1] = offset;
    record[2] = bytes;
  }
  bool Flush() { return FlushBefore(kNone); }
  bool FlushBefore(uint32_t slot) {
    const bool sound = engine_->FlushBefore(slot, records_);
    records_ = 0;
    send_used_ = 0;
    return sound;
  }
  std::string Text(const Event& event) const {
    return std::string(reinterpret_cast<const char*>(receive_.data()) + event.b, event.c);
  }
  uint32_t send_bytes() const { return static_cast<uint32_t>(send_.size()); }

 private:
  Bytes receive_;
  std::vector<uint32_t> events_;
  Bytes send_;
  std::vector<uint32_t> sends_;
  std::vector<uint32_t> status_;
  std::unique_ptr<Engine> engine_;
  uint32_t tlv_ = 0;
  size_t send_used_ = 0;
  size_t records_ = 0;
};

inline std::string Tlv(uint32_t msg_id, const std::string& body) {
  const uint32_t header[2] = {msg_id, static_cast<uint32_t>(body.size())};
  return std::string(reinterpret_cast<const char*>(header), sizeof header) + body;
}

inline void SendAll(int fd, const std::string& text) {
  CHECK(send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

inline std::string ReceiveExactly(int fd, size_t count) {
  std::string text(count, '\0');
  CHECK(recv(fd, text.data(), count, MSG_WAITALL) == static_cast<ssize_t>(count));
  return text;
}

}  // namespace reactor_net
