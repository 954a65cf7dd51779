// Adds tallies up and prints them; every line is flushed at once because a program waits for it.

#include "report.h"

#include <sys/resource.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace {

int64_t micros(const timeval& time) { return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; }

}  // namespace

void Tally::merge(const Tally& other) {
  connected += other.connected;
  sent += other.sent;
  replies_total += other.replies_total;
  replies_measured += other.replies_measured;
  unsent += other.unsent;
  connect_errors += other.connect_errors;
  io_errors += other.io_errors;
  closed_early += other.closed_early;
  mismatches += other.mismatches;
  stalled = stalled || other.stalled;
  measured_s = std::max(measured_s, other.measured_s);
  total_s = std::max(total_s, other.total_s);
  cpu_user_us += other.cpu_user_us;
  cpu_system_us += other.cpu_system_us;
  latency.merge(other.latency);
}

ThreadCpu::ThreadCpu() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  user_us_ = micros(usage.ru_utime);
  system_us_ = micros(usage.ru_stime);
}

void ThreadCpu::stop(Tally& tally) const {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  tally.cpu_user_us += micros(usage.ru_utime) - user_us_;
  tally.cpu_system_us += micros(usage.ru_stime) - system_us_;
}

void print_connected(const char* event, uint64_t connections) {
  printf("{\"event\":\"%s\",\"connections\":%" PRIu64 "}\n", event, connections);
  fflush(stdout);
}

void print_result(const Options& options, const Tally& tally) {
  const double seconds = tally.measured_s > 0 ? tally.measured_s : 1;
  const double frame_bytes = static_cast<double>(options.payload_bytes) + 8;
  const double per_second = static_cast<double>(tally.replies_measured) / seconds;
  printf("{\"event\":\"result\",\"mode\":\"%s\",\"connections\":%d,\"depth\":%d,\"payload\":%u,\"threads\":%d",
         mode_name(options.mode), options.connections, options.depth, options.payload_bytes, options.threads);
  if (options.mode == Mode::kRate) printf(",\"rate\":%.1f", options.rate);
  printf(",\"connected\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"replies_total\":%" PRIu64
         ",\"replies\":%" PRIu64 ",\"unsent\":%" PRIu64,
         tally.connected, tally.sent, tally.replies_total, tally.replies_measured, tally.unsent);
  printf(",\"errors\":{\"connect\":%" PRIu64 ",\"io\":%" PRIu64 ",\"closed\":%" PRIu64 ",\"mismatch\":%" PRIu64 "}",
         tally.connect_errors, tally.io_errors, tally.closed_early, tally.mismatches);
  printf(",\"stalled\":%s,\"elapsed_s\":%.6f,\"total_s\":%.6f", tally.stalled ? "true" : "false", tally.measured_s,
         tally.total_s);
  printf(",\"ops_per_s\":%.1f,\"bytes_per_s\":%.1f", per_second, per_second * frame_bytes);
  const auto us = [&](double fraction) { return tally.latency.quantile(fraction) / 1000; };
  printf(",\"mean_us\":%.2f,\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.2f",
         tally.latency.mean_ns() / 1000, us(0.5), us(0.9), us(0.99), us(0.999),
         static_cast<double>(tally.latency.max_ns()) / 1000);
  printf(",\"cpu_user_us\":%" PRId64 ",\"cpu_system_us\":%" PRId64, tally.cpu_user_us, tally.cpu_system_us);
  printf(",\"histogram\":{\"unit\":\"ns\",\"sub_bits\":%d,\"counts\":[", Histogram::kSubBits);
  const char* comma = "";
  for (size_t index = 0; index < tally.latency.slot_count(); index += 1) {
    if (tally.latency.count_at(index) == 0) continue;
    printf("%s[%zu,%" PRIu64 "]", comma, index, tally.latency.count_at(index));
    comma = ",";
  }
  printf("]}}\n");
  fflush(stdout);
}
