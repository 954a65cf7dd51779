// The first page of a segment: writing it, judging it, and the words by which two processes know of each other.
// ring_writer.h and ring_reader.h move records once this has found the page good.
#pragma once

#include <cstdint>

#include "jbus/layout.h"
#include "jbus/liveness.h"
#include "jbus/shared_memory.h"

namespace reactor_net::jbus {

/** What distinguishes one ring from the next; the creator chooses it. */
struct RingIdentity {
  uint64_t capacity = 0;
  uint64_t epoch = 0;
  uint64_t channel_hash = 0;
  uint32_t flags = 0;
  uint64_t start_position = 0;  // a multiple of 8; other than 0 only in tests
};

/** One side of a ring as the page tells. */
struct SideFacts {
  ProcessIdentity process;
  uint32_t heartbeat_count = 0;
  uint64_t heartbeat_ms = 0;
  uint64_t position = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  bool waiting = false;
};

/** A copy of the whole page. */
struct HeaderFacts {
  uint64_t magic = 0;
  uint32_t version = 0;
  uint32_t data_offset = 0;
  RingIdentity identity;
  uint32_t state = 0;
  ProcessIdentity creator;
  SideFacts producer;
  SideFacts consumer;
};

/** Names for JavaScript are in addon/jbus/layout.ts, in this order. */
enum class HeaderFault : uint8_t {
  kNone = 0,
  kMagic = 1,       // not ours, or not yet made
  kVersion = 2,
  kCapacity = 3,    // no power of two within the bounds, or more than the segment has
  kFlags = 4,       // a flag this version does not know
  kPoisoned = 5,
};

/** Which line of the page is whose. */
enum class Side : uint8_t { kProducer = 0, kConsumer = 1 };

constexpr size_t LineOf(Side side) { return side == Side::kProducer ? at::kProducerLine : at::kConsumerLine; }

/** Fills the page of a new segment, whose bytes are 0; the magic comes last, so nobody takes half a page for whole. */
void FormatHeader(SharedMemory memory, const RingIdentity& identity);

/** Reads every word of the page once. */
HeaderFacts ReadHeader(const SharedMemory& memory);
SideFacts ReadSide(const SharedMemory& memory, Side side);

/** Whether a ring may be opened on it. The positions are the rings' own to judge. */
HeaderFault JudgeHeader(const HeaderFacts& facts, uint64_t segment_bytes);

/**
 * Makes this process the producer or consumer. False: another one, that still lives, is. A dead one's place is
 * taken over; within one process the caller keeps count (attachments.h).
 */
bool ClaimSide(SharedMemory memory, Side side);
void LeaveSide(SharedMemory memory, Side side);

/** Writes this side's heartbeat: the time, then the count. */
void Beat(SharedMemory memory, Side side);

uint32_t ReadState(const SharedMemory& memory);
/** READY only after INIT, CLOSING only after these two, POISONED always; a state that may not follow changes nothing. */
void MarkState(SharedMemory memory, SegmentState state);
/** Whether waiting for the other side has become pointless: the ring is closing or poisoned. */
bool HasNews(const SharedMemory& memory);

}  // namespace reactor_net::jbus
