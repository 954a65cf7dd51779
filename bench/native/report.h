// What one thread of a run counted, and the JSON lines that come out of it.

#pragma once

#include <cstdint>

#include "histogram.h"
#include "options.h"

/** One per thread; every field adds up over the threads. */
struct Tally {
  uint64_t connected = 0;
  uint64_t sent = 0;
  uint64_t replies_total = 0;     // verified, warm-up and drain included
  uint64_t replies_measured = 0;  // verified within the measured time
  uint64_t unsent = 0;            // mode rate: due but never sent
  uint64_t connect_errors = 0;
  uint64_t io_errors = 0;     // a system call failed on an open connection
  uint64_t closed_early = 0;  // the server closed while a reply was due
  uint64_t mismatches = 0;    // a reply differs from what was sent
  uint64_t lost = 0;          // mode udp: no reply within the loss timeout
  uint64_t late = 0;          // mode udp: a reply that came after that, or twice
  bool stalled = false;
  double measured_s = 0;      // the longest of the threads, not the sum
  double total_s = 0;
  int64_t cpu_user_us = 0;
  int64_t cpu_system_us = 0;
  Histogram latency;

  void merge(const Tally& other);
  uint64_t errors() const { return connect_errors + io_errors + closed_early + mismatches; }
};

/** Adds the CPU time the calling thread used since construction when `stop` is called. */
class ThreadCpu {
 public:
  ThreadCpu();
  void stop(Tally& tally) const;

 private:
  int64_t user_us_;
  int64_t system_us_;
};

/** `{"event":"connected"|"ready",...}`: all connections are there. */
void print_connected(const char* event, uint64_t connections);
void print_result(const Options& options, const Tally& tally);
