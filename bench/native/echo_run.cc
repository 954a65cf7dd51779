// Modes closed and rate: every connection keeps up to `depth` requests in flight.
// Closed: a reply is followed by the next request at once. Rate: requests are due at fixed times, whatever
// the server does. Latency counts from the due time, of all that were due in the measured time, answered within
// it or later: a stall is not omitted from the histogram.

#include <errno.h>
#include <sys/prctl.h>

#include <algorithm>
#include <deque>

#include "clock.h"
#include "frame.h"
#include "runs.h"

namespace {

constexpr size_t kReadBytes = 256 * 1024;

struct Flow {
  Fd fd;
  Output output;
  ReplyReader replies;
  std::vector<int64_t> asked_at;  // ring of `depth` times: sent (closed) or due (rate)
  uint64_t sent = 0;
  uint64_t answered = 0;
  bool wants_write = false;
  bool spare = false;  // mode rate: listed in spare_ and below `depth`
};

class EchoRun {
 public:
  EchoRun(const Share& share, std::vector<Fd> fds)
      : options_(share.options), rate_(share.rate), pattern_(share.options.payload_bytes), read_(kReadBytes) {
    for (Fd& fd : fds) {
      Flow flow;
      flow.fd = std::move(fd);
      flow.asked_at.resize(static_cast<size_t>(options_.depth));
      flows_.push_back(std::move(flow));
    }
    for (size_t index = 0; index < flows_.size(); index += 1) {
      epoll_.add(flows_[index].fd.get(), EPOLLIN, static_cast<uint32_t>(index));
    }
    open_ = flows_.size();
  }

  void run(Tally& tally) {
    tally_ = &tally;
    const int64_t begin = now_ns();
    measure_from_ = begin + seconds_ns(options_.warmup_s);
    measure_until_ = measure_from_ + seconds_ns(options_.duration_s);
    begin_ = begin;
    last_reply_ = begin;
    now_ = begin;
    for (size_t index = 0; index < flows_.size(); index += 1) {
      if (options_.mode == Mode::kClosed) refill(index);
      else list_spare(index);
    }
    while (open_ > 0 && step()) continue;
    tally.measured_s = static_cast<double>(std::min(now_, measure_until_) - measure_from_) / 1e9;
    tally.total_s = static_cast<double>(now_ - begin) / 1e9;
    if (options_.mode == Mode::kRate) count_unsent();
  }

 private:
  // One turn of the loop; false when the run is over.
  bool step() {
    const int64_t stalled_at = last_reply_ + seconds_ns(options_.stall_timeout_s);
    int64_t wake_at = stalled_at;
    if (now_ < measure_until_) {
      wake_at = std::min(wake_at, measure_until_);
      if (options_.mode == Mode::kRate && !spare_.empty()) wake_at = std::min(wake_at, due_at(issued_));
    }
    const int ready = epoll_.wait(wake_at);
    now_ = now_ns();
    for (int position = 0; position < ready; position += 1) {
      const epoll_event& event = epoll_.event(position);
      const size_t index = event.data.u32;
      if (!flows_[index].fd) continue;
      if (event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) on_readable(index);
      if (flows_[index].fd && (event.events & EPOLLOUT)) flush(index);
    }
    const bool sending = now_ < measure_until_;
    if (sending && options_.mode == Mode::kRate) issue_due();
    if (open_ == 0 || (!sending && in_flight_ == 0)) return false;
    // A paced run that has nothing in flight is not stalled, it waits for the next due time.
    if (in_flight_ == 0) last_reply_ = now_;
    if (now_ < stalled_at || in_flight_ == 0) return true;
    tally_->stalled = true;
    return false;
  }

