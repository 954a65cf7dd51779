// The one clock of the load generator: monotonic nanoseconds.

#pragma once

#include <time.h>

#include <cstdint>

inline int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline int64_t seconds_ns(double seconds) { return static_cast<int64_t>(seconds * 1e9); }
