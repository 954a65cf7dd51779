// What a hostile or half-dead peer can do to a ring: any bytes anywhere in the segment, at any time.
// The CTest jbus_ring_abuse and the libFuzzer target jbus_ring run it: nothing outside the segment may be touched
// (AddressSanitizer), nothing may loop for ever, and a reader either delivers what lies inside or gives the ring up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jbus_pair.h"

namespace reactor_net::jbus {

/**
 * Plays `data` as a script: each step is three bytes, what to do, and with what. Steps corrupt a word that is in use,
 * write honestly, take, peek, release, clear, and open the sides anew.
 */
inline void AbuseRing(const uint8_t* data, size_t size) {
  constexpr uint64_t kCapacity = 4096;
  const TestSegment segment(kCapacity, 0, size > 0 ? uint64_t{data[0]} * 16 : 0);
  SharedMemory memory = segment.memory();
  RingWriter writer(memory, kCapacity, false);
  RingReader reader(memory, kCapacity, 1 << 16);
  const auto check = [&](const RecordView& record) {
    CHECK(record.offset >= kDataOffset + kRecordHeaderBytes);
    CHECK(uint64_t{record.offset} + record.length <= kDataOffset + kCapacity);
    volatile uint8_t sum = 0;
    for (uint32_t i = 0; i < record.length; i++) sum = static_cast<uint8_t>(sum + segment.base()[record.offset + i]);
  };
  const auto position = [&](const RingReader&) { return memory.Load64(at::kHead, std::memory_order_relaxed); };
  RecordView record;
  for (size_t i = 0; i + 3 <= size; i += 3) {
    const uint8_t choice = data[i] % 12;
    const size_t amount = data[i + 1];
    const uint8_t value = data[i + 2];
    switch (choice) {
      case 0:  // a byte of the header page
        segment.base()[(amount % 0x30) * 8 + value % 8] ^= static_cast<uint8_t>(1 + value);
        break;
      case 1:  // a byte of the record that is read next
        segment.base()[kDataOffset + ((position(reader) + amount % 48) & (kCapacity - 1))] = value;
        break;
      case 2:  // the tail, a little or far off
        memory.Store64(at::kTail, position(reader) + amount * (value % 2 == 0 ? 8 : 1), std::memory_order_relaxed);
        break;
      case 3:
        memory.Store64(at::kHead, position(reader) + (amount << (value % 50)), std::memory_order_relaxed);
        break;
      case 4:
      case 5:
        PutWhole(writer, i, amount * 7);
        writer.Publish();
        break;
      case 6:
        reader.Take(1 + value % 8, check);
        break;
      case 7:
        if (reader.Peek(&record)) check(record);
        break;
      case 8:
        reader.Seek(amount);
        break;
      case 9:
        reader.Release(reader.outstanding());
        break;
      case 10:
        reader.Clear();
        break;
      default:
        writer.PrepareWait(amount + 1);
        reader.PrepareWait();
        CHECK(reader.Size() <= kCapacity && writer.Size() <= kCapacity);
    }
    if (reader.IsPoisoned() || writer.IsPoisoned()) break;
  }
  if (reader.poison() != Poison::kNone) CHECK(writer.IsPoisoned() && PutWhole(writer, 1, 8) == 0);
}

}  // namespace reactor_net::jbus
