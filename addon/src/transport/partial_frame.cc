#include "transport/partial_frame.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace reactor_net {
namespace {

/** Capacity is at most this many times what arrived, or the smallest allocation worth making. */
constexpr size_t kGrowth = 2;
constexpr size_t kCapacityMin = 64;

}  // namespace

bool PartialFrame::Append(const uint8_t* bytes, size_t count) {
  const size_t total = count_ + count;
  if (total > capacity_) {
    const size_t wanted = std::max<size_t>(total, std::min<size_t>(std::max(kGrowth * total, kCapacityMin), needed_));
    auto* larger = static_cast<uint8_t*>(std::realloc(bytes_, wanted));
    if (larger == nullptr) return false;
    bytes_ = larger;
    capacity_ = static_cast<uint32_t>(wanted);
  }
  std::memcpy(bytes_ + count_, bytes, count);
  count_ = static_cast<uint32_t>(total);
  return true;
}

void PartialFrame::Clear() {
  std::free(bytes_);
  bytes_ = nullptr;
  count_ = 0;
  capacity_ = 0;
  needed_ = 0;
}

}  // namespace reactor_net
