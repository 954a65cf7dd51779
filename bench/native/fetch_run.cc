// Mode fetch: a closed loop of requests without a body, each answered by one large frame whose length is known.
// Bodies are counted and thrown away by the kernel, so that the generator leaves the processors to the server.

#include <errno.h>

#include "clock.h"
#include "frame.h"
#include "runs.h"

namespace {

struct Flow {
  Fd fd;
  char header[kHeaderBytes];
  size_t header_bytes = 0;  // received of the reply
  uint64_t body_bytes = 0;
  int64_t asked_at = 0;
};

class FetchRun {
 public:
  FetchRun(const Share& share, std::vector<Fd> fds) : options_(share.options) {
    for (Fd& fd : fds) {
      epoll_.add(fd.get(), EPOLLIN, static_cast<uint32_t>(flows_.size()));
      flows_.emplace_back().fd = std::move(fd);
    }
    open_ = flows_.size();
  }

  void run(Tally& tally) {
    const int64_t begin = now_ns();
    measure_from_ = begin + seconds_ns(options_.warmup_s);
    measure_until_ = measure_from_ + seconds_ns(options_.duration_s);
    now_ = last_reply_ = begin;
    for (Flow& flow : flows_) ask(flow, tally);
    while (open_ > 0 && (now_ < measure_until_ || in_flight_ > 0)) {
      const int64_t stalled_at = last_reply_ + seconds_ns(options_.stall_timeout_s);
      const int ready = epoll_.wait(stalled_at);
      now_ = now_ns();
      for (int position = 0; position < ready; position += 1) receive(flows_[epoll_.event(position).data.u32], tally);
      if (ready > 0) last_reply_ = now_;
      if (now_ < stalled_at) continue;
      tally.stalled = true;
      break;
    }
    tally.measured_s = static_cast<double>(std::min(now_, measure_until_) - measure_from_) / 1e9;
    tally.total_s = static_cast<double>(now_ - begin) / 1e9;
  }

 private:
  void ask(Flow& flow, Tally& tally) {
    Output output;
    char* header = output.append(kHeaderBytes);
    store_u32(header, options_.msg_id);
    store_u32(header + 4, 0);
    flow.asked_at = now_;
    flow.header_bytes = 0;
    flow.body_bytes = 0;
    tally.sent += 1;
    in_flight_ += 1;
    if (output.flush(flow.fd.get()) != 0 || !output.empty()) drop(flow, tally.io_errors);
  }

  void receive(Flow& flow, Tally& tally) {
    while (flow.fd) {
      const bool in_header = flow.header_bytes < kHeaderBytes;
      const ssize_t got =
          in_header ? recv(flow.fd.get(), flow.header + flow.header_bytes, kHeaderBytes - flow.header_bytes, 0)
                    : recv(flow.fd.get(), nullptr, options_.payload_bytes - flow.body_bytes, MSG_TRUNC);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) return drop(flow, got == 0 ? tally.closed_early : tally.io_errors);
      (in_header ? flow.header_bytes : flow.body_bytes) += static_cast<uint64_t>(got);
      if (flow.header_bytes < kHeaderBytes) continue;
      const bool is_right =
          load_u32(flow.header) == options_.msg_id && load_u32(flow.header + 4) == options_.payload_bytes;
      if (!is_right) return drop(flow, tally.mismatches);
      if (flow.body_bytes == options_.payload_bytes) return complete(flow, tally);
    }
  }

  void complete(Flow& flow, Tally& tally) {
    now_ = now_ns();
    const bool measured = now_ >= measure_from_ && now_ < measure_until_;
    if (measured) tally.latency.record(now_ - flow.asked_at);
    tally.replies_total += 1;
    tally.replies_measured += measured ? 1 : 0;
    in_flight_ -= 1;
    if (now_ < measure_until_) ask(flow, tally);
  }

  void drop(Flow& flow, uint64_t& counter) {
    counter += 1;
    in_flight_ -= 1;
    open_ -= 1;
    flow.fd.reset();
  }

  const Options& options_;
  Epoll epoll_;
  std::vector<Flow> flows_;
  uint64_t in_flight_ = 0;
  size_t open_ = 0;
  int64_t measure_from_ = 0;
  int64_t measure_until_ = 0;
  int64_t last_reply_ = 0;
  int64_t now_ = 0;
};

}  // namespace

Tally run_fetch(const Share& share, const Gate& gate, const Hold& hold) {
  Tally tally;
  FetchRun run(share, open_connections(share.options, share.address, share.connections, tally.connect_errors));
  tally.connected = static_cast<uint64_t>(share.connections) - tally.connect_errors;
  gate(tally.connected);
  const ThreadCpu cpu;
  run.run(tally);
  cpu.stop(tally);
  hold(tally);
  return tally;
}
