// The load generator's command line, checked once here; the runs see only complete options.

#pragma once

#include <cstdint>
#include <string>

enum class Mode { kClosed, kRate, kChurn, kIdle, kFetch, kUdp };

struct Options {
  Mode mode = Mode::kClosed;
  std::string host = "127.0.0.1";  // numeric, IPv4 or IPv6
  uint16_t port = 0;
  int connections = 40;       // over all threads
  int depth = 1;              // requests in flight per connection
  uint32_t payload_bytes = 64;
  uint32_t msg_id = 1;
  int threads = 1;
  double rate = 0;            // requests per second over all threads, mode rate
  uint64_t visits = 0;        // connections to be made over all threads, mode churn; 0: until the time is up
  double warmup_s = 0.2;      // replies of this time are verified but not measured
  double duration_s = 1;
  double connect_timeout_s = 10;
  double stall_timeout_s = 5;  // without one reply for so long, the server counts as stalled
  double hold_timeout_s = 120;  // longest wait for a line or the end of standard input
  bool gate = false;           // wait for a line before the load, for the end of input after it
};

const char* mode_name(Mode mode);

/** Returns false with one line in `problem`; `--help` sets `problem` to the usage text and `help`. */
bool parse_options(int argc, char** argv, Options& options, std::string& problem, bool& help);