  void on_readable(size_t index) {
    Flow& flow = flows_[index];
    const ssize_t length = recv(flow.fd.get(), read_.data(), read_.size(), 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (length < 0) return drop(index, tally_->io_errors);
    if (length == 0) return drop(index, tally_->closed_early);
    now_ = now_ns();
    last_reply_ = now_;
    bool expected = true;
    const size_t got = static_cast<size_t>(length);
    const bool matches = flow.replies.feed(pattern_, options_.msg_id, read_.data(), got, [&] {
      if (flow.answered == flow.sent) {
        expected = false;
        return;
      }
      const int64_t asked_at = flow.asked_at[flow.answered % flow.asked_at.size()];
      const bool measured = is_measured(options_.mode == Mode::kRate ? asked_at : now_);
      if (measured) tally_->latency.record(now_ - asked_at);
      flow.answered += 1;
      in_flight_ -= 1;
      tally_->replies_total += 1;
      tally_->replies_measured += measured ? 1 : 0;
    });
    if (!matches || !expected) return drop(index, tally_->mismatches);
    if (now_ >= measure_until_) return;
    if (options_.mode == Mode::kClosed) refill(index);
    else list_spare(index);
  }

  // Closed loop: fills the window of one connection.
  void refill(size_t index) {
    Flow& flow = flows_[index];
    while (flow.sent - flow.answered < flow.asked_at.size()) enqueue(flow, now_);
    flush(index);
  }

  uint64_t due_count(int64_t at) const {
    return static_cast<uint64_t>(static_cast<double>(at - begin_) * rate_ / 1e9);
  }

  int64_t due_at(uint64_t request) const {
    return begin_ + static_cast<int64_t>(static_cast<double>(request + 1) * 1e9 / rate_);
  }

  bool is_measured(int64_t at) const { return at >= measure_from_ && at < measure_until_; }

  // What was due and had to wait for a reply until the end took at least that long.
  void count_unsent() {
    const uint64_t due = due_count(measure_until_);
    tally_->unsent = due - issued_;
    for (uint64_t request = issued_; request < due; request += 1) {
      if (is_measured(due_at(request))) tally_->latency.record(measure_until_ - due_at(request));
    }
  }

  void list_spare(size_t index) {
    Flow& flow = flows_[index];
    if (flow.spare || flow.sent - flow.answered >= flow.asked_at.size()) return;
    flow.spare = true;
    spare_.push_back(index);
  }

  // Paced: hands everything that is due to connections with room, in turn.
  void issue_due() {
    const uint64_t due = due_count(now_);
    while (issued_ < due && !spare_.empty()) {
      const size_t index = spare_.front();
      spare_.pop_front();
      Flow& flow = flows_[index];
      flow.spare = false;
      if (!flow.fd) continue;
      enqueue(flow, due_at(issued_));
      issued_ += 1;
      flush(index);
      if (flow.fd) list_spare(index);
    }
  }

  void enqueue(Flow& flow, int64_t asked_at) {
    flow.asked_at[flow.sent % flow.asked_at.size()] = asked_at;
    pattern_.write(flow.output.append(kHeaderBytes + options_.payload_bytes), options_.msg_id, flow.sent);
    flow.sent += 1;
    in_flight_ += 1;
    tally_->sent += 1;
  }

  void flush(size_t index) {
    Flow& flow = flows_[index];
    if (flow.output.flush(flow.fd.get()) != 0) return drop(index, tally_->io_errors);
    const bool wants_write = !flow.output.empty();
    if (wants_write == flow.wants_write) return;
    flow.wants_write = wants_write;
    epoll_.modify(flow.fd.get(), wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN, static_cast<uint32_t>(index));
  }

  void drop(size_t index, uint64_t& counter) {
    Flow& flow = flows_[index];
    counter += 1;
    in_flight_ -= flow.sent - flow.answered;
    open_ -= 1;
    flow.fd.reset();
  }

  const Options& options_;
  const double rate_;
  const BodyPattern pattern_;
  Epoll epoll_;
  std::vector<char> read_;
  std::vector<Flow> flows_;
  std::deque<size_t> spare_;
  Tally* tally_ = nullptr;
  uint64_t issued_ = 0;
  uint64_t in_flight_ = 0;
  size_t open_ = 0;
  int64_t begin_ = 0;
  int64_t measure_from_ = 0;
  int64_t measure_until_ = 0;
  int64_t last_reply_ = 0;
  int64_t now_ = 0;
};

}  // namespace

Tally run_echo(const Share& share, const Gate& gate, const Hold& hold) {
  Tally tally;
  // A paced run sleeps for microseconds; the default slack of 50 µs would show in its latencies.
  prctl(PR_SET_TIMERSLACK, 1000);
  EchoRun run(share, open_connections(share.options, share.address, share.connections, tally.connect_errors));
  tally.connected = static_cast<uint64_t>(share.connections) - tally.connect_errors;
  gate(tally.connected);
  const ThreadCpu cpu;
  run.run(tally);
  cpu.stop(tally);
  hold(tally);
  return tally;
}
