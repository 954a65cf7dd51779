// Why a ring was given up. The peer broke the format, or this side was told that the other had found it broken.
// A poisoned ring is closed, never searched for the next record that looks right.
#pragma once

#include <cstdint>

namespace reactor_net::jbus {

/** Names for JavaScript are in addon/jbus/layout.ts, in this order. */
enum class Poison : uint8_t {
  kNone = 0,
  kByPeer = 1,        // the state word says so
  kTail = 2,          // tail beyond head + capacity, behind what was seen, or not a multiple of 8
  kHead = 3,          // head beyond tail, more than a capacity behind it, or not a multiple of 8
  kMagic = 4,         // no record where one has to begin
  kLength = 5,        // longer than a record may be, than what was published, or than the room to the end
  kFlags = 6,         // a combination that means nothing
  kTotalLength = 7,   // beyond messageBytesMax, or not the sum of the fragments
  kSequence = 8,      // fragments of two messages mixed
  kCrc = 9,
};

}  // namespace reactor_net::jbus
