#include "transport/epoll_set.h"

#include "core/event_fd.h"

namespace reactor_net {
namespace {

constexpr uint64_t kNudgeTag = UINT64_MAX;

uint64_t TagOf(uint32_t number, const Slot& slot) { return uint64_t{slot.generation} << 32 | number; }

}  // namespace

Result<std::unique_ptr<EpollSet>> EpollSet::Create() {
  Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (epoll.get() < 0) return Failure::Last("epoll_create1");
  Result<int> nudge = CreateEventFd();
  if (!nudge.ok()) return nudge.failure();
  std::unique_ptr<EpollSet> set(new EpollSet(epoll.Release(), nudge.value()));
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kNudgeTag;
  if (epoll_ctl(set->epoll_.get(), EPOLL_CTL_ADD, set->nudge_.get(), &event) != 0) return Failure::Last("epoll_ctl");
  return set;
}

Failure EpollSet::Watch(uint32_t number, Slot& slot, uint32_t mask) {
  epoll_event event = {};
  event.events = mask;
  event.data.u64 = TagOf(number, slot);
  controls_++;
  const int operation = slot.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_.get(), operation, slot.fd, &event) != 0) return Failure::Last("epoll_ctl");
  slot.registered = true;
  slot.armed = mask;
  return Failure::None();
}

void EpollSet::Forget(Slot& slot) {
  if (!slot.registered) return;
  controls_++;
  epoll_event ignored = {};
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, slot.fd, &ignored);
  slot.registered = false;
  slot.armed = 0;
}

void EpollSet::Fetch() {
  if (next_ < ready_) return;
  next_ = 0;
  waits_++;
  const int ready = epoll_wait(epoll_.get(), events_, kEventsMax, 0);
  ready_ = ready < 0 ? 0 : ready;
  if (!nudged_) return;
  // Rare: taken out here, so that whoever walks the events meets sockets only.
  for (int i = 0; i < ready_; i++) {
    if (events_[i].data.u64 != kNudgeTag) continue;
    events_[i] = events_[--ready_];
    nudged_ = false;
    (void)DrainEventFd(nudge_.get()).ok();
    break;
  }
}

void EpollSet::Nudge() {
  if (nudged_) return;
  nudged_ = true;
  (void)static_cast<bool>(SignalEventFd(nudge_.get()));
}

void EpollSet::CloseAll() {
  next_ = ready_ = 0;
  Descriptor(epoll_.Release());
  Descriptor(nudge_.Release());
}

}  // namespace reactor_net
