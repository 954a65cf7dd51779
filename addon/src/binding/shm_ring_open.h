// What ShmRingWriter and ShmRingReader do alike: open a side of a ring, and read the bytes JavaScript passes.
#pragma once

#include <napi.h>

#include <memory>

#include "jbus/attachments.h"

namespace reactor_net {

/** Answers of `open`: 0, a HeaderFault, or this. */
constexpr uint32_t kSideTaken = 6;

struct OpenedSide {
  std::unique_ptr<jbus::SideClaim> claim;  // null: `status` says why, or an exception is pending
  uint32_t status = 0;
  uint64_t capacity = 0;
  uint32_t flags = 0;
};

/** Maps segment `id`, judges its page and claims the side. */
OpenedSide OpenSide(Napi::Env env, int id, jbus::Side side);

/** The elements of a typed array; data is null, and `what` thrown as ADDON_INVALID_ARGUMENT, for anything else. */
template <typename T>
struct ArrayView {
  T* data = nullptr;
  size_t length = 0;
};
ArrayView<const uint8_t> ReadBytes(Napi::Env env, Napi::Value value, const char* what);
ArrayView<uint32_t> ReadWords(Napi::Env env, Napi::Value value, const char* what);

/** An amount, or its complement -1 - amount when the peer sleeps and has to be woken. */
inline Napi::Number WithWake(Napi::Env env, uint64_t amount, bool wake) {
  const double number = static_cast<double>(amount);
  return Napi::Number::New(env, wake ? -1 - number : number);
}

/** Words of one row of a table of records; addon/jbus/layout.ts has the same. */
constexpr size_t kRowWords = 8;
constexpr size_t kRowOffset = 0;
constexpr size_t kRowLength = 1;
constexpr size_t kRowFlags = 2;
constexpr size_t kRowType = 3;
constexpr size_t kRowMsgIdLow = 4;
constexpr size_t kRowMsgIdHigh = 5;
constexpr size_t kRowTotalLength = 6;
constexpr size_t kRowCost = 7;

}  // namespace reactor_net
