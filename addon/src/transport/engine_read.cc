// The receiving half of Engine: socket -> slab -> frames -> event table.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "transport/engine.h"
#include "transport/frame_cutter.h"
#include "transport/limits.h"

namespace reactor_net {

/** Writes what the cutter finds into the event table; `base` is where the cut bytes lie in the slab. */
class Engine::BatchSink {
 public:
  BatchSink(EventTable& events, uint32_t number, size_t base) : events_(events), number_(number), base_(base) {}

  void Data(size_t offset, size_t length) { events_.Append(EventType::kData, number_, 0, base_ + offset, length); }
  void Frame(uint32_t msg_id, size_t offset, size_t length) {
    events_.Append(EventType::kFrame, number_, msg_id, base_ + offset, length);
    frames_++;
  }
  void LargeBegin(uint32_t msg_id, size_t length) {
    events_.Append(EventType::kLargeBegin, number_, msg_id, 0, length);
    frames_++;
  }
  void LargeData(size_t offset, size_t length) {
    events_.Append(EventType::kLargeData, number_, 0, base_ + offset, length);
  }
  void TooLarge(uint64_t announced) {
    events_.Append(EventType::kTooLarge, number_, static_cast<uint32_t>(announced), announced >> 32, 0);
  }
  void Malformed() { events_.Append(EventType::kMalformed, number_, 0, 0, 0); }

  uint64_t frames() const { return frames_; }

 private:
  EventTable& events_;
  const uint32_t number_;
  const size_t base_;
  uint64_t frames_ = 0;
};

// The bytes of the partial frame have room reserved in front of what is received, and are copied there only once
// the frame can be delivered: a frame that trickles in is copied twice, however many pieces it has.
void Engine::Read(uint32_t number, Slot& slot, uint32_t events) {
  if (slot.turn != turn_) {
    slot.turn = turn_;
    slot.turn_bytes = 0;
  }
  const Framing& framing = framings_[slot.framing];
  size_t begin = cursor_;               // of what is not delivered yet
  size_t held = slot.partial.count();   // its bytes, at `begin` in the slab unless…
  bool in_slab = held == 0;             // …they are still in `partial`
  bool first = true;                    // however little room there is, one read is made
  uint32_t needed = 0;                  // of them, without which nothing can be delivered
  while (slot.turn_bytes < kTurnBytesMax) {
    const size_t records = events_.room();
    const size_t slab_room = memory_.receive_bytes - begin - held;
    if (records <= kRecordsPerReadMax || slab_room == 0) break;
    const size_t budget = kTurnBytesMax - slot.turn_bytes;
    const size_t room =
        std::min({kReceiveBytesMax, budget, slab_room, framing.BytesFor(records - kRecordsPerReadMax)});
    if (room < kReceiveBytesMin && !first) break;
    first = false;
    uint8_t* target = memory_.receive + begin + held;
    stats_.receives++;
    const ssize_t received = recv(slot.fd, target, room, MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EAGAIN) break;
      if (errno == EINTR) continue;
      Fail(number, slot, errno);
      return;
    }
    if (received == 0) {
      events_.Append(EventType::kEnd, number, 0, 0, 0);
      EndReading(number, slot);
      return;
    }
    const size_t count = static_cast<size_t>(received);
    stats_.bytes_received += count;
    slot.turn_bytes += static_cast<uint32_t>(count);
    if (!in_slab && held + count < slot.partial.needed()) {
      if (!Keep(number, slot, target, count)) return;
      held += count;
    } else {
      if (!in_slab) {
        std::memcpy(memory_.receive + begin, slot.partial.bytes(), held);
        slot.partial.Clear();
        in_slab = true;
      }
      BatchSink sink(events_, number, begin);
      const CutOutcome outcome = CutFrames(framing, slot.large_left, memory_.receive + begin, held + count, sink);
      stats_.frames += sink.frames();
      begin += outcome.consumed;
      held = held + count - outcome.consumed;
      needed = outcome.needed;
      cursor_ = begin;
      if (outcome.failed) {
        EndReading(number, slot);
        return;
      }
    }
    // A short read emptied the socket; only a FIN behind it is worth another call.
    if (count < room && (events & EPOLLRDHUP) == 0) break;
  }
  if (in_slab && held > 0) {
    slot.partial.Expect(needed);
    Keep(number, slot, memory_.receive + begin, held);
  }
}

bool Engine::Keep(uint32_t number, Slot& slot, const uint8_t* bytes, size_t count) {
  if (slot.partial.Append(bytes, count)) return true;
  Fail(number, slot, ENOMEM);
  return false;
}

void Engine::EndReading(uint32_t number, Slot& slot) {
  slot.read_over = true;
  slot.partial.Clear();
  Unsettle(number, slot);
}

}  // namespace reactor_net
