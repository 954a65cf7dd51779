// The sockets of one engine, by slot number. A slot that was given back is used again only after a flush and then
// the begin of a poll, so that neither the records of the current batch nor output waiting to be flushed can be
// taken for those of a successor. Memory grows in blocks with the largest number of sockets there ever was.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "transport/partial_frame.h"
#include "transport/write_queue.h"

namespace reactor_net {

constexpr uint32_t kNone = UINT32_MAX;

/** One socket: a connection or a listener. */
struct Slot {
  enum class State : uint8_t {
    kFree,
    kConnecting,
    kOpen,
    kFailed,     // the descriptor is closed, JavaScript has yet to be told
    kListening,
  };

  int fd = -1;
  uint32_t generation = 0;  // changes when the slot is given back, so that late epoll events are known as such
  State state = State::kFree;
  bool reading = false;          // JavaScript wants what arrives
  bool read_over = false;        // FIN, or bytes that make no sense: nothing more is read
  bool shutdown_wanted = false;  // FIN once the output is gone
  bool fin_sent = false;
  bool registered = false;       // in the epoll set
  bool unsettled = false;        // in the engine's list of sockets whose epoll mask may have to change
  bool watched_elsewhere = false;  // listeners: not by our epoll set
  uint16_t framing = 0;
  uint32_t armed = 0;       // the mask epoll knows
  uint32_t large_left = 0;  // bytes owed to a large frame
  uint32_t turn = 0;        // of `turn_bytes`
  uint32_t turn_bytes = 0;
  uint32_t file_turn = 0;  // of `file_turn_bytes`
  uint32_t file_turn_bytes = 0;
  uint32_t file_bytes_sent = 0;  // in all, modulo 2^32
  uint32_t first_record = kNone;  // output records of the running flush
  uint32_t last_record = kNone;
  PartialFrame partial;
  WriteQueue output;

  bool IsConnection() const { return state == State::kConnecting || state == State::kOpen; }
};

class SlotTable {
 public:
  explicit SlotTable(uint32_t slots_max) : slots_max_(slots_max) {}

  /** A number in state kFree, or kNone when all are taken. The caller gives it a state. */
  uint32_t Take();
  /** Back to kFree; the descriptor is closed already. */
  void GiveBack(uint32_t number);
  /** After a flush: what was given back before it has no output waiting any more. */
  void AfterFlush();
  /** Before a poll: nothing of the former batch is looked at any more. */
  void BeforePoll();

  Slot& operator[](uint32_t number) { return blocks_[number / kBlockSlots][number % kBlockSlots]; }
  /** Null for a number that was never handed out. */
  Slot* Find(uint32_t number) { return number < count_ ? &(*this)[number] : nullptr; }
  /** Numbers below this were handed out at some time. */
  uint32_t count() const { return count_; }

 private:
  static constexpr uint32_t kBlockSlots = 256;

  const uint32_t slots_max_;
  uint32_t count_ = 0;
  std::vector<std::unique_ptr<Slot[]>> blocks_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> flushed_;   // free at the next poll
  std::vector<uint32_t> returned_;  // `flushed_` after the next flush
};

}  // namespace reactor_net
