// core/event_fd: signals add up, none is lost between threads.
#include "core/event_fd.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"
#include "core/descriptor.h"

using namespace reactor_net;

namespace {

void SignalsAddUp() {
  const Descriptor event(CreateEventFd().value());
  CHECK(!DrainEventFd(event.get()).value());
  for (int i = 0; i < 1000; i++) CHECK(!SignalEventFd(event.get()));
  CHECK(DrainEventFd(event.get()).value());
  CHECK(!DrainEventFd(event.get()).value());
}

void FullCounterIsStillASignal() {
  const Descriptor event(CreateEventFd().value());
  const uint64_t nearly_full = UINT64_MAX - 1;
  CHECK(write(event.get(), &nearly_full, sizeof nearly_full) == sizeof nearly_full);
  CHECK(!SignalEventFd(event.get()));
  CHECK(DrainEventFd(event.get()).value());
}

void NothingIsLostBetweenThreads() {
  constexpr int kProducers = 4;
  constexpr int kItemsEach = 5000;
  const Descriptor event(CreateEventFd().value());
  std::atomic<int> published{0};
  std::vector<std::thread> producers;
  for (int i = 0; i < kProducers; i++) {
    producers.emplace_back([&] {
      for (int item = 0; item < kItemsEach; item++) {
        published.fetch_add(1);
        CHECK(!SignalEventFd(event.get()));
      }
    });
  }
  int wakes = 0;
  while (published.load() < kProducers * kItemsEach) {
    pollfd watched = {event.get(), POLLIN, 0};
    CHECK(poll(&watched, 1, 10'000) == 1);
    CHECK(DrainEventFd(event.get()).value());
    wakes++;
  }
  for (std::thread& producer : producers) producer.join();
  CHECK(wakes <= kProducers * kItemsEach);
}

void OtherFilesAreTold() {
  const Descriptor event(CreateEventFd().value());
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK(IsEventFd(event.get()).value());
  CHECK(!IsEventFd(file.get()).value());
  CHECK(IsEventFd(9999).failure().error == EBADF);
  CHECK(SignalEventFd(9999).error == EBADF);
}

}  // namespace

int main() {
  Run("any number of signals is one reading", SignalsAddUp);
  Run("a signal to a full counter succeeds and does not block", FullCounterIsStillASignal);
  Run("a reader that drains and then looks misses nothing from four threads", NothingIsLostBetweenThreads);
  Run("an eventfd is told from other files", OtherFilesAreTold);
}
