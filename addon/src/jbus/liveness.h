// Whether the process that wrote its id into a segment still lives, and the clock heartbeats are told in.
// A pid alone is not enough: it may have been given to another process, so the start time goes with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

namespace reactor_net::jbus {

/** A process for as long as it lives; pid 0 is nobody. */
struct ProcessIdentity {
  uint32_t pid = 0;
  uint64_t start_time = 0;  // clock ticks since boot, field 22 of /proc/PID/stat
};

ProcessIdentity ThisProcess();

/**
 * The start time of a process; 0 when there is none with this pid, or only the remains of one that its parent has
 * not collected. A pid is one of this process's pid namespace.
 */
uint64_t StartTimeOf(uint32_t pid);

/** The start time in the text of /proc/PID/stat; 0 for a process that has ended, or text that makes no sense. */
uint64_t ParseStartTime(std::string_view stat);

/** False for pid 0 and for a pid that now belongs to somebody else. A start time of 0 is not yet known: the pid decides. */
bool IsAlive(const ProcessIdentity& process);

/** CLOCK_MONOTONIC in milliseconds: the same for all processes of one boot. */
uint64_t MonotonicMs();

}  // namespace reactor_net::jbus
