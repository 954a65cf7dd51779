#include "transport/engine.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "core/descriptor.h"
#include "transport/limits.h"

namespace reactor_net {
namespace {

constexpr uint32_t kReadMask = EPOLLIN | EPOLLRDHUP;

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(const EngineMemory& memory, size_t output_bytes_max) {
  Result<std::unique_ptr<EpollSet>> epoll = EpollSet::Create();
  if (!epoll.ok()) return epoll.failure();
  return std::unique_ptr<Engine>(new Engine(memory, output_bytes_max, std::move(epoll.value())));
}

Engine::Engine(const EngineMemory& memory, size_t output_bytes_max, std::unique_ptr<EpollSet> epoll)
    : memory_(memory),
      output_bytes_max_(output_bytes_max),
      epoll_(std::move(epoll)),
      slots_(static_cast<uint32_t>(memory.slots_max)),
      events_(memory.events, memory.event_records),
      framings_{Framing::Raw()},
      next_record_(memory.send_records),
      vectors_(new iovec[kVectorsMax]) {}

Result<uint32_t> Engine::AddFraming(const Framing& framing) {
  if (framings_.size() >= std::numeric_limits<uint16_t>::max()) return Failure{EMFILE, "framing"};
  framings_.push_back(framing);
  return static_cast<uint32_t>(framings_.size() - 1);
}

Result<uint32_t> Engine::Enter(int fd, Slot::State state, uint32_t framing) {
  if (state == Slot::State::kListening) {
    // One that another process opened may block, and accept4 would stop the thread.
    if (Failure failure = SetNonBlocking(fd)) return failure;
  }
  const uint32_t number = slots_.Take();
  if (number == kNone) return Failure{EMFILE, "slot"};
  Slot& slot = slots_[number];
  slot.fd = fd;
  slot.state = state;
  slot.framing = static_cast<uint16_t>(framing);
  ShowStatus(number, slot);
  return number;
}

Result<uint32_t> Engine::Add(int fd, uint32_t framing) { return Enter(fd, Slot::State::kOpen, framing); }

void Engine::Pause(uint32_t number) {
  Slot* slot = slots_.Find(number);
  if (slot == nullptr) return;
  slot->reading = false;
  // A listener's unwanted connections may be for another thread: it is taken out at once.
  if (slot->state == Slot::State::kListening) epoll_->Forget(*slot);
}

void Engine::Resume(uint32_t number) {
  Slot* slot = slots_.Find(number);
  if (slot == nullptr || slot->state == Slot::State::kFree || slot->read_over) return;
  slot->reading = true;
  if (slot->watched_elsewhere) return;
  const uint32_t wanted = WantedMask(*slot);
  if (slot->registered && (slot->armed & wanted) == wanted) return;
  if (in_batch_ && slot->state == Slot::State::kOpen) {
    Unsettle(number, *slot);
  } else if (slot->state == Slot::State::kOpen || slot->state == Slot::State::kListening) {
    Watch(number, *slot);
  }
}

void Engine::Shutdown(uint32_t number) {
  Slot* slot = slots_.Find(number);
  if (slot == nullptr || !slot->IsConnection() || slot->shutdown_wanted) return;
  slot->shutdown_wanted = true;
  shutdowns_.push_back(number);
}

void Engine::Close(uint32_t number, bool reset) {
  Slot* slot = slots_.Find(number);
  if (slot == nullptr || slot->state == Slot::State::kFree) return;
  if (slot->state != Slot::State::kFailed) CloseSocket(*slot, reset);
  slots_.GiveBack(number);
  ShowStatus(number, *slot);
}

int Engine::Release(uint32_t number) {
  const int fd = DescriptorOf(number);
  if (fd < 0) return fd;
  Slot& slot = slots_[number];
  epoll_->Forget(slot);
  slots_.GiveBack(number);
  ShowStatus(number, slot);
  return fd;
}

int Engine::DescriptorOf(uint32_t number) {
  const Slot* slot = slots_.Find(number);
  return slot == nullptr ? -1 : slot->fd;
}

size_t Engine::Poll() {
  if (closed_) return 0;
  slots_.BeforePoll();
  events_.Restart();
  cursor_ = 0;
  polling_ = true;
  epoll_->Fetch();
  EmitReports();
  AcceptFromReady();
  for (const epoll_event* event = epoll_->Peek(); event != nullptr && HasRoom(); event = epoll_->Peek()) {
    epoll_->Take();
    const uint32_t number = EpollSet::NumberOf(*event);
    Slot* slot = slots_.Find(number);
    if (slot == nullptr || slot->generation != EpollSet::GenerationOf(*event)) continue;
    Dispatch(number, *slot, event->events);
  }
  polling_ = false;
  in_batch_ = events_.count() > 0;
  if (in_batch_) {
    stats_.batches++;
  } else {
    Settle();
  }
  return events_.count();
}

bool Engine::HasRoom() const {
  if (events_.count() >= kBatchEventsEnough && cursor_ >= kBatchBytesEnough) return false;
  return events_.count() == 0 || (events_.room() >= kRecordsPerSocketMin &&
                                  memory_.receive_bytes - cursor_ >= kWholeFrameBytesMax + kReceiveBytesMax);
}

void Engine::Dispatch(uint32_t number, Slot& slot, uint32_t events) {
  if (slot.state == Slot::State::kListening) {
    if (slot.reading) Accept(number, slot);
    return;
  }
  if (slot.state == Slot::State::kConnecting) {
    FinishConnect(number, slot);
    return;
  }
  if ((events & EPOLLOUT) != 0 && !slot.output.empty()) Drain(number, slot);
  if (slot.state != Slot::State::kOpen || (events & (kReadMask | EPOLLHUP | EPOLLERR)) == 0) return;
  if (slot.reading && !slot.read_over) {
    Read(number, slot, events);
    return;
  }
  const int error = (events & EPOLLERR) != 0 ? PendingSocketError(slot.fd) : 0;
  if (error != 0) {
    Fail(number, slot, error);
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0 && WantedMask(slot) == 0) {
    // Cannot be masked, and would wake us for ever; Resume puts it back.
    epoll_->Forget(slot);
  } else {
    Unsettle(number, slot);
  }
}

void Engine::End(uint32_t number, Slot& slot, EventType type, int error, bool reset) {
  setbacks_++;
  CloseSocket(slot, reset);
  slot.state = Slot::State::kFailed;
  slot.output.Clear();
  slot.partial.Clear();
  ShowStatus(number, slot);
  if (polling_) {
    events_.Append(type, number, static_cast<uint32_t>(error), 0, 0);
    slots_.GiveBack(number);
  } else {
    ReportLater(number, type, static_cast<uint32_t>(error));
  }
}

void Engine::CloseSocket(Slot& slot, bool reset) {
  // close() alone would leave it in the set if another process or a duplicate still has the socket open.
  epoll_->Forget(slot);
  if (reset) {
    const linger now = {1, 0};
    setsockopt(slot.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  (void)static_cast<bool>(CloseDescriptor(slot.fd));
  slot.fd = -1;
}

void Engine::ReportLater(uint32_t number, EventType type, uint32_t value) {
  reports_.push_back({number, slots_[number].generation, type, value});
  epoll_->Nudge();
}

void Engine::EmitReports() {
  size_t emitted = 0;
  for (; emitted < reports_.size() && HasRoom(); emitted++) {
    const Report& report = reports_[emitted];
    if (slots_[report.number].generation != report.generation) continue;
    events_.Append(report.type, report.number, report.value, 0, 0);
    const bool is_end = report.type == EventType::kClosed || report.type == EventType::kFileFailed;
    if (is_end) slots_.GiveBack(report.number);
  }
  reports_.erase(reports_.begin(), reports_.begin() + static_cast<ptrdiff_t>(emitted));
  if (!reports_.empty()) epoll_->Nudge();
}

uint32_t Engine::WantedMask(const Slot& slot) const {
  switch (slot.state) {
    case Slot::State::kListening:
      return EPOLLIN;
    case Slot::State::kConnecting:
      return EPOLLOUT;
    case Slot::State::kOpen:
      return (slot.reading && !slot.read_over ? kReadMask : 0) |
             (slot.output.empty() ? 0 : static_cast<uint32_t>(EPOLLOUT));
    default:
      return 0;
  }
}

void Engine::Unsettle(uint32_t number, Slot& slot) {
  if (slot.unsettled) return;
  slot.unsettled = true;
  unsettled_.push_back(number);
}

void Engine::Settle() {
  for (const uint32_t number : unsettled_) {
    Slot& slot = slots_[number];
    slot.unsettled = false;
    if (slot.state == Slot::State::kOpen) Watch(number, slot);
  }
  unsettled_.clear();
}

void Engine::Watch(uint32_t number, Slot& slot) {
  const uint32_t wanted = WantedMask(slot);
  if (slot.registered ? wanted == slot.armed : wanted == 0) return;
  Failure failure = epoll_->Watch(number, slot, wanted);
  if (!failure) return;
  if (slot.state == Slot::State::kListening) {
    ReportLater(number, EventType::kAcceptFailed, static_cast<uint32_t>(failure.error));
  } else {
    Fail(number, slot, failure.error);
  }
}

void Engine::ShowStatus(uint32_t number, const Slot& slot) {
  uint32_t* status = memory_.status + number * kStatusWords;
  status[0] = static_cast<uint32_t>(std::min<size_t>(slot.output.bytes(), UINT32_MAX));
  uint32_t flags = 0;
  if (slot.state == Slot::State::kOpen) flags |= kSlotOpen;
  if (slot.state == Slot::State::kConnecting) flags |= kSlotConnecting;
  if (slot.fin_sent) flags |= kSlotFinSent;
  status[1] = flags;
  status[2] = static_cast<uint32_t>(slot.output.files());
  status[3] = slot.file_bytes_sent;
}

EngineStats Engine::stats() const {
  EngineStats stats = stats_;
  stats.epoll_waits = epoll_->waits();
  stats.epoll_controls = epoll_->controls();
  return stats;
}

void Engine::CloseAll() {
  if (closed_) return;
  closed_ = true;
  for (uint32_t number = 0; number < slots_.count(); number++) {
    Slot& slot = slots_[number];
    if (slot.fd >= 0) (void)static_cast<bool>(CloseDescriptor(std::exchange(slot.fd, -1)));
    slot.partial.Clear();
    slot.output.Clear();
  }
  epoll_->CloseAll();
}

}  // namespace reactor_net
