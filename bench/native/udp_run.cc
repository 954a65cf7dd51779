// Mode udp: a closed loop over connected UDP sockets, up to `depth` datagrams in flight on each.
// A reply is known by the sequence number in its body. One that does not come within the loss timeout is counted as
// lost and its place is used again; one that comes later is counted as late. Neither is an error: UDP may do so.

#include <errno.h>

#include <algorithm>

#include "clock.h"
#include "frame.h"
#include "runs.h"

namespace {

constexpr int64_t kLossTimeoutNs = 250'000'000;
constexpr int64_t kLossCheckNs = 50'000'000;

/** One request in flight. Its sequence number modulo the depth is its place, so a reply finds it at once. */
struct Place {
  uint64_t sequence = 0;
  int64_t asked_at = 0;
  bool awaits = false;
};

struct UdpFlow {
  Fd fd;
  std::vector<Place> places;
  std::vector<size_t> due;  // places whose next request is to be sent
};

class UdpRun {
 public:
  UdpRun(const Share& share, Tally& tally)
      : options_(share.options),
        depth_(static_cast<size_t>(share.options.depth)),
        pattern_(share.options.payload_bytes),
        frame_bytes_(kHeaderBytes + share.options.payload_bytes),
        buffer_(depth_ * (frame_bytes_ + 1)),
        vectors_(depth_),
        messages_(depth_),
        tally_(tally) {
    for (size_t i = 0; i < depth_; i += 1) {
      messages_[i].msg_hdr.msg_iov = &vectors_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
    for (int i = 0; i < share.connections; i += 1) open(share.address);
    tally_.connected = flows_.size();
  }

  void run() {
    const int64_t begin = now_ = last_reply_ = now_ns();
    measure_from_ = begin + seconds_ns(options_.warmup_s);
    measure_until_ = measure_from_ + seconds_ns(options_.duration_s);
    for (UdpFlow& flow : flows_) {
      for (size_t place = 0; place < depth_; place += 1) ask_next(flow, place);
      flush(flow);
    }
    while (step()) continue;
    tally_.measured_s = static_cast<double>(std::min(now_, measure_until_) - measure_from_) / 1e9;
    tally_.total_s = static_cast<double>(now_ - begin) / 1e9;
  }

 private:
  void open(const Address& address) {
    UdpFlow flow;
    flow.fd = Fd(socket(address.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    flow.places.resize(depth_);
    const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
    const auto index = static_cast<uint32_t>(flows_.size());
    if (!flow.fd || connect(flow.fd.get(), target, address.length) != 0 ||
        !epoll_.add(flow.fd.get(), EPOLLIN, index)) {
      tally_.connect_errors += 1;
      return;
    }
    flows_.push_back(std::move(flow));
  }

  // One turn of the loop; false when the run is over.
  bool step() {
    const int ready = epoll_.wait(now_ < measure_until_ ? std::min(next_check_, measure_until_) : next_check_);
    now_ = now_ns();
    for (int position = 0; position < ready; position += 1) receive(flows_[epoll_.event(position).data.u32]);
    if (now_ >= next_check_) give_up_lost();
    if (flows_.empty() || (now_ >= measure_until_ && in_flight_ == 0)) return false;
    if (now_ < last_reply_ + seconds_ns(options_.stall_timeout_s)) return true;
    tally_.stalled = true;
    return false;
  }

  void receive(UdpFlow& flow) {
    // A byte more than a frame, so that a reply that is too long shows.
    for (size_t i = 0; i < depth_; i += 1) vectors_[i] = {&buffer_[i * (frame_bytes_ + 1)], frame_bytes_ + 1};
    const int count = recvmmsg(flow.fd.get(), messages_.data(), static_cast<unsigned>(depth_), 0, nullptr);
    if (count < 0) {
      if (errno != EAGAIN && errno != EINTR) tally_.io_errors += 1;
      return;
    }
    now_ = last_reply_ = now_ns();
    for (int i = 0; i < count; i += 1) take(flow, static_cast<const char*>(vectors_[i].iov_base), messages_[i].msg_len);
    flush(flow);
  }

  void take(UdpFlow& flow, const char* bytes, size_t length) {
    uint64_t sequence = 0;
    if (length == frame_bytes_) memcpy(&sequence, bytes + kHeaderBytes, sizeof sequence);
    const bool right = length == frame_bytes_ && load_u32(bytes) == options_.msg_id &&
                       load_u32(bytes + 4) == options_.payload_bytes &&
                       pattern_.matches(sequence, 0, bytes + kHeaderBytes, options_.payload_bytes);
    const size_t index = sequence % depth_;
    Place& place = flow.places[index];
    if (!right || sequence > place.sequence) {
      tally_.mismatches += 1;  // never sent by us
      return;
    }
    if (!place.awaits || sequence != place.sequence) {
      tally_.late += 1;
      return;
    }
    const bool measured = now_ >= measure_from_ && now_ < measure_until_;
    if (measured) tally_.latency.record(now_ - place.asked_at);
    tally_.replies_total += 1;
    tally_.replies_measured += measured ? 1 : 0;
    finish(flow, index);
  }

  /** The place is free; while there is time it asks again. */
  void finish(UdpFlow& flow, size_t index) {
    flow.places[index].awaits = false;
    in_flight_ -= 1;
    if (now_ < measure_until_) ask_next(flow, index);
  }

  void ask_next(UdpFlow& flow, size_t index) {
    Place& place = flow.places[index];
    place.sequence = place.sequence == 0 ? depth_ + index : place.sequence + depth_;
    place.awaits = true;
    in_flight_ += 1;
    flow.due.push_back(index);
  }

  void flush(UdpFlow& flow) {
    if (flow.due.empty()) return;
    for (size_t i = 0; i < flow.due.size(); i += 1) {
      Place& place = flow.places[flow.due[i]];
      char* frame = &buffer_[i * (frame_bytes_ + 1)];
      pattern_.write(frame, options_.msg_id, place.sequence);
      place.asked_at = now_;
      vectors_[i] = {frame, frame_bytes_};
    }
    const int count = sendmmsg(flow.fd.get(), messages_.data(), static_cast<unsigned>(flow.due.size()), 0);
    if (count < 0) tally_.io_errors += 1;
    // What was not taken counts as lost in time.
    tally_.sent += static_cast<uint64_t>(std::max(count, 0));
    flow.due.clear();
  }

  void give_up_lost() {
    next_check_ = now_ + kLossCheckNs;
    for (UdpFlow& flow : flows_) {
      for (size_t index = 0; index < depth_; index += 1) {
        const Place& place = flow.places[index];
        if (!place.awaits || now_ - place.asked_at < kLossTimeoutNs) continue;
        tally_.lost += 1;
        finish(flow, index);
      }
      flush(flow);
    }
  }

  const Options& options_;
  const size_t depth_;
  const BodyPattern pattern_;
  const size_t frame_bytes_;
  std::vector<char> buffer_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_;
  Tally& tally_;
  Epoll epoll_;
  std::vector<UdpFlow> flows_;
  uint64_t in_flight_ = 0;
  int64_t measure_from_ = 0;
  int64_t measure_until_ = 0;
  int64_t next_check_ = 0;
  int64_t last_reply_ = 0;
  int64_t now_ = 0;
};

}  // namespace

Tally run_udp(const Share& share, const Gate& gate, const Hold& hold) {
  Tally tally;
  UdpRun run(share, tally);
  gate(tally.connected);
  const ThreadCpu cpu;
  run.run();
  cpu.stop(tally);
  hold(tally);
  return tally;
}
