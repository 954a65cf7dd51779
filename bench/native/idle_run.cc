// Mode idle: opens the connections, proves each one with a single echo (a full listen queue would
// connect, but not answer), then holds them silent. One that the server closes meanwhile is an error.

#include <errno.h>

#include "clock.h"
#include "frame.h"
#include "runs.h"

namespace {

class IdleRun {
 public:
  IdleRun(const Options& options, const std::vector<Fd>& fds)
      : options_(options),
        fds_(fds),
        pattern_(options.payload_bytes),
        replies_(fds.size()),
        read_(64 * 1024) {
    for (size_t index = 0; index < fds.size(); index += 1) {
      epoll_.add(fds[index].get(), EPOLLIN, static_cast<uint32_t>(index));
    }
  }

  void prove(Tally& tally) {
    const int64_t begin = now_ns();
    const int64_t stall = seconds_ns(options_.stall_timeout_s);
    int64_t last_reply = begin;
    size_t asked = 0;
    while (tally.replies_total + failed_ < fds_.size()) {
      // Those that fail may not have been asked yet, so more than were asked can be done with.
      while (asked < fds_.size() && asked < tally.replies_total + failed_ + kInFlightMax) ask(asked++, tally);
      const int ready = epoll_.wait(last_reply + stall);
      for (int position = 0; position < ready; position += 1) answer(epoll_.event(position).data.u32, tally);
      if (ready > 0) last_reply = now_ns();
      if (now_ns() >= last_reply + stall) {
        tally.stalled = true;
        break;
      }
    }
    tally.replies_measured = tally.replies_total;
    tally.total_s = static_cast<double>(now_ns() - begin) / 1e9;
    tally.measured_s = tally.total_s;
  }

  /** Counts the connections that ended, or spoke, while they were to be silent. */
  void inspect(Tally& tally) {
    for (size_t index = 0; index < fds_.size(); index += 1) {
      const ssize_t length = recv(fds_[index].get(), read_.data(), read_.size(), 0);
      if (length == 0) tally.closed_early += 1;
      else if (length > 0) tally.mismatches += 1;
      else if (errno != EAGAIN) tally.io_errors += 1;
    }
  }

 private:
  static constexpr size_t kInFlightMax = 64;

  void ask(size_t index, Tally& tally) {
    Output output;
    pattern_.write(output.append(kHeaderBytes + options_.payload_bytes), options_.msg_id, 0);
    tally.sent += 1;
    // A fresh connection takes one small frame whole; less is a failure worth counting.
    if (output.flush(fds_[index].get()) != 0 || !output.empty()) fail(index, tally.io_errors);
  }

  void answer(size_t index, Tally& tally) {
    const ssize_t length = recv(fds_[index].get(), read_.data(), read_.size(), 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (length <= 0) return fail(index, length == 0 ? tally.closed_early : tally.io_errors);
    const size_t got = static_cast<size_t>(length);
    const bool matches = replies_[index].feed(pattern_, options_.msg_id, read_.data(), got,
                                              [&] { tally.replies_total += 1; });
    if (!matches) fail(index, tally.mismatches);
  }

  void fail(size_t index, uint64_t& counter) {
    counter += 1;
    failed_ += 1;
    epoll_.remove(fds_[index].get());
  }

  const Options& options_;
  const std::vector<Fd>& fds_;
  const BodyPattern pattern_;
  std::vector<ReplyReader> replies_;
  std::vector<char> read_;
  Epoll epoll_;
  uint64_t failed_ = 0;
};

}  // namespace

Tally run_idle(const Share& share, const Gate& gate, const Hold& hold) {
  Tally tally;
  const ThreadCpu cpu;
  const std::vector<Fd> fds =
      open_connections(share.options, share.address, share.connections, tally.connect_errors);
  tally.connected = fds.size();
  IdleRun run(share.options, fds);
  run.prove(tally);
  gate(tally.connected);
  if (tally.errors() == 0 && !tally.stalled) run.inspect(tally);
  cpu.stop(tally);
  hold(tally);
  return tally;
}
