// A log-linear latency histogram: every power of two is cut into 128 equal slots, so a value is known
// to better than 1 %. The slot numbering is part of the report; bench/histogram.ts decodes it.
// Fixed memory, no allocation while recording; one per thread, merged at the end.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

class Histogram {
 public:
  static constexpr int kSubBits = 7;
  static constexpr int64_t kMaxNs = 60'000'000'000;

  void record(int64_t value_ns) {
    const int64_t value = std::clamp<int64_t>(value_ns, 0, kMaxNs);
    counts_[slot(static_cast<uint64_t>(value))] += 1;
    total_ += 1;
    sum_ns_ += static_cast<double>(value);
    max_ns_ = std::max(max_ns_, value);
  }

  void merge(const Histogram& other) {
    for (size_t index = 0; index < counts_.size(); index += 1) counts_[index] += other.counts_[index];
    total_ += other.total_;
    sum_ns_ += other.sum_ns_;
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  /** Nanoseconds below which `fraction` of the values lie (the middle of the slot); 0 when empty. */
  double quantile(double fraction) const {
    const double wanted = fraction * static_cast<double>(total_);
    uint64_t seen = 0;
    for (size_t index = 0; index < counts_.size(); index += 1) {
      seen += counts_[index];
      if (counts_[index] > 0 && static_cast<double>(seen) >= wanted) {
        return std::min(static_cast<double>(max_ns_), middle(index));
      }
    }
    return 0;
  }

  uint64_t total() const { return total_; }
  int64_t max_ns() const { return max_ns_; }
  double mean_ns() const { return total_ == 0 ? 0 : sum_ns_ / static_cast<double>(total_); }
  size_t slot_count() const { return counts_.size(); }
  uint64_t count_at(size_t index) const { return counts_[index]; }

 private:
  // Values below 256 have a slot each; above, the top eight bits choose it.
  static size_t slot(uint64_t value) {
    if (value < (2u << kSubBits)) return value;
    const int shift = 63 - __builtin_clzll(value) - kSubBits;
    return (static_cast<size_t>(shift) << kSubBits) + (value >> shift);
  }

  static double middle(size_t index) {
    if (index < (2u << kSubBits)) return static_cast<double>(index);
    const int shift = static_cast<int>(index >> kSubBits) - 1;
    const uint64_t top = index - (static_cast<size_t>(shift) << kSubBits);
    return static_cast<double>(top << shift) + static_cast<double>(uint64_t{1} << shift) / 2;
  }

  // kMaxNs < 2^36: shift reaches 28, hence (28 + 2) * 128 slots.
  std::array<uint64_t, 30u << kSubBits> counts_{};
  uint64_t total_ = 0;
  double sum_ns_ = 0;
  int64_t max_ns_ = 0;
};
