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
  lost += other.lost;
  late += other.late;
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
  const auto integer = [](const char* name, uint64_t value) { printf(",\"%s\":%" PRIu64, name, value); };
  const auto number = [](const char* name, double value) { printf(",\"%s\":%.3f", name, value); };
  const auto quantile_us = [&](double fraction) { return tally.latency.quantile(fraction) / 1000; };
  printf("{\"event\":\"result\",\"mode\":\"%s\"", mode_name(options.mode));
  integer("connections", static_cast<uint64_t>(options.connections));
  integer("depth", static_cast<uint64_t>(options.depth));
  integer("payload", options.payload_bytes);
  integer("threads", static_cast<uint64_t>(options.threads));
  if (options.mode == Mode::kRate) number("rate", options.rate);
  integer("connected", tally.connected);
  integer("sent", tally.sent);
  integer("replies_total", tally.replies_total);
  integer("replies", tally.replies_measured);
  integer("unsent", tally.unsent);
  integer("lost", tally.lost);
  integer("late", tally.late);
  printf(",\"errors\":{\"connect\":%" PRIu64, tally.connect_errors);
  integer("io", tally.io_errors);
  integer("closed", tally.closed_early);
  integer("mismatch", tally.mismatches);
  printf("},\"stalled\":%s", tally.stalled ? "true" : "false");
  number("elapsed_s", tally.measured_s);
  number("total_s", tally.total_s);
  number("ops_per_s", per_second);
  number("bytes_per_s", per_second * frame_bytes);
  number("mean_us", tally.latency.mean_ns() / 1000);
  number("p50_us", quantile_us(0.5));
  number("p90_us", quantile_us(0.9));
  number("p99_us", quantile_us(0.99));
  number("p999_us", quantile_us(0.999));
  number("max_us", static_cast<double>(tally.latency.max_ns()) / 1000);
  integer("cpu_user_us", static_cast<uint64_t>(tally.cpu_user_us));
  integer("cpu_system_us", static_cast<uint64_t>(tally.cpu_system_us));
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
