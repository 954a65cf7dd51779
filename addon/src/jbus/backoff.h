// Waits for a condition that another process brings about, without a system call it could answer: looks again and
// again, ever less often. For threads that may block; an event loop waits for a doorbell instead.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>

namespace reactor_net::jbus {

inline void CpuPause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline int64_t MonotonicNs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/**
 * True as soon as `condition()` holds, false after `spin_us` of looking without pause followed by `sleep_us` with
 * ever longer sleeps, 1 us doubling to 1 ms.
 */
template <typename Condition>
bool WaitUntil(Condition condition, int64_t spin_us, int64_t sleep_us) {
  constexpr int kLooksPerClock = 32;
  constexpr int64_t kSleepMostNs = 1'000'000;
  const int64_t spin_end = MonotonicNs() + spin_us * 1000;
  do {
    for (int i = 0; i < kLooksPerClock; i++) {
      if (condition()) return true;
      CpuPause();
    }
  } while (MonotonicNs() < spin_end);
  const int64_t sleep_end = MonotonicNs() + sleep_us * 1000;
  int64_t pause_ns = 1000;
  for (int64_t now = MonotonicNs(); now < sleep_end; now = MonotonicNs()) {
    const timespec pause = {0, static_cast<long>(std::min(pause_ns, sleep_end - now))};
    nanosleep(&pause, nullptr);
    if (condition()) return true;
    pause_ns = std::min(pause_ns * 2, kSleepMostNs);
  }
  return condition();
}

}  // namespace reactor_net::jbus
