#include "transport/slot_table.h"

namespace reactor_net {

uint32_t SlotTable::Take() {
  if (!free_.empty()) {
    const uint32_t number = free_.back();
    free_.pop_back();
    return number;
  }
  if (count_ == slots_max_) return kNone;
  if (count_ % kBlockSlots == 0) blocks_.push_back(std::make_unique<Slot[]>(kBlockSlots));
  return count_++;
}

void SlotTable::GiveBack(uint32_t number) {
  Slot& slot = (*this)[number];
  slot.state = Slot::State::kFree;
  slot.generation++;
  slot.fd = -1;
  slot.reading = slot.read_over = slot.shutdown_wanted = slot.fin_sent = false;
  slot.registered = slot.watched_elsewhere = false;
  slot.armed = slot.large_left = slot.turn_bytes = slot.file_turn_bytes = slot.file_bytes_sent = 0;
  slot.first_record = slot.last_record = kNone;
  slot.partial.Clear();
  slot.output.Clear();
  returned_.push_back(number);
}

void SlotTable::AfterFlush() {
  flushed_.insert(flushed_.end(), returned_.begin(), returned_.end());
  returned_.clear();
}

void SlotTable::BeforePoll() {
  free_.insert(free_.end(), flushed_.begin(), flushed_.end());
  flushed_.clear();
}

}  // namespace reactor_net
