// Layout v1 of a ring segment: where every word lies and what it may hold; docs/jbus.md is its description in prose.
// One segment carries one direction: one page of header, then `capacity` bytes of records. Little-endian.
// Positions are free-running byte counts, multiples of 8; the byte of a position is kDataOffset + (position & mask).
// addon/jbus/layout.ts and addon/jbus/python have the same numbers; they change together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace reactor_net::jbus {

constexpr uint64_t kSegmentMagic = 0x31474E525355424A;  // the bytes "JBUSRNG1"
constexpr uint32_t kLayoutVersion = 1;
constexpr uint32_t kDataOffset = 4096;
constexpr uint64_t kCapacityLeast = 4096;
constexpr uint64_t kCapacityMost = uint64_t{1} << 31;
/** Every u64 that JavaScript is shown as a number and compares: epoch, channel hash. */
constexpr uint64_t kIdentityMost = (uint64_t{1} << 53) - 1;

/** Offsets of the header's words. Each word has one writer, named beside its group. */
namespace at {
// The creator, once; magic last.
constexpr size_t kMagic = 0x000;            // u64
constexpr size_t kVersion = 0x008;          // u32
constexpr size_t kDataOffsetWord = 0x00C;   // u32
constexpr size_t kCapacity = 0x010;         // u64
constexpr size_t kSegmentFlags = 0x018;     // u32
constexpr size_t kState = 0x01C;            // u32, the only word with several writers
constexpr size_t kEpoch = 0x020;            // u64
constexpr size_t kChannelHash = 0x028;      // u64
constexpr size_t kCreatorPid = 0x030;       // u32
constexpr size_t kCreatorStartTime = 0x038; // u64
// The producer.
constexpr size_t kTail = 0x080;             // u64
constexpr size_t kProducerLine = 0x080;
constexpr size_t kRecordsWritten = 0x0A0;   // u64
constexpr size_t kBytesWritten = 0x0A8;     // u64
// The consumer.
constexpr size_t kHead = 0x100;             // u64
constexpr size_t kConsumerLine = 0x100;
constexpr size_t kRecordsRead = 0x120;      // u64
constexpr size_t kBytesRead = 0x128;        // u64
// Set to 1 by the side that goes to sleep, exchanged to 0 by the side that wakes it.
constexpr size_t kConsumerWaiting = 0x180;  // u32
constexpr size_t kProducerWaiting = 0x200;  // u32
}  // namespace at

/** Offsets within the producer's and the consumer's line. */
namespace in_line {
constexpr size_t kPid = 0x08;          // u32
constexpr size_t kHeartbeatCount = 0x0C;  // u32
constexpr size_t kStartTime = 0x10;    // u64
constexpr size_t kHeartbeatMs = 0x18;  // u64, CLOCK_MONOTONIC
}  // namespace in_line

static_assert(at::kHead - at::kTail >= 128, "the adjacent-line prefetcher pairs lines of 64 bytes");
static_assert(at::kProducerLine + in_line::kHeartbeatMs + 8 <= at::kRecordsWritten);
static_assert(at::kConsumerLine + in_line::kHeartbeatMs + 8 <= at::kRecordsRead);

enum class SegmentState : uint32_t { kInit = 0, kReady = 1, kClosing = 2, kPoisoned = 3 };

/** Segment flag: the writer gives every record a CRC. */
constexpr uint32_t kSegmentFlagCrc = 1;

constexpr uint32_t kRecordMagic = 0x4A425553;
constexpr uint32_t kRecordHeaderBytes = 32;

constexpr uint16_t kFlagBegin = 1;
constexpr uint16_t kFlagMid = 2;
constexpr uint16_t kFlagEnd = 4;
constexpr uint16_t kFlagHeartbeat = 8;
constexpr uint16_t kFlagPad = 16;
constexpr uint16_t kFlagCrc = 32;

/** The 32 bytes before every payload, in the order of memory. */
struct RecordHeader {
  uint32_t magic;
  uint32_t length;
  uint32_t total_length;
  uint16_t flags;
  uint16_t type;
  uint64_t msg_id;
  uint32_t crc;
  uint32_t reserved;
};
static_assert(sizeof(RecordHeader) == kRecordHeaderBytes && offsetof(RecordHeader, flags) == 12 &&
              offsetof(RecordHeader, msg_id) == 16 && offsetof(RecordHeader, crc) == 24);

/** What a record with this payload takes in the ring. */
constexpr uint64_t OccupiedBytes(uint64_t length) { return (kRecordHeaderBytes + length + 7) & ~uint64_t{7}; }

/** The largest payload of one record: a record takes at most half the ring, so it always fits an empty one. */
constexpr uint32_t RecordBytesMax(uint64_t capacity) {
  return static_cast<uint32_t>(capacity / 2 - kRecordHeaderBytes);
}

/**
 * The payload of one fragment of a larger message. With its header a fragment is a power of two that the ring is a
 * multiple of, so none needs a pad: an eighth, for a reader that begins early and gives room back often, but in
 * small rings up to a quarter, for that has its price per fragment.
 */
constexpr uint32_t FragmentBytes(uint64_t capacity) {
  constexpr uint64_t kSmall = 64 * 1024;
  const uint64_t with_header = std::min(capacity / 4, std::max(capacity / 8, kSmall));
  return static_cast<uint32_t>(with_header - kRecordHeaderBytes);
}

}  // namespace reactor_net::jbus
