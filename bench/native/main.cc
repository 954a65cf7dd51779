// tlv-load: drives a TLV echo server, over TCP or UDP, from a process of its own and prints one JSON line per event.
// Exit 0: every reply came and was right. 1: errors, or the server stalled. 2: wrong usage.
// The threads meet twice: when all are connected, and before any of them closes a connection.

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "clock.h"
#include "runs.h"

namespace {

// All threads arrive; the last one runs `action`, then all go on.
class Meeting {
 public:
  explicit Meeting(int threads) : awaited_(threads) {}

  template <typename Action>
  void arrive(Action action) {
    std::unique_lock lock(mutex_);
    awaited_ -= 1;
    if (awaited_ == 0) {
      action();
      all_here_.notify_all();
      return;
    }
    all_here_.wait(lock, [this] { return awaited_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  int awaited_;
};

// Waits for a line (or the end) of standard input; false when the time is up.
bool wait_input(double timeout_s, bool until_end) {
  const int64_t deadline = now_ns() + seconds_ns(timeout_s);
  char byte = 0;
  while (now_ns() < deadline) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, static_cast<int>((deadline - now_ns()) / 1'000'000) + 1) <= 0) continue;
    if (read(STDIN_FILENO, &byte, 1) <= 0) return true;
    if (!until_end && byte == '\n') return true;
  }
  return false;
}

// Thousands of connections need as many descriptors as the hard limit allows.
void raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Tally run_threads(const Options& options, const Address& address) {
  Meeting connected(options.threads);
  Meeting measured(options.threads);
  std::mutex mutex;
  uint64_t connection_count = 0;
  Tally sum;

  const Gate gate = [&](uint64_t count) {
    {
      const std::lock_guard lock(mutex);
      connection_count += count;
    }
    connected.arrive([&] {
      const bool idle = options.mode == Mode::kIdle;
      if (options.gate || idle) print_connected(idle ? "ready" : "connected", connection_count);
      // An idle run is all waiting: the connections are held until the input ends.
      if (options.gate || idle) wait_input(options.hold_timeout_s, idle);
    });
  };
  const Hold hold = [&](const Tally& tally) {
    {
      const std::lock_guard lock(mutex);
      sum.merge(tally);
    }
    measured.arrive([&] {
      print_result(options, sum);
      if (options.gate && options.mode != Mode::kIdle) wait_input(options.hold_timeout_s, true);
    });
  };

  std::vector<std::thread> running;
  for (int index = 0; index < options.threads; index += 1) {
    const int extra = index < options.connections % options.threads ? 1 : 0;
    const uint64_t threads = static_cast<uint64_t>(options.threads);
    const Share share{options, address, options.connections / options.threads + extra,
                      options.rate / options.threads,
                      options.visits / threads + (static_cast<uint64_t>(index) < options.visits % threads ? 1 : 0)};
    running.emplace_back([share, &options, &gate, &hold] {
      switch (options.mode) {
        case Mode::kClosed:
        case Mode::kRate: run_echo(share, gate, hold); break;
        case Mode::kChurn: run_churn(share, gate, hold); break;
        case Mode::kFetch: run_fetch(share, gate, hold); break;
        case Mode::kIdle: run_idle(share, gate, hold); break;
        case Mode::kUdp: run_udp(share, gate, hold); break;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string problem;
  bool help = false;
  if (!parse_options(argc, argv, options, problem, help)) {
    if (help) fputs(problem.c_str(), stdout);
    else fprintf(stderr, "tlv-load: %s\n", problem.c_str());
    return help ? 0 : 2;
  }
  Address address;
  if (!parse_address(options, address)) {
    fprintf(stderr, "tlv-load: --host: '%s' is not a numeric address\n", options.host.c_str());
    return 2;
  }
  raise_descriptor_limit();
  const Tally tally = run_threads(options, address);
  return tally.errors() == 0 && !tally.stalled ? 0 : 1;
}
