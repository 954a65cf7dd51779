#include "core/tcp_info.h"

// The kernel's own header: the tcp_info of <netinet/tcp.h> stops short of the byte counters.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <iterator>

namespace reactor_net {
namespace {

// In the kernel's order, which starts at 1 (include/net/tcp_states.h).
constexpr std::string_view kStates[] = {"unknown",  "established", "syn-sent",   "syn-received", "fin-wait-1",
                                        "fin-wait-2", "time-wait",   "closed",     "close-wait",   "last-ack",
                                        "listening",  "closing",     "new-syn-received"};

std::string_view StateName(unsigned number) {
  return number < std::size(kStates) ? kStates[number] : kStates[0];
}

}  // namespace

Result<TcpInfo> ReadTcpInfo(int fd) {
  tcp_info raw = {};
  socklen_t bytes = sizeof raw;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &raw, &bytes) != 0) return Failure::Last("getsockopt");
  TcpInfo info = {};
  info.state = StateName(raw.tcpi_state);
  info.rtt_us = raw.tcpi_rtt;
  info.rtt_var_us = raw.tcpi_rttvar;
  info.min_rtt_us = raw.tcpi_min_rtt;
  info.retransmits = raw.tcpi_retransmits;
  info.total_retransmits = raw.tcpi_total_retrans;
  info.congestion_window = raw.tcpi_snd_cwnd;
  info.slow_start_threshold = raw.tcpi_snd_ssthresh;
  info.send_mss = raw.tcpi_snd_mss;
  info.receive_mss = raw.tcpi_rcv_mss;
  info.path_mtu = raw.tcpi_pmtu;
  info.unacked = raw.tcpi_unacked;
  info.lost = raw.tcpi_lost;
  info.not_sent_bytes = raw.tcpi_notsent_bytes;
  info.bytes_sent = raw.tcpi_bytes_sent;
  info.bytes_received = raw.tcpi_bytes_received;
  info.bytes_acked = raw.tcpi_bytes_acked;
  info.bytes_retransmitted = raw.tcpi_bytes_retrans;
  info.delivery_rate = raw.tcpi_delivery_rate;
  return info;
}

}  // namespace reactor_net
