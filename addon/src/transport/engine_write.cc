// The sending half of Engine: records of the send slab -> one sendmsg per connection -> queue for what is left.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "transport/engine.h"
#include "transport/limits.h"

namespace reactor_net {
namespace {

constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

/** Offsets count through the send slab and on into the receive slab: what came in may go out without a copy. */
struct SendRecord {
  uint32_t slot;
  uint32_t offset;
  uint32_t bytes;
};

SendRecord RecordAt(const EngineMemory& memory, size_t index) {
  const uint32_t* words = memory.sends + index * kSendRecordWords;
  return {words[0], words[1], words[2]};
}

bool IsWithin(size_t offset, size_t bytes, size_t limit) { return offset <= limit && bytes <= limit - offset; }

bool IsSound(const EngineMemory& memory, const SendRecord& record) {
  if (record.offset < memory.send_bytes) return IsWithin(record.offset, record.bytes, memory.send_bytes);
  return IsWithin(record.offset - memory.send_bytes, record.bytes, memory.receive_bytes);
}

uint8_t* AddressOf(const EngineMemory& memory, const SendRecord& record) {
  if (record.offset < memory.send_bytes) return const_cast<uint8_t*>(memory.send) + record.offset;
  return memory.receive + (record.offset - memory.send_bytes);
}

}  // namespace

bool Engine::FlushBefore(uint32_t number, size_t count) {
  if (closed_) return true;
  if (!AreSound(count)) return false;
  more_follows_ = number;
  LinkRecords(count);
  for (const uint32_t number : touched_) {
    Slot& slot = slots_[number];
    SendRecords(number, slot);
    slot.first_record = slot.last_record = kNone;
  }
  for (const uint32_t number : shutdowns_) FinishShutdown(number, slots_[number]);
  shutdowns_.clear();
  more_follows_ = kNone;
  Settle();
  slots_.AfterFlush();
  in_batch_ = false;
  return true;
}

bool Engine::AreSound(size_t count) const {
  if (count > memory_.send_records) return false;
  for (size_t i = 0; i < count; i++) {
    if (!IsSound(memory_, RecordAt(memory_, i))) return false;
  }
  return true;
}

void Engine::LinkRecords(size_t count) {
  touched_.clear();
  for (uint32_t i = 0; i < count; i++) {
    const SendRecord record = RecordAt(memory_, i);
    Slot* slot = slots_.Find(record.slot);
    if (slot == nullptr || !slot->IsConnection() || slot->fin_sent || record.bytes == 0) continue;
    next_record_[i] = kNone;
    if (slot->first_record == kNone) {
      slot->first_record = i;
      touched_.push_back(record.slot);
    } else {
      next_record_[slot->last_record] = i;
    }
    slot->last_record = i;
  }
}

void Engine::SendRecords(uint32_t number, Slot& slot) {
  uint32_t record = slot.first_record;
  if (!slot.output.empty() || slot.state == Slot::State::kConnecting) {
    QueueRest(number, slot, 0, 0, record);
    return;
  }
  while (record != kNone) {
    const int vector_count = GatherRecords(&record);
    if (!Offer(number, slot, vector_count, record)) return;
  }
}

bool Engine::Offer(uint32_t number, Slot& slot, int vector_count, uint32_t record) {
  size_t offered = 0;
  for (int i = 0; i < vector_count; i++) offered += vectors_[i].iov_len;
  const ssize_t sent = SendVectors(slot.fd, vector_count, number == more_follows_ ? MSG_MORE : 0);
  if (sent < 0 && errno != EAGAIN) {
    Fail(number, slot, errno);
    return false;
  }
  const size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
  if (taken == offered) return true;
  QueueRest(number, slot, taken, vector_count, record);
  return false;
}

void Engine::Send(uint32_t number, const uint8_t* bytes, size_t count) {
  Slot* slot = slots_.Find(number);
  if (slot == nullptr || !slot->IsConnection() || slot->fin_sent || count == 0) return;
  vectors_[0] = {const_cast<uint8_t*>(bytes), count};
  if (!slot->output.empty() || slot->state == Slot::State::kConnecting) {
    QueueRest(number, *slot, 0, 1, kNone);
  } else {
    Offer(number, *slot, 1, kNone);
  }
  if (!in_batch_) Settle();
}

int Engine::GatherRecords(uint32_t* record) {
  int count = 0;
  while (*record != kNone) {
    const SendRecord next = RecordAt(memory_, *record);
    uint8_t* start = AddressOf(memory_, next);
    iovec& last = vectors_[std::max(count - 1, 0)];
    if (count > 0 && static_cast<uint8_t*>(last.iov_base) + last.iov_len == start) {
      last.iov_len += next.bytes;
    } else if (count == kVectorsMax) {
      break;
    } else {
      vectors_[count++] = {start, next.bytes};
    }
    *record = next_record_[*record];
  }
  return count;
}

void Engine::QueueRest(uint32_t number, Slot& slot, size_t sent, int vector_count, uint32_t record) {
  setbacks_++;
  int error = 0;
  do {
    for (int i = 0; i < vector_count && error == 0; i++) {
      const size_t skipped = std::min(sent, vectors_[i].iov_len);
      const size_t rest = vectors_[i].iov_len - skipped;
      sent -= skipped;
      if (slot.output.bytes() + rest > output_bytes_max_) {
        error = ENOBUFS;
      } else if (!slot.output.Append(static_cast<uint8_t*>(vectors_[i].iov_base) + skipped, rest)) {
        error = ENOMEM;
      }
    }
    vector_count = GatherRecords(&record);
  } while (vector_count > 0 && error == 0);
  if (error != 0) {
    Fail(number, slot, error);
    return;
  }
  ShowStatus(number, slot);
  Unsettle(number, slot);
}

void Engine::Drain(uint32_t number, Slot& slot) {
  const uint64_t before = stats_.bytes_sent;
  const size_t files_before = slot.output.files();
  if (!PushQueue(number, slot)) return;
  const uint64_t sent = stats_.bytes_sent - before;
  if (sent == 0 && slot.output.files() == files_before) return;
  events_.Append(EventType::kDrained, number, static_cast<uint32_t>(sent), 0, 0);
  if (slot.output.empty()) Unsettle(number, slot);
  if (slot.shutdown_wanted) FinishShutdown(number, slot);
  ShowStatus(number, slot);
}

bool Engine::PushQueue(uint32_t number, Slot& slot) {
  while (!slot.output.empty()) {
    if (const FileRange* file = slot.output.FrontFile()) {
      const FileStep step = PushFile(number, slot, *file);
      if (step != FileStep::kMore) return step == FileStep::kEnough;
      continue;
    }
    const int vector_count = slot.output.Gather(vectors_.get(), kVectorsMax);
    const ssize_t sent = SendVectors(slot.fd, vector_count, slot.output.file_bytes() > 0 ? MSG_MORE : 0);
    if (sent < 0) {
      if (errno == EAGAIN) return true;
      Fail(number, slot, errno);
      return false;
    }
    slot.output.Consume(static_cast<size_t>(sent));
    if (slot.output.FrontFile() == nullptr) return true;  // all is gone, or the kernel has enough
  }
  return true;
}

void Engine::FinishShutdown(uint32_t number, Slot& slot) {
  if (slot.state != Slot::State::kOpen || !slot.shutdown_wanted || slot.fin_sent || !slot.output.empty()) return;
  slot.fin_sent = true;
  // A peer that is gone already shows itself to the next read or poll.
  shutdown(slot.fd, SHUT_WR);
  ShowStatus(number, slot);
}

ssize_t Engine::SendVectors(int fd, int vector_count, int flags) {
  flags |= kSendFlags;
  for (;;) {
    stats_.sends++;
    ssize_t sent;
    if (vector_count == 1) {
      sent = send(fd, vectors_[0].iov_base, vectors_[0].iov_len, flags);
    } else {
      msghdr message = {};
      message.msg_iov = vectors_.get();
      message.msg_iovlen = static_cast<size_t>(vector_count);
      sent = sendmsg(fd, &message, flags);
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent > 0) stats_.bytes_sent += static_cast<uint64_t>(sent);
    return sent;
  }
}

}  // namespace reactor_net
