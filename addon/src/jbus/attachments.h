// The segments, and memory files (ids below 0), that this process has mapped: each one once, however many threads,
// views and rings use it. An Attachment is shared by all of them and unmapped with the last reference. The one table of
// the process is here, behind a mutex; so are the marks that keep two threads of it from being producer, or consumer, of the same ring.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/result.h"
#include "jbus/ring_header.h"
#include "jbus/shared_memory.h"

namespace reactor_net::jbus {

class Attachment {
 public:
  /** Maps the segment, or finds it mapped. The pointer is never null when ok. */
  static Result<std::shared_ptr<Attachment>> Of(int id);

  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  ~Attachment();

  int id() const { return id_; }
  uint64_t bytes() const { return bytes_; }
  uint8_t* base() const { return base_; }
  SharedMemory memory() const { return SharedMemory(base_); }

  /** Reserves a side of the ring for one user in this process; false when it is taken. */
  bool Reserve(Side side) { return !reserved_[static_cast<size_t>(side)].exchange(true); }
  void Unreserve(Side side) { reserved_[static_cast<size_t>(side)].store(false); }

 private:
  Attachment(int id, uint8_t* base, uint64_t bytes) : id_(id), base_(base), bytes_(bytes) {}

  const int id_;
  uint8_t* const base_;
  const uint64_t bytes_;
  std::atomic<bool> reserved_[2] = {};
};

struct AttachmentTotals {
  uint32_t segments = 0;
  uint64_t bytes = 0;
  /** Mappings made and undone, ever. */
  uint64_t attached = 0;
  uint64_t detached = 0;
};

AttachmentTotals CountAttachments();

/** Maps a segment read-only for as long as it takes to copy its first page's words; without a page, no magic. */
Result<HeaderFacts> PeekHeader(int id);

/** One side of a ring for as long as this lives: reserved in this process, claimed in the page. */
class SideClaim {
 public:
  /** Null when a live one has the side. */
  static std::unique_ptr<SideClaim> Take(std::shared_ptr<Attachment> attachment, Side side);

  SideClaim(const SideClaim&) = delete;
  SideClaim& operator=(const SideClaim&) = delete;
  ~SideClaim();

  Attachment& attachment() const { return *attachment_; }
  Side side() const { return side_; }

 private:
  SideClaim(std::shared_ptr<Attachment> attachment, Side side) : attachment_(std::move(attachment)), side_(side) {}

  std::shared_ptr<Attachment> attachment_;
  const Side side_;
};

}  // namespace reactor_net::jbus
