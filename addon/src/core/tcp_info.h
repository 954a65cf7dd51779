// What the kernel knows about one TCP connection (TCP_INFO), in named units.
// Fields newer than the running kernel stay 0.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"

namespace reactor_net {

struct TcpInfo {
  std::string_view state;  // 'established', 'close-wait', …
  uint32_t rtt_us;
  uint32_t rtt_var_us;
  uint32_t min_rtt_us;
  uint32_t retransmits;        // of the segment in flight
  uint32_t total_retransmits;  // over the connection's life
  uint32_t congestion_window;  // segments
  uint32_t slow_start_threshold;
  uint32_t send_mss;
  uint32_t receive_mss;
  uint32_t path_mtu;
  uint32_t unacked;  // segments
  uint32_t lost;     // segments
  uint32_t not_sent_bytes;
  uint64_t bytes_sent;  // retransmitted bytes included
  uint64_t bytes_received;
  uint64_t bytes_acked;
  uint64_t bytes_retransmitted;
  uint64_t delivery_rate;  // bytes per second
};

Result<TcpInfo> ReadTcpInfo(int fd);

}  // namespace reactor_net
