// Mode churn: every slot connects, sends one request, verifies the reply, closes and starts again.
// Latency runs from the call of connect to the verified reply.

#include <errno.h>

#include <algorithm>
#include <array>

#include "clock.h"
#include "frame.h"
#include "runs.h"

namespace {

struct Visit {
  Fd fd;
  Output output;
  ReplyReader reply;
  int64_t started_at = 0;
  bool connected = false;
};

class ChurnRun {
 public:
  explicit ChurnRun(const Share& share)
      : options_(share.options), address_(share.address), pattern_(share.options.payload_bytes) {
    visits_.resize(static_cast<size_t>(share.connections));
    if (share.visits > 0) visits_max_ = share.visits;
  }

  void run(Tally& tally) {
    tally_ = &tally;
    const int64_t begin = now_ns();
    const int64_t measure_from = begin + seconds_ns(options_.warmup_s);
    const int64_t measure_until = measure_from + seconds_ns(options_.duration_s);
    const int64_t stall = seconds_ns(options_.stall_timeout_s);
    int64_t last_reply = begin;
    int64_t now = begin;
    for (size_t index = 0; index < visits_.size() && visits_begun_ < visits_max_; index += 1) start(index, begin);
    while (under_way_ > 0) {
      const int ready = epoll_.wait(std::max(now, std::min(last_reply + stall, now + 100'000'000)));
      now = now_ns();
      for (int position = 0; position < ready; position += 1) {
        const epoll_event& event = epoll_.event(position);
        const size_t index = event.data.u32;
        if (!advance(index, event.events)) continue;
        now = now_ns();
        last_reply = now;
        const bool measured = now >= measure_from && now < measure_until;
        if (measured) tally.latency.record(now - visits_[index].started_at);
        tally.replies_total += 1;
        tally.replies_measured += measured ? 1 : 0;
        finish(index);
        if (now < measure_until && visits_begun_ < visits_max_) start(index, now);
      }
      // A slot whose connection failed starts again, at most once a turn.
      const bool refill = now < measure_until && under_way_ < visits_.size() && tally.errors() < kErrorsMax;
      for (size_t index = 0; refill && index < visits_.size(); index += 1) {
        if (!visits_[index].fd && visits_begun_ < visits_max_) start(index, now);
      }
      if (now >= last_reply + stall) {
        tally.stalled = true;
        break;
      }
    }
    tally.measured_s = static_cast<double>(std::min(now, measure_until) - measure_from) / 1e9;
    tally.total_s = static_cast<double>(now - begin) / 1e9;
  }

 private:
  static constexpr uint64_t kErrorsMax = 1000;  // then failed slots stay closed and the run ends

  void start(size_t index, int64_t now) {
    Visit& visit = visits_[index];
    visit = Visit();
    visit.started_at = now;
    visits_begun_ += 1;
    visit.fd = start_connect(address_, visits_begun_);
    if (!visit.fd || !epoll_.add(visit.fd.get(), EPOLLOUT, static_cast<uint32_t>(index))) {
      visit.fd.reset();
      tally_->connect_errors += 1;
      return;
    }
    under_way_ += 1;
  }

  void finish(size_t index) {
    visits_[index].fd.reset();
    under_way_ -= 1;
  }

  // True when the reply is complete and right; a failed visit is finished and counted here.
  bool advance(size_t index, uint32_t events) {
    Visit& visit = visits_[index];
    if (!visit.fd) return false;
    if (!visit.connected) {
      if (connect_result(visit.fd.get()) != 0) return fail(index, tally_->connect_errors);
      visit.connected = true;
      tally_->connected += 1;
      tally_->sent += 1;
      pattern_.write(visit.output.append(kHeaderBytes + options_.payload_bytes), options_.msg_id, 0);
    }
    if (!visit.output.empty()) {
      if (visit.output.flush(visit.fd.get()) != 0) return fail(index, tally_->io_errors);
      const uint32_t awaited = visit.output.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
      epoll_.modify(visit.fd.get(), awaited, static_cast<uint32_t>(index));
    }
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP))) return false;
    const ssize_t length = recv(visit.fd.get(), read_.data(), read_.size(), 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (length < 0) return fail(index, tally_->io_errors);
    if (length == 0) return fail(index, tally_->closed_early);
    int replies = 0;
    const size_t got = static_cast<size_t>(length);
    const bool matches =
        visit.reply.feed(pattern_, options_.msg_id, read_.data(), got, [&] { replies += 1; });
    if (!matches || replies > 1) return fail(index, tally_->mismatches);
    return replies == 1;
  }

  bool fail(size_t index, uint64_t& counter) {
    counter += 1;
    finish(index);
    return false;
  }

  const Options& options_;
  const Address address_;
  const BodyPattern pattern_;
  Epoll epoll_;
  std::array<char, 64 * 1024> read_{};
  std::vector<Visit> visits_;
  Tally* tally_ = nullptr;
  uint64_t visits_begun_ = 0;
  uint64_t visits_max_ = UINT64_MAX;
  size_t under_way_ = 0;
};

}  // namespace

Tally run_churn(const Share& share, const Gate& gate, const Hold& hold) {
  Tally tally;
  ChurnRun run(share);
  gate(0);
  const ThreadCpu cpu;
  run.run(tally);
  cpu.stop(tally);
  hold(tally);
  return tally;
}
